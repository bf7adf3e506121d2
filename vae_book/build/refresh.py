"""Executes notebooks in place with their defaults, as they are committed: outputs, but no times.

`python -m vae_book.build.refresh [NOTEBOOK ...]`, each by its name or path; without names, every
notebook of the book.
"""

import sys

import nbformat

from vae_book._kernel import fork_kernels
from vae_book._names import find_notebook
from vae_book.notebooks import execute
from vae_book.params import ParameterError
from vae_book.resources import BOOK

OF_ONE_EXECUTION = ("execution", "papermill", "ExecuteTime")


def refresh(notebook):
    execute(notebook, notebook)
    node = nbformat.read(notebook, as_version=4)
    node.metadata.pop("papermill", None)
    node.metadata.language_info = {"name": "python"}  # not the version of one machine
    for cell in node.cells:
        for field in OF_ONE_EXECUTION:
            cell.metadata.pop(field, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
    nbformat.write(node, notebook)


def main():
    fork_kernels()
    try:
        named = [find_notebook(name) for name in sys.argv[1:]]
    except ParameterError as error:
        sys.exit(str(error))
    for notebook in named or sorted(BOOK.rglob("*.ipynb")):
        print(notebook, flush=True)
        refresh(notebook)


if __name__ == "__main__":
    main()
