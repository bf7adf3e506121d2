"""Runs: a RunConfig names one, the trainer computes it, the store keeps it.

As at the top of the package, ``__init__.pyi`` lists the names, each imported on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
