"""The wake-sleep algorithm (Hinton et al. 1995) with the VAE's networks, the paper's rival.

Wake: z ~ q(z|x), theta climbs log p(x, z). Sleep: (x, z) is dreamt by the just-updated model and
phi climbs log q(z|x). The two phases follow different objectives, which is why no bound is
guaranteed to rise.
"""

import torch
from torch import Tensor

from vae_core.algorithms.common import init_state, map_precision, minibatch, prepare, step_size
from vae_core.algorithms.optim import Bound, Tensors, adagrad_, add_map_prior_, subset
from vae_core.estimators import reparameterize, sgvb_b
from vae_core.model import VAE, gaussian_log_prob

bound = sgvb_b


def samples_per_step(config) -> int:
    return config.batch_size


def init(config, data, model, generator):
    return init_state(model)


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


def make_step(config, data, model):
    """One wake update of theta, then one sleep update of phi, on ``batch_size`` samples each."""
    at = Bound(model).at
    precision = map_precision(config, data.train_bytes.shape[0], config.batch_size)

    def ascend(objective, params, sums, prefix, size, *args):
        """Moves the parameters under ``prefix`` up ``objective``; returns its value, summed."""
        moving = subset(params, prefix)

        def loss(theta: Tensors) -> Tensor:
            return -at(params | theta, objective, *args).sum()

        grads, value = torch.func.grad_and_value(loss)(moving)
        add_map_prior_(grads, moving, precision)
        adagrad_(moving, grads, sums, size, config.adagrad_epsilon)
        return -value

    def update(params, sums, pixels, noise, size, with_value: bool):
        x = pixels.to(noise["wake"].dtype) / data.levels  # (batch, data_dim)
        z, log_q = at(params, posterior_draw, x, noise["wake"])
        log_joint = ascend(wake_objective, params, sums, "decoder.", size, x, z)
        dream_x = at(params, VAE.sample_given, noise["dream_z"], noise["dream_x"])
        dream = (dream_x, noise["dream_z"])
        ascend(sleep_objective, params, sums, "encoder.", size, *dream)
        return log_joint - log_q.sum() if with_value else None

    update = prepare(update, config)

    def step(state, generator, with_value: bool) -> Tensor | None:
        pixels = minibatch(config, data, generator)
        noise = draw_noise(config, model, generator)
        size = step_size(config, state)
        return update(state["params"], state["sums"], pixels, noise, size, with_value)

    return step


def draw_noise(config, model: VAE, generator: torch.Generator) -> dict[str, Tensor]:
    """Noise of one step: q's draw, the dream's z and the dream's pixels."""
    latent, pixels = (config.batch_size, config.latent_dim), (config.batch_size, model.data_dim)
    pixel_noise = torch.rand if config.likelihood == "bernoulli" else torch.randn
    return {
        "wake": torch.randn(latent, generator=generator),
        "dream_z": torch.randn(latent, generator=generator),
        "dream_x": pixel_noise(pixels, generator=generator),
    }
