"""Linear Gaussian VAEs, whose marginal likelihood is known, to check estimators on.

With ``hidden=()`` and a constant noise variance the VAE is probabilistic PCA (Tipping and Bishop
1999): p(x) = N(x; b, W W^T + sd^2 I), and the posterior is Gaussian, too.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from vae_core._arguments import check_between
from vae_core.model import VAE


def linear_gaussian(
    data_dim: int,
    latent_dim: int,
    sd: float = 0.7,
    *,
    weight_sd: float = 0.6,
    widening: float = 1.5,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
) -> VAE:
    """A VAE with x | z ~ N(W z + b, sd^2 I), where W and b are drawn from N(0, weight_sd^2).

    The encoder has the exact posterior mean, and ``widening`` times the exact variances without the
    correlations: it is good, not perfect.

    Raises:
        ValueError: sd is not above 0.
    """
    check_between("sd", sd, 0)
    model = VAE(data_dim, latent_dim, (), "gaussian", init_sd=weight_sd, generator=generator)
    model = model.to(dtype)
    head, encoder = only_layer(model.decoder), only_layer(model.encoder)
    with torch.no_grad():
        head.weight[data_dim:] = 0
        head.bias[data_dim:] = 2 * math.log(sd)
        exact = exact_moments(model)
        encoder.weight[:latent_dim] = exact.gain
        encoder.bias[:latent_dim] = -exact.gain @ exact.offset
        encoder.weight[latent_dim:] = 0
        encoder.bias[latent_dim:] = (widening * exact.covariance.diagonal()).log()
    return model


def only_layer(network: nn.Module) -> nn.Linear:
    """The first layer, which with ``hidden=()`` is the whole network."""
    layer = next(network.children())
    assert isinstance(layer, nn.Linear)
    return layer


class ExactMoments(NamedTuple):
    """p(x) = N(offset, marginal) and p(z | x) = N(gain (x - offset), covariance)."""

    offset: Tensor  #: (data_dim,)
    marginal: Tensor  #: (data_dim, data_dim)
    gain: Tensor  #: (latent_dim, data_dim)
    covariance: Tensor  #: (latent_dim, latent_dim)


@torch.no_grad()
def exact_moments(model: VAE) -> ExactMoments:
    """Closed forms of p(x) and p(z | x), for ``hidden=()`` and noise that does not depend on z.

    Raises:
        ValueError: the model is not of that kind.
    """
    head, d = only_layer(model.decoder), model.data_dim
    if model.hidden or model.likelihood != "gaussian" or head.weight[d:].any():
        raise ValueError(
            f"hidden={model.hidden}, likelihood={model.likelihood!r}: closed forms need hidden=(), "
            f"likelihood='gaussian' and a constant noise, as linear_gaussian makes it"
        )
    weight, offset = head.weight[:d], head.bias[:d].clone()
    marginal = weight @ weight.T + head.bias[d:].exp().diag()
    gain = torch.linalg.solve(marginal, weight).T
    identity = torch.eye(model.latent_dim, dtype=weight.dtype, device=weight.device)
    covariance = identity - gain @ weight
    return ExactMoments(offset, marginal, gain, covariance)


def exact_log_marginal(model: VAE, x: Tensor) -> Tensor:
    """log p(x) = log N(x; b, W W^T + sd^2 I) in nats, (batch,), for x (batch, data_dim)."""
    exact = exact_moments(model)
    return MultivariateNormal(exact.offset, exact.marginal).log_prob(x)


def exact_posterior(model: VAE, x: Tensor) -> MultivariateNormal:
    """The exact Gaussian posterior p(z | x) of each row of x (batch, data_dim)."""
    exact = exact_moments(model)
    mean = (x - exact.offset) @ exact.gain.T
    covariance = 0.5 * (exact.covariance + exact.covariance.T)
    return MultivariateNormal(mean, covariance)
