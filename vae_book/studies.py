"""What the studies found: `book/studies/<name>.json`, as the scripts beside them write it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vae_book.resources import BOOK
from vae_core.runs import Run

FOLDER = BOOK / "studies"


def load(name: str) -> Any:
    """What a study found; an empty list where the book is not there."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def of_stored(
    study: Iterable[Mapping[str, Any]], runs: Iterable[Run]
) -> list[tuple[Mapping[str, Any], Run]]:
    """The rows of a study about models that are among `runs`, each with its run, in its order."""
    stored = {run.key: run for run in runs}
    return [(row, stored[row["key"]]) for row in study if row["key"] in stored]


def save(script: str | Path, content: Any) -> None:
    """Writes what a study found beside its script, as JSON with an indent of one."""
    Path(script).with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
