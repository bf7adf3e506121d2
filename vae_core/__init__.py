"""Auto-Encoding Variational Bayes, in code that reads like the paper.

What is at the top level stands in ``__init__.pyi``; each name is imported when it is first used,
so that the command line's help need not wait for torch.
"""

from importlib.metadata import version

import lazy_loader

__version__ = version("vae_core")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
