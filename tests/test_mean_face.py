"""Wake-sleep and the mean face: the page's linear system, and what it says of its studies."""

import json

import numpy as np
import pytest
import torch
from pages import prose
from studies import STUDIES, study

import vae_core as vc
from vae_book.readings import Reading, reading_of
from vae_core.algorithms.wake_sleep import sleep_objective

MEAN_FACE = json.loads((STUDIES / "mean_face.json").read_text())
WAKES = {
    (run["step_size"], run["prior_sd"]): run
    for run in json.loads((STUDIES / "prior_wakes.json").read_text())
}
RIVALS = prose("method/rivals.ipynb")
LEADING, PIXEL, N_TRAIN = MEAN_FACE["leading_variance"], MEAN_FACE["pixel_variance"], 1600
LEAST = 1 / (N_TRAIN * (LEADING - PIXEL))  # factor of the sleep phase where the prior holds
PLATEAU = (560, 572)  # nats, on the split of these trainings


def at(run, samples, column="curve"):
    """One row of a training of the study, by name."""
    rows = run[column]
    return {name: values[rows["samples"].index(samples)] for name, values in rows.items()}


def growth(factor, decay):
    """The largest growth rate of a push away from the mean face, by the page's linear system."""
    matrix = [[-1 / PIXEL - decay, LEADING / PIXEL], [factor, -factor * PIXEL - decay]]
    return np.linalg.eigvals(np.array(matrix)).real.max()


def test_flat_units_slow_the_sleep_phase_by_the_square_of_their_slopes():
    w, pixel_sd, n = 0.05, 0.1, 400_000
    model = vc.VAE(data_dim=1, latent_dim=1, hidden=(2,), likelihood="gaussian")
    generator = torch.Generator().manual_seed(0)
    inward, outward = torch.tensor([0.2, -0.4]), torch.tensor([0.3, 0.5])
    shift = torch.tensor([0.3, 1.5])
    with torch.no_grad():
        model.encoder[0].weight[:, 0], model.encoder[0].bias[:] = inward, shift
        model.encoder[2].weight[0], model.encoder[2].weight[1] = outward, 0.0
        model.encoder[2].bias[:] = torch.stack([-outward @ shift.tanh(), torch.zeros(())])
    z = torch.randn(n, 1, generator=generator)
    dream = w * z + pixel_sd * torch.randn(n, 1, generator=generator)
    sleep_objective(model, dream, z).mean().backward()
    slopes = 1 - shift.tanh().square()
    gain = (outward * slopes * inward).sum()
    moved = (outward * slopes * model.encoder[0].weight.grad[:, 0]).sum()
    factor = (outward * slopes).square().sum()
    assert moved.item() == pytest.approx((factor * (w - pixel_sd**2 * gain)).item(), rel=0.02)


def test_a_push_grows_at_the_rate_that_the_page_tells():
    for factor in (1e-6, 1e-4, 1e-3, 1e-2):
        for decay in (0, 1 / N_TRAIN):
            told = factor * (LEADING - PIXEL) - decay
            assert growth(factor, decay) == pytest.approx(told, rel=0.01)
    assert growth(0.99 * LEAST, 1 / N_TRAIN) < 0 < growth(1.01 * LEAST, 1 / N_TRAIN)
    assert f"which is {LEAST:.1g} for Frey Face" in RIVALS
    assert growth(1, 0) / growth(0.005**2, 0) == pytest.approx(40_000, rel=0.02)


def test_the_books_own_reading_leaves_the_plateau_with_the_mean_face_subtracted():
    ends = {
        name: np.mean([curve["test_bound"][-1] for curve in MEAN_FACE["curves"][name]])
        for name in ("reading", "reading_centred")
    }
    told = "wake-sleep ends at {reading:.0f} nats, and at {reading_centred:.0f} with the mean face"
    assert told.format(**ends) in RIVALS
    assert PLATEAU[0] < ends["reading"] < PLATEAU[1]
    reading = reading_of("freyface", "wake_sleep", MEAN_FACE["latent_dim"])
    settings = {"adagrad_warmup": 0} | study("mean_face").VARIANTS["reading"]
    assert reading == Reading(*(settings[name] for name in Reading._fields))


def of_faces(**fixed):
    """The stored runs of wake-sleep on the first split of Frey Face that have these settings."""
    fixed = dict(dataset="freyface", algorithm="wake_sleep", split_seed=0, seed=0) | fixed
    return [
        run
        for run in vc.all_runs()
        if all(getattr(run.config, name) == value for name, value in fixed.items())
    ]


