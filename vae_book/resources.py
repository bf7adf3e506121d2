"""Files that the package reads at run time: of the book in a clone, beside the code in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # of the clone
BOOK = ROOT / "book"


def paper_curves() -> Path:
    """The folder with the paper's curves as CSV: `book/paper`."""
    return _folder("paper")


def reference_sums() -> Path:
    """The checksums of the committed runs: `book/reference/SHA256SUMS`."""
    return _folder("reference") / "SHA256SUMS"


def _folder(name: str) -> Path:
    installed = PACKAGE / name
    return installed if installed.is_dir() else BOOK / name
