"""Notebooks executed with parameters that nobody had in mind: each ends, and says what it drew."""

from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).resolve().parents[1] / "book"

pytestmark = [pytest.mark.notebooks, pytest.mark.usefixtures("forked_kernels")]

TINY = {"datasets": ["digits"], "n_samples": 1_500, "hidden": [8]}
CASES = {
    "an algorithm without a bound, and another seed": (
        "figures/fig2_lower_bound",
        TINY | {"algorithms": ["aevb", "mcem"], "latent_dims": [2], "seeds": [3]},
        ["mcem has no encoder", "Figure of 1 panel", "Digits (8x8)  2  AEVB  3"],
    ),
    "two numbers of latent variables in Figure 3": (
        "figures/fig3_marginal_likelihood",
        TINY
        | {"latent_dims": [2, 3], "n_trains": [100], "algorithms": ["aevb"], "n_samples": 500}
        | {"n_points": 10, "n_bracket_points": 5, "bias_latent_dims": [2]},
        ["Figure of 2 panels", "Ntrain = 100, Nz = 2", "Ntrain = 100, Nz = 3"],
    ),
}


def shown(path):
    """All that the cells of an executed notebook printed or displayed, as text."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


@pytest.mark.parametrize(("name", "values", "expected"), CASES.values(), ids=CASES)
def test_a_notebook_copes(name, values, expected, tmp_path, monkeypatch):
    from vae_book.notebooks import execute

    (tmp_path / "reference").mkdir()
    monkeypatch.setenv("VAE_CORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VAE_CORE_REFERENCE", str(tmp_path / "reference"))
    monkeypatch.delenv("VAE_CORE_TRAIN", raising=False)
    done = execute(BOOK / f"{name}.ipynb", tmp_path / "done.ipynb", values, progress=False)
    text = shown(done)
    for words in expected:
        assert words in text, text
