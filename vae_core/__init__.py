"""Auto-Encoding Variational Bayes (Kingma and Welling 2013), in code that reads like the paper.

The public names are listed in ``__init__.pyi``. Each is imported on first use, so that the help of
the command line does not wait for torch.
"""

from importlib.metadata import version

import lazy_loader

__version__ = version("vae_core")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
