"""Which notebook a name stands for, and how the file is named that an execution writes."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_book.params import ParameterError, nearest
from vae_book.resources import BOOK

MAX_NAME = 100  # characters of a file name that tell parameters


def find_notebook(name: str | Path) -> Path:
    """The file of this name, or the book's notebook whose name this is, or begins with.

    Raises:
        ParameterError: there is none, or more than one; the nearest names are told.
    """
    if Path(name).is_file():
        return Path(name)
    book = book_of(BOOK / "index.ipynb") if BOOK.is_dir() else []
    names = {path.relative_to(BOOK).with_suffix("").as_posix(): path for path in book}
    whole = [path for path in book if is_named(path, str(name))]
    found = whole or [path for path in book if path.stem.startswith(str(name) or " ")]
    if len(found) == 1:
        here = Path.cwd()
        return found[0].relative_to(here) if found[0].is_relative_to(here) else found[0]
    if found:
        some = ", ".join(path.stem for path in found)
        raise ParameterError(f"{str(name)!r} begins the name of more than one notebook: {some}")
    hint = nearest(str(name), {*names, *(path.stem for path in book)})
    raise ParameterError(
        f"there is no notebook {str(name)!r}, neither as a file nor in the book; {hint}"
    )


def output_name(notebook: Path, values: Mapping[str, Any]) -> str:
    """A file name that tells the values: `fig2_lower_bound-datasets=digits-seeds=1.ipynb`."""
    told = "".join(f"-{name}={_plain(value)}" for name, value in values.items())
    if len(told) > MAX_NAME:
        digest = hashlib.sha256(told.encode()).hexdigest()[:8]
        told = f"{told[:MAX_NAME]}-{digest}"
    return f"{notebook.stem}{told or '-executed'}.ipynb"


def output_path(output: str | Path) -> Path:
    """The whole path of the notebook that an execution writes; its folder is there then.

    Raises:
        ParameterError: it is a folder, its name is not that of a notebook, or none can be there.
    """
    path = Path(output).resolve()
    if path.suffix != ".ipynb" or path.is_dir():
        raise ParameterError(f"output={str(output)!r}: use a file whose name ends in .ipynb")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"output={str(output)!r}: {path.parent} cannot be made ({error.strerror}); "
            "write elsewhere, with -o"
        ) from None
    return path


def _plain(value: Any) -> str:
    """A value in characters that every file system takes and no shell touches."""
    if isinstance(value, dict):
        return "_".join(f"{key}={_plain(v)}" for key, v in value.items()) or "none"
    if isinstance(value, list):
        return ",".join(map(_plain, value)) or "none"
    text = str(value)
    if text.endswith(".npz"):  # a data set by its name, wherever it lies
        text = Path(text).name
    return re.sub(r"[^A-Za-z0-9.+_-]+", "_", text)


def is_named(notebook: Path, key: str) -> bool:
    """Whether a key such as `figures/fig2_lower_bound` is the end of the notebook's path."""
    end = Path(key.removesuffix(".ipynb")).parts
    return notebook.resolve().with_suffix("").parts[-len(end) :] == end


def book_of(notebook: Path) -> list[Path]:
    """Every notebook of the book that a notebook belongs to; those beside it, outside a book."""
    folder = next((p for p in reversed(notebook.parents) if p.name == "book"), None)
    if folder is None:
        return sorted(notebook.parent.glob("*.ipynb"))
    return sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
