"""The tables that compare stored runs choice by choice, and what the page on them says."""

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest

import vae_core as vc
from vae_book import readings
from vae_book.plots import paper, style, tables
from vae_book.verdicts import choices
from vae_core.runs import Run

ROOT = Path(__file__).resolve().parents[1]
MINUS = "\N{MINUS SIGN}"


def run_of(dataset, algorithm, latent_dim, off, seed=0, n_samples=1_000_000, **settings):
    """A run of an experiment whose test curve is the paper's plus an offset in nats."""
    settings |= {"n_samples": n_samples}
    config = readings.config_of(dataset, algorithm, latent_dim, seed, settings)
    samples = np.geomspace(5e5, n_samples, 30)
    bound = paper.fig2_curve(dataset, latent_dim, algorithm, "test").at(samples) + off
    return Run(Path(config.key), config, {"samples": samples, "test_bound": bound})


def faces(off, seed=0, **settings):
    settings = {"step_size": 0.01, "prior_sd": 1.0} | settings
    return run_of("freyface", "aevb", 10, off, seed, **settings)


def words(row):
    return [style.plain(cell) for cell in row]


def test_the_prior_is_judged_over_seeds_that_have_both():
    runs = [faces(off, seed) for seed, off in enumerate((5.0, 7.0, 9.0))]
    runs += [faces(off, seed, prior_sd=None) for seed, off in enumerate((-4.0, -2.0))]
    runs += [faces(99.0, 1, matmul_precision="medium"), faces(99.0, 1, step_size=0.02)]
    table = choices.prior_table(runs, "freyface", "aevb", 10, 0.01)
    half = 12.7062  # of the 95% t interval of two values one standard error apart
    assert [words(row) for row in table.rows] == [
        ["1", "2", f"6.0 ± {half:.1f}", f"+6.0 ± {half:.1f}"],
        ["none", "2", f"3.0 ± {half:.1f}", f"{MINUS}3.0 ± {half:.1f}"],
        ["with less without, by seed", "2", f"+3.0 ± {2 * half:.1f}", "+9.0 ± 0.0"],
    ]
    assert choices.prior_table(runs[1:], "freyface", "aevb", 10, 0.01) is None  # one seed has both
    assert choices.prior_table([], "freyface", "aevb", 10, 0.01) is None


def test_twins_differ_in_precision_alone_and_are_judged_where_both_reach():
    coarse = faces(3.0, matmul_precision="medium", n_samples=10_000_000)
    runs = [coarse, faces(1.0), faces(5.0, 1), faces(8.0, step_size=0.02)]
    (row,) = choices.twins_table(runs).rows
    labels = ["Frey Face", "10", "AEVB", "0.01", "0", "1", "0", "106"]
    assert words(row) == [*labels, "+2.0", "1.4"]  # the spread is over 3 and 5, the longest runs
    assert choices.twins_table(runs[1:]) is None


def test_the_rules_choice_stands_beside_the_reading_and_the_paper():
    experiment = {"dataset": "mnist", "latent_dim": 20, "algorithm": "wake_sleep"}
    bounds = {"0.01": -178.07, "0.02": -195.9, "0.1": -3e8}
    study = {"n_samples": 100_000}
    study["experiments"] = [experiment | {"chosen": 0.01, "train_bound": bounds}]
    by_rule = {"step_size": 0.01, "adagrad_warmup": 0}
    runs = [run_of("mnist", "wake_sleep", 20, -9.0, **by_rule)]
    runs += [run_of("mnist", "wake_sleep", 20, 99.0, step_size=0.01)]  # accumulates first
    theirs = float(paper.fig2_curve("mnist", 20, "wake_sleep", "test").at(1e6))
    (row,) = choices.rule_table(study, runs).rows
    early = [f"{MINUS}178.1", f"{MINUS}195.9", "diverges"]
    assert words(row)[:8] == ["MNIST", "20", "Wake-sleep", *early, "0.01", "0.02\xa0after\xa0100"]
    assert words(row)[8:] == [tables.nats(theirs - 9), "–", tables.nats(theirs)]


