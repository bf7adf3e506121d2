"""A plain autoencoder with the VAE's networks: no noise and no KL term, for comparison."""

from torch import Tensor

from vae_core.algorithms import aevb
from vae_core.model import VAE

samples_per_step = aevb.samples_per_step
init = aevb.init


def reconstruction(model: VAE, x: Tensor, *, epsilon=None, generator=None) -> Tensor:
    """log p(x | z = m(x)) in nats, (batch,): the code is the encoder's mean."""
    mean, _ = model.encoder_params(x)
    return model.log_likelihood(x, mean)


bound = reconstruction


def make_step(config, data, model):
    return aevb.make_gradient_step(config, data, model, reconstruction)
