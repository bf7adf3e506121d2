"""Worker processes with one thread each, spawned, that end when the process that started them does.

Ctrl-C reaches only that process. It ends its workers by SIGTERM, which lets each write the
checkpoint of its run.
"""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any

from tqdm import tqdm

from vae_core.runs.config import RunConfig
from vae_core.runs.hardware import SlowPrecision
from vae_core.runs.store import Run, get_or_run

SECONDS_TO_CHECKPOINT = 5.0
SECONDS_TO_END = 30.0  # as between two checkpoints
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LONGEST = 300  # bytes: a process number and the name of a folder
NOT_STARTED = (
    'the workers did not start: in a script, call this below `if __name__ == "__main__":`, since '
    "each worker imports the script; if you do, there is too little memory for so many workers"
)


class Workers:
    """A pool of spawned processes; each shows which run it works on, in case it is killed."""

    def __init__(self, jobs: int):
        context = multiprocessing.get_context("spawn")
        self._slots = context.SimpleQueue()
        self._shown = [context.RawArray("c", LONGEST) for _ in range(jobs)]
        self._ended = context.RawValue("b")
        broken, self._tell = context.Pipe(duplex=False)
        setup = self._slots, self._shown, self._ended, context.RLock(), broken
        self.pool = ProcessPoolExecutor(jobs, context, _start, setup)
        self._processes: list[Any] = []

    def start(self) -> None:
        """Starts all workers at once.

        The pool watches the processes that it knew when it last woke, and wakes before it starts
        one: of a worker started for the last task it would not see the end.
        """
        with _apart():
            for _ in self._shown:
                self.pool.submit(int)
            self._processes = list(self.pool._processes.values())
            for slot in range(len(self._shown)):  # last: an idle worker would do for two
                self._slots.put(slot)

    def submit(self, key: str, function: Callable, *arguments: Any) -> Future:
        """Like ``Executor.submit``, with the key of the run that the task is about."""
        return self.pool.submit(_while_awaited, key, function, *arguments)

    def end(self) -> None:
        """Ends the workers, after a checkpoint; waiting tasks are not started."""
        self._ended.value = True
        try:
            self._terminate()
        except KeyboardInterrupt:  # once more stops at once
            self._terminate()
            raise

    def _terminate(self) -> None:
        for process in self._processes:
            process.terminate()
        self._await_end()

    def _await_end(self) -> None:
        """Lets the workers go; those that stay are asked again.

        What a signal's handler raises is lost within a destructor and the import of some modules;
        and a worker that waits for the lock of a killed one hears nothing but `_tell`.
        """
        manager: Any = self.pool._executor_manager_thread
        self.pool.shutdown(wait=False, cancel_futures=True)
        left = {process.sentinel: process for process in self._processes}
        until = time.monotonic() + SECONDS_TO_END
        while left:
            for ended in connection.wait(list(left), max(0.0, until - time.monotonic())):
                del left[ended]
            if left and time.monotonic() >= until:
                self._tell.send(None)  # read by nobody, so that all see it
                for process in left.values():
                    process.terminate()
                until = time.monotonic() + SECONDS_TO_END
        if manager is not None:
            manager.join()

    def what_broke(self) -> str:
        """After the pool broke: ends the workers that are left; names the runs of the others."""
        self._ended.value = True
        self._tell.send(None)
        self._await_end()
        shown = [card.value.decode().split(" ", 1) for card in self._shown if card.value]
        if not shown:
            return NOT_STARTED
        # the pool itself ends the others by SIGTERM
        ended = {str(p.pid) for p in self._processes if p.exitcode in (0, -signal.SIGTERM)}
        lost = sorted(key for pid, key in shown if pid not in ended)
        return (
            f"the worker that trained {' and '.join(lost) or 'a run'} was killed, perhaps for lack "
            f"of memory; the same call goes on from what is stored"
        )


@contextmanager
def workers(jobs: int) -> Iterator[Workers]:
    """``jobs`` workers with one thread each; they end when the block ends, however it ends.

    Raises:
        ValueError: ``jobs`` below 1.
        BrokenProcessPool: a worker was killed, or none started; names the run, or the remedy.
    """
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: at least one worker is needed")
    started = Workers(jobs)
    try:
        started.start()
        yield started
    except BrokenExecutor as error:
        raise BrokenProcessPool(started.what_broke()) from error
    except BaseException:  # Ctrl-C, or nobody asks for the results that are left
        started.end()
        raise
    else:
        started.pool.shutdown(wait=True)


@contextmanager
def _apart() -> Iterator[None]:
    """Processes started in the block get one thread, and no signal before `_start`."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    os.environ |= ONE_THREAD
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # a Ctrl-C that came meanwhile is raised


HERE: dict[str, Any] = {}  # of a worker: "slot" on the terminal, "shown", "ended", "is_busy"


def _start(slots: Any, shown: Any, ended: Any, lock: Any, broken: connection.Connection) -> None:
    """Sets up a worker: one thread, its own terminal line, and an end when its parent ends."""
    import torch

    HERE.update(ended=ended, is_busy=False)
    threading.Thread(target=_end_when_forgotten, args=[broken], daemon=True).start()
    signal.signal(signal.SIGTERM, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # SIGINT stays blocked
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", SlowPrecision)  # said once, by whoever started the workers
    tqdm.set_lock(lock)
    slot = slots.get()
    HERE.update(slot=slot, shown=shown[slot])


def _stop(signum: int, frame: object) -> None:
    """Handles SIGTERM outside a trainer: an idle worker waits for the pool to release it."""
    if HERE["is_busy"]:
        raise KeyboardInterrupt


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
        if HERE["is_busy"]:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(SECONDS_TO_CHECKPOINT)  # or without one if its step is long
        os._exit(1)  # writing is atomic, so that this is safe at any moment
    while HERE["is_busy"]:
        time.sleep(0.05)
    os._exit(0)


def _while_awaited(key: str, function: Callable, *arguments: Any) -> Any:
    """Calls the function, unless the workers were ended while it waited in the pool's queue.

    The worker ends here if nobody waits for the result any more.
    """
    HERE["is_busy"] = True
    try:
        if HERE["ended"].value:
            raise KeyboardInterrupt
        HERE["shown"].value = f"{os.getpid()} {key}".encode()
        return function(*arguments)
    finally:
        HERE["is_busy"] = False
        if not _parent().is_alive():
            os._exit(1)  # the pool's own loop would wait for ever


def train(config: RunConfig, progress: bool) -> Run:
    """``get_or_run`` in a worker, with its progress bar on the worker's terminal line."""
    return get_or_run(config, progress=progress, position=HERE["slot"])