def test_what_misses_the_limit_is_told_with_every_choice_that_was_tried():
    near, far = (run_of("mnist", "aevb", dim, off) for dim, off in ((10, 1.4), (20, -1.6)))
    others = [run_of("mnist", "aevb", 20, 3.0, seed, step_size=0.02) for seed in (1, 2)]
    others.append(run_of("mnist", "aevb", 20, 4.0, 1, 3_000_000, step_size=0.02))
    others.append(run_of("mnist", "aevb", 20, 7.0, batch_size=50))
    runs = [near, far, *others]
    assert choices.missed(runs) == {("mnist", "aevb", 20): 1e6}
    (table,) = choices.trial_tables(runs, (1e6, 3e6))
    assert [words(row) for row in table.rows] == [
        ["0.01 †", "0", "1", "float32", "1", f"{MINUS}1.6", "–", "106", f"{MINUS}1.6"],
        ["0.02", "0", "1", "float32", "2", "+3.5 ± 0.7", "+4.0", "3 million", "+4.0"],
    ]
    assert choices.trial_tables([near]) == choices.trial_tables([]) == []


def test_misses_of_seeds_that_cancel_are_no_miss():
    runs = [run_of("mnist", "aevb", 20, off, seed) for seed, off in enumerate((-4.0, 4.0))]
    assert choices.missed(runs) == {}


def test_a_size_that_enters_the_printed_axes_late_is_judged_on_the_drawing_outside_them():
    runs = [run_of("mnist", "aevb", dim, off) for dim, off in ((3, -2.0), (5, -1.0))]
    table = tables.choice_table(runs, "aevb", "mnist")
    assert words(table.header)[3:] == ["Nz = 3 *", "Nz = 5", "all sizes"]
    assert words(table.rows[0])[3:] == ["2.0", "1.0", "1.5"]


def text_of(page):
    node = nbformat.read(ROOT / f"book/{page}.ipynb", as_version=4)
    return " ".join(" ".join(cell.source for cell in node.cells).split())


@pytest.fixture(scope="module")
def page():
    return text_of("reproducibility/ambiguities")


@pytest.fixture(scope="module")
def runs():
    return list(vc.all_runs())


@pytest.fixture(scope="module")
def off(runs):
    """By experiment, choice and sample count: bound less the paper's, mean over (all) seeds."""
    mine = [run for run in runs if readings.is_but_for_choice(run) and paper.fig2_of(run)]

    def name(run):
        config = run.config
        experiment = config.dataset, config.algorithm, config.latent_dim
        return *experiment, readings.choice_of(config), config.seed

    best = readings.longest(mine, name)

    def value(dataset, algorithm, latent_dim, choice, samples, seeds=range(9)):
        found = [
            tables.above_the_paper(run, samples)
            for key, run in best.items()
            if key[:4] == (dataset, algorithm, latent_dim, choice) and key[4] in seeds
        ]
        known = [number for number in found if np.isfinite(number)]
        return float(np.mean(known)) if known else np.nan

    return value


def test_what_the_papers_rule_would_have_given_is_told(page, runs, off):
    study = json.loads((ROOT / "book/studies/step_size.json").read_text())
    for row in study["experiments"]:
        early = row["train_bound"]
        assert min(early, key=early.get) == "0.1"  # "the worst everywhere"
    nearer = []
    for row in choices.rule_table(study, runs).rows:
        rule, ours, theirs = (float(cell.replace(MINUS, "-")) for cell in row[-3:])
        if abs(rule - theirs) + 1 < abs(ours - theirs):
            nearer.append(row[:3])
    faces = [["Frey Face", dim, "AEVB"] for dim in ("2", "5", "10")]
    assert nearer == [["MNIST", "10", "Wake-sleep"], *faces]
    ours, ahead = (off("mnist", "aevb", 20, (step, 0, 1.0), 1e6, [0]) for step in (0.01, 0.02))
    told = f"this step is {ahead - ours:.1f} nats ahead of our 0.01 and {ahead:.1f} above the"
    assert f"{told} printed curve" in page and abs(ours) < ahead  # "the one nearer to the paper's"


def test_rounded_products_are_worth_no_more_than_a_seed(page, runs):
    rows = [words(row)[-2:] for row in choices.twins_table(runs).rows]
    values = [float(difference.replace(MINUS, "-")) for difference, _ in rows]
    assert min(values) < 0 < max(values)  # "have either sign"
    for value, (_, spread) in zip(values, rows, strict=True):
        assert spread == "–" or abs(value) < 2 * float(spread)


