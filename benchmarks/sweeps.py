"""Eight runs one after another, in threads, in processes, and by Dask's workers: short and long.

Needs distributed: make bench, or python benchmarks/sweeps.py
"""

import os

from _timing import report, spread, timed

os.environ["OMP_NUM_THREADS"] = "1"  # of the workers, too

import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from distributed import LocalCluster

from vae_core import RunConfig
from vae_core.runs.cluster import dask_executor
from vae_core.runs.sweep import sweep

RUNS, WORKERS = 8, 2
SHORT, SHORT_ROUNDS = 50_000, 3  # samples of a run
LONG, LONG_ROUNDS = 1_500_000, 2  # some twenty seconds a run: a start of seconds is a few percent
torch.set_num_threads(1)


def trained(n_samples: int, executor=None, jobs: int = 1) -> None:
    """All runs, into a store that did not exist before."""
    configs = [
        RunConfig(dataset="digits", latent_dim=10, hidden=(200,), n_samples=n_samples, seed=seed)
        for seed in range(RUNS)
    ]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"VAE_CORE_CACHE": folder, "VAE_CORE_REFERENCE": folder}
        with executor or nullcontext() as entered:
            assert len([*sweep(configs, jobs, executor=entered, progress=False)]) == RUNS


def by_dask(n_samples: int) -> None:
    """With the start of scheduler and workers, as the processes' start counts too."""
    options = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster:
        trained(n_samples, dask_executor(cluster.scheduler_address))


def clocks() -> np.ndarray:
    """(2,) wall seconds, and processor seconds of this process and its children that have ended."""
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    used = sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))
    return np.array([time.perf_counter(), used])


def measured(n_samples: int, candidates: dict, rounds: int) -> dict:
    """Wall and processor seconds of ways to train all runs, each a function of their length."""
    functions = {name: partial(train, n_samples) for name, train in candidates.items()}
    times = {name: np.array(v) for name, v in timed(functions, rounds, clocks).items()}
    return {
        "what": f"{RUNS} runs of {n_samples:,} samples on digits, 200 hidden units, one thread "
        "each, with the start of the workers",
        "seconds": {name: spread(list(v[:, 0])) for name, v in times.items()},
        "processor_seconds": {name: spread(list(v[:, 1])) for name, v in times.items()},
    }


def main() -> None:
    side_by_side = {
        f"{WORKERS} processes": lambda n: trained(n, jobs=WORKERS),
        f"Dask, {WORKERS} workers": by_dask,
    }
    threads = {
        "one after another": lambda n: trained(n, ThreadPoolExecutor(1)),
        f"{WORKERS} threads": lambda n: trained(n, ThreadPoolExecutor(WORKERS)),
    }
    short = measured(SHORT, threads | side_by_side, SHORT_ROUNDS)
    long = measured(LONG, side_by_side, LONG_ROUNDS)
    report("sweeps", {"short": short, "long": long}, ["torch", "distributed"])


if __name__ == "__main__":
    main()
