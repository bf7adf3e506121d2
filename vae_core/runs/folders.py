"""The folders of stored runs: the book's own, and the user's."""

import os
from pathlib import Path

import platformdirs

OTHER_CACHE = "VAE_CORE_CACHE names another folder to store in"  # where one cannot be written to


def reference_dir() -> Path:
    """The folder of committed runs: $VAE_CORE_REFERENCE, or ``book/reference`` beside the package.

    Without a book, as beside an installed wheel, it is ``reference`` in the user's cache.
    """
    book = Path(__file__).resolve().parents[2] / "book"
    default = book / "reference" if book.is_dir() else cache_dir() / "reference"
    return _named_by("VAE_CORE_REFERENCE") or default


def cache_dir() -> Path:
    """The folder of the user's runs and checkpoints: $VAE_CORE_CACHE, or the platform's cache."""
    return _named_by("VAE_CORE_CACHE") or platformdirs.user_cache_path("vae_core")


def _named_by(variable: str) -> Path | None:
    """The folder that an environment variable names; None if it is empty or not set."""
    named = os.environ.get(variable)
    return Path(named).expanduser().resolve() if named else None
