"""The book's studies as modules: scripts that lie beside their results."""

import importlib.util
from pathlib import Path

STUDIES = Path(__file__).resolve().parents[1] / "book/studies"


def study(name):
    spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
