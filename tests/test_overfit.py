"""Training less test bound against the training bound, and what the page says of it."""

import json
import math

import numpy as np
import pytest
from pages import BOOK, prose
from test_verdicts import run_at

import vae_core as vc
from vae_book import studies
from vae_book.plots import paper
from vae_book.plots.overfit import SHORTEST, gap_figure, gap_of, gap_of_paper
from vae_book.readings import config_of, is_of_reading, same_but
from vae_book.verdicts.figure3 import figure3_runs
from vae_core.runs.metrics import SPLITS

SIZES = (3, 5, 10, 20, 200)
FOLLOWED = [(n, 1e7) for n in SIZES] + [(3, 1e8), (5, 1e8)]  # with a narrower prior


def drawn(size):
    """The stored runs of one panel."""
    mine = [r for r in vc.all_runs() if paper.fig2_of(r) and r.config.latent_dim == size]
    mine = [r for r in mine if (r.config.dataset, r.config.algorithm) == ("mnist", "aevb")]
    return [run for run in mine if run.curve["samples"][-1] >= SHORTEST]


def reading(runs):
    ours = [run for run in runs if is_of_reading(run.config)]
    return max(ours, key=lambda run: run.curve["samples"][-1])


def along(curve, train):
    """A curve's gap where its training bound first is so high."""
    return np.interp(train, np.maximum.accumulate(curve[0]), curve[1])


def off_the_curve(run, reference):
    """How far a run's gaps lie from another's at equal training bounds, as far as both go."""
    train, gap = gap_of(run)
    shared = (train >= reference[0].min()) & (train <= reference[0].max())
    return gap[shared] - along(reference, train[shared])


def test_a_gap_is_told_from_a_million_samples_on():
    run = run_at(n_samples=10_000_000)
    run.curve["train_bound"] = run.curve["test_bound"] + 3.0
    train, gap = gap_of(run)
    assert gap == pytest.approx(3.0)
    assert len(train) == (run.curve["samples"] >= 1e6).sum() and train[-1] == pytest.approx(
        run.curve["train_bound"][-1]
    )


def test_the_papers_gap_is_of_its_two_curves():
    train, gap = gap_of_paper(run_at())
    curves = {split: paper.fig2_curve("mnist", 20, "aevb", split) for split in ("train", "test")}
    assert train[-1] == curves["train"].bound[-1]
    at = curves["train"].samples[-2]
    assert gap[-2] == pytest.approx(float(curves["train"].at(at) - curves["test"].at(at)))


def test_the_figure_has_a_panel_for_each_size_with_long_runs():
    runs = [run_at(latent_dim=n) for n in (3, 20)] + [run_at(latent_dim=5, n_samples=2_000_000)]
    _, *panels = gap_figure(runs).panels
    assert [panel.numbers.partition(",")[0] for panel in panels] == ["1 run", "1 run"]
    assert gap_figure([]).panels == []


def said():
    cells = json.loads((BOOK / "reproducibility/ambiguities.ipynb").read_text())["cells"]
    (cell,) = [cell for cell in cells if cell["id"] == "same-overfitting-said"]
    return " ".join("".join(cell["source"]).split())


def test_the_page_says_that_all_steps_lie_on_one_curve():
    text, off = said(), {}
    for size in (3, 5, 10, 20, 200):
        runs = drawn(size)
        curve = gap_of(reading(runs))
        off[size] = {r.config: off_the_curve(r, curve) for r in runs if r.config.prior_sd == 1.0}
    wide = {c: values for c, values in off[3].items() if c.step_size == 0.1}
    (leap,) = wide.values()
    least = max(abs(values).max() for c, values in off[3].items() if c not in wide)
    assert f"stay within {least:.1f} nats of our reading's curve" in text
    told = f"a step of 0.1 is {leap.max():.1f} above on its way and {leap[-1]:.1f} where it ends"
    assert told in text
    for size in (5, 10, 20, 200):
        assert max(abs(values).max() for values in off[size].values()) < 0.4
    settings = {(c.init_sd, c.adagrad_epsilon) for c in off[3]}
    assert settings == {(0.01, 1e-8), (0.1, 1e-8), (0.01, 1e-4)}


