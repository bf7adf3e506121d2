"""Numbers that stand typed in the prose of the book: each follows from a stored run or study."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import prose

import vae_core as vc
from vae_book import studies
from vae_book.claims import common_count
from vae_book.plots import estimator, paper
from vae_book.plots.curves import truths_of
from vae_book.plots.marginal import decoders_for_bias, end_of
from vae_book.plots.tables import compare
from vae_book.readings import reading_of
from vae_book.verdicts import figure2_runs, verdicts
from vae_book.verdicts.contests import equal_pairs
from vae_book.verdicts.figure3 import figure3_runs
from vae_core.algorithms import ALGORITHMS
from vae_core.runs import metrics

BOOK = Path(__file__).resolve().parents[1] / "book"
RUNS = vc.all_runs()
FIGURE_2, FIGURE_3 = figure2_runs(RUNS), figure3_runs(RUNS)


def off_of_figure_2(dataset: str, samples: float) -> tuple[np.ndarray, np.ndarray, list]:
    """How far our curves are off the paper's, in nats and in percent, and the seeds behind each."""
    rows = [row for row in compare(FIGURE_2, (samples,)) if row.dataset == dataset and row.n_seeds]
    off = np.array([abs(row.difference) for row in rows])
    return off, 100 * off / [abs(row.paper) for row in rows], rows


def above(run, split: str, samples: float) -> float:
    """A curve of Figure 3 less the paper's, in nats."""
    theirs = float(paper.fig3_of(run, split).at(samples))
    return run.at(samples, f"{split}_log_marginal") - theirs


def test_the_report_tells_the_largest_and_the_mean_deviation():
    report = prose("reproducibility/report.md")
    digits, _, of_digits = off_of_figure_2("mnist", 1e7)
    faces, share, of_faces = off_of_figure_2("freyface", 1e7)
    assert len(digits) == 10 and len(faces) == 8
    told = "* - 2, MNIST - $10^7$ - {} of {} within 1.5 nats - {:.1f} nats - {:.1f} nats "
    numbers = sum(digits < 1.5), len(digits), digits.mean(), digits.max()
    assert told.format(*numbers) in report
    told = "* - 2, Frey Face - $10^7$ - {} of {} within 4% - {:.1f} nats, {:.1f}% "
    told += "- {:.1f} nats, {:.1f}% "
    numbers = [f(values) for f in (np.mean, np.max) for values in (faces, share)]
    assert told.format(sum(share < 4), len(faces), *numbers) in report
    digits, _, far_digits = off_of_figure_2("mnist", 1e8)
    faces, share, far_faces = off_of_figure_2("freyface", 1e8)
    assert len(digits) + len(faces) == 18
    assert "All 18 curves of Figure 2 go on to a hundred million samples, the end of" in report
    kinds = ("MNIST", digits, digits < 1.5, "1.5 nats"), ("Frey Face", faces, share < 4, "4%")
    for name, off, close, limit in kinds:
        told = f"* - 2, {name} - $10^8$ - {sum(close)} of {len(off)} within {limit} "
        assert f"{told}- {off.mean():.1f} nats - {off.max():.1f} nats " in report
    ends = [
        abs(ours - theirs)
        for run in FIGURE_3.values()
        for _, theirs, ours in (end_of(run, split) for split in ("train", "test"))
    ]
    assert len(ends) == 12
    told = f"* - 3 - the end of its axis - {sum(np.array(ends) < 1.5)} of 12 within 1.5 nats "
    assert f"{told}- {np.mean(ends):.1f} nats - {max(ends):.1f} nats " in report
    (order,) = [row for row in verdicts(RUNS) if row.claim.startswith("The order of the three")]
    told = f"the {len(order.passed)} pairs of curves of Figure 3, {sum(order.passed)} end in the"
    assert f"{told} paper's order" in report
    for row in [*of_digits, *of_faces, *far_digits, *far_faces]:  # "One run stands behind each"
        is_mean = (row.dataset, row.algorithm, row.samples) == ("freyface", "aevb", 1e7)
        assert row.n_seeds == (3 if is_mean else 1)


