"""What the studies found: `book/studies/<name>.json`, as the scripts beside them write it."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "book" / "studies"


def load(name: str) -> list[dict[str, Any]]:
    """The rows of a study; none where the book is not there."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []
