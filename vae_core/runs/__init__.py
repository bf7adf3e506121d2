"""Runs: a RunConfig names one, the trainer makes it, the store keeps it.

As at the top of the package, ``__init__.pyi`` lists the names and each is imported when used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
