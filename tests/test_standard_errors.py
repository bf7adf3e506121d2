"""Standard errors mean what they say: z-scores on closed forms, at the default sizes and others.

The limits are those of the docstrings: a mean square of 1 where the error is normal and known, more
where it is itself found from few chains or samples.
"""

import pytest
import torch

from vae_core.linear_gaussian import exact_log_marginal, linear_gaussian
from vae_core.marginal_likelihood import log_marginal

ESTIMATORS = {  # the lowest and the highest mean square
    "importance_sampling": ({}, 0.7, 1.3),
    "importance_sampling, fitted proposal": ({"proposal": "hmc"}, 0.7, 1.3),
    "ais": ({}, 1.0, 1.8),
    "ais, 32 chains": ({"n_samples": 32}, 0.7, 1.3),
    "hmc_density": ({}, 1.1, 2.5),
    "hmc_density, 400 samples": ({"n_samples": 400}, 0.7, 1.3),
    "hmc_density, kernels": ({"density": "kde"}, 2.0, 4.0),
    "hmc_density, thrifty": ({"split_half": True}, 1.3, 3.5),
}
FAST = [name for name in ESTIMATORS if name != "ais, 32 chains"]


def mean_square(name, latent_dim, n_repeats):
    """Of (estimate - truth) / stated error, over repeats with an x of the model's own each."""
    generator = torch.Generator().manual_seed(5)
    model = linear_gaussian(6, latent_dim, generator=generator)
    x, options = model.sample(n_repeats, generator=generator), ESTIMATORS[name][0]
    estimate, stderr = log_marginal(
        model, x, name.split(",")[0], return_stderr=True, generator=generator, **options
    )
    return ((estimate - exact_log_marginal(model, x)) / stderr).square().mean().item()


@pytest.mark.parametrize("name", FAST)
def test_two_hundred_repeats(name):
    _, low, high = ESTIMATORS[name]
    assert low < mean_square(name, 2, 200) < high


@pytest.mark.nightly
@pytest.mark.parametrize("latent_dim", [1, 2, 3])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_thousand_repeats(name, latent_dim):
    _, low, high = ESTIMATORS[name]
    assert low < mean_square(name, latent_dim, 1_000) < high


@pytest.mark.parametrize(("latent_dim", "tolerance"), [(1, 1e-6), (2, 1e-6), (3, 1e-3)])
def test_the_error_of_quadrature_bounds_it(latent_dim, tolerance):
    generator = torch.Generator().manual_seed(5)
    model = linear_gaussian(6, latent_dim, generator=generator)
    x = model.sample(15, generator=generator)
    estimate, error = log_marginal(model, x, "quadrature", tolerance=tolerance, return_stderr=True)
    assert ((estimate - exact_log_marginal(model, x)).abs() <= error).all()
    assert (error < 1.5 * tolerance).all()
