"""The paper's package does not know the book's: dependencies point one way."""

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[1] / "vae_core"
NOT_FOR_CORE = {"vae_book", "matplotlib", "papermill", "nbformat", "click"}


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    "path",
    sorted(p for p in CORE.rglob("*.py*") if p.suffix != ".pyc"),
    ids=lambda path: path.relative_to(CORE).as_posix(),
)
def test_the_core_imports_nothing_of_the_book(path):
    assert not imported(path) & NOT_FOR_CORE
