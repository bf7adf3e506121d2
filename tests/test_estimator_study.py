"""The page on what Figure 3 measures: errors and landings from a study whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from studies import STUDIES
from studies import study as study_module

import vae_core as vc
from vae_book.plots import estimator, marginal, paper
from vae_book.plots.curves import truths_of
from vae_book.verdicts.figure3 import figure3_runs
from vae_core.runs import Run
from vae_core.runs.config import RunConfig

SAMPLES = 3_000_000


@pytest.fixture
def study():
    """A run one nat above the paper's curves; persisting chains lose 0.5 to 2 nats on it."""
    settings = {"n_train": 1_000, "hidden": (100,), "log_marginal": "hmc_density"}
    config = RunConfig(dataset="mnist", latent_dim=3, n_samples=SAMPLES, **settings)
    curve, rows = {"samples": np.array([1e6, SAMPLES])}, []
    for split in ("train", "test"):
        theirs = paper.fig3_curve(1_000, "aevb", split).at(curve["samples"])
        curve[f"{split}_log_marginal"] = theirs + 1.0
        ways = {"begun now, prior": -140.0, "begun now, resampled": -100.5}
        ways |= {"begun now, encoder": -101.0, "quadrature": -100.0}
        ways |= {"persisting, a": -100.5, "persisting, b": -102.0}
        rows += [{"samples": n, "split": split, **ways} for n in (1_000_000, SAMPLES)]
    return [(Run(Path(config.key), config, curve), rows)]


def test_an_error_is_the_estimate_less_the_truth(study):
    _, row = estimator.last_rows(study)[0]
    assert estimator.errors(row)["begun now, prior"] == -40.0
    assert estimator.span_of_persisting(study, "test") == (-2.0, -0.5)


def test_only_the_last_count_is_told(study):
    assert [row["split"] for _, row in estimator.last_rows(study)] == ["train", "test"]
    assert {row["samples"] for _, row in estimator.last_rows(study)} == {SAMPLES}
    table = estimator.error_table(study)
    assert table.rows[1][2:] == [
        "test", "3 million", "−100.0", "−0.50", "−1.00", "−40.00", "−2.00 to −0.50"
    ]  # fmt: skip


def test_a_curve_lands_where_persisting_chains_would_have_drawn_it(study):
    """Resampled chains err by -0.5 themselves, so the shift is -1.5 to 0."""
    table = estimator.landing_table(study)
    assert [row[-1] for row in table.rows] == ["−0.5 to +1.0"] * 2


def test_the_figure_tells_the_errors_at_the_end(study):
    figure = estimator.error_figure(study)
    assert "AEVB, 1,000 points, test: begun now, resampled −0.5" in repr(figure)
    assert len([panel for panel in figure.panels if not isinstance(panel, str)]) == 2


def test_a_run_that_is_not_stored_is_left_out():
    assert estimator.load({"no-such-run": []}) == estimator.load([]) == []


def test_the_front_page_tells_how_far_the_estimates_of_1000_images_fall_short():
    """Two to three nats: what its card says of AEVB and Monte Carlo EM."""
    runs = figure3_runs(vc.all_runs())
    short = [
        truth - marginal.end_of(runs[1_000, algorithm], split)[2]
        for algorithm in ("aevb", "mcem")
        for split, truth in truths_of(runs[1_000, algorithm]).items()
    ]
    assert len(short) == 4
    assert min(short) > 1.5 and max(short) < 3.5


PAGES = STUDIES.parent
STARTS = json.loads((STUDIES / "chain_starts.json").read_text())


def test_the_page_says_what_the_start_of_the_chains_is_worth():
    runs = {run.key: run for run in vc.all_runs()}
    rows = {(runs[r["key"]].config.algorithm, r["n_candidates"], r["n_burnin"]): r for r in STARTS}
    assert len(rows) == 8 == len(estimator.starts_table(STARTS, runs.values()).rows)
    assert estimator.starts_table(STARTS, []).rows == []
    cells = json.loads((PAGES / "reproducibility/estimator.ipynb").read_text())["cells"]
    text = " ".join(" ".join("".join(c["source"]) for c in cells if "begin" in c["id"]).split())
    first, many = ([rows[name, n, 20] for name in ("aevb", "mcem")] for n in (1_000, 100_000))
    lost = [f"{-row['mean']:.1f}" for row in (*many, *first)]
    told = "leave {0} nats of the {2} for AEVB, and {1} of the {3} for Monte Carlo EM"
    assert told.format(*lost) in text
    assert all(abs(row["median"]) < 0.05 for row in STARTS)
    assert all(row["worst"] < -20 for row in first)
    for name in ("aevb", "mcem"):  # "fifteen times as many moves do not lead there"
        assert abs(rows[name, 1_000, 300]["mean"] - rows[name, 1_000, 20]["mean"]) < 0.3


@pytest.mark.data("mnist")
def test_the_study_of_starts_is_of_the_stored_models():
    """The first ten images; quadrature and the estimate's spread leave some tenths of a nat."""
    (row,) = [r for r in STARTS if r["n_candidates"] == 100_000 and "aevb" in r["key"]]
    (run,) = [run for run in vc.all_runs() if run.key == row["key"]]
    x = vc.load_dataset("mnist").test[:10]
    exact = vc.log_marginal(run.model(), x, "quadrature", tolerance=0.01, progress=False)
    found = study_module("chain_starts").errors(run.model(), x, exact, n_candidates=100_000)
    assert found.median().item() == pytest.approx(row["median"], abs=0.2)
