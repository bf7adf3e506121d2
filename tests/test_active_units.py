"""How many latent variables a model uses, and what Figure 2's page says of it."""

import json

import pytest
import torch
from pages import prose
from studies import STUDIES, study
from torch.distributions import Independent, Normal, kl_divergence

import vae_core as vc
from vae_book.plots import paper
from vae_book.verdicts.active_units import active_table
from vae_book.verdicts.contests import common_count, equal_pairs
from vae_book.verdicts.figure2 import figure2_runs

STUDY = json.loads((STUDIES / "active_units.json").read_text())
RUNS = {run.key: run for run in vc.all_runs()}


def test_the_divergences_are_those_of_the_encoders_gaussians():
    model = vc.VAE(6, 3, (5,), init_sd=0.5, generator=torch.Generator().manual_seed(0))
    x = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        q = model.encode(x).base_dist
        whole = kl_divergence(model.encode(x), Independent(Normal(torch.zeros(4, 3), 1.0), 1))
    found = study("active_units").divergences(model, x)
    assert torch.allclose(found, kl_divergence(q, Normal(0.0, 1.0)).mean(0), atol=1e-5)
    assert found.sum() == pytest.approx(whole.mean().item(), abs=1e-4)


@pytest.mark.data("mnist", "freyface")
def test_the_study_is_of_the_stored_models():
    measure, checked = study("active_units").measure, 0
    data = {name: vc.load_dataset(name) for name in ("mnist", "freyface")}
    for row in STUDY:
        found = measure(RUNS[row["key"]], data[row["dataset"]])
        assert found["active"] == row["active"]
        assert found["first"] == pytest.approx(row["first"], abs=0.01)
        checked += 1
    assert checked == 9


def test_the_table_has_the_models_that_are_stored_here():
    (row,) = [row for row in STUDY if row["latent_dim"] == 200]
    (cells,) = active_table(STUDY, [RUNS[row["key"]]]).rows
    assert cells[:2] == ["MNIST", "200"] and cells[3] == str(row["active"])
    assert active_table(STUDY, []).rows == []


def test_the_page_says_what_the_study_and_the_pairs_say():
    text = prose("figures/fig2_lower_bound.ipynb")
    used = {(r["dataset"], r["latent_dim"]): r for r in STUDY}
    large = used["mnist", 200]
    assert f"AEVB uses {large['active']} on MNIST, where with 20 it uses them all" in text
    assert used["mnist", 20]["active"] == 20
    told = f"the other {200 - large['active']} together say {large['rest']:.2f} nats"
    assert told in text
    twenty, ten = (used["freyface", size]["active"] for size in (20, 10))
    assert f"Frey Face it uses {twenty} of 20, and {ten} of 10" in text
    more, theirs, ahead = {}, {}, {}
    for dataset, sizes in paper.FIG2_LATENT_DIMS.items():
        mine = [
            run
            for run in RUNS.values()
            if (run.config.dataset, run.config.algorithm) == (dataset, "aevb")
            if paper.fig2_of(run)
        ]
        for pair in equal_pairs(mine, "latent_dim", sizes[-2:]):
            samples = common_count(pair)
            gaps = [run.at(samples, "train_bound") - run.at(samples) for run in pair]
            drawn = [
                float(paper.fig2_of(run, "train").at(samples) - paper.fig2_of(run).at(samples))
                for run in pair
            ]
            more.setdefault(dataset, []).append(gaps[1] - gaps[0])
            theirs.setdefault(dataset, []).append(drawn[1] - drawn[0])
            ahead.setdefault(dataset, []).append(pair[1].at(samples) - pair[0].at(samples))
            if dataset == "mnist" and ahead[dataset][-1] < -2:  # "trails by as much"
                trails = pair[1].at(samples, "train_bound") - pair[0].at(samples, "train_bound")
                assert trails == pytest.approx(ahead[dataset][-1], abs=0.2)
    assert len(more["mnist"]) == 5
    assert f"differs by {max(map(abs, more['mnist'])):.1f} nats at most" in text
    told = "by {:.0f} to {:.0f} nats, as it does in the paper's drawing by {:.0f} to {:.0f};"
    faces = more["freyface"], theirs["freyface"]
    assert told.format(*(end(values) for values in faces for end in (min, max))) in text
    ends = min(ahead["freyface"]), max(ahead["freyface"])
    assert "all the same, by {:.0f} to {:.0f}.".format(*ends) in text


def test_the_page_says_how_20_and_200_variables_compare_on_mnist():
    text = prose("figures/fig2_lower_bound.ipynb")
    mine = [run for run in RUNS.values() if paper.fig2_of(run)]
    mine = [r for r in mine if (r.config.dataset, r.config.algorithm) == ("mnist", "aevb")]
    pairs = equal_pairs(mine, "latent_dim", (20, 200))
    ends = [common_count(pair) for pair in pairs]
    lead = [big.at(n) - small.at(n) for (small, big), n in zip(pairs, ends, strict=True)]
    far = [
        value < -0.01 * abs(pair[0].at(n)) for value, pair, n in zip(lead, pairs, ends, strict=True)
    ]
    assert (len(lead), sum(value < 0 for value in lead), sum(far)) == (5, 4, 1)
    assert "In four of the five pairs 200 latent variables do worse, in one of them by" in text
    assert (min(ends), max(ends)) == pytest.approx((1e6, 1e7), rel=0.01)
    runs = {run.config.latent_dim: run for run in figure2_runs(mine) if run.config.seed == 0}
    gaps = [runs[size].at(1e8, "train_bound") - runs[size].at(1e8) for size in (20, 200)]
    for size in (20, 200):
        train, test = (paper.fig2_of(runs[size], split).at(1e8) for split in ("train", "test"))
        gaps.append(float(train - test))
    told = "is {:.1f} nats above the test bound with 20 and {:.1f} with 200, in the paper's drawing"
    assert (told + " {:.1f} and {:.1f}.").format(*gaps) in text
    told = "within 1% of 20 on digits in four pairs of five, though mostly below"
    assert told in prose("reproducibility/report.md")
