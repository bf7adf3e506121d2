"""Gives each notebook the cell that installs the package where it is missing, as on Colab.

`python -m vae_book.build.install_cells` writes that cell, the first with code, into every notebook
of the book; what it installs follows from `vae_book/published.py`. It prints nothing.
"""

import os
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

from vae_book import published
from vae_book.notebooks import book_of
from vae_book.resources import BOOK, ROOT

ID = "install"
CELL = """\
import importlib.util
import sys

if importlib.util.find_spec("vae_book") is None:  # as on Colab
{clone}    %pip install --quiet --editable {folder}
    sys.path.insert(0, "{folder}")  # the next kernel finds it by itself"""


def install_cell(notebook: Path) -> nbformat.NotebookNode:
    """The cell for a notebook: from the published repository, or the clone that holds it."""
    folder, clone = os.path.relpath(ROOT, notebook.parent), ""
    if published.REPOSITORY:
        folder = published.REPOSITORY.rstrip("/").rsplit("/", 1)[-1]
        options = f"--quiet --depth 1 --branch {published.BRANCH}"
        clone = f"    !git clone {options} {published.REPOSITORY}\n"
    source = CELL.format(clone=clone, folder=folder)
    return new_code_cell(source, id=ID, metadata={"tags": ["remove-cell"]})


def put(notebook: Path) -> None:
    """Writes the cell into a notebook, below its title, in place of the one that is there.

    Cells are counted anew: the notebook is as if it had been executed with this one.
    """
    node = nbformat.read(notebook, as_version=4)
    cells = [cell for cell in node.cells if cell.get("id") != ID]
    node.cells = [cells[0], install_cell(notebook), *cells[1:]]
    code = (cell for cell in node.cells if cell.cell_type == "code" and cell.source.strip())
    for count, cell in enumerate(code, 1):
        for counted in [cell, *(o for o in cell.outputs if "execution_count" in o)]:
            counted.execution_count = count
    nbformat.write(node, notebook)


if __name__ == "__main__":
    for path in book_of(BOOK / "index.ipynb"):
        put(path)