def test_what_was_tried_for_the_curves_that_miss_is_told(page, runs, off):
    told = {("mnist", "aevb", 3), ("mnist", "aevb", 5), ("mnist", "aevb", 200)}
    told |= {("mnist", "wake_sleep", 3), ("mnist", "wake_sleep", 10)}
    assert told | {("freyface", "aevb", 10)} == choices.missed(runs).keys()
    small, large, rival = (
        ("mnist", "aevb", 3),
        ("mnist", "aevb", 200),
        ("mnist", "wake_sleep", 10),
    )
    half, late, ours = (
        -off(*small, (*choice, 1.0), 1e7) for choice in ((0.01, 0), (0.02, 100), (0.02, 0))
    )
    told = f"half the step ends {half:.1f} nats below the printed curve, our step after 100 "
    told += f"accumulating minibatches {late:.1f} and our choice {ours:.1f}. A narrower prior"
    assert told in page
    narrow, most = (-off(*small, (0.02, 0, sd), 1e7) for sd in (0.3, 0.1))
    told = f"ends {narrow:.1f} below with a standard deviation of 0.3 and {most:.1f} with 0.1"
    assert f"A narrower prior on the weights {told}" in page
    early, end = (off(*small, (0.1, 100, 1.0), samples) for samples in (1e6, 1e7))
    assert f"A step of 0.1 after 100 minibatches ends {-end:.1f} below, but this is" in page
    assert f"it is {early:.1f} above after a million samples" in page
    config = readings.config_of(
        "mnist", "aevb", 3, settings=dict(step_size=0.1, adagrad_warmup=100)
    )
    (fast,) = [run for run in runs if readings.same_but(run.config, config)]
    train = fast.at(1e7, "train_bound") - paper.fig2_of(fast, "train").at(1e7)
    assert f"its training bound ends {train:.1f} above the printed one" in page
    ends = (-off("mnist", "aevb", size, (0.02, 0, 1.0), 1e8) for size in (3, 5))
    told = "samples {:.1f} nats are missing with 3 latent variables and {:.1f} with 5."
    assert f"after a hundred million {told.format(*ends)}" in page
    assert f"is {off(*large, (0.02, 100, 1.0), 1e8):.1f} nats better than the printed one" in page
    mended, kept = (off(*rival, (0.02, warmup, 1.0), 1e7) for warmup in (0, 100))
    told = f"ends {mended:.1f} above the curve after ten million samples, in place of {kept:.1f}"
    assert told in page
    least = "mnist", "wake_sleep", 3
    early, end = (-off(*least, (0.02, 100, 1.0), samples) for samples in (1e7, 1e8))
    told = f"is {early:.1f} below after ten million samples and {end:.1f} after a hundred, where"
    assert f"With 3 our choice {told}" in page
    (far,) = [r for r in runs if choices._experiment(r) == least and r.config.n_samples == 1e8]
    train = float(paper.fig2_of(far, "train").at(1e8)) - far.at(1e8, "train_bound")
    assert f"where its training bound is {train:.1f} below the printed one" in page
    faces = [
        -off("freyface", "aevb", 10, choice, 1e7)
        for choice in ((0.01, 0, np.inf), (0.01, 0, 1.0), (0.02, 0, np.inf))
    ]
    assert f"the bounds end {min(faces):.0f} to {max(faces):.0f} nats below" in page
    far = -off("freyface", "aevb", 10, (0.02, 0, np.inf), 1e8)
    assert f"the one run of our reading is {far:.1f} below" in page


def test_what_the_prior_on_frey_face_is_worth_is_told_with_its_interval(page, runs):
    *_, apart = choices.prior_table(runs, "freyface", "aevb", 10, 0.01).rows
    assert apart[1] == "3"
    mean, half = map(float, apart[2].split(" ± "))
    assert f"nearer by {mean:.1f} nats on average" in page
    told = f"the interval reaches from {mean + half:.1f} nearer to {half - mean:.1f} farther"
    assert told in page
    one, twin = (
        paper.mean_abs_difference(run, until=1e6)
        for key in ("86375cf1", "e542fa62")
        for run in runs
        if run.key.endswith(key)
    )
    assert f"at {one:.1f} nats; with products in float32, and all else the same, it lies at" in page
    assert f"it lies at {twin:.1f}." in page


def test_the_choice_of_20_latent_variables_is_borne_out_by_seeds(page, off):
    """The one exception to the reading of AEVB on MNIST that is not shared with another size."""
    others, ours = (
        [off("mnist", "aevb", 20, choice, samples) for samples in (1e6, 3e6, 1e7)]
        for choice in ((0.02, 100, 1.0), (0.01, 0, 1.0))
    )
    if np.isnan(others[-1]):
        pytest.skip("no run of that choice is stored that goes so far")
    told = (
        "they lie {:.1f} nats above the printed curve after a million samples, {:.1f} after three"
    )
    assert (told + " and {:.1f} after ten").format(*others) in page
    first, *later = ours
    told = f"with our choice they lie {first:.1f} above, {-later[0]:.1f} below and "
    assert f"{told}{-later[1]:.1f} below" in page
