"""A plain autoencoder with the VAE's networks, without noise or KL term, for comparison."""

import torch
from torch import Tensor

from vae_core.algorithms import aevb, common
from vae_core.algorithms.aevb import Settings
from vae_core.algorithms.common import State, ascend, next_step_size
from vae_core.images import Images
from vae_core.model import VAE

in_one_graph = True
needs = "encoder_params", "log_likelihood"
init, samples_per_step = common.init, common.samples_per_step
draw = aevb.draw  # its noise is not used; minibatches are those of AEVB with the same seed


def reconstruction(model: VAE, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """log p(x | z = m(x)) in nats, (batch,): the code is the encoder's mean."""
    mean, _ = model.encoder_params(x)
    return model.log_likelihood(x, mean)


bound = reconstruction


def update(model: VAE, state: State, draw: aevb.Draw, settings: Settings, images: Images) -> Tensor:
    """One gradient ascent step on the reconstruction, in place; returns its sum over the batch."""
    x = images.scaled(draw.rows, draw.epsilon.dtype)  # (batch, data_dim)
    size, share = next_step_size(state, settings), settings.batch_size / images.n
    return ascend(model, state, settings, reconstruction, x, size=size, share=share)
