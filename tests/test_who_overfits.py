"""Whose the overfitting is: the study's divergences, and what the pages say of them."""

import json
import math
from pathlib import Path

import pytest
import torch
from studies import STUDIES, study
from torch.distributions import MultivariateNormal, kl_divergence

import vae_core as vc
from vae_book.verdicts.held_out import shares_table, sizes_table
from vae_core.linear_gaussian import exact_posterior, linear_gaussian

BOOK = Path(__file__).resolve().parents[1] / "book"
STUDY = json.loads((STUDIES / "who_overfits.json").read_text())
RUNS = {run.key: run for run in vc.all_runs()}


@pytest.fixture(scope="module")
def whose():
    return study("who_overfits")


def test_the_divergence_is_that_of_two_gaussians(whose):
    """Four standard errors of a mean over rows, by the spread of single draws."""
    generator = torch.Generator().manual_seed(0)
    model = linear_gaussian(6, 2, widening=4.0, generator=generator)
    x = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        q = model.encode(x)
        wide = MultivariateNormal(q.mean, scale_tril=q.stddev.diag_embed())
        exact = kl_divergence(wide, exact_posterior(model, x)).mean().item()
        draws = vc.sgvb_b(model, x.repeat(500, 1), generator=generator).reshape(500, -1)
    error = (draws.var(0).mean().item() / whose.N_MC / len(x)) ** 0.5
    assert whose.divergence(model, x).mean().item() == pytest.approx(exact, abs=4 * error)
    assert 20 * error < exact


@pytest.mark.data("mnist")
def test_the_study_has_the_divergences_of_the_stored_models(whose):
    """Other draws, and a sum of a thousand weights, move one image's divergence by some percent."""
    data = vc.load_dataset("mnist")
    for row in STUDY[:1] + STUDY[-1:]:
        model = RUNS[row["key"]].model()
        for split, x in (("train", data.train), ("test", data.test)):
            images = x[:: len(x) // row["n_images"]][: whose.N_FIRST]
            found = whose.divergence(model, images).tolist()
            assert found == pytest.approx(row[split]["first"], rel=0.1, abs=0.2)


def test_a_table_has_the_models_that_are_stored_here():
    (run,) = [RUNS[row["key"]] for row in STUDY if RUNS[row["key"]].curve["samples"][-1] >= 1e8]
    (row,) = [row for row in STUDY if row["key"] == run.key]
    (cells,) = shares_table(STUDY, [run]).rows
    more = row["test"]["mean"] - row["train"]["mean"]
    apart = run.curve["train_bound"][-1] - run.curve["test_bound"][-1]
    assert cells[:2] == ["AEVB", "500"] and cells[5:] == [f"+{more:.1f}", f"+{apart:.1f}"]
    assert shares_table(STUDY, []).rows == []


def test_the_pages_say_what_the_study_says():
    cells = json.loads((BOOK / "reproducibility/ambiguities.ipynb").read_text())["cells"]
    page = " ".join(" ".join("".join(c["source"]) for c in cells if "whose" in c["id"]).split())
    kinds = {}
    for row in STUDY:
        run = RUNS[row["key"]]
        end = float(run.curve["samples"][-1])
        more = row["test"]["mean"] - row["train"]["mean"]
        error = (row["test"]["stderr"] ** 2 + row["train"]["stderr"] ** 2) ** 0.5
        apart = run.at(end, "train_bound") - run.at(end)
        kind = run.config.algorithm, run.config.hidden[0], end
        kinds[kind] = more, error, apart, row["test"]
        if run.config.algorithm == "aevb":  # "It is the encoder's"
            assert more > 0 and more > apart - 2 * error
        else:  # "as far on either kind"
            assert abs(more) < 2 * error
    assert len(kinds) == 4
    more, error, apart, test = kinds["aevb", 500, 1e8]
    told = f"{more:.1f} ± {error:.1f} nats farther from the posterior on test images than on "
    assert f"{told}training images, where the bounds are {apart:.1f} apart" in page
    assert abs(more - apart) < error  # "within what a thousand images can tell"
    told = f"test images lose {test['median']:.1f} nats or less and a tenth of them "
    assert f"{told}{test['worst_tenth']:.1f} or more" in page
    more, _, apart, _ = kinds["aevb", 500, 1e7]
    assert f"ten million it is {more:.1f} farther, where they are {apart:.1f} apart" in page
    same = (kinds[name, 100, 68_250_000.0][3]["mean"] for name in ("wake_sleep", "aevb"))
    assert "{:.1f} nats in place of {:.1f}".format(*same) in page


LARGER = json.loads((STUDIES / "encoders_share.json").read_text())


def test_the_encoder_has_about_half_of_the_gap_or_more_with_every_size():
    assert [row["latent_dim"] for row in LARGER] == [5, 10, 20, 200]
    sure = {}
    for row in LARGER:
        run = RUNS[row["key"]]
        assert run.config.algorithm == "aevb" and run.curve["samples"][-1] == 1e8
        more = row["test"]["mean"] - row["train"]["mean"]
        apart = run.curve["train_bound"][-1] - run.curve["test_bound"][-1]
        assert 0.5 * apart < more < apart
        error = math.hypot(row["test"]["stderr"], row["train"]["stderr"])
        sure[row["latent_dim"]] = more > 0.5 * apart + 2 * error
    assert [size for size, is_sure in sure.items() if is_sure] == [10]  # "with 10 for certain"
    assert len(sizes_table(LARGER, RUNS.values()).rows) == 4 and sizes_table(LARGER, []).rows == []


@pytest.mark.data("mnist")
def test_the_shares_are_of_the_stored_models():
    """Twenty images: their mean is within three of its own standard errors of the study's."""
    row, data = LARGER[0], vc.load_dataset("mnist")
    model, divergence = RUNS[row["key"]].model(), study("encoders_share").divergence
    for split, x in (("train", data.train), ("test", data.test)):
        found = divergence(model, x[:: len(x) // 20])
        error = (found.std() / len(found) ** 0.5).item() + row[split]["stderr"]
        assert found.mean().item() == pytest.approx(row[split]["mean"], abs=3 * error)
