"""A Jupyter kernel that runs the Python that starts it, and a way to stop all that were started."""

import contextlib
import logging
import signal
import time
import weakref
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

from vae_book._forked import FORKED, can_fork, register

# A kernel that ends may log of a socket that another of its threads has closed: tornado does so.
QUIET = [
    "--log-level=CRITICAL",
    "--Application.logging_config={'loggers': {'tornado': {'level': 'CRITICAL'}}}",
]
# Jupyter chooses a kernel's ports before it starts, and another process may be quicker to bind one:
# such a kernel ends before the first cell, with this message, and the next has other ports.
NOT_STARTED, STARTS = "Kernel died before replying", 3
GRACE = 10.0  # seconds in which a cell may store a checkpoint before its kernel is killed
_managers: weakref.WeakSet["ThisPythonKernelManager"] = weakref.WeakSet()


class ThisPythonKernelManager(AsyncKernelManager):
    """Starts `sys.executable`, whatever is registered as "python3", or if nothing is.

    A kernel registered under that name may belong to another environment, one without vae_core.
    """

    are_forked = False  # set for all kernels by `fork_kernels`

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _managers.add(self)

    @property
    def kernel_spec(self) -> KernelSpec:
        spec = KernelSpec(**get_kernel_dict(QUIET))
        if self.are_forked:
            spec.metadata = {"kernel_provisioner": {"provisioner_name": FORKED}}
        return spec


def fork_kernels() -> None:
    """From here on a kernel costs this process no imports; where there is no fork, all stays."""
    if can_fork():
        register()
        ThisPythonKernelManager.are_forked = True


def until_started(execute: Callable[[], object]) -> None:
    """Executes a notebook, anew if its kernel did not begin."""
    for _ in range(STARTS - 1):
        try:
            execute()
            return
        except RuntimeError as error:
            if NOT_STARTED not in str(error):
                raise
    execute()


def stop(tasks: Collection[Future]) -> None:
    """Ends notebooks that execute in other threads: none that waits starts, cells are interrupted.

    A kernel is a process group of its own, so that Ctrl-C at the terminal does not reach it. It is
    interrupted once, since a training that hears it twice stores no checkpoint, and once more after
    half of the grace, since a kernel between two cells hears nothing. Ctrl-C meanwhile kills.
    """
    log = logging.getLogger("papermill")  # which would tell of a kernel that ends of it
    log.disabled = True
    try:
        _interrupt(tasks)
    finally:
        log.disabled = False


def _interrupt(tasks: Collection[Future]) -> None:
    for task in tasks:
        task.cancel()
    killed_at, heard = time.monotonic() + GRACE, Counter[int]()
    while True:
        try:
            left = killed_at - time.monotonic()
            for process in _kernels():
                if left <= 0 or heard[process.pid] < (1 if left > GRACE / 2 else 2):
                    with contextlib.suppress(ProcessLookupError):
                        process.send_signal(signal.SIGINT if left > 0 else signal.SIGKILL)
                    heard[process.pid] += 1
            if not wait(tasks, timeout=0.5).not_done:
                return
        except KeyboardInterrupt:
            killed_at = 0.0


def _kernels() -> list[Any]:
    """The processes of the kernels that have not ended."""
    found = [getattr(manager.provisioner, "process", None) for manager in list(_managers)]
    return [process for process in found if process is not None and process.poll() is None]
