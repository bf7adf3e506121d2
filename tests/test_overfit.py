"""Training less test bound against the training bound, and what the page says of it."""

import json

import numpy as np
import pytest
from pages import BOOK, prose
from test_verdicts import run_at

import vae_core as vc
from vae_book.plots import paper
from vae_book.plots.overfit import SHORTEST, gap_figure, gap_of, gap_of_paper
from vae_book.readings import config_of, is_of_reading, same_but


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


def test_the_page_says_that_a_narrower_prior_leaves_the_curve():
    text = said()

    def with_prior(size, prior_sd, samples):
        """Training bound and gap of the run of seed 0 that has all else as our reading."""
        reading = config_of("mnist", "aevb", size, settings={"prior_sd": prior_sd})
        mine = [run for run in drawn(size) if same_but(run.config, reading)]
        run = max(mine, key=lambda run: run.curve["samples"][-1])
        train = run.at(samples, "train_bound")
        return train, train - run.at(samples)

    cells = {}
    for size, samples in ((3, 1e7), (3, 1e8), (5, 1e7), (20, 1e7)):
        (wide, more), (narrow, less) = (with_prior(size, sd, samples) for sd in (1.0, 0.1))
        cells[size, samples] = wide, narrow, more, less
        numbers = [f"{number:.1f}".replace("-", "−") for number in cells[size, samples]]
        row = [str(size), f"$10^{np.log10(samples):.0f}$", *numbers]
        assert "* - " + " - ".join(row) in text
    wide, narrow, more, less = cells[3, 1e7]
    assert less < 0.55 * more and abs(narrow - wide) < 0.1  # "halves", "nearly the same"
    *_, more, less = cells[20, 1e7]
    assert abs(less - more) < 0.2 and "With 20 the gap stays within 0.2" in text
    curve = gap_of(reading(drawn(3)))
    (tenth,) = [run for run in drawn(3) if run.config.prior_sd == 0.3]
    lost = with_prior(3, 1.0, 1e7)[0] - with_prior(3, 0.05, 1e7)[0]
    told = f"0.3 takes {-off_the_curve(tenth, curve)[-1]:.1f} off the gap, and with 0.05 the "
    assert f"{told}training bound itself ends {lost:.1f} lower" in text
    wide, narrow, more, less = cells[3, 1e8]
    theirs = [float(paper.fig2_curve("mnist", 3, "aevb", s).at(1e8)) for s in ("train", "test")]
    told = "the gap is {:.1f} nats in place of {:.1f}, where the paper's is {:.1f}, and the test "
    told = told.format(less, more, theirs[0] - theirs[1])
    off = [theirs[1] - train + gap for train, gap in ((narrow, less), (wide, more))]
    assert f"{told}bound ends {off[0]:.1f} below the paper's in place of {off[1]:.1f}" in text
    told = (
        f"leaves {less:.1f} of those {more:.1f} nats with 3 and {off[0]:.1f} of the {off[1]:.1f} by"
    )
    assert told in prose("reproducibility/report.md")


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
