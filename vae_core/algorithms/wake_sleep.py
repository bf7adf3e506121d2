"""The wake-sleep algorithm (Hinton et al. 1995) with the VAE's networks, the paper's baseline.

Wake phase: z is drawn from q(z|x), and theta climbs log p(x, z). Sleep phase: (x, z) is drawn from
the just-updated model, and phi climbs log q(z|x). The two phases have different objectives, so no
bound is guaranteed to rise.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from vae_core._noise import noise_like
from vae_core.algorithms import common
from vae_core.algorithms.common import State, ascend, next_step_size
from vae_core.estimators import reparameterize, sgvb_b
from vae_core.images import Images
from vae_core.model import VAE, gaussian_log_prob

in_one_graph = True
needs = (
    "data_dim", "pixels", "encoder_params", "log_q", "log_joint", "log_likelihood", "sample_given"
)  # fmt: skip
bound = sgvb_b
Settings = common.MinibatchSettings
init, samples_per_step = common.init, common.samples_per_step


class Draw(NamedTuple):
    """All random numbers of one step."""

    rows: Tensor  #: (batch, data_dim), a minibatch as stored
    wake: Tensor  #: (batch, latent_dim), noise of z ~ q(z|x)
    dream_z: Tensor  #: (batch, latent_dim), z ~ p(z)
    dream_x: Tensor  #: (batch, data_dim), noise of x ~ p(x|z)


def draw(model: VAE, images: Images, settings: Settings, generator: torch.Generator) -> Draw:
    """A random minibatch, and the noise of both phases."""
    n = settings.batch_size
    noise = noise_like(next(model.parameters()), generator)
    return Draw(
        rows=images.minibatch(n, generator),
        wake=torch.randn(n, model.latent_dim, **noise),
        dream_z=torch.randn(n, model.latent_dim, **noise),
        dream_x=model.pixels.noise((n, model.data_dim), **noise),
    )


def update(model: VAE, state: State, draw: Draw, settings: Settings, images: Images) -> Tensor:
    """One wake update of theta, then one sleep update of phi, in place.

    Returns the minibatch's bound before the step, summed over its datapoints, in nats.
    """
    x = images.scaled(draw.rows, draw.wake.dtype)  # (batch, data_dim)
    size, share = next_step_size(state, settings), settings.batch_size / images.n
    climb = partial(ascend, model, state, settings, size=size, share=share)

    with torch.no_grad():
        z, log_q = posterior_draw(model, x, draw.wake)  # (batch, latent_dim), (batch,)
    log_joint = climb(wake_objective, x, z, part="decoder.")

    with torch.no_grad():
        dream = model.sample_given(draw.dream_z, draw.dream_x)  # (batch, data_dim)
    climb(sleep_objective, dream, draw.dream_z, part="encoder.")
    return log_joint - log_q.sum()


def wake_objective(model: VAE, x: Tensor, z: Tensor) -> Tensor:
    """log p(x, z) for z ~ q(z|x), (batch,): its gradient in theta is the wake phase."""
    return model.log_joint(x, z)


def sleep_objective(model: VAE, x: Tensor, z: Tensor) -> Tensor:
    """log q(z|x) for (x, z) ~ p(x, z), (batch,): its gradient in phi is the sleep phase."""
    return model.log_q(z, x)


def posterior_draw(model: VAE, x: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor]:
    """z ~ q(z|x) and log q(z|x): (batch, latent_dim), (batch,)."""
    mean, log_var = model.encoder_params(x)
    z = reparameterize(mean, log_var, epsilon)
    return z, gaussian_log_prob(z, mean, log_var)