def test_a_small_step_leaves_the_mean_face_with_the_prior_and_without():
    for prior_sd in (1.0, None):
        run = WAKES[0.01, prior_sd]
        assert 0.09 < at(run, 107_500)["slope"] < 0.1  # "a tenth of their slope"
        assert at(run, 107_500)["gain"] / LEAST == pytest.approx(8, abs=0.5)  # "eight times"
        assert PLATEAU[0] < at(run, 1_077_000)["test_bound"] < PLATEAU[1]
        assert at(run, 2_321_000)["test_bound"] > 610  # "after one to two million samples"
    long = [r for r in of_faces(latent_dim=20, step_size=0.01) if r.config.n_samples > 3_000_000]
    assert all(run.at(1e6) < PLATEAU[1] and run.at(3e6) > 610 for run in long)


def test_a_large_step_leaves_it_with_the_prior_alone():
    flat, still = WAKES[0.02, 1.0], WAKES[0.02, None]
    ratio = at(WAKES[0.01, None], 107_500)["gain"] / at(still, 107_500)["gain"]
    assert ratio == pytest.approx(700, abs=50)  # "seven hundred times smaller"
    bounds = dict(zip(flat["curve"]["samples"], flat["curve"]["test_bound"], strict=True))
    assert max(v for n, v in bounds.items() if n < 8e6) < PLATEAU[1] < 600 < bounds[10_000_000]
    assert max(still["curve"]["test_bound"]) < PLATEAU[1]
    assert max(still["curve"]["gain"][13:]) < LEAST
    (longest,) = of_faces(latent_dim=20, step_size=0.02, n_samples=100_000_000, prior_sd=None)
    assert longest.curve["test_bound"][-1] < PLATEAU[1]
    for latent_dim in (20, 10, 5, 2):  # "so do those with ten and five"; "two does not"
        (run,) = of_faces(latent_dim=latent_dim, step_size=0.02, prior_sd=1.0)
        assert run.config.n_samples == 10_000_000
        assert (run.curve["test_bound"][-1] > 610) == (latent_dim > 2)


def test_the_prior_shrinks_the_shift_until_the_units_see():
    flat = WAKES[0.02, 1.0]
    gains = dict(zip(flat["curve"]["samples"], flat["curve"]["gain"], strict=True))
    assert max(v for n, v in gains.items() if 1e5 < n < 1.1e6) < LEAST
    assert min(v for n, v in gains.items() if n > 1.5e6) > LEAST
    shifts = [at(flat, n)["shift"] for n in (107_500, 340_500)]
    told = "From 107,500 to 340,500 samples that shift fell from {:.1f} to {:.1f}".format(*shifts)
    alone = at(flat, 340_500, "prior_alone")["shift"]
    stayed = {f"{shift:.1f}" for shift in WAKES[0.02, None]["curve"]["shift"][13:]}
    told += f"; the prior's gradient by itself would have made it {alone:.1f}"
    assert f"{told}, and without the prior it stayed at {' '.join(stayed)}." in RIVALS
    start, end = (at(flat, n, "prior_alone")["root"] for n in (107_500, 10_000_000))
    told = f"one part in {round(N_TRAIN * start / (0.02 * 500), -2):,.0f} where"
    assert f"{told} $\\sqrt G$ has its median, {start:.0f}." in RIVALS
    assert end < 1.1 * start  # the prior adds little to the sum: its pace goes with its weight
    for run in WAKES.values():
        rows = zip(*(run[name]["shift"][-5:] for name in ("curve", "prior_alone")), strict=True)
        assert all(measured > alone for measured, alone in rows)  # "more slowly"


@pytest.mark.data("freyface")
def test_the_studies_begin_as_they_are_stored():
    faces = vc.load_dataset("freyface")
    mean_face, wakes = study("mean_face"), study("prior_wakes")
    fixed = dict(dataset="freyface", algorithm="wake_sleep", n_samples=500, seed=0)
    config = vc.RunConfig(**fixed, **mean_face.STEPS, latent_dim=mean_face.LATENT_DIM)
    first = mean_face.train(config, faces, torch.zeros(560))
    rows = [(first, MEAN_FACE["curves"]["wake_sleep"][0])]
    for step_size, prior_sd, _ in wakes.TRAININGS[1::2]:
        varied = dict(step_size=step_size, prior_sd=prior_sd, latent_dim=wakes.LATENT_DIM)
        curve, _ = wakes.train(vc.RunConfig(**fixed, **varied), faces)
        rows.append((curve, WAKES[step_size, prior_sd]["curve"]))
    for ours, stored in rows:
        for name, values in ours.items():
            assert values == pytest.approx(stored[name][:1], rel=0.05), name