def test_the_report_tells_how_long_the_runs_and_the_papers_curves_are():
    report = prose("reproducibility/report.md")
    ends = {}
    for run in FIGURE_2:
        config = run.config
        key = config.dataset, config.algorithm, config.latent_dim
        ends[key] = max(run.curve["samples"][-1], ends.get(key, 0))
    far = {key for key, end in ends.items() if end >= 1e8}
    (farther,) = {key: end for key, end in ends.items() if end > 1e8}.items()
    assert farther == (("mnist", "aevb", 20), 1.5e8)
    (run,) = [r for r in FIGURE_2 if r.curve["samples"][-1] == 1.5e8]
    above = {n: run.at(n) - float(paper.fig2_of(run).at(n)) for n in (1e8, 1.5e8)}
    told = f"to 150 million, where its test bound is {above[1.5e8]:.1f} nats above the paper's"
    assert f"{told}, after {above[1e8]:.1f} above at a hundred" in report
    rivals = {"freyface": [2, 5, 10, 20], "mnist": [3, 5, 10, 20, 200]}
    rivals = {(data, "wake_sleep", size) for data, sizes in rivals.items() for size in sizes}
    assert far == rivals | {
        (dataset, "aevb", size)
        for dataset, sizes in paper.FIG2_LATENT_DIMS.items()
        for size in sizes
    }
    last = {
        (dataset, algorithm, size): paper.fig2_curve(dataset, size, algorithm, "test").samples[-1]
        for dataset, algorithm, size in ends
    }
    longest = [
        max(n for k, n in last.items() if k[0] == name) / 1e6 for name in ("mnist", "freyface")
    ]
    assert "to {:.0f} million and to {:.0f} million".format(*longest) in report
    assert len(FIGURE_2) == 3 * len(ends) == 3 * 18
    for run in FIGURE_2:  # "one to ten million samples or more and two to three million"
        config = run.config
        is_long = config.seed == 0 or (config.dataset, config.algorithm) == ("freyface", "aevb")
        assert run.curve["samples"][-1] >= (1e7 if is_long else 3e6)
        assert config.dataset == "mnist" or config.split_seed == config.seed
    lengths = {(n, round(run.curve["samples"][-1])) for (n, _), run in FIGURE_3.items()}
    assert lengths == {(1_000, 60_000_000), (50_000, 68_250_000)}
    assert "all six curves each, to 60 and 68.25 million samples" in report


def test_the_report_tells_where_two_sizes_of_mnist_part_and_with_which_steps():
    report = prose("reproducibility/report.md")
    readings = {size: reading_of("mnist", "aevb", size) for size in (20, 200)}
    choices = {size: (r.step_size, r.adagrad_warmup) for size, r in readings.items()}
    assert choices == {20: (0.01, 0), 200: (0.02, 100)}
    assert "0.01 from the start with 20 latent variables and 0.02 after 100" in report
    far = {(r.algorithm, r.latent_dim): r.difference for r in off_of_figure_2("mnist", 1e8)[2]}
    most = far["aevb", 200]
    assert f"it ends {most:.1f} above, {most - 1.5:.1f} farther than we ask for" in report
    mnist = [r for r in RUNS if (r.config.dataset, r.config.algorithm) == ("mnist", "aevb")]
    behind = {}
    for pair in equal_pairs(mnist, "latent_dim", (20, 200)):
        if (pair[0].config.step_size, pair[0].config.adagrad_warmup) == choices[200]:
            samples = common_count(pair)
            key = round(samples), pair[0].config.seed
            behind[key] = f"{pair[0].at(samples) - pair[1].at(samples):.1f}"
    assert behind.keys() == {(10_000_000, 0), (3_000_000, 1), (3_000_000, 2)}
    late, *early = (behind[key] for key in sorted(behind, reverse=True))
    told = f"by {late} nats after ten million samples and by {early[0]} and {early[1]} after three"
    assert told in report