def with_prior(algorithm, size, prior_sd, seed=0):
    """The longest run that has all else as our reading."""
    wanted = config_of("mnist", algorithm, size, seed, {"prior_sd": prior_sd})
    mine = [run for run in vc.all_runs() if same_but(run.config, wanted)]
    return max(mine, key=lambda run: run.curve["samples"][-1])


def row_of(size, prior_sd, samples):
    """AEVB's training bound, its gap, and its test bound less the paper's."""
    run = with_prior("aevb", size, prior_sd)
    train, test = run.at(samples, "train_bound"), run.at(samples)
    return train, train - test, test - float(paper.fig2_of(run).at(samples))


def test_the_page_says_what_a_narrower_prior_does():
    text, rows = said(), {}
    for size, samples in FOLLOWED:
        wide, narrow = rows[size, samples] = [row_of(size, sd, samples) for sd in (1.0, 0.1)]
        columns = zip(wide, narrow, strict=True)
        signed = zip(columns, ("", "", "+"), strict=True)
        cells = [f"{number:{sign}.1f}" for pair, sign in signed for number in pair]
        row = " - ".join([str(size), f"$10^{np.log10(samples):.0f}$", *cells])
        assert "* - " + row.replace("- -", "- −") in text
        assert narrow[1] < wide[1]  # "The gap is smaller with every size"
    (_, more, off), (_, less, left) = rows[3, 1e8]
    (_, more_5, off_5), (_, less_5, left_5) = rows[5, 1e8]
    theirs = [
        float(np.subtract(*(paper.fig2_curve("mnist", n, "aevb", s).at(1e8) for s in SPLITS)))
        for n in (3, 5)
    ]
    told = f"it is {less:.1f} nats in place of {more:.1f} with 3 latent variables, where the "
    told += f"paper's is {theirs[0]:.1f}, and {less_5:.1f} in place of {more_5:.1f} with 5, where "
    assert f"{told}the paper's is {theirs[1]:.1f}." in text
    told = f"bounds then end {-left:.1f} and {-left_5:.1f} below the paper's, in place of "
    assert f"{told}{-off:.1f} and {-off_5:.1f}; on validation images" in text
    report = prose("reproducibility/report.md")
    told = f"the training bound is {less:.1f} and {less_5:.1f} nats above the test bound, in place "
    told += f"of those {more:.1f} and {more_5:.1f}, and the test bounds end {-left:.1f} and "
    assert f"{told}{-left_5:.1f} below the paper's, in one run each" in report
    lower = max(wide[0] - narrow[0] for wide, narrow in rows.values())
    far = float(paper.fig2_curve("mnist", 20, "aevb", "train").at(1e7)) - rows[20, 1e7][1][0]
    told = f"The training bound is lower, by up to {lower:.1f} nats, and with 20 it is then "
    assert f"{told}{far:.1f} below the printed curve" in text
    means = [np.mean([abs(rows[n, 1e7][sd][2]) for n in SIZES]) for sd in (1, 0)]
    told = f"off by {means[0]:.1f} nats on average over the five sizes, in place of {means[1]:.1f}."
    assert told in text


def test_the_page_says_what_other_widths_and_seeds_do():
    text, curve = said(), gap_of(reading(drawn(3)))
    tenth = off_the_curve(with_prior("aevb", 3, 0.3), curve)[-1]
    lost = row_of(3, 1.0, 1e7)[0] - row_of(3, 0.05, 1e7)[0]
    told = f"0.3 takes {-tenth:.1f} off the gap, and with 0.05 the training bound itself ends "
    assert f"{told}{lost:.1f} lower" in text
    seeds = [with_prior("aevb", 3, 0.1, seed) for seed in (1, 2)]
    gaps = {f"{run.at(1e7, 'train_bound') - run.at(1e7):.1f}" for run in seeds}
    (gap,) = gaps
    assert f"Two further seeds with 0.1 have gaps of {gap} both" in text


