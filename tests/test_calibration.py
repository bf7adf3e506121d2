"""Posterior samplers are calibrated: ranks of the truth among posterior samples are uniform.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), "Validating Bayesian inference
algorithms with simulation-based calibration"; Geweke (2004) for the joint distribution.
"""

import math

import pytest
import torch

from vae_core import hmc
from vae_core.algorithms import mcem
from vae_core.linear_gaussian import linear_gaussian
from vae_core.log_joint import log_joint_of
from vae_core.marginal_likelihood.chains import start_chains
from vae_core.model import VAE

N_POINTS, N_SAMPLES, THIN = 1_000, 19, 4
CRITICAL = 53.0  # of chi squared with 19 degrees of freedom: exceeded once in 25,000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bent_decoder():
    return VAE(5, 2, (4,), "bernoulli", init_sd=1.5, generator=seeded(4)).double()


MODELS = {
    "linear": lambda: linear_gaussian(3, 2, generator=seeded(5)),
    "bent": bent_decoder,
}


def simulate(model, n, generator):
    """n draws of p(x, z): x (n, data_dim), z (n, latent_dim)."""
    z = torch.randn(n, model.latent_dim, generator=generator, dtype=torch.float64)
    return observe(model, z, generator), z


def observe(model, z, generator):
    draw = torch.rand if model.likelihood == "bernoulli" else torch.randn
    noise = draw(len(z), model.data_dim, generator=generator, dtype=z.dtype)
    return model.sample_given(z, noise).detach()


def rank_statistic(true, samples):
    """Largest chi squared of the ranks (0 to 19) of true (n, k) among samples (19, n, k)."""
    ranks = (samples < true).sum(0)  # (n, k)
    counts = torch.stack([torch.bincount(r, minlength=N_SAMPLES + 1) for r in ranks.T]).double()
    expected = len(true) / (N_SAMPLES + 1)
    return ((counts - expected).square() / expected).sum(-1).max()


def ranks_of_chains(model, start, temperature=1.0, **options):
    g = seeded(6)
    x, z = simulate(model, N_POINTS, g)
    log_joint = log_joint_of(model, x)
    samples, _ = hmc.sample(
        None, start_chains(model, x, start, generator=g), N_SAMPLES * THIN, 60, 5,
        generator=g, log_prob_and_grad=log_joint.tempered(temperature), **options,
    )  # fmt: skip

    def statistics(z):
        return torch.cat([z, log_joint.log_likelihood(z).unsqueeze(-1)], -1)

    return rank_statistic(statistics(z), statistics(samples[::THIN]))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("start", "options"),
    [("resampled", {}), ("encoder", {}), ("prior", {}), ("prior", {"shared_step": True})],
)
def test_chains_are_calibrated(kind, start, options):
    assert ranks_of_chains(MODELS[kind](), start, **options) < CRITICAL


@pytest.mark.parametrize("kind", MODELS)
def test_ranks_tell_a_posterior_that_is_too_wide(kind):
    assert ranks_of_chains(MODELS[kind](), "prior", temperature=0.6) > 2 * CRITICAL


@pytest.mark.parametrize("kind", MODELS)
def test_resampled_starts_alone_are_posterior_draws_in_few_dimensions(kind):
    model, g = MODELS[kind](), seeded(8)
    x, z = simulate(model, 400, g)
    draws = [start_chains(model, x, "resampled", generator=g) for _ in range(N_SAMPLES)]
    assert rank_statistic(z, torch.stack(draws)) < CRITICAL


@pytest.mark.parametrize("kind", MODELS)
def test_geweke_the_move_of_monte_carlo_em_keeps_the_joint(kind):
    """x ~ p(x | z), then MCEM's own move of z given x, its step sizes held: p(x, z) stays."""
    model, g, n = MODELS[kind](), seeded(9), 20_000
    settings = mcem.Settings(adaptation=0.0)
    log_step = torch.full((n,), math.log(0.4), dtype=torch.float64)
    acceptance = torch.ones(n, dtype=torch.float64)
    z = torch.randn(n, model.latent_dim, generator=g, dtype=torch.float64)
    start = z.clone()
    for _ in range(4):
        momentum = torch.randn(z.shape, generator=g, dtype=z.dtype)
        uniform = torch.rand(n, generator=g, dtype=z.dtype)
        log_joint = log_joint_of(model, observe(model, z, g))
        mcem.move_chains_(log_joint, settings, z, log_step, acceptance, momentum, uniform)
    assert not torch.equal(z, start)
    moments = torch.cat([z, z.square() - 1, z[:, :1] * z[:, 1:], z**3, z**4 - 3], dim=-1)
    scores = moments.mean(0) / (moments.std(0) / math.sqrt(n))
    assert scores.abs().max() < 4


def test_the_step_sizes_of_monte_carlo_em_hardly_disturb_the_joint():
    """Never frozen, they depend on the chain's past; what that does to moments is below 0.02."""
    model, g, n = bent_decoder(), seeded(9), 20_000
    settings = mcem.Settings()
    log_step = torch.full((n,), math.log(0.4), dtype=torch.float64)
    acceptance = torch.ones(n, dtype=torch.float64)
    z = torch.randn(n, model.latent_dim, generator=g, dtype=torch.float64)
    for _ in range(20):
        momentum = torch.randn(z.shape, generator=g, dtype=z.dtype)
        uniform = torch.rand(n, generator=g, dtype=z.dtype)
        log_joint = log_joint_of(model, observe(model, z, g))
        mcem.move_chains_(log_joint, settings, z, log_step, acceptance, momentum, uniform)
    assert z.mean(0).abs().max() < 0.05
    assert (z.square().mean(0) - 1).abs().max() < 0.07
