"""A Jupyter kernel that runs the Python that starts it."""

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec


class ThisPythonKernelManager(AsyncKernelManager):
    """Starts `sys.executable`, whatever is registered as "python3", or if nothing is.

    A kernel registered under that name may belong to another environment, one without vae_core.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict(["--log-level=CRITICAL"]))
