"""Workers of a Dask scheduler, for a sweep over many machines."""

import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

SECONDS_TO_ANSWER = 10.0


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """The workers of a scheduler such as ``tcp://scheduler:8786``, as an executor for `sweep`.

    Workers that join later are used as well. If a worker is lost, its run is given to another one,
    which starts it anew, or from its last checkpoint if the two share a store.

    Raises:
        ValueError: dask is not installed, or a worker has several threads: runs in one process
            would change each other's number of threads.
        OSError: no scheduler answers at this address.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            "--dask needs the package distributed: pip install 'vae_core[cluster]'"
        ) from None
    with Client(address, timeout=SECONDS_TO_ANSWER, set_as_default=False) as client:
        threads = client.nthreads()
        if several := [worker for worker, n in threads.items() if n > 1]:
            raise ValueError(f"the Dask worker {several[0]} has several threads: use --nthreads 1")
        if not threads:
            print(f"waiting for workers to join {address}", file=sys.stderr)
        # pure: the same run is the same task, also when it is asked for twice
        yield client.get_executor(pure=True)
