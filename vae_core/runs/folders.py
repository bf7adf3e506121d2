"""Where runs are kept: the book's own, and the user's."""

import os
from pathlib import Path

import platformdirs

OTHER_CACHE = "VAE_CORE_CACHE names another folder to store in"  # where one cannot be written to


def reference_dir() -> Path:
    """The committed runs: $VAE_CORE_REFERENCE, or ``book/reference`` beside the package.

    Where there is no book, as beside an installed wheel: ``reference`` in the user's cache.
    """
    book = Path(__file__).resolve().parents[2] / "book"
    default = book / "reference" if book.is_dir() else cache_dir() / "reference"
    return _named_by("VAE_CORE_REFERENCE") or default


def cache_dir() -> Path:
    """The user's own runs and checkpoints: $VAE_CORE_CACHE or the platform's cache folder."""
    return _named_by("VAE_CORE_CACHE") or platformdirs.user_cache_path("vae_core")


def _named_by(variable: str) -> Path | None:
    """The folder that a variable of the environment names; None where it is empty or not set."""
    named = os.environ.get(variable)
    return Path(named).expanduser().resolve() if named else None
