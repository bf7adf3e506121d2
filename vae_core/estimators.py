"""Estimators of the variational lower bound L(theta, phi; x), per datapoint and in nats.

Each takes ``(model, x)`` with x (batch, data_dim) and returns (batch,). The noise is drawn from
``generator`` unless ``epsilon`` (n_mc, batch, latent_dim) ~ N(0, I) is given. A model is a
:class:`~vae_core.model.VAE` or any module with the methods of :class:`AmortisedModel`.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from vae_core._arguments import check_count, check_generator, check_kind
from vae_core._noise import noise_like
from vae_core.model import VAE, gaussian_log_prob


class AmortisedModel(Protocol):
    """What the estimators need of a model: p(x, z) and a Gaussian q(z | x).

    :func:`sgvb_b` does not call ``log_joint``; the other estimators do not call ``log_likelihood``.
    """

    def encoder_params(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each (batch, latent_dim)."""
        ...

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) in nats, (n_mc, batch), for z (n_mc, batch, latent_dim)."""
        ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats, (n_mc, batch), for z (n_mc, batch, latent_dim)."""
        ...


def kl_to_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_var)) || N(0, I)) in nats, summed over the last dim (App. B)."""
    return -0.5 * (1 + log_var - mean.square() - torch.exp(log_var)).sum(-1)


def reparameterize(mean: Tensor, log_var: Tensor, epsilon: Tensor) -> Tensor:
    """z = m + s * epsilon (Section 2.4): a draw from q(z | x), differentiable in phi."""
    return mean + torch.exp(0.5 * log_var) * epsilon


def log_mean_exp(log_values: Tensor, dim: int = 0) -> Tensor:
    """log of the mean of exp(log_values) over one dimension, without overflow."""
    return torch.logsumexp(log_values, dim=dim) - math.log(log_values.shape[dim])


def _posterior_draw(
    model: AmortisedModel,
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
    check_kind("epsilon", epsilon, Tensor, "torch.as_tensor makes one")
    if epsilon.shape[1:] != mean.shape or not len(epsilon) or epsilon.dtype != mean.dtype:
        raise ValueError(
            f"epsilon has shape {tuple(epsilon.shape)} and is of {epsilon.dtype}: (n_mc, batch, "
            f"latent_dim) = (n_mc, {mean.shape[0]}, {mean.shape[1]}) of {mean.dtype} is needed"
        )
    return mean, log_var, reparameterize(mean, log_var, epsilon)


def _for_each(values: Tensor, z: Tensor, name: str) -> Tensor:
    """Refuses values of a model that are not (n_mc, batch): one for each draw and datapoint."""
    if values.shape != z.shape[:-1]:
        raise ValueError(
            f"the model's {name} gives the shape {tuple(values.shape)} for z of shape "
            f"{tuple(z.shape)}: one number for each z, {tuple(z.shape[:-1])}, is needed"
        )
    return values


def _check_prior(model: AmortisedModel) -> None:
    if getattr(type(model), "log_prior", VAE.log_prior) is not VAE.log_prior:
        raise ValueError(
            f"{type(model).__name__} has a prior of its own, and sgvb_b's KL is to N(0, I): "
            f"use sgvb_a (in fit: estimator='sgvb_a')"
        )


def sgvb_a(
    model: AmortisedModel,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """SGVB estimator A of the bound: mean over z ~ q of log p(x, z) - log q(z | x) (eq. 6).

    Args:
        x: (batch, data_dim).
        n_mc: L, the number of samples of z for each datapoint; not used if epsilon is given.
        epsilon: (n_mc, batch, latent_dim) ~ N(0, I), used in place of draws from ``generator``.

    Returns:
        (batch,) in nats; an unbiased estimate of the bound, differentiable in theta and phi.

    Raises:
        ValueError: n_mc is below 1, or epsilon has another shape or dtype.
    """
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    log_joint = _for_each(model.log_joint(x, z), z, "log_joint")
    return (log_joint - gaussian_log_prob(z, mean, log_var)).mean(0)


def sgvb_b(
    model: AmortisedModel,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """SGVB estimator B, with the KL in closed form: -KL + mean over z ~ q of log p(x | z) (eq. 7).

    Arguments, result (batch,) in nats and errors are those of :func:`sgvb_a`. The variance is
    smaller than that of :func:`sgvb_a` where the KL term is noisy. The prior must be N(0, I).
    """
    _check_prior(model)
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    log_likelihood = _for_each(model.log_likelihood(x, z), z, "log_likelihood")
    return log_likelihood.mean(0) - kl_to_standard_normal(mean, log_var)


def score_function_surrogate(
    model: AmortisedModel,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """Objective whose gradient is the score-function estimator, the naive one of Section 2.2.

    Its value is that of :func:`sgvb_a`. Its gradient in phi is f(z) grad log q(z | x), with z held
    fixed and f = log p(x, z) - log q(z | x); in theta it is grad log p(x, z). The estimator is
    unbiased, but its variance makes it impractical. No gradient in phi flows through f, because
    E_q[grad log q] = 0. Arguments, result (batch,) in nats and errors are those of :func:`sgvb_a`.
    """
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    z = z.detach()
    log_q = gaussian_log_prob(z, mean, log_var)
    f = _for_each(model.log_joint(x, z), z, "log_joint") - log_q.detach()
    return (f + f.detach() * (log_q - log_q.detach())).mean(0)


def importance_weighted_bound(
    model: AmortisedModel,
    x: Tensor,
    *,
    n_mc: int = 1,
    generator: torch.Generator | None = None,
    epsilon: Tensor | None = None,
) -> Tensor:
    """Importance-weighted bound: log of the mean over z ~ q of p(x, z) / q(z | x).

    On average it is at least the lower bound and at most log p(x). Source: Burda, Grosse and
    Salakhutdinov (2016), eq. 8; n_mc=1 gives :func:`sgvb_a`. Arguments, result (batch,) in nats and
    errors are those of :func:`sgvb_a`.
    """
    mean, log_var, z = _posterior_draw(model, x, n_mc, generator, epsilon)
    log_joint = _for_each(model.log_joint(x, z), z, "log_joint")
    return log_mean_exp(log_joint - gaussian_log_prob(z, mean, log_var))


ESTIMATORS = {
    "sgvb_a": sgvb_a,
    "sgvb_b": sgvb_b,
    "score_function": score_function_surrogate,
}
