"""Training less test bound against the training bound, and what the page says of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_verdicts import run_at

import vae_core as vc
from vae_book.plots import paper
from vae_book.plots.overfit import SHORTEST, gap_figure, gap_of, gap_of_paper
from vae_book.readings import is_of_reading

BOOK = Path(__file__).parents[1] / "book"


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
    assert [panel.numbers.partition(",")[0] for panel in panels] == ["1 runs", "1 runs"]
    assert gap_figure([]).panels == []


def test_the_page_says_that_all_choices_lie_on_one_curve():
    text = (BOOK / "reproducibility/ambiguities.ipynb").read_text()
    cells = {c["id"]: " ".join("".join(c["source"]).split()) for c in json.loads(text)["cells"]}
    text = cells["same-overfitting-said"]
    off = {}
    for size in (3, 5, 10, 20, 200):
        runs = drawn(size)
        curve = gap_of(reading(runs))
        off[size] = {run.config: off_the_curve(run, curve) for run in runs}
    wide = {c: values for c, values in off[3].items() if c.step_size == 0.1}
    (leap,) = wide.values()
    least = max(abs(values).max() for c, values in off[3].items() if c not in wide)
    assert f"stay within {least:.1f} nats of our reading's curve" in text
    told = f"a step of 0.1 is {leap.max():.1f} above on its way and {leap[-1]:.1f} where it ends"
    assert told in text
    for size in (5, 10, 20, 200):  # "all choices lie on one curve"
        assert max(abs(values).max() for values in off[size].values()) < 0.4
    settings = {(c.prior_sd, c.init_sd, c.adagrad_epsilon) for c in off[3]}
    assert settings == {(1.0, 0.01, 1e-8), (0.3, 0.01, 1e-8), (1.0, 0.1, 1e-8), (1.0, 0.01, 1e-4)}


def test_the_page_says_where_the_papers_curves_lie():
    cells = json.loads((BOOK / "reproducibility/ambiguities.ipynb").read_text())["cells"]
    text = " ".join(" ".join("".join(c["source"]) for c in cells).split())
    higher = {}
    for size in (3, 5, 10, 20, 200):
        run = reading(drawn(size))
        ours, theirs = gap_of(run), gap_of_paper(run)
        end = min(ours[0].max(), theirs[0].max())
        higher[size] = along(theirs, end) - along(ours, end)
    told = f"they are {-higher[3]:.1f} nats lower with 3 latent variables and {-higher[5]:.1f}"
    assert f"{told} with 5" in text
    far = [higher[size] for size in (10, 20, 200)]
    assert f"with 10, 20 and 200, by {min(far):.1f} to {max(far):.1f}." in text
    held_out = json.loads((BOOK / "studies/held_out.json").read_text())
    raised = {
        row["latent_dim"]: row["test_bound"] - row["validation_bound"]
        for row in held_out
        if (row["algorithm"], row["samples"]) == ("aevb", 1e8)
    }
    told = f"lower ours with 3 and 5 by {-raised[3]:.1f} and {-raised[5]:.1f}, and raise them with "
    more = [raised[size] for size in (10, 20, 200)]
    assert f"{told}10 or more by {min(more):.1f} to {max(more):.1f}." in text
