"""Runs are float32, whatever torch's default precision is around them."""

import threading

import numpy as np
import pytest
import torch

import vae_core as vc
from vae_core.runs.hardware import own_precision

SMALL = {"latent_dim": 2, "hidden": (6,), "seed": 3}


@pytest.fixture
def double_by_default():
    """A function, since what is compared with is made before."""
    yield lambda: torch.set_default_dtype(torch.float64)
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "settings",
    [
        {"estimator": "sgvb_a", "log_marginal": "importance_sampling"},
        {"algorithm": "wake_sleep", "log_marginal": "quadrature"},
        {"algorithm": "wake_sleep", "likelihood": "gaussian"},
        {"algorithm": "autoencoder"},
        {"algorithm": "mcem", "mcem_annealing": 0.1, "adagrad_warmup": 2},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_a_fit_is_the_same_to_the_bit(settings, double_by_default):
    x = vc.load_dataset("digits").train[:30]
    options = SMALL | {"n_samples": 1_000, "progress": False} | settings
    expected = vc.fit(x, **options)
    double_by_default()
    found = vc.fit(x, **options)
    assert found.curve.keys() == expected.curve.keys()
    for name, column in expected.curve.items():
        assert found.curve[name].tolist() == pytest.approx(column.tolist(), abs=0, nan_ok=True)
    for one, other in zip(found.model().parameters(), expected.model().parameters(), strict=True):
        assert one.dtype == torch.float32 and torch.equal(one, other)


def test_a_stored_run_is_made_and_read_in_float32(empty_reference, double_by_default):
    double_by_default()
    run = vc.get_or_run(vc.RunConfig(dataset="digits", n_samples=300, **SMALL), progress=False)
    assert {weight.dtype for weight in run.model().parameters()} == {torch.float32}


def test_a_model_follows_the_default_like_torchs_own_modules(double_by_default):
    double_by_default()
    assert vc.VAE(6, 2, (5,)).dtype == torch.float64
    assert vc.VAE(6, 2, (5,), dtype=torch.float32).dtype == torch.float32


@pytest.mark.usefixtures("empty_reference")
@pytest.mark.parametrize("algorithm", ["aevb", "wake_sleep", "mcem"])
def test_the_callers_precision_changes_no_run(algorithm):
    x = vc.load_dataset("digits").train[:50]
    settings = dict(latent_dim=2, hidden=(8,), algorithm=algorithm, n_samples=3_000, progress=False)
    expected = vc.fit(x, **settings)
    products = torch.backends.mkldnn.matmul
    before, products.fp32_precision = products.fp32_precision, "bf16"
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = vc.fit(x, **settings)
        assert products.fp32_precision == "bf16"
    finally:
        products.fp32_precision = before
    for name, column in expected.curve.items():
        np.testing.assert_array_equal(found.curve[name], column)


def test_runs_in_two_threads_leave_the_callers_precision_when_both_have_ended():
    products = torch.backends.mkldnn.matmul
    within, seen = threading.Barrier(2), []

    def first():
        with own_precision():
            within.wait(10)  # both are within
        within.wait(10)  # this one is no more

    def second():
        with own_precision():
            within.wait(10)
            within.wait(10)
            seen.append(products.fp32_precision)

    before, products.fp32_precision = products.fp32_precision, "bf16"
    try:
        threads = [threading.Thread(target=target) for target in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert seen == ["ieee"]
        assert products.fp32_precision == "bf16"
    finally:
        products.fp32_precision = before
