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


def body_lines(function: ast.FunctionDef) -> int:
    """Lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("package", ["vae_core", "vae_book"])
def test_functions_and_modules_stay_small(package):
    for path in sorted((CORE.parent / package).rglob("*.py")):
        text = path.read_text()
        assert text.count("\n") <= 320, f"{path}: one idea a module"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert body_lines(node) <= 40, f"{path}: {node.name}"
