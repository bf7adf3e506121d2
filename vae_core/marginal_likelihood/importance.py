"""Importance sampling: log p(x) = log E_q[p(x, z) / q(z)], which errs low."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vae_core import hmc
from vae_core.log_joint import model_log_prob_and_grad
from vae_core.marginal_likelihood.chains import start_chains
from vae_core.model import VAE

CHUNK_ROWS = 500  # (datapoint, sample) pairs at a time, so that activations stay in cache


@torch.no_grad()
def importance_sampling(
    model: VAE,
    x: Tensor,
    n_samples: int = 5_000,
    *,
    proposal: str | Callable[[Tensor], Distribution] = "encoder",
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log mean over z ~ q of p(x, z) / q(z) and its standard error, each (batch,), in nats.

    By Jensen's inequality the estimate is too low on average, by about half its squared standard
    error. Source: Rezende, Mohamed and Wierstra (2014), appendix E.

    Args:
        proposal: "encoder"; "hmc", a normal distribution fitted to posterior samples, which needs
            no encoder; or a function from x to a normal distribution of z (batch,).

    Raises:
        ValueError: a proposal of another name.
        TypeError: a proposal that is neither Independent(Normal) nor MultivariateNormal.
    """
    q = _proposal(model, x, proposal, generator)
    log_joint = model_log_prob_and_grad(model, x)
    block = max(1, CHUNK_ROWS // x.shape[0])  # samples of every datapoint at a time
    log_weights = x.new_empty(n_samples, x.shape[0])
    for rows in log_weights.split(block):
        epsilon = torch.randn(
            *rows.shape, model.latent_dim, generator=generator, dtype=x.dtype, device=x.device
        )
        z = transform_noise(q, epsilon)  # (block, batch, latent_dim)
        log_ratio = model.log_prior(z) - q.log_prob(z)
        rows.copy_(log_ratio + log_joint.log_likelihood(z))
    return log_mean_exp(log_weights), log_mean_exp_stderr(log_weights)


def _proposal(model: VAE, x: Tensor, proposal, generator) -> Distribution:
    if callable(proposal):
        return proposal(x)
    if proposal == "encoder":
        return model.encode(x)
    if proposal == "hmc":
        return fitted_proposal(model, x, generator=generator)
    raise ValueError(f"proposal={proposal!r}: 'encoder', 'hmc' or a function of x is needed")


def fitted_proposal(
    model: VAE, x: Tensor, *, generator: torch.Generator | None = None, widening: float = 1.3
) -> MultivariateNormal:
    """N(mean, widened covariance) of posterior samples by HMC, one for each x.

    The widening keeps the tails of the proposal above those of the posterior.
    """
    samples, _ = hmc.sample(
        None,
        start_chains(model, x, "resampled", generator=generator),
        n_samples=20 * model.latent_dim + 40,
        n_burnin=30,
        n_leapfrog=5,
        generator=generator,
        log_prob_and_grad=model_log_prob_and_grad(model, x),
    )
    mean = samples.mean(0)  # (batch, latent_dim)
    centred = samples - mean
    covariance = torch.einsum("nbi,nbj->bij", centred, centred) / (samples.shape[0] - 1)
    ridge = 1e-6 * torch.eye(model.latent_dim, dtype=x.dtype)
    return MultivariateNormal(mean, widening**2 * covariance + ridge)


def transform_noise(q: Distribution, epsilon: Tensor) -> Tensor:
    """A draw of a normal distribution from given standard normal noise."""
    if isinstance(q, MultivariateNormal):
        return q.loc + (q.scale_tril @ epsilon.unsqueeze(-1)).squeeze(-1)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        return q.base_dist.loc + q.base_dist.scale * epsilon
    raise TypeError(
        f"proposal gives {type(q).__name__}: Independent(Normal) or MultivariateNormal is needed"
    )


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log of the mean over the first dimension."""
    return torch.logsumexp(log_weights, dim=0) - math.log(log_weights.shape[0])


def log_mean_exp_stderr(log_weights: Tensor) -> Tensor:
    """Standard error of :func:`log_mean_exp` of independent weights, by the delta method."""
    weights = torch.exp(log_weights - log_mean_exp(log_weights))  # of mean 1
    return weights.std(0) / math.sqrt(log_weights.shape[0])
