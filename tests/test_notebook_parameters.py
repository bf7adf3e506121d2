"""Notebooks executed with parameters that nobody had in mind: each ends, and says what it drew."""

from pathlib import Path

import nbformat
import pytest

from vae_book.declared import declared_parameters
from vae_book.params import ParameterError

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


OF_THE_BOOK = {
    "figures/fig2_lower_bound": {"latent_dims": [2]},
    "figures/fig3_marginal_likelihood": {"n_trains": [100], "algorithms": ["aevb"]}
    | {"n_samples": 500, "n_points": 10, "n_bracket_points": 5, "bias_latent_dims": [2]},
    "figures/fig4_manifold": {"grid_size": 2},
    "reproducibility/ambiguities": {"hidden": None},
}


@pytest.mark.parametrize(("name", "values"), OF_THE_BOOK.items(), ids=OF_THE_BOOK)
def test_results_of_other_data_sets_than_those_asked_for_are_not_shown(name, values, tmp_path):
    from vae_book.notebooks import execute

    values = {n: v for n, v in (TINY | values).items() if v is not None}
    done = execute(BOOK / f"{name}.ipynb", tmp_path / "done.ipynb", values, progress=False)
    text = shown(done)
    assert "Digits (8x8)" in text
    for words in ("MNIST", "Frey Face", "The encoder sees frames", "1,000,000 samples"):
        assert words not in text, text


@pytest.mark.parametrize("name", ["fig4_manifold", "fig5_samples"])
def test_the_pages_of_pictures_draw_models_of_aevb_alone(name):
    settings = declared_parameters(BOOK / f"figures/{name}.ipynb")["settings"]
    with pytest.raises(ParameterError, match="the notebook itself sets algorithm, leave it out"):
        settings.check({"algorithm": "mcem"})