def test_the_report_tells_when_wake_sleep_leaves_the_mean_face():
    left, kept = {}, {}
    for run in RUNS:
        config = run.config
        if (config.dataset, config.algorithm) == ("freyface", "wake_sleep"):
            samples, bound = run.curve["samples"], run.curve["test_bound"]
            gone = (samples > 1e6) & (abs(bound - run.at(1e6)) > 10)
            key = config.prior_sd, config.step_size, config.latent_dim
            end = samples[gone][0] if gone.any() else samples[-1]
            (left if gone.any() else kept).setdefault(key, []).append(end)
    sizes = {(None, 0.01): (5, 10, 20), (1.0, 0.01): (20,), (1.0, 0.02): (5, 10, 20)}
    assert left.keys() == {(*key, dim) for key, dims in sizes.items() for dim in dims}
    assert min(left[1.0, 0.02, dim][0] for dim in (5, 10, 20)) > 8e6
    sooner = [ends for (_, step, _), ends in left.items() if step == 0.01]
    assert 1e6 < min(sooner)[0] and max(sooner)[0] < 6e6
    assert all(max(kept[None, 0.02, dim]) == 1e8 for dim in (2, 5, 10, 20))
    for key in ((None, 0.01), (1.0, 0.02)):
        assert max(kept[*key, 2]) == 1e7
    report = prose("reproducibility/report.md")
    assert "5, 10 and 20 latent variables it leaves with the prior, after eight million" in report
    assert "sooner with half the step, after one to six million, without the prior" in report
    assert "With two it stays, whatever was tried, for ten million" in report
    assert 4.6e6 < left[None, 0.01, 10][0] < 5.7e6 and 2.1e6 < left[None, 0.01, 5][0] < 2.7e6
    told = "without the prior leave, too, after some five and two and a half million; with two, "
    told += "the run stays to ten million."
    assert told in prose("method/rivals.ipynb")


@pytest.mark.parametrize(
    "page", ["reproducibility/report.md", "figures/fig3_marginal_likelihood.ipynb"]
)
def test_the_curves_of_figure_3_are_where_the_text_says_early_on_and_at_the_end(page):
    text = prose(page)
    small, large = FIGURE_3[1_000, "aevb"], FIGURE_3[50_000, "aevb"]
    early = {f"{above(run, 'test', 3e6):.1f}" for run in (small, large)}
    assert early == {"1.6"} and re.search(r"is (already )?1\.6 nats above", text)
    slow = FIGURE_3[1_000, "wake_sleep"]
    told = [f"{-above(slow, split, 3e6):.1f}" for split in ("train", "test")]
    assert told == ["4.0", "1.6"]
    assert "wake-sleep with 1,000" in text and "4.0 nats below on training images and 1.6" in text
    ends = {key: end_of(run, "test")[2] - end_of(run, "test")[1] for key, run in FIGURE_3.items()}
    assert f"of th{'e' if 'fig3' in page else 'ose'} {ends[50_000, 'aevb']:.1f}" in text
    assert max(ends.values()) == ends[50_000, "aevb"]


def test_aevb_and_monte_carlo_em_on_1000_images_are_told_as_a_tie_that_is_drawn_apart():
    runs = [FIGURE_3[1_000, algorithm] for algorithm in ("aevb", "mcem")]
    apart = end_of(runs[0], "train")[2] - end_of(runs[1], "train")[2]
    truths = [truths_of(run)["train"] for run in runs]
    assert abs(truths[0] - truths[1]) < 0.05
    for page in ("reproducibility/report.md", "figures/fig3_marginal_likelihood.ipynb"):
        assert f"end {apart:.1f} nats apart" in prose(page)
    for n_train in (1_000, 50_000):
        ends = [end_of(FIGURE_3[n_train, "mcem"], split) for split in ("train", "test")]
        assert all(abs(ours - theirs) < 1.5 for _, theirs, ours in ends)


