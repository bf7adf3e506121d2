"""Files that the package reads at run time: of the book in a clone, beside the code in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def paper_curves() -> Path:
    """The folder with the paper's curves as CSV: `book/paper`."""
    installed = PACKAGE / "paper"
    return installed if installed.is_dir() else PACKAGE.parent / "book" / "paper"
