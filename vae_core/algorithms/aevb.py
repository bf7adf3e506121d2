"""Auto-Encoding Variational Bayes: Algorithm 1 of the paper, minibatch version."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vae_core._noise import noise_like
from vae_core.algorithms import common
from vae_core.algorithms.common import State, ascend, next_step_size
from vae_core.estimators import ESTIMATORS, sgvb_b
from vae_core.images import Images
from vae_core.model import VAE

in_one_graph = True
needs = "encoder_params", "log_likelihood"
bound = sgvb_b
init, samples_per_step = common.init, common.samples_per_step


@dataclass(frozen=True)
class Settings(common.MinibatchSettings):
    """Settings of AEVB.

    Attributes:
        n_mc: L, the number of samples of z for each datapoint.
        estimator: a name in ``ESTIMATORS`` of :mod:`vae_core.estimators`.
    """

    n_mc: int = 1
    estimator: str = "sgvb_b"


class Draw(NamedTuple):
    """All random numbers of one step."""

    rows: Tensor  #: (batch, data_dim), X^M as stored
    epsilon: Tensor  #: (n_mc, batch, latent_dim) ~ N(0, I)


def draw(model: VAE, images: Images, settings: Settings, generator: torch.Generator) -> Draw:
    """Lines 2.1 and 2.2 of Algorithm 1: a random minibatch, and noise from p(epsilon)."""
    rows = images.minibatch(settings.batch_size, generator)
    shape = (settings.n_mc, settings.batch_size, model.latent_dim)
    noise = noise_like(next(model.parameters()), generator)
    return Draw(rows, torch.randn(shape, **noise))


def update(model: VAE, state: State, draw: Draw, settings: Settings, images: Images) -> Tensor:
    """Lines 2.3 and 2.4 of Algorithm 1, in place: one Adagrad step on the estimator's gradient.

    Returns the minibatch's bound, summed over its datapoints, in nats.
    """
    x = images.scaled(draw.rows, draw.epsilon.dtype)  # (batch, data_dim)
    size = next_step_size(state, settings)
    share = settings.batch_size / images.n
    estimator = ESTIMATORS[settings.estimator]
    return ascend(
        model, state, settings, estimator, x, epsilon=draw.epsilon, size=size, share=share
    )
