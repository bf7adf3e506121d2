"""Each notebook executes from an empty store, so that what it shows is trained and not loaded."""

import os
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
NOTEBOOKS = sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)

pytestmark = [pytest.mark.notebooks, pytest.mark.usefixtures("forked_kernels")]


@pytest.fixture(scope="module")
def one_store(tmp_path_factory):
    """Empty at first and shared by the notebooks, which show some of the same runs."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "reference").mkdir()
    return folder


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.relative_to(BOOK).as_posix())
def test_notebook_trains_what_it_shows(path, one_store, tmp_path, monkeypatch):
    from vae_book.notebooks import execute

    monkeypatch.setenv("VAE_CORE_CACHE", str(one_store / "cache"))
    monkeypatch.setenv("VAE_CORE_REFERENCE", str(one_store / "reference"))
    monkeypatch.delenv("VAE_CORE_TRAIN", raising=False)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    smoke = BOOK / "params/smoke.yaml"
    done = execute(path, tmp_path / path.name, params_file=smoke, progress=False)
    cells = [c for c in nbformat.read(done, as_version=4).cells if c.cell_type == "code"]
    assert all(c.execution_count for c in cells if c.source.strip())
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]
