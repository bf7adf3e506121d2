"""Kernels that begin as forks of one process, which has imported what most notebooks import.

PyTorch, SciPy and the rest cost a kernel more processor time than most notebooks have of their
own. Where many are executed one after the other, they are imported once.
"""

import functools
import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

FORKED = "vae-fork"
IMPORTED = (
    "torch torch._dynamo scipy.stats matplotlib.figure "
    "matplotlib.backends.backend_svg ipykernel.kernelapp "
    "vae_core.runs.trainer vae_book.plots.marginal vae_book.explorer vae_book.verdicts.contests"
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


class ForkedProvisioner(LocalProvisioner):
    """What Jupyter takes to start a kernel, once `register` was called."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        self.cwd = str(kwargs.get("cwd") or os.getcwd())
        env = dict(kwargs.get("env") or os.environ)
        process: Any = ForkedKernel(cmd[cmd.index("-f") :], self.cwd, env)
        self.process, self.pid, self.pgid = process, process.pid, process.pid
        return self.connection_info


def can_fork() -> bool:
    """Whether this system has what a server of forks needs."""
    return "forkserver" in multiprocessing.get_all_start_methods()


def register() -> KernelProvisionerFactory:
    """Makes `ForkedProvisioner` known to Jupyter by its name, FORKED; returns where it is known."""
    factory = KernelProvisionerFactory.instance()
    value = f"{ForkedProvisioner.__module__}:{ForkedProvisioner.__name__}"
    factory.provisioners[FORKED] = EntryPoint(FORKED, value, factory.GROUP_NAME)
    return factory


def pytest_configure() -> None:
    """As a plugin of pytest, `-p vae_book._forked`: the kernels of nbval are forks."""
    if can_fork():
        register().default_provisioner_name = FORKED


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