def test_figure_3s_page_tells_where_appendix_d_errs_on_the_books_models():
    text = prose("figures/fig3_marginal_likelihood.ipynb")
    off = {}
    for run in decoders_for_bias(RUNS, (2, 3, 5, 10, 20)):
        found = metrics.appendix_d_bias(run)
        values = [found[name] for name in ("lower", "upper")]
        off[run.config.latent_dim] = [found["hmc_density"] - v for v in (np.mean(values), *values)]
    assert max(abs(off[latent_dim][0]) for latent_dim in (2, 3, 10)) < 0.15
    assert f"With 5 it lies {-off[5][0]:.1f} nats below the middle" in text
    assert 0.4 < -off[5][1] < 0.6  # "half a nat below even the lower bound"
    middle, _, upper = off[20]
    assert f"with 20 it lies {middle:.1f} nats above, and {upper:.1f} above the *upper*" in text


@pytest.mark.data("mnist")
def test_the_first_thousand_training_images_are_easier_than_all_and_figure_3s_page_says_so():
    mnist, more = vc.load_dataset("mnist"), {}
    for name in ("aevb", "wake_sleep"):
        run, generator = FIGURE_3[50_000, name], torch.Generator().manual_seed(0)
        bound = ALGORITHMS[name].bound
        for split in ("train", "test"):
            x = getattr(mnist, split)[:1_000].repeat(20, 1)  # a draw moves the mean by 0.1 nats
            with torch.no_grad():
                first = bound(run.model(), x, generator=generator)
            more[name, split] = first.mean().item() - run.curve[f"{split}_bound"][-1]
        assert abs(more[name, "test"]) < 1  # "within a nat of that on all 10,000"
    text = prose("figures/fig3_marginal_likelihood.ipynb")
    assert f"is {more['aevb', 'train']:.1f} nats higher on them than on all 50,000" in text
    assert f"that of wake-sleep {more['wake_sleep', 'train']:.1f};" in text


def test_monte_carlo_em_on_50000_images_is_ahead_wherever_the_papers_curve_has_vertices():
    run, starts = FIGURE_3[50_000, "mcem"], {}
    for split in ("train", "test"):
        curve = paper.fig3_of(run, split)
        late = (curve.samples > 1e6) & (curve.samples <= run.curve["samples"][-1])
        ours = [run.at(n, f"{split}_log_marginal") for n in curve.samples[late]]
        assert late.sum() > 5 and (ours > curve.bound[late]).all()
        starts[split] = curve.samples[late][0]
        _, theirs, end = end_of(run, split)
        assert 0 < end - theirs < 1  # "within a nat"
    text = prose("figures/fig3_marginal_likelihood.ipynb")
    assert f"from {starts['train'] / 1e6:.0f} million samples on for training images" in text


def test_most_of_the_papers_curves_of_figure_3_begin_where_a_flat_decoder_is():
    curves = [
        paper.fig3_curve(n_train, algorithm, split)
        for n_train in (1_000, 50_000)
        for algorithm in ("aevb", "wake_sleep", "mcem")
        for split in ("train", "test")
    ]
    flat = -784 * np.log(2)
    begin = [c for c in curves if flat - 1.5 < c.bound[0] < flat - 0.5]
    assert (len(curves), len(begin)) == (12, 8)  # "Eight of the twelve"
    assert sum(c.samples[0] == 100 for c in begin) == 6  # "at a single minibatch"


def test_wake_sleep_is_told_to_take_so_much_longer_than_aevb():
    text = prose("reproducibility/speed.ipynb")
    assert "reduces this ratio to 1.3; in bfloat16 it does not" in text
    for path in (BOOK.parent / "benchmarks/results").glob("*/training.json"):
        for size in json.loads(path.read_text())["latent_dim"].values():
            pace = {name: found["median"] for name, found in size["samples_per_second"].items()}
            names = "vae_core, {}", "vae_core, {}, bfloat16"
            single, half = (
                pace[name.format("AEVB")] / pace.get(name.format("wake-sleep"), np.nan)
                for name in names
            )
            assert single == pytest.approx(1.31, abs=0.06)  # "to 1.3"
            assert np.isnan(half) or half > 1.37


