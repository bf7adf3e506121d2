"""Evaluations are computed once, kept with their run, and told in tables."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from vae_book.plots import fig3_curve, marginal
from vae_book.plots.tables import nats
from vae_core import RunConfig, get_or_run
from vae_core.estimators import sgvb_b
from vae_core.marginal_likelihood import log_marginal
from vae_core.marginal_likelihood.quadrature import PER_AXIS
from vae_core.runs import MissingRunError, Run
from vae_core.runs import metrics as evaluations
from vae_core.runs.config import MOST_INTEGRATED


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


def test_the_same_run_evaluated_by_quadrature_has_the_truth_in_its_curve():
    shape = dict(dataset="digits", algorithm="mcem", latent_dim=1, hidden=(8,), n_train=20)
    run, twin = (
        get_or_run(RunConfig(**shape, n_samples=600, log_marginal=method), progress=False)
        for method in ("hmc_density", "quadrature")
    )
    assert twin.path != run.path
    for ours, theirs in zip(twin.model().parameters(), run.model().parameters(), strict=True):
        assert torch.equal(ours, theirs)  # to evaluate draws nothing from the training's stream
    x = evaluations.load_data(run.config).test
    truth = log_marginal(run.model(), x, "quadrature", progress=False).mean().item()
    assert twin.curve["test_log_marginal"][-1] == pytest.approx(truth, abs=0.01)


def test_quadrature_of_a_curve_serves_as_many_latent_variables_as_quadrature():
    assert max(PER_AXIS) == MOST_INTEGRATED
    RunConfig(latent_dim=3, log_marginal="quadrature")
    with pytest.raises(ValueError, match="latent_dim=4: it allows at most 3"):
        RunConfig(latent_dim=4, log_marginal="quadrature")


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


def test_repeats_of_appendix_d_have_the_spread_of_independent_estimates(run):
    found = evaluations.repeated_log_marginal(run, "test", n_repeats=3, n_points=20)
    x = evaluations.load_data(run.config).test[:20]
    means = [
        log_marginal(run.model(), x, "hmc_density", 50, generator=seeded(seed)).mean().item()
        for seed in (1, 2, 3)
    ]
    assert found["mean"] == pytest.approx(np.mean(means), abs=1e-4)
    assert found["sd"] == pytest.approx(np.std(means, ddof=1), abs=1e-4)
    assert found["sd"] > 0


def test_the_truth_stands_in_the_end_table_where_it_was_computed(run):
    assert np.isnan(evaluations.known_log_marginal(run, "test", "quadrature", 30))
    assert marginal.end_table([run], 30).rows[1][-1] == "–"
    truth = evaluations.mean_log_marginal(run, "test", "quadrature", 30)["mean"]
    assert evaluations.known_log_marginal(run, "test", "quadrature", 30) == truth
    assert marginal.end_table([run], 30).rows[1][-1] == nats(truth, digits=2)


def test_a_committed_run_is_never_written_to(run, empty_reference, monkeypatch):
    monkeypatch.delenv("VAE_CORE_TRAIN", raising=False)
    folder = empty_reference / run.key
    shutil.copytree(run.path, folder)
    (folder / "metrics.json").unlink(missing_ok=True)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = evaluations.mean_log_marginal(Run.load(folder), "test", "importance_sampling", 20)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    committed = Run.load(folder)
    assert found not in committed.metrics.values()  # what a page judges is what is committed
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    assert evaluations.mean_log_marginal(committed, "test", "importance_sampling", 20) == found
    (folder / "metrics.json").write_text(evaluations.metrics_path(committed).read_text())
    assert found in Run.load(folder).metrics.values()


def test_a_metric_is_found_by_its_exact_name(run, monkeypatch):
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    run.metrics["log_marginal/test/ais/7/n_samples=4,n_temperatures=2000"] = {"mean": 1.0}
    with pytest.raises(MissingRunError, match="n_temperatures=200'"):
        evaluations.mean_log_marginal(run, "test", "ais", 7)


def test_a_damaged_file_of_metrics_is_a_warning(run, monkeypatch):
    monkeypatch.delenv("VAE_CORE_TRAIN", raising=False)
    found = evaluations.mean_log_marginal(run, "test", "ais", 5)
    evaluations.metrics_path(run).write_text("[")
    with pytest.warns(UserWarning, match="holds no metrics"):
        again = evaluations.mean_log_marginal(Run.load(run.path), "test", "ais", 5)
    assert again == found


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


def test_the_variance_of_the_bound_is_that_of_repeated_estimates(empty_reference, monkeypatch):
    monkeypatch.delenv("VAE_CORE_TRAIN", raising=False)
    config = RunConfig(dataset="digits", latent_dim=2, hidden=(8,), n_samples=20_000)
    trained = get_or_run(config, progress=False)
    found = evaluations.bound_variance(trained, 200)
    assert found in Run.load(trained.path).metrics.values()  # kept beside it
    x, model = evaluations.load_data(config).test, trained.model()
    draws = torch.stack([sgvb_b(model, x, generator=seeded(i)).mean() for i in range(400)])
    # a sample variance of n normal draws has a relative standard error of sqrt(2 / (n - 1))
    assert found["variance"] == pytest.approx(
        draws.var().item(), rel=4 * (2 / 199 + 2 / 399) ** 0.5
    )
    assert found["mean"] == pytest.approx(
        draws.mean().item(), abs=5 * draws.std().item() / 200**0.5
    )


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_the_end_table_has_a_row_for_each_split(run):
    table = marginal.end_table([run], 50)
    assert [row[len(marginal.LABELS)] for row in table.rows] == ["train", "test"]
    assert len(table.header) == len(table.rows[0])
    truth = marginal.truth_table([run], 50)
    assert len(truth.rows) == 2
    exact = evaluations.mean_log_marginal(run, "train", "quadrature", 50)["mean"]
    assert truth.rows[0][-2] == f"{exact:.2f}".replace("-", "\N{MINUS SIGN}")


def test_appendix_d_is_near_the_truth_in_few_dimensions_and_refused_with_few_samples():
    errors = marginal.known_answer_errors(2, n_points=100)
    assert abs(errors["Gaussian"][0]) < 0.1
    assert math.isnan(marginal.known_answer_errors(20, n_points=5)["one chain split"][0])


def test_the_readings_of_figure_3_are_ranked_by_their_distance_to_the_paper():
    """Two runs made of the paper's own curve, one shifted by 1 nat on both splits, one by 3."""
    samples = np.array([1e5, 1e6, 1e7])
    found = []
    for shift, step_size in ((3.0, 0.01), (1.0, 0.02)):
        config = RunConfig(
            latent_dim=3, hidden=(100,), n_train=1_000, n_samples=10_000_000, step_size=step_size
        )
        curve = {"samples": samples} | {
            f"{split}_log_marginal": fig3_curve(1_000, "aevb", split).at(samples) + shift
            for split in ("train", "test")
        }
        found.append(Run(path=Path("nowhere"), config=config, curve=curve))
    table = marginal.reading_table(found)
    step, distance = (table.header.index(name) for name in ("step size", "distance to the paper"))
    assert [row[step] for row in table.rows] == ["0.02", "0.01"]
    assert [row[distance] for row in table.rows] == ["1.0", "3.0"]
    assert marginal.reading_table([]).rows == []
