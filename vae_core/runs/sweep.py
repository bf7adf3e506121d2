"""Many runs side by side: spawned workers with one thread each, the longest run first."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tqdm import tqdm

from vae_core.runs import Run, find_run, get_or_run
from vae_core.runs.config import RunConfig

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ARRAY_FIELDS = ("hidden",)  # fields whose one value is itself a list


def grid(entry: dict) -> list[RunConfig]:
    """The RunConfigs of one sweep entry: each field with a list stands for all its values.

    ``hidden`` is a list already: there a list of lists stands for several values.
    """

    def values(name: str, value) -> list:
        if name in ARRAY_FIELDS:
            return value if value and isinstance(value[0], list) else [value]
        return value if isinstance(value, list) else [value]

    choices = [values(name, value) for name, value in entry.items()]
    return [RunConfig(**dict(zip(entry, c, strict=True))) for c in itertools.product(*choices)]


def configs_of(entries: Iterable[dict]) -> list[RunConfig]:
    """All RunConfigs of a ``sweep:`` section, each once; all are checked before any is run."""
    return list({config.key: config for entry in entries for config in grid(entry)}.values())


def cost(config: RunConfig) -> float:
    """Relative cost of a run: its products of parameters and samples."""
    return float(config.n_samples) * config.n_parameters


def sweep(configs: Iterable[RunConfig], jobs: int = 1, *, progress: bool = True) -> Iterator[Run]:
    """Yields each finished run, stored ones first, then as they are trained.

    Raises:
        ValueError: ``jobs`` below 1.
        Exception: whatever a run raised; the others are then stopped, and resume where they were.
    """
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: at least one worker is needed")
    pending = []
    for config in sorted(configs, key=cost, reverse=True):
        run = find_run(config)
        if run is None:
            pending.append(config)
        else:
            yield run
    if pending:
        yield from _train_all(pending, jobs, progress)


def _train_all(pending: list[RunConfig], jobs: int, progress: bool) -> Iterator[Run]:
    context = multiprocessing.get_context("spawn")
    jobs = min(jobs, len(pending))
    slots = context.Queue()
    for slot in range(jobs):
        slots.put(slot)
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ |= ONE_THREAD
    pool = ProcessPoolExecutor(jobs, context, _start_worker, (slots, context.RLock()))
    try:
        waiting: set[Future] = {pool.submit(_worker, config, progress) for config in pending}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _start_worker(slots, lock) -> None:
    """Gives the worker one thread, its own line on the terminal, and no life without its parent."""
    import torch

    torch.set_num_threads(1)
    tqdm.set_lock(lock)
    _start_worker.slot = slots.get()
    threading.Thread(target=_stop_with_parent, daemon=True).start()


def _stop_with_parent() -> None:
    """Once the parent is gone, however it ended, asks this worker to checkpoint and stop."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _worker(config: RunConfig, progress: bool) -> Run:
    if not multiprocessing.parent_process().is_alive():
        os._exit(1)  # the pool's queue still holds runs that nobody waits for
    return get_or_run(config, progress=progress, position=_start_worker.slot)