def test_the_page_says_that_wake_sleep_gains_nothing_by_a_narrower_prior():
    off = {}
    for size in (3, 20):
        runs = [with_prior("wake_sleep", size, prior_sd) for prior_sd in (1.0, 0.1)]
        off[size] = [run.at(1e7) - float(paper.fig2_of(run).at(1e7)) for run in runs]
    (wide, narrow), (wide_20, narrow_20) = off[3], off[20]
    told = f"samples is {wide - narrow:.1f} nats lower and ends {-narrow:.1f} below the paper's in "
    told += f"place of {-wide:.1f}; with 20 it is {wide_20 - narrow_20:.1f} lower and ends "
    assert f"{told}{-narrow_20:.1f} below in place of {wide_20:.1f} above" in said()
    assert abs(narrow) > abs(wide) and abs(narrow_20) < abs(wide_20)


def test_the_page_says_whose_overfitting_a_narrower_prior_reduces():
    """By the study, of models that are stored without weights: the bounds are those of the runs."""
    text, runs = said(), {run.key: run for run in vc.all_runs()}
    narrow = studies.load("narrow_prior")
    rows = {runs[row["key"]].config.latent_dim: row for row in narrow}
    for size, row in rows.items():
        run = runs[row["key"]]
        assert run.key == with_prior("aevb", size, 0.1).key
        assert row["test_bound"] == pytest.approx(run.curve["test_bound"][-1], abs=0.1)
    off = [
        rows[n]["validation_bound"] - float(paper.fig2_curve("mnist", n, "aevb", "test").at(1e8))
        for n in (3, 5)
    ]
    assert f"probably are, {-off[0]:.1f} and {-off[1]:.1f}." in text
    before = {row["key"]: row for row in studies.load("who_overfits")}
    found = []
    for row in (rows[3], before[with_prior("aevb", 3, 1.0).key]):
        more = row["test"]["mean"] - row["train"]["mean"]
        found += [more, math.hypot(row["test"]["stderr"], row["train"]["stderr"])]
    told = "With 3 latent variables $q$ is {:.1f} ± {:.1f} nats farther from the posterior on test "
    told += "images than on training images after a hundred million samples, where it was {:.1f} ± "
    assert f"{told}{{:.1f}}".format(*found) in text


def test_in_figure_3_a_narrower_prior_takes_the_gap_farther_from_the_papers():
    ours = figure3_runs(vc.all_runs())[50_000, "aevb"]
    gaps = {}
    for run in vc.all_runs():
        free = {"prior_sd", "n_samples", "evals_per_decade"}
        if same_but(run.config, ours.config, free) and run.config.prior_sd != 1.0:
            at = run.curve["samples"][-1]
            train, test = (
                [r.at(at, f"{split}_log_marginal") for r in (run, ours)] for split in SPLITS
            )
            gaps[run.config.prior_sd, at] = np.subtract(train, test)
            theirs = np.subtract(*(float(paper.fig3_of(run, s).at(at)) for s in SPLITS))
            assert gaps[run.config.prior_sd, at][0] < gaps[run.config.prior_sd, at][1] < theirs
    assert {prior for prior, _ in gaps} == {None, 0.1} and max(at for _, at in gaps) == 2e7
    told = "without it after three million samples, and with a standard deviation of 0.1 to twenty"
    assert told in prose("figures/fig3_marginal_likelihood.ipynb")


def test_the_page_says_where_the_papers_curves_lie():
    text, higher = prose("reproducibility/ambiguities.ipynb"), {}
    for size in (3, 5, 10, 20, 200):
        run = reading(drawn(size))
        ours, theirs = gap_of(run), gap_of_paper(run)
        end = min(ours[0].max(), theirs[0].max())
        higher[size] = along(theirs, end) - along(ours, end)
    told = f"gaps are {-higher[3]:.1f} nats lower with 3 latent variables and {-higher[5]:.1f}"
    assert f"{told} lower with 5" in text
    far = [higher[size] for size in (10, 20, 200)]
    assert f"with 10, 20 and 200, by {min(far):.1f} to {max(far):.1f}." in text
    held_out = json.loads((BOOK / "studies/held_out.json").read_text())
    raised = {
        row["latent_dim"]: row["test_bound"] - row["validation_bound"]
        for row in held_out
        if (row["algorithm"], row["samples"]) == ("aevb", 1e8)
    }
    told = f"lower our gaps with 3 and 5 by {-raised[3]:.1f} and {-raised[5]:.1f}, and raise them "
    more = [raised[size] for size in (10, 20, 200)]
    assert f"{told}with 10 or more by {min(more):.1f} to {max(more):.1f}." in text
