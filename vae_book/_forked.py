"""Kernels that begin as forks of one process, which has imported what most notebooks import.

PyTorch, SciPy and the rest cost a kernel more processor time than most notebooks have of their
own. Where many are executed one after the other, they are imported once.
"""

import functools
import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

IMPORTED = (
    "torch torch._dynamo scipy.stats sklearn.datasets matplotlib.figure "
    "matplotlib.backends.backend_svg ipykernel.kernelapp "
    "vae_core.runs.trainer vae_book.plots.marginal vae_book.explorer vae_book.verdicts.figure2"
).split()


@functools.cache
def _context() -> Any:
    """Of a server that is started with the first process, and ends with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


class ForkedKernel:
    """What jupyter_client asks of the `Popen` of a kernel."""

    stdin = stdout = stderr = None

    def __init__(self, arguments: Sequence[str], cwd: str, env: Mapping[str, str]):
        is_leader, leads = _context().Pipe(duplex=False)
        self._process = _context().Process(target=_become_kernel, args=(arguments, cwd, env, leads))
        self._process.start()
        leads.close()
        is_leader.poll(None)  # its group is signalled by its own number, so it has to be there
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _become_kernel(arguments: Sequence[str], cwd: str, env: Mapping[str, str], leads: Any) -> None:
    """The life of a forked process: a group, folder and environment of its own, then a kernel."""
    os.setsid()
    leads.close()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=list(arguments))


def _end_with_parent() -> None:
    """The server of forks lives as long as one of them, so that ipykernel would see nothing."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a fork has a parent"
    parent.join()
    os._exit(1)