def test_the_report_tells_how_much_more_our_small_models_overfit():
    gaps = {}
    for run in FIGURE_2:
        config = run.config
        if (config.dataset, config.algorithm) == ("mnist", "aevb") and config.latent_dim < 10:
            if run.curve["samples"][-1] >= 1e8:
                theirs = [float(paper.fig2_of(run, s).at(1e8)) for s in ("train", "test")]
                ours = run.at(1e8, "train_bound") - run.at(1e8)
                gaps[config.latent_dim] = ours, theirs[0] - theirs[1]
    (ours, theirs), (ours_5, theirs_5) = gaps[3], gaps[5]
    told = f"training bound is {ours:.1f} and {ours_5:.1f} nats above the test bound, "
    assert told + f"theirs {theirs:.1f} and {theirs_5:.1f}" in prose("reproducibility/report.md")


def test_figure_3s_page_tells_how_near_aevbs_training_curves_are():
    text = prose("figures/fig3_marginal_likelihood.ipynb")
    runs = [FIGURE_3[n, "aevb"] for n in (1_000, 50_000)]
    early = max(abs(above(run, "train", 3e6)) for run in runs)
    assert f"within {early:.1f} nats of it on training images" in text
    assert f"after six million samples {above(runs[0], 'test', 6e6):.1f} nats above" in text
    _, theirs, ours = end_of(runs[1], "train")
    assert abs(ours - theirs) < 1.5 and "its training curve ends within 1.5 nats" in text
    _, theirs, ours = end_of(runs[1], "test")
    assert f"ends {ours - theirs:.1f} nats above the paper" in text
    above_all = [
        above(FIGURE_3[n, name], split, 6e7) > 0
        for n in (1_000, 50_000)
        for name in ("aevb", "wake_sleep")
        for split in ("train", "test")
    ]
    assert sum(above_all) == 7  # the report's "all but one end above"


def test_what_persisting_chains_lose_by_six_million_samples_is_told():
    study = estimator.load(studies.load("persisting_chains"))
    lost, shift = {}, {}
    for run, rows in study:
        for row in rows:
            if 5.9e6 < row["samples"] < 6.1e6:
                key = run.config.n_train, run.config.algorithm, row["split"]
                lost[key] = [-error for error in estimator.persisting(row)]
                kept = estimator.errors(row)["begun now, resampled"]
                shift[key] = [error - kept for error in estimator.persisting(row)]
    monte_carlo, large = lost[1_000, "mcem", "test"], lost[50_000, "aevb", "test"]
    assert min(monte_carlo) > 1.5 and max(monte_carlo) < 3.5  # "two to three nats"
    assert round(max(large)) == round(max(lost[1_000, "aevb", "test"])) == 1  # "up to one"
    for key in ((1_000, "mcem", "train"), (50_000, "aevb", "train")):
        assert max(map(abs, lost[key])) < 0.25
    assert "next to nothing on the training images, 0.2 nats at most" in prose(
        "reproducibility/estimator.ipynb"
    )
    for n_train in (1_000, 50_000):  # "nearer by no more than a nat"
        assert round(min(shift[n_train, "aevb", "test"]), 1) >= -1.0
    assert max(map(abs, shift[1_000, "aevb", "test"])) < 0.5  # "where it is, to half a nat"
    runs = {(run.config.n_train, run.config.algorithm): run for run, _ in study}

    def landings(n_train, algorithm, split):
        start = above(runs[n_train, algorithm], split, 6e6)
        return start, [start + moved for moved in shift[n_train, algorithm, split]]

    for key in ((1_000, "aevb", "train"), (50_000, "aevb", "test")):  # "in all eight readings"
        start, ends = landings(*key)
        assert len(ends) == 8 and max(map(abs, ends)) < abs(start)
    start, ends = landings(1_000, "mcem", "test")
    assert 0 < start < 1 and max(ends) < 0  # "to the other side"
    start, ends = landings(1_000, "mcem", "train")
    assert 0 < start < 1 and min(ends) > start  # "farther away"


