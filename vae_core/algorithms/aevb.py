"""Auto-Encoding Variational Bayes: Algorithm 1 of the paper, minibatch version."""

import torch
from torch import Tensor

from vae_core import estimators
from vae_core.algorithms.common import init_state, map_precision, minibatch, prepare, step_size
from vae_core.algorithms.optim import Bound, Tensors, adagrad_, add_map_prior_

bound = estimators.sgvb_b


def samples_per_step(config) -> int:
    return config.batch_size


def init(config, data, model, generator):
    return init_state(model)


def make_step(config, data, model):
    """The step of Algorithm 1: a minibatch, noise, the gradient of the estimator, Adagrad."""
    return make_gradient_step(config, data, model, estimators.ESTIMATORS[config.estimator])


def make_gradient_step(config, data, model, objective):
    """Stochastic gradient ascent on ``objective(model, x, epsilon=...) -> (batch,)``."""
    at = Bound(model).at
    precision = map_precision(config, data.train_bytes.shape[0], config.batch_size)

    def loss(params: Tensors, x: Tensor, epsilon: Tensor) -> Tensor:
        return -at(params, objective, x, epsilon=epsilon).sum()

    def update(params, sums, pixels, epsilon, size, with_value: bool):
        x = pixels.to(epsilon.dtype) / data.levels  # (batch, data_dim)
        value = None
        if with_value:
            grads, value = torch.func.grad_and_value(loss)(params, x, epsilon)
        else:
            grads = torch.func.grad(loss)(params, x, epsilon)
        add_map_prior_(grads, params, precision)
        adagrad_(params, grads, sums, size, config.adagrad_epsilon)
        return value

    update = prepare(update, config)

    def step(state, generator, with_value: bool) -> Tensor | None:
        pixels = minibatch(config, data, generator)
        shape = (config.n_mc, config.batch_size, config.latent_dim)
        epsilon = torch.randn(shape, generator=generator)
        size = step_size(config, state)
        value = update(state["params"], state["sums"], pixels, epsilon, size, with_value)
        return -value if with_value else None

    return step
