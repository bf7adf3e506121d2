"""The front page's verdicts, from curves whose verdict is known."""

from pathlib import Path

import numpy as np
import pytest

from vae_book.plots import paper
from vae_book.verdicts import figure2_runs, interval, outcome, verdict_table, verdicts
from vae_core.runs import Run
from vae_core.runs.config import RunConfig

SAMPLES = np.geomspace(1e5, 1e7, 30)


def run_at(offset=0.0, **settings):
    """A run whose test curve is the paper's plus an offset in nats."""
    config = RunConfig(n_samples=10_000_000, **settings)
    curve = paper.fig2_curve(config.dataset, config.latent_dim, config.algorithm, "test")
    values = curve.at(SAMPLES) + offset
    columns = {"samples": SAMPLES, "test_bound": values, "train_bound": values}
    return Run(Path(config.key), config, columns)


def all_of_figure2(offset=0.0):
    return [
        run_at(offset, dataset=dataset, latent_dim=dim, algorithm=algorithm)
        for dataset, dims in paper.FIG2_LATENT_DIMS.items()
        for dim in dims
        for algorithm in ("aevb", "wake_sleep")
    ]


def with_metrics(run, **metrics):
    run.metrics.update(metrics)
    return run


def by_claim(rows, start):
    (row,) = [row for row in rows if row.claim.startswith(start)]
    return row


def test_the_papers_own_curves_are_a_reproduction():
    small = {"bound_variance/test/50": {"variance": 0.02}}
    runs = [with_metrics(run, **small) for run in all_of_figure2()]
    rows = [row for row in verdicts(runs) if row.subject == "Figure 2"]
    assert {row.outcome for row in rows} == {"reproduced"}


def test_curves_three_nats_off_are_not_close_on_mnist_and_are_on_frey_face():
    rows = verdicts(all_of_figure2(offset=-3.0))
    assert by_claim(rows, "MNIST: the bound").outcome == "not reproduced"
    assert by_claim(rows, "Frey Face: the bound").outcome == "reproduced"


def test_one_curve_off_is_a_reproduction_in_part():
    runs = all_of_figure2()[1:] + [run_at(5.0, dataset="mnist", latent_dim=3)]
    assert by_claim(verdicts(runs), "MNIST: the bound").outcome == "in part"


def test_no_runs_is_no_verdict():
    assert {row.outcome for row in verdicts([])} == {"no runs yet"}
    assert all(row.effect == "" for row in verdicts([]))


def test_a_run_with_another_setting_is_not_judged():
    assert figure2_runs([run_at(dataset="mnist", init_sd=0.1)]) == []
    assert len(figure2_runs([run_at(dataset="mnist", matmul_precision="medium")])) == 1


@pytest.mark.parametrize(
    "passed, expected",
    [([], "no runs yet"), ([True], "reproduced"), ([True, False], "in part")],
)
def test_outcome(passed, expected):
    assert outcome(passed) == expected


def test_interval_is_that_of_the_t_distribution():
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)


def test_the_table_links_every_claim_to_a_page():
    html = verdict_table(verdicts([]))._repr_html_()
    assert html.count('<a href="figures/') == len(verdicts([]))


def all_of_figure3(offset=0.0):
    samples = np.geomspace(1e6, 6.0e7, 30)
    runs = []
    for n_train in (1_000, 50_000):
        for algorithm in ("aevb", "wake_sleep", "mcem"):
            config = RunConfig(
                algorithm=algorithm, n_train=n_train, latent_dim=3, hidden=(100,),
                n_samples=60_000_000, log_marginal="hmc_density",
            )  # fmt: skip
            curve = {
                f"{split}_log_marginal": paper.fig3_curve(n_train, algorithm, split).at(samples)
                + (offset if algorithm == "mcem" else 0.0)
                for split in ("train", "test")
            }
            runs.append(Run(Path(config.key), config, {"samples": samples} | curve))
    return runs


@pytest.mark.parametrize(
    ("offset", "close", "ordered"),
    [
        (0.0, "12 of 12 curves", "12 of 12 pairs of curves"),
        (2.9, "12 of 12 curves", "11 of 12 pairs of curves"),  # ahead of AEVB on train at 1,000
        (-4.0, "8 of 12 curves", "10 of 12 pairs of curves"),  # behind both on test at 1,000
    ],
)
def test_the_ends_of_figure_3(offset, close, ordered):
    rows = verdicts(all_of_figure3(offset))
    assert by_claim(rows, "The end of every curve").effect == close
    assert by_claim(rows, "The order of the three").effect == ordered


def test_the_variance_of_the_bound_is_judged_by_its_largest():
    small = with_metrics(run_at(latent_dim=3), **{"bound_variance/test/50": {"variance": 0.02}})
    row = by_claim(verdicts([small]), "The variance of")
    assert (row.outcome, row.effect) == ("reproduced", "1 of 1 models; at most 0.02 nats²")
    large = with_metrics(run_at(latent_dim=5), **{"bound_variance/test/50": {"variance": 3.0}})
    assert by_claim(verdicts([small, large]), "The variance of").outcome == "in part"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 1.6, "reproduced"), (0.1, 0.3, "in part"), (0.8, 0.2, "not reproduced")],
)
def test_appendix_d_is_judged_by_its_error_against_the_sandwich(low, high, expected):
    runs = [
        with_metrics(
            run_at(latent_dim=dim),
            **{
                "appendix_d_bias/100": {"lower": -101.0, "upper": -99.0, "hmc_density": error - 100}
            },
        )
        for dim, error in ((3, low), (20, high))
    ]
    row = by_claim(verdicts(runs), "Appendix D")
    assert row.outcome == expected
    assert row.effect == (
        f"errs by at most {low:.1f} nats below 5 latent variables, by {high:+.1f} with 20"
    )
