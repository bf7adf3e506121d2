"""Importance sampling: log p(x) = log E_q[p(x, z) / q(z)], estimated too low on average."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vae_core import hmc
from vae_core._arguments import check_count
from vae_core.estimators import log_mean_exp
from vae_core.log_joint import LatentVariableModel, log_joint_of
from vae_core.marginal_likelihood._arguments import check_arguments
from vae_core.marginal_likelihood.chains import (
    N_CANDIDATES,
    encoding,
    fitted_normal,
    start_chains,
    transform_noise,
)
from vae_core.model import standard_normal_log_prob

CHUNK_ROWS = 500  # (datapoint, sample) pairs at a time, so that activations stay in cache


@torch.no_grad()
def importance_sampling(
    model: LatentVariableModel,
    x: Tensor,
    n_samples: int = 5_000,
    *,
    proposal: str | Callable[[Tensor], Distribution] = "encoder",
    n_candidates: int = N_CANDIDATES,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log p(x) by importance sampling and its standard error, each (batch,), in nats.

    The estimate is the log of the mean over n_samples draws z ~ q of p(x, z) / q(z). By Jensen's
    inequality it is too low on average, by about half its squared standard error. The standard
    error is NaN if n_samples is 1. Source: Rezende, Mohamed and Wierstra (2014), appendix E.

    Args:
        proposal: q: "encoder"; "hmc", a normal distribution fitted to posterior samples, which
            needs no encoder; or a function from x to a normal distribution of z (batch,).
        n_candidates: for "hmc", of the start of the chains, as in
            :func:`~vae_core.marginal_likelihood.chains.start_chains`.

    Raises:
        ValueError: an unknown proposal, or "encoder" for a model without one.
        TypeError: a proposal that is neither Independent(Normal) nor MultivariateNormal.
    """
    check_arguments(model, x, generator)
    check_count("n_samples", n_samples)
    if not len(x):
        return x.new_empty(0), x.new_empty(0)
    q = _proposal(model, x, proposal, n_candidates, generator)
    log_joint = log_joint_of(model, x)
    block = max(1, CHUNK_ROWS // x.shape[0])  # samples of every datapoint at a time
    log_weights = x.new_empty(n_samples, x.shape[0])
    for rows in log_weights.split(block):
        epsilon = torch.randn(
            *rows.shape, model.latent_dim, generator=generator, dtype=x.dtype, device=x.device
        )
        z = transform_noise(q, epsilon)  # (block, batch, latent_dim)
        log_ratio = standard_normal_log_prob(z) - q.log_prob(z)
        rows.copy_(log_ratio + log_joint.log_likelihood(z))
    return log_mean_exp(log_weights), log_mean_exp_stderr(log_weights)


def _proposal(
    model: LatentVariableModel,
    x: Tensor,
    proposal: str | Callable[[Tensor], Distribution],
    n_candidates: int,
    generator: torch.Generator | None,
) -> Distribution:
    if callable(proposal):
        return proposal(x)
    if proposal == "encoder":
        return encoding(model, "proposal='encoder'", "proposal='hmc'").encode(x)
    if proposal == "hmc":
        return fitted_proposal(model, x, n_candidates=n_candidates, generator=generator)
    raise ValueError(f"proposal={proposal!r}: 'encoder', 'hmc' or a function of x is needed")


def fitted_proposal(
    model: LatentVariableModel,
    x: Tensor,
    *,
    n_candidates: int,
    generator: torch.Generator | None = None,
    widening: float = 1.3,
) -> MultivariateNormal:
    """N(mean, widened covariance) of posterior samples that HMC draws, one for each x.

    The widening keeps the tails of the proposal above those of the posterior.
    """
    start = start_chains(model, x, "resampled", n_candidates=n_candidates, generator=generator)
    samples, _ = hmc.sample(
        None,
        start,
        n_samples=20 * model.latent_dim + 40,
        n_burnin=30,
        n_leapfrog=5,
        generator=generator,
        log_prob_and_grad=log_joint_of(model, x),
    )
    mean, tril = fitted_normal(samples)
    return MultivariateNormal(mean, scale_tril=(widening * tril).to(x.dtype))


def log_mean_exp_stderr(log_weights: Tensor) -> Tensor:
    """Standard error (batch,) of :func:`log_mean_exp` of independent weights, by the delta method.

    A single weight shows no spread: NaN.
    """
    n, batch = log_weights.shape
    if n == 1 or not batch:
        return log_weights.new_full((batch,), math.nan)
    weights = torch.exp(log_weights - log_mean_exp(log_weights))  # of mean 1
    return weights.std(0) / math.sqrt(n)
