"""Estimators of the variational lower bound L(theta, phi; x), per datapoint and in nats.

Each takes ``(model, x)`` with x (batch, data_dim) and returns (batch,). The noise is drawn from
``generator`` unless ``epsilon`` (n_mc, batch, latent_dim) ~ N(0, I) is given. A model is a
:class:`~vae_core.model.VAE` or any module with its ``encoder_params``, ``log_joint`` and
``log_likelihood``.
"""

import math

import torch
from torch import Tensor

from vae_core._arguments import check_count, check_generator
from vae_core._noise import noise_like
from vae_core.model import VAE, gaussian_log_prob


def kl_to_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_var)) || N(0, I)) in nats, summed over the last dim (App. B)."""
    return -0.5 * (1 + log_var - mean.square() - torch.exp(log_var)).sum(-1)


def reparameterize(mean: Tensor, log_var: Tensor, epsilon: Tensor) -> Tensor:
    """z = m + s * epsilon (Section 2.4): a draw of q(z | x) that is differentiable in phi."""
    return mean + torch.exp(0.5 * log_var) * epsilon


def log_mean_exp(log_values: Tensor, dim: int = 0) -> Tensor:
    """log of the mean of exp(log_values) over one dimension, without overflow."""
    return torch.logsumexp(log_values, dim=dim) - math.log(log_values.shape[dim])


def _posterior_draw(
    model: VAE,
    x: Tensor,
    n_mc: int,
    generator: torch.Generator | None,
    epsilon: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(mean, log_var, z) of q(z | x): (batch, latent), (batch, latent), (n_mc, batch, latent)."""
    mean, log_var = model.encoder_params(x)
    if mean.ndim != 2:
        raise ValueError(f"x has shape {tuple(x.shape)}: (batch, data_dim) is needed")
    if epsilon is None:
        check_count("n_mc", n_mc)
        check_generator(generator)
        shape = (n_mc, *mean.shape)
        epsilon = torch.randn(shape, **noise_like(mean, generator))
    if getattr(epsilon, "shape", ())[1:] != mean.shape or not len(epsilon):
        raise ValueError(
            f"epsilon has shape {tuple(getattr(epsilon, 'shape', ()))}: "
            f"(n_mc, batch, latent_dim) = (n_mc, {mean.shape[0]}, {mean.shape[1]}) is needed"
        )
    return mean, log_var, reparameterize(mean, log_var, epsilon)


def sgvb_a(
    model: VAE,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """The generic estimator: mean over z ~ q of log p(x, z) - log q(z | x) (eq. 6).

    Args:
        x: (batch, data_dim).
        n_mc: L, the number of samples of z for each datapoint; not used if epsilon is given.
        epsilon: (n_mc, batch, latent_dim) ~ N(0, I), in place of ``generator``'s.

    Returns:
        (batch,), nats; unbiased for the bound, and differentiable in theta and phi.

    Raises:
        ValueError: n_mc below 1, or epsilon of another shape.
    """
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    return (model.log_joint(x, z) - gaussian_log_prob(z, mean, log_var)).mean(0)


def sgvb_b(
    model: VAE,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """The estimator with the KL in closed form: -KL + mean over z ~ q of log p(x | z) (eq. 7).

    Arguments, result (batch,) in nats, and errors as of :func:`sgvb_a`; its variance is smaller
    where the KL term is noisy.
    """
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    return model.log_likelihood(x, z).mean(0) - kl_to_standard_normal(mean, log_var)


def score_function_surrogate(
    model: VAE,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """A function whose gradient is the naive estimator of Section 2.2; its value is SGVB-A's.

    In phi: f(z) grad log q(z | x) with z held fixed and f = log p(x, z) - log q(z | x); in theta:
    grad log p(x, z). Unbiased, with a variance that makes it impractical. The term f itself
    enters with no gradient in phi because E_q[grad log q] = 0. Arguments, result (batch,) in
    nats, and errors as of :func:`sgvb_a`.
    """
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    z = z.detach()
    log_q = gaussian_log_prob(z, mean, log_var)
    f = model.log_joint(x, z) - log_q.detach()
    return (f + f.detach() * (log_q - log_q.detach())).mean(0)


def importance_weighted_bound(
    model: VAE,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """log mean over z ~ q of p(x, z) / q(z | x): at least the bound, at most log p(x) on average.

    Source: Burda, Grosse and Salakhutdinov (2016), eq. 8; n_mc=1 is SGVB-A. Arguments, result
    (batch,) in nats, and errors as of :func:`sgvb_a`.
    """
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    return log_mean_exp(model.log_joint(x, z) - gaussian_log_prob(z, mean, log_var))


ESTIMATORS = {
    "sgvb_a": sgvb_a,
    "sgvb_b": sgvb_b,
    "score_function": score_function_surrogate,
}
