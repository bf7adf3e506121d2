"""Evaluations are computed once, kept with their run, and told in tables."""

import json
import math

import pytest
import torch

from vae_core import RunConfig, evaluations, get_or_run
from vae_core.marginal_likelihood import log_marginal
from vae_core.plots import marginal
from vae_core.runs import MissingRunError, Run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("VAE_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.delenv("VAE_CORE_TRAIN", raising=False)
    config = RunConfig(
        dataset="digits", algorithm="mcem", latent_dim=2, hidden=(8,), n_train=200, n_samples=9_000
    )
    yield get_or_run(config, progress=False)
    patch.undo()


def test_a_monte_carlo_em_run_keeps_its_plain_counts(run):
    assert run.metrics["mcem_iterations"] == 3
    assert run.metrics["mcem_plain_samples"] == 600
    assert run.metrics["mcem_weight_updates"] == 15


def test_the_curve_holds_log_p(run):
    assert (run.curve["test_log_marginal"] < 0).all()
    assert all(math.isnan(value) for value in run.curve["test_bound"])


def test_the_mean_is_that_of_log_marginal_and_is_kept(run, monkeypatch):
    found = evaluations.mean_log_marginal(run, "test", "importance_sampling", 50)
    x = evaluations.load_data(run.config).test[:50]
    options = evaluations.METHODS["importance_sampling"]
    expected = log_marginal(run.model(), x, generator=torch.Generator().manual_seed(0), **options)
    assert found["mean"] == pytest.approx(expected.mean().item(), abs=1e-4)
    again = Run.load(run.path)
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    assert evaluations.mean_log_marginal(again, "test", "importance_sampling", 50) == found
    assert again.config == run.config
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_what_is_missing_is_not_computed_where_that_is_forbidden(run, monkeypatch):
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    with pytest.raises(MissingRunError, match="hmc_density"):
        evaluations.mean_log_marginal(run, "train", "hmc_density", 7)


def test_the_estimators_agree_on_a_run(run):
    means = [
        evaluations.mean_log_marginal(run, "test", method, 50)["mean"]
        for method in evaluations.METHODS
    ]
    assert max(means) - min(means) < 0.1


def test_a_sandwich_holds_the_estimators(run):
    found = evaluations.appendix_d_bias(run, 50, 50)
    assert found["lower"] <= found["upper"] + 0.05
    assert found["lower"] - 0.1 < found["hmc_density"] < found["upper"] + 0.1
    assert json.loads((run.path / "run.json").read_text())["metrics"]


def test_the_end_table_has_a_row_for_each_split(run):
    table = marginal.end_table([run], 50)
    assert [row[3] for row in table.rows] == ["train", "test"]
    assert len(table.header) == len(table.rows[0])
    assert len(marginal.bracket_table([run], 50).rows) == 2


def test_appendix_d_is_near_the_truth_in_few_dimensions_and_refused_with_few_samples():
    errors = marginal.known_answer_errors(2, n_points=100)
    assert abs(errors["Gaussian"][0]) < 0.1
    assert math.isnan(marginal.known_answer_errors(20, n_points=5)["one chain split"][0])