def test_what_persisting_chains_lose_by_the_end_is_told_where_it_is_known():
    """Of AEVB with 50,000 images, whose test curve ends farthest from the paper's."""
    found = {}
    for run, row in estimator.last_rows(estimator.load(studies.load("persisting_chains"))):
        is_at_the_end = row["samples"] == run.curve["samples"][-1]
        assert is_at_the_end == (run.config.n_train == 50_000) and row["samples"] >= 6e6
        if is_at_the_end:
            kept = estimator.errors(row)["begun now, resampled"]
            found[row["split"]] = estimator.persisting(row), kept
            end, theirs, ours = end_of(run, row["split"])
            found[row["split"]] += (ours - theirs,)
    errors, kept, gap = found["test"]
    low, high = min(errors), max(errors)
    page = prose("reproducibility/estimator.ipynb")
    told = f"for AEVB with 50,000 images {-high:.1f} to {-low:.1f} by the end of the figure"
    assert told in page
    lower = f"{kept - high:.1f} to {kept - low:.1f}"
    assert f"curve {lower} nats lower, of the {gap:.1f} by which it ends above" in page
    assert (kept - low) / gap < 0.27 and gap - (kept - low) > 3  # "about a quarter", "three nats"
    errors, kept, gap = found["train"]
    assert max(abs(error - kept) for error in errors) < 0.15  # "leave the training curve"
    assert f"leave the training curve, {gap:.1f} above, where it is" in page
    assert f"lower by {lower} nats at the end" in prose("figures/fig3_marginal_likelihood.ipynb")
    assert f"the test curve {lower} nats lower" in prose("reproducibility/report.md")


def test_the_paper_s_figure_3_begins_about_a_nat_below_784_ln_2():
    starts = [
        curve.bound[0] + 784 * np.log(2)
        for n_train in (1_000, 50_000)
        for algorithm in ("aevb", "wake_sleep", "mcem")
        for split in ("train", "test")
        if (curve := paper.fig3_curve(n_train, algorithm, split)).bound[0] < -500
    ]
    assert len(starts) == 8
    assert -1.25 < min(starts) and max(starts) < -0.75
    assert "begin about a nat below it" in prose("method/aevb.md")


def test_the_ends_of_the_papers_curves_are_told_beside_their_file():
    text = prose("paper/README.md")
    last = {
        (dataset, algorithm, size): paper.fig2_curve(dataset, size, algorithm, "test").samples[-1]
        for dataset, sizes in paper.FIG2_LATENT_DIMS.items()
        for size in sizes
        for algorithm in ("aevb", "wake_sleep")
    }
    assert {f"{last['freyface', 'aevb', size]:.0e}" for size in (2, 5, 10)} == {"5e+08"}
    assert f"{last['freyface', 'aevb', 20] / 1e8:.1f}e8" == "2.6e8"
    assert {f"{last['freyface', 'wake_sleep', size] / 1e8:.1f}" for size in (2, 5, 10, 20)} == {
        "1.0"
    }
    digits = [n / 1e8 for (dataset, *_), n in last.items() if dataset == "mnist"]
    assert f"between {min(digits):.1f}e8, the edge of the print, and {max(digits):.1f}e8" in text


def test_aevb_on_mnist_has_three_choices_over_its_five_sizes():
    readings = [reading_of("mnist", "aevb", size) for size in paper.FIG2_LATENT_DIMS["mnist"]]
    assert len({(r.step_size, r.adagrad_warmup) for r in readings}) == 3
    assert "AEVB on MNIST has three, over its five sizes" in prose("figures/fig2_lower_bound.ipynb")


@pytest.mark.data("mnist")
def test_the_pixels_of_mnist_that_never_change_are_counted():
    x = vc.load_dataset("mnist").train
    assert len(x) == 50_000
    share = (x > 0).float().mean(0)
    black, rare = int((share == 0).sum()), int(((share > 0) & (share < 0.01)).sum())
    told = (
        f"Of MNIST's 784 pixels {black} are black in all of the 50,000 training images, and {rare}"
    )
    assert told in prose("method/models.ipynb")
