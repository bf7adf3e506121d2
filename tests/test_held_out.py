"""Which images the paper's test curves on MNIST are of, by the gap to the training bound."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import prose
from studies import STUDIES, study

import vae_core as vc
from vae_book.plots.marginal import end_of
from vae_book.plots.paper import fig2_curve, fig2_of
from vae_book.readings import config_of, is_of_reading, same_but
from vae_book.verdicts import figure2_runs
from vae_book.verdicts.figure3 import figure3_runs
from vae_book.verdicts.findings import findings
from vae_book.verdicts.held_out import Gap, ends_table, gaps, gaps_table, misses

STUDY = json.loads(
    (Path(__file__).parents[1] / "book/studies/held_out.json").read_text()
)  # fmt: skip


@pytest.fixture(scope="module")
def far():
    """A stored run of AEVB on MNIST that goes on to a hundred million samples."""
    runs = [run for run in figure2_runs(vc.all_runs()) if run.config.dataset == "mnist"]
    return next(run for run in runs if run.curve["samples"][-1] >= 1e8)


def row_of(run, samples, test, validation):
    config = run.config
    told = dict(test_bound=test, validation_bound=validation, samples=samples)
    return dict(algorithm=config.algorithm, latent_dim=config.latent_dim) | told


def test_a_gap_on_validation_images_is_that_on_test_images_and_how_much_harder_they_are(far):
    study = [row_of(far, 2e6, -100.0, -101.0), row_of(far, 5e7, -90.0, -87.0)]
    study.append(dict(row_of(far, 9e6, 0.0, 0.0), latent_dim=7))
    early, late = gaps(study, [far])
    for gap, samples, harder in ((early, 1e7, 1.0), (late, 1e8, -3.0)):
        train, test = (fig2_of(far, split).at(samples) for split in ("train", "test"))
        assert gap[:3] == (far.config.algorithm, far.config.latent_dim, samples)
        assert gap.paper == pytest.approx(train - test)
        assert gap.test == far.at(samples, "train_bound") - far.at(samples, "test_bound")
        assert gap.validation == pytest.approx(gap.test + harder)


def test_without_a_model_of_the_experiment_there_is_no_gap(far):
    assert gaps([], [far]) == []
    assert gaps_table([]).rows == []


def test_the_table_ends_with_the_mean_distance_from_the_papers_gaps():
    rows = [Gap("aevb", 3, 1e7, 1.0, 3.0, 1.5), Gap("aevb", 5, 1e7, 0.0, -1.0, 0.5)]
    assert misses(rows) == (1.5, 0.5)
    assert gaps_table(rows).rows[-1][-2:] == ["1.5", "0.5"]


@pytest.mark.data("mnist")
def test_the_study_has_the_bounds_of_the_stored_models():
    """One draw for each image: 10,000 of them move a mean by less than 0.1 nats."""
    data, checked = vc.load_dataset("mnist"), 0
    for run in vc.all_runs():
        config, samples = run.config, run.curve["samples"][-1]
        if config.dataset != "mnist" or config.seed or not run.has_weights:
            continue
        if not is_of_reading(config) or samples < 1e8:
            continue
        mine = row_of(run, samples, None, None)
        (row,) = [r for r in STUDY if all(r[k] == mine[k] for k in list(mine)[:2] + ["samples"])]
        for name, x in (("test_bound", data.test), ("validation_bound", data.valid)):
            with torch.no_grad():
                bound = vc.sgvb_b(run.model(), x, generator=torch.Generator().manual_seed(1))
            assert row[name] == pytest.approx(bound.mean().item(), abs=0.15)
            checked += 1
    assert checked >= 6


def test_the_study_has_every_experiment_of_figure_2_on_mnist():
    found = {(row["algorithm"], row["latent_dim"]) for row in STUDY}
    assert found == {(a, n) for a in ("aevb", "wake_sleep") for n in (3, 5, 10, 20, 200)}


def test_the_page_says_what_the_gaps_say():
    page = prose("reproducibility/paper_curves.ipynb")
    rows = gaps(STUDY, vc.all_runs())
    early, late = ([gap for gap in rows if gap.samples == samples] for samples in (1e7, 1e8))
    test, validation = misses(early)
    nearer = sum(abs(g.validation - g.paper) < abs(g.test - g.paper) for g in early)
    told = f"lie {test:.1f} nats from the paper's on the test images and {validation:.1f} on the"
    assert told in page and f"nearer in {nearer} of {len(early)} experiments" in page
    test, validation = misses(late)
    nearer = sum(abs(g.validation - g.paper) < abs(g.test - g.paper) for g in late)
    told = f"after a hundred million {test:.1f} and {validation:.1f}, nearer in {nearer} of "
    assert f"{told}{len(late)} again" in page
    near = [[], []]
    for run in figure2_runs(vc.all_runs()):
        if run.config.dataset == "mnist" and run.curve["samples"][-1] >= 1e8:
            kind = row_of(run, 100_000_000, None, None)
            (row,) = [r for r in STUDY if all(r[k] == v for k, v in kind.items() if v)]
            off = run.at(1e8) - float(fig2_of(run).at(1e8))
            near[0].append(abs(off) < 1.5)
            near[1].append(abs(off + row["validation_bound"] - row["test_bound"]) < 1.5)
    told = f"{sum(near[1])} of the {len(near[1])} curves would lie within 1.5 nats of the printed"
    assert told in page and f"on validation images, and {sum(near[0])} do on test images" in page
    told = f"{sum(near[1])} of the {len(near[1])} would be within 1.5 nats there"
    assert told in prose("reproducibility/report.md")
    spread = {}
    for run in figure2_runs(vc.all_runs()):
        if run.config.dataset == "mnist":
            kind = run.config.algorithm, run.config.latent_dim
            gap = run.at(3e6, "train_bound") - run.at(3e6)
            spread.setdefault(kind, []).append(gap)
    most = max(torch.tensor(values).std().item() for values in spread.values())
    assert f"a gap moves by {most:.1f} nats at most" in page and len(spread) == 10
    sleep = {gap.latent_dim: gap.paper for gap in early if gap.algorithm == "wake_sleep"}
    assert f"from −{-sleep[3]:.1f} with 3 latent variables to {sleep[200]:.1f} with 200" in page

    def easier(rows, dims):
        """How much easier the validation images are than the test images."""
        kinds = [row for row in rows if row["latent_dim"] in dims]
        values = [row["validation_bound"] - row["test_bound"] for row in kinds]
        return f"{min(values, key=abs):.1f}", f"{max(values, key=abs):.1f}"

    short = [row for row in STUDY if row["samples"] <= 1e7]
    aevb = [row for row in STUDY if row["algorithm"] == "aevb"]
    assert "{} to {} nats easier than the test images with 3".format(*easier(short, [3])) in page
    least, most = (value.removeprefix("-") for value in easier(short, [10, 20, 200]))
    assert f"{least} to {most} nats harder with 10, 20 and 200" in page
    assert "look worse by {} to {} nats with 3".format(*easier(aevb, [3])) in page
    least, most = (value.removeprefix("-") for value in easier(STUDY, [10, 20, 200]))
    assert f"better by {least} to {most} with 10 or more" in page
    assert max(abs(float(value)) for value in easier(short, [5])) < 0.4  # "about as hard"
    small = {gap.latent_dim: gap for gap in late if gap.algorithm == "aevb"}
    told = f"a gap of {small[3].validation:.1f} and {small[5].validation:.1f} nats on the"
    assert told in page
    assert f"paper's is {small[3].paper:.1f} and {small[5].paper:.1f}" in page

    def gap(samples, **choice):
        """Of AEVB with 3 latent variables: training bound, and how far above the test bound."""
        choice = dict(step_size=0.02, adagrad_warmup=0, adagrad_epsilon=1e-8) | choice
        config = config_of("mnist", "aevb", 3, settings=choice)
        found = [run for run in vc.all_runs() if same_but(run.config, config)]
        run = max(found, key=lambda run: run.config.n_samples)
        train = run.at(samples, "train_bound")
        return train, train - run.at(samples)

    (fast, theirs), (slow, ours) = gap(1e7, step_size=0.1, adagrad_warmup=100), gap(3e7)
    assert f"{fast:.0f}" == f"{slow:.0f}" == "-134" and "to −134 nats on the training" in page
    assert f"the same gap to the test images there, {theirs:.1f} and {ours:.1f} nats" in page
    root, none = gap(1e7, adagrad_epsilon=1e-4)[1], gap(1e7)[1]
    assert f"after ten million is {root:.1f} and not {none:.1f}" in page
    far = [row for row in aevb if row["samples"] == 1e8]
    explained = (easier(far, [size])[0] for size in (3, 5))
    told = "this would explain {} and {} of these nats".format(*explained)
    assert told in prose("reproducibility/ambiguities.ipynb")


def test_the_page_says_how_far_two_million_samples_of_wake_sleep_serve():
    """What the sets differ by, from two million samples to a hundred; and how the print lags."""
    moved = []
    for size in (3, 5, 10, 20, 200):
        mine = [r for r in STUDY if (r["algorithm"], r["latent_dim"]) == ("wake_sleep", size)]
        harder = {r["samples"]: r["test_bound"] - r["validation_bound"] for r in mine}
        assert harder.keys() == {2e6, 1e8}
        moved.append(abs(harder[1e8] - harder[2e6]))
    told = f"by a hundred million it moves by {max(moved):.1f} nats at most"
    assert told in prose("reproducibility/paper_curves.ipynb")
    for size in (3, 5, 10, 20, 200):
        for algorithm in ("aevb", "wake_sleep"):
            curve = fig2_curve("mnist", size, algorithm, "train")
            rise = (curve.at(1e7) - curve.at(5e6)) / math.log(2)  # nats for each factor of e
            assert 0 < rise * (2.5e5 / 2) / 1e7 < 0.1  # half of a report


def test_the_front_page_has_the_finding_where_a_model_was_evaluated():
    mean_face = json.loads((Path(__file__).parents[1] / "book/studies/mean_face.json").read_text())
    runs = vc.all_runs()
    with_it, without = (findings(runs, mean_face, study) for study in (STUDY, []))
    (card,) = [found for found in with_it if found not in without]
    early = [gap for gap in gaps(STUDY, runs) if gap.samples == 1e7]
    test, validation = misses(early)
    assert f"by {validation:.1f} nats on average instead of {test:.1f}" in card.text
    assert "closer in 10 of 10 experiments" in card.text
    assert (card.number, card.page) == (f"{validation:.1f} nats", "reproducibility/paper_curves")
    far, far_validation = misses([gap for gap in gaps(STUDY, runs) if gap.samples == 1e8])
    assert f"After a hundred million it is {far_validation:.1f} instead of {far:.1f}." in card.text


FIGURE_3 = json.loads((STUDIES / "held_out_figure3.json").read_text())


def test_figure_3s_page_says_what_the_models_give_validation_images():
    page = (Path(__file__).parents[1] / "book/figures/fig3_marginal_likelihood.ipynb").read_text()
    text = " ".join(
        " ".join("".join(c["source"]) for c in json.loads(page)["cells"] if "valid" in c["id"])
        .split()
    )  # fmt: skip
    runs = {run.key: run for run in figure3_runs(vc.all_runs()).values()}
    off = {}
    for row in FIGURE_3:
        theirs = end_of(runs[row["key"]], "test")[1]
        for split in ("test", "validation"):
            off[row["n_train"], row["algorithm"], split] = np.mean(row[split]) - theirs
    assert len(off) == 12
    near = {
        s: sum(abs(v) < 1.5 for k, v in off.items() if k[2] == s) for s in ("test", "validation")
    }
    told = "{validation} of the six curves end within 1.5 nats of it instead of {test}".format(
        **near
    )
    assert told in text and (near["validation"], near["test"]) == (4, 2)
    assert all(abs(off[n, "mcem", "validation"]) < 0.2 for n in (1_000, 50_000))
    assert (
        f"{off[50_000, 'aevb', 'validation']:.1f} nats above, and wake-sleep with 1,000, " in text
    )
    assert f"with 1,000, {off[1_000, 'wake_sleep', 'validation']:.1f} above" in text


def test_the_study_of_figure_3_has_the_ends_of_the_curves():
    """Two repeats are some 0.2 nats apart on the overfitted models, with other chains."""
    runs = {run.key: run for run in vc.all_runs()}
    for row in FIGURE_3:
        end = runs[row["key"]].curve["test_log_marginal"][-1]
        assert np.mean(row["test"]) == pytest.approx(end, abs=0.5)
    assert len(ends_table(FIGURE_3, runs.values()).rows) == 7
    assert ends_table(FIGURE_3, []).rows == []


@pytest.mark.data("mnist")
def test_the_study_of_figure_3_is_of_the_stored_models():
    """The mean over a tenth of the images, whose standard error is two nats, so half of that."""
    row, runs = FIGURE_3[-1], {run.key: run for run in vc.all_runs()}
    data, model = vc.load_dataset("mnist"), runs[row["key"]].model()
    evaluate = study("held_out_figure3").appendix_d
    found = [evaluate(model, x[:1_000:10], 0) for x in (data.test, data.valid)]
    assert found == pytest.approx([np.mean(row[s]) for s in ("test", "validation")], abs=8)


@pytest.mark.data("mnist")
def test_what_a_thousand_images_can_tell_is_told():
    """The mean bound of each thousand of the test images, by Figure 3's models with an encoder."""
    test, spread = vc.load_dataset("mnist").test, []
    for (_, name), run in figure3_runs(vc.all_runs()).items():
        if name != "mcem":
            with torch.no_grad():
                generator = torch.Generator().manual_seed(0)
                bound = vc.sgvb_b(run.model(), test, n_mc=4, generator=generator)
            spread.append(bound.reshape(10, 1_000).mean(1).std().item())
    assert len(spread) == 4 and round(min(spread)) == 1 and round(max(spread)) == 2
    told = "moves by one to two nats (one standard deviation) from one"
    assert told in prose("figures/fig3_marginal_likelihood.ipynb")
