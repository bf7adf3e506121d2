"""Spawned worker processes with one thread each that do not outlive whoever started them."""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any

from tqdm import tqdm

from vae_core.runs.config import RunConfig
from vae_core.runs.hardware import SlowPrecision
from vae_core.runs.store import Run, get_or_run

SECONDS_TO_CHECKPOINT = 5.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Workers:
    """A pool of spawned processes; each says which run it trains, in case it is killed."""

    def __init__(self, jobs: int):
        context = multiprocessing.get_context("spawn")
        self._slots, self._started = context.Queue(), context.SimpleQueue()
        for slot in range(jobs):
            self._slots.put(slot)
        broken, self._tell = context.Pipe(duplex=False)
        setup = self._slots, self._started, context.RLock(), broken
        self.pool = ProcessPoolExecutor(jobs, context, _start, setup)
        # The pool watches the processes that it knew when it last woke, and wakes before it starts
        # one: of a worker started for the last task it would not see the end. So all start first.
        for _ in range(jobs):
            self.pool.submit(int)
        self._processes = {child.pid: child for child in multiprocessing.active_children()}

    def submit(self, function: Callable, *arguments: Any) -> Future:
        """As ``Executor.submit``."""
        return self.pool.submit(_while_awaited, function, *arguments)

    def release(self) -> None:
        """After the pool broke: lets the workers that are left go."""
        self._tell.send(None)  # read by nobody, so that all see it

    def killed(self) -> list[str]:
        """After the pool broke: the keys of the runs whose workers were killed."""
        self.release()
        self.pool.shutdown(wait=True, cancel_futures=True)
        trained = {}
        while not self._started.empty():
            pid, key = self._started.get()
            trained[pid] = key
        ends = {pid: process.exitcode for pid, process in self._processes.items()}
        # the pool itself ends the others by SIGTERM
        return sorted(
            key for pid, key in trained.items() if ends.get(pid) not in (0, -signal.SIGTERM)
        )


@contextmanager
def workers(jobs: int) -> Iterator[Workers]:
    """``jobs`` workers with one thread each; when the block ends, so do they."""
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: at least one worker is needed")
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ |= ONE_THREAD
    started = Workers(jobs)
    try:
        yield started
    except BrokenExecutor:
        started.release()
        raise
    finally:
        started.pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


HERE: dict[str, Any] = {}  # of a worker: its "slot" on the terminal, the queue "started"


def _start(slots: Any, started: Any, lock: Any, broken: connection.Connection) -> None:
    """Gives the worker one thread, its own line on the terminal, and no life without its parent."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", SlowPrecision)  # said once, by whoever started the workers
    tqdm.set_lock(lock)
    HERE.update(slot=slots.get(), started=started, is_busy=False)
    threading.Thread(target=_end_when_forgotten, args=[broken], daemon=True).start()


def _parent() -> multiprocessing.process.BaseProcess:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    return parent


def _end_when_forgotten(broken: connection.Connection) -> None:
    """Ends this worker once its parent is gone, however it ended, or the pool is broken.

    Idle, it ends at once; in a run, after a checkpoint. A broken pool has asked for that one and
    then waits for its workers, which since Python 3.12 it no longer tells to go.
    """
    parent = _parent()
    if parent.sentinel in connection.wait([parent.sentinel, broken]):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS_TO_CHECKPOINT)  # or without one if its step is long
        os._exit(1)  # writing is atomic, so that this is safe at any moment
    while HERE["is_busy"]:
        time.sleep(0.05)
    os._exit(0)


def _while_awaited(function: Callable, *arguments: Any) -> Any:
    """Calls the function; the worker ends here if nobody waits for the result any more."""
    HERE["is_busy"] = True
    try:
        return function(*arguments)
    finally:
        HERE["is_busy"] = False
        if not _parent().is_alive():
            os._exit(1)  # the pool's own loop would wait for ever


def train(config: RunConfig, progress: bool) -> Run:
    """``get_or_run`` in a worker, which tells the sweep what it trains."""
    HERE["started"].put((os.getpid(), config.key))
    return get_or_run(config, progress=progress, position=HERE["slot"])
