"""The runs that a notebook would train, listed without training: those that it asks for itself."""

import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from vae_book.declared import code_cells
from vae_book.notebooks import ParameterError, book_of, check_values, find_notebook, read_values
from vae_book.planned import missing_runs
from vae_book.resources import BOOK
from vae_core.runs.plan import training_seconds

pytestmark = pytest.mark.notebooks


def planned(name, *pairs):
    """What a notebook of the book would train with values as on the command line."""
    path = find_notebook(name)
    return missing_runs(path, check_values(path, read_values(path, pairs)))


@pytest.mark.parametrize(
    ("name", "pair", "n_runs", "seconds"),
    [
        ("models", "n_samples=100_000_000", 1, 8_448),
        ("ambiguities", "n_samples=3_000_000", 29, 6_541),
        ("ambiguities", "seed=1", 22, 1_928),
        ("fig3_marginal_likelihood", "datasets=digits", 3, 948),
        ("fig3_marginal_likelihood", "latent_dims=4", 6, 9_241),
        ("fig5_samples", "seed=3", 8, 4_981),
    ],
)
def test_a_plan_is_the_runs_that_the_notebook_asks_for(name, pair, n_runs, seconds):
    missing = planned(name, pair)
    assert len(missing) == n_runs
    assert sum(map(training_seconds, missing)) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig4", "fig5", "models", "ambiguities", "train"])
def test_what_is_stored_is_not_planned(name):
    assert planned(name) == []


def test_a_notebook_with_a_store_of_its_own_plans_its_own_runs():
    before = dict(os.environ)
    missing = planned("live", "n_samples=5_000_000")
    assert {config.dataset for config in missing} == {"digits"} and len(missing) == 4
    assert sum(map(training_seconds, missing)) < 600
    assert os.environ == before


@pytest.mark.parametrize(
    ("name", "pair", "words"),
    [
        ("rivals", "n_steps=1_000_000_000_000", r"rivals.ipynb: n_steps=\d+ must be 1 to 50,000"),
        ("own_data", "n_samples=1_000_000_000_000", "own_data.ipynb: .* must be 1 to 1,000,000"),
        ("estimators", "n_samples=10_000_000_000_000", "n_samples=.* must be 1 to 1,000,000"),
        ("autoencoder", "n_samples=1_000_001", "n_samples=.* must be 1 to 1,000,000"),
        ("estimators", "seed=-1", "estimators.ipynb: seed=-1: .* greater than or equal to 0"),
        (
            "fig3",
            "datasets=nofile.npz",
            "likelihood.ipynb: datasets='.*no such file.*give the path",
        ),
        ("fig3", "seeds=-1", "likelihood.ipynb: seeds=-1: Input should be"),
        ("fig2", "latent_dims=0", "bound.ipynb: latent_dims=0: Input should be"),
        ("fig2", "latent_dims=null", r"bound.ipynb: latent_dims=\[None\] has an empty element"),
        ("fig4", "settings={device: gpu}", "manifold.ipynb: device='gpu'"),
    ],
)
def test_a_refusal_names_notebook_parameter_and_remedy(name, pair, words):
    with pytest.raises(ParameterError, match=words):
        planned(name, pair)


def test_each_notebook_that_takes_runs_from_the_store_is_planned():
    for path in book_of(BOOK / "index.ipynb"):
        cells = code_cells(path)
        asks = ["get_or_run(" in source or "runs_of(" in source for source, _ in cells]
        planned = ["plan" in tags for _, tags in cells]
        if path.stem != "own_data":  # in a store of its own, and its parameter has a limit
            assert any(planned) == any(asks), path
            assert not any(asks[planned.index(True) + 1 :] if any(planned) else asks), path


CELLS = """
import vae_core as vc

class Small: dim = 2

def config(seed): return vc.RunConfig(dataset="digits", latent_dim=Small.dim, seed=seed)

runs = [vc.get_or_run(config(seed)) for seed in (0, 1, 0)]
{then}
vc.get_or_run(config(2))
"""


@pytest.mark.parametrize(("then", "n_runs"), [("", 3), ("runs[0].model()", 2), ("1 / 0", 2)])
def test_a_plan_goes_as_far_as_it_can_without_training(then, n_runs, tmp_path, empty_reference):
    cell = new_code_cell(CELLS.format(then=then), metadata={"tags": ["plan"]})
    later = new_code_cell("raise ValueError")
    nbformat.write(new_notebook(cells=[cell, later]), tmp_path / "a.ipynb")
    assert len(missing_runs(tmp_path / "a.ipynb", {})) == n_runs


def test_an_executed_notebook_is_planned_with_the_values_of_now(tmp_path, empty_reference):
    """As a kernel executes it: without the values of last time, by IPython."""
    sources = {
        "imports": "%matplotlib inline\nimport vae_core as vc",
        "parameters": "seed: int = 10**1\nsettings = {}",
        "injected-parameters": "seed = 5",
        "plan": 'vc.get_or_run(vc.RunConfig(dataset="digits", seed=seed, **settings))',
    }
    cells = [new_code_cell(s, metadata={"tags": [tag]}) for tag, s in sources.items()]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    assert [c.seed for c in missing_runs(tmp_path / "a.ipynb", {})] == [10]
    values = {"seed": 7, "settings": {"prior_sd": float("inf")}}
    (config,) = missing_runs(tmp_path / "a.ipynb", values)
    assert (config.seed, config.prior_sd) == (7, None)
