"""Where posterior chains start, and the normal distribution fitted to their samples."""

from typing import cast

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from vae_core._arguments import check_choice, check_count
from vae_core._noise import noise_like
from vae_core.log_joint import EncodingModel, LatentVariableModel, log_joint_of

CHAIN_STARTS = ("resampled", "encoder", "prior")
N_CANDIDATES = 1_000


@torch.no_grad()
def start_chains(
    model: LatentVariableModel,
    x: Tensor,
    start: str,
    *,
    n_candidates: int = N_CANDIDATES,
    generator: torch.Generator | None = None,
) -> Tensor:
    """First positions (batch, latent_dim) of posterior chains, one for each x (batch, data_dim).

    Args:
        start: "resampled" draws n_candidates from the prior, shared by all x, and takes one for
            each x with probability in proportion to p(x | z). It needs no encoder, and finds the
            modes that hold many candidates; with the default number, a trained decoder of three
            latent variables has modes that hold none. "encoder" draws from q(z | x). "prior" draws
            from p(z); a chain from there may never leave a minor mode.
        n_candidates: number of draws for "resampled".

    The prior is N(0, I) here, also for a model that has another.

    Raises:
        ValueError: an unknown start, or "encoder" for a model without one.
    """
    check_choice("start", start, CHAIN_STARTS)
    check_count("n_candidates", n_candidates)
    shape = (x.shape[0], model.latent_dim)
    noise = noise_like(x, generator)
    if start == "prior":
        return torch.randn(shape, **noise)
    if start == "encoder":
        q = encoding(model, "start='encoder'", "start='resampled'").encode(x)
        return transform_noise(q, torch.randn(shape, **noise))
    candidates = torch.randn(n_candidates, shape[1], **noise)
    probabilities = torch.softmax(log_joint_of(model, x).table(candidates).T, dim=-1)
    index = torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)  # (batch,)
    return candidates[index]


def encoding(model: LatentVariableModel, argument: str, instead: str) -> EncodingModel:
    """The model, if it has the encoder that an argument needs."""
    if not hasattr(model, "encode"):
        raise ValueError(
            f"{argument} needs a model with encode(x), and {type(model).__name__} has none: "
            f"use {instead}"
        )
    return cast(EncodingModel, model)


def fitted_normal(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (batch, dim) and Cholesky factor (batch, dim, dim) of samples (n, batch, dim).

    The factor is that of the covariance, in float64. A chain that never moved has no covariance, so
    1e-6 of the mean variance is added to the diagonal, which makes it invertible.
    """
    n, _, dim = samples.shape
    mean = samples.mean(0)
    centred = (samples - mean).double()
    covariance = torch.einsum("nbi,nbj->bij", centred, centred) / (n - 1)
    scale = covariance.diagonal(dim1=-2, dim2=-1).mean(-1).clamp(min=1e-8)  # (batch,)
    ridge = 1e-6 * scale[:, None, None] * torch.eye(dim, dtype=scale.dtype, device=scale.device)
    return mean, torch.linalg.cholesky(covariance + ridge)


def transform_noise(q: Distribution, epsilon: Tensor) -> Tensor:
    """A draw from a normal distribution, given standard normal noise ``epsilon``."""
    if isinstance(q, MultivariateNormal):
        return q.loc + (q.scale_tril @ epsilon.unsqueeze(-1)).squeeze(-1)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        return q.base_dist.loc + q.base_dist.scale * epsilon
    raise TypeError(
        f"proposal gives {type(q).__name__}: Independent(Normal) or MultivariateNormal is needed"
    )
