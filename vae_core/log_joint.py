"""log p(x, z) as a function of z alone, with its gradient: for HMC chains and quadrature.

:func:`log_joint_of` chooses the implementation. For the decoder of Appendix C there is a closed
form (:class:`LogJoint`): one forward and one backward pass, without autograd, on plain weight
tensors that Monte Carlo EM may change between moves. Any other model goes through autograd
(:class:`AutogradLogJoint`).
"""

import copy
import math
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from vae_core._noise import ordinary
from vae_core.hmc import autograd_log_prob_and_grad
from vae_core.model import LIKELIHOODS, LOG_2PI, VAE, is_plain, standard_normal_log_prob

Layers = Sequence[tuple[Tensor, Tensor]]
MAX_FACTORS = 112  # 2^-112 is a normal float32; types with a shorter exponent allow fewer
TABLE_ROWS = 2_000  # of a table, computed at a time


class LatentVariableModel(Protocol):
    """What HMC and the estimators of log p(x) need of a model: p(x, z), and the dimension of z.

    Any module will do. With ``proposal="encoder"``,
    :func:`~vae_core.marginal_likelihood.log_marginal` also calls ``encode(x)``, which must return a
    normal distribution of z.
    """

    latent_dim: int

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) in nats, (n,), for x (n, data_dim) and z (n, latent_dim)."""
        ...


class EncodingModel(LatentVariableModel, Protocol):
    """A model with an encoder q(z | x), which starting points and proposals are drawn from."""

    def encode(self, x: Tensor) -> Distribution:
        """q(z | x), a normal distribution of z."""
        ...


def log_joint_of(model: LatentVariableModel, x: Tensor) -> "AnyLogJoint":
    """log p(x, z) of a model at fixed x (batch, data_dim), with its gradient in z, for HMC.

    The result is a ``log_prob_and_grad`` of :mod:`vae_core.hmc`. The closed form is used for a
    plain :class:`~vae_core.model.VAE` only. A subclass, or a model whose decoder or methods were
    replaced, is differentiated by autograd.
    """
    if isinstance(model, VAE) and has_closed_form(model):
        return LogJoint(decoder_layers(model), model.likelihood, x)
    return AutogradLogJoint(model, x)


def has_closed_form(model: LatentVariableModel) -> bool:
    """Whether :class:`LogJoint` holds for a model: it must be an unchanged VAE."""
    if type(model) is not VAE:
        return False
    is_patched = any(callable(getattr(VAE, name, None)) for name in vars(model))
    return not is_patched and is_plain(model.decoder)


def decoder_layers(model: VAE) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of the decoder's linear layers, from input to output, without autograd."""
    linear = [module for module in model.decoder.children() if isinstance(module, nn.Linear)]
    return [(ordinary(layer.weight.detach()), ordinary(layer.bias.detach())) for layer in linear]


class AutogradLogJoint:
    """z -> (log p(x, z), its gradient in z) of any model, with the methods of :class:`LogJoint`.

    The "prior" and "likelihood" of these methods are N(0, I) and p(x, z) / N(z; 0, I), whatever the
    model's own prior is.
    """

    def __init__(self, model: LatentVariableModel, x: Tensor, beta: float = 1.0):
        self.model, self.x, self.beta = model, ordinary(x), beta
        self.latent_dim = model.latent_dim

    def tempered(self, beta: float) -> "AutogradLogJoint":
        """The same density at the inverse temperature ``beta``."""
        return AutogradLogJoint(self.model, self.x, beta)

    def rows(self, index: Tensor | slice) -> "AutogradLogJoint":
        """The same density for some rows of x only."""
        return AutogradLogJoint(self.model, self.x[index], self.beta)

    @torch.inference_mode(False)
    def double(self) -> "AutogradLogJoint":
        """The same density in float64, with a copy of the model."""
        model: Any = copy.deepcopy(self.model)  # a module, which a protocol cannot say
        return AutogradLogJoint(model.double(), self.x.double(), self.beta)

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Log density in nats (..., batch) and its gradient (..., batch, latent_dim)."""
        return autograd_log_prob_and_grad(self._tempered)(z)

    def grad(self, z: Tensor) -> Tensor:
        """The gradient alone."""
        return self(z)[1]

    @torch.no_grad()
    def log_likelihood(self, z: Tensor) -> Tensor:
        """log p(x, z) - log N(z; 0, I) in nats, (..., batch), whatever ``beta`` is."""
        return self._log_joint(z) - standard_normal_log_prob(z)

    @torch.no_grad()
    def table(self, z: Tensor) -> Tensor:
        """:meth:`log_likelihood` of every x at every z (n, latent_dim): (n, batch)."""
        batch = self.x.shape[0]
        blocks = z.split(max(1, TABLE_ROWS // max(1, batch)))
        parts = [self.log_likelihood(b.unsqueeze(1).expand(-1, batch, -1)) for b in blocks]
        return torch.cat(parts)

    def _tempered(self, z: Tensor) -> Tensor:
        log_prior = standard_normal_log_prob(z)
        return log_prior + self.beta * (self._log_joint(z) - log_prior)

    def _log_joint(self, z: Tensor) -> Tensor:
        x = self.x.expand(*z.shape[:-1], -1)  # (..., batch, data_dim)
        rows = z.reshape(-1, z.shape[-1])
        flat = self.model.log_joint(x.reshape(-1, x.shape[-1]), rows)
        if flat.shape != rows.shape[:1]:
            raise ValueError(
                f"the model's log_joint gives the shape {tuple(flat.shape)} for z of shape "
                f"{tuple(rows.shape)}: one number for each z, {tuple(rows.shape[:1])}, is needed"
            )
        return flat.reshape(z.shape[:-1])


class LogJoint:
    """z -> (log p(z) + beta log p(x | z), its gradient in z), for each row of x.

    Args:
        layers: (weight, bias) pairs of the decoder, with tanh between them. They may be changed in
            place between two calls.
        likelihood: as in :class:`~vae_core.model.VAE`.
        x: (batch, data_dim).
        beta: inverse temperature of the likelihood: 1 for the posterior, 0 for the prior.

    Called with z (..., batch, latent_dim), it returns the log density in nats, (..., batch), and
    the gradient, in the shape of z. ``grad`` alone is cheaper, since it computes no log density.
    """

    def __init__(self, layers: Layers, likelihood: str, x: Tensor, beta: float = 1.0):
        self.layers, self.likelihood, self.x, self.beta = list(layers), likelihood, x, beta
        self.latent_dim = self.layers[0][0].shape[1]
        self._projection: tuple[Tensor, Tensor] | None = None
        self._versions: tuple[int, int] | None = None

    def _x_projected(self) -> tuple[Tensor, Tensor]:
        """x W (batch, hidden) and x b (batch,) of a Bernoulli head, kept until W or b changes."""
        weight, bias = self.layers[-1]
        versions = weight._version, bias._version
        if self._projection is None or versions != self._versions:
            self._projection, self._versions = (self.x @ weight, self.x @ bias), versions
        return self._projection

    def tempered(self, beta: float) -> "LogJoint":
        """The same density at the inverse temperature ``beta``, sharing all tensors."""
        other = copy.copy(self)
        other.beta = beta
        return other

    def rows(self, index: Tensor | slice) -> "LogJoint":
        """The same density for some rows of x only."""
        return LogJoint(self.layers, self.likelihood, self.x[index], self.beta)

    def double(self) -> "LogJoint":
        """The same density in float64, with a copy of the weights."""
        layers = [(weight.double(), bias.double()) for weight, bias in self.layers]
        return LogJoint(layers, self.likelihood, self.x.double(), self.beta)

    @torch.no_grad()
    def table(self, z: Tensor) -> Tensor:
        """log p(x_i | z_k) in nats of every x at every z (n, latent_dim): (n, batch)."""
        parts = [
            log_likelihood_table(self.layers, self.likelihood, self.x, block)
            for block in z.split(TABLE_ROWS)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Log density in nats (..., batch) and its gradient (..., batch, latent_dim)."""
        hidden, output = self._forward(z)
        log_likelihood = self._log_likelihood(hidden, output)
        log_prob = standard_normal_log_prob(z) + self.beta * log_likelihood
        return log_prob, self._backward(z, hidden, output)

    @torch.no_grad()
    def grad(self, z: Tensor) -> Tensor:
        """The gradient alone."""
        hidden, output = self._forward(z)
        if self.likelihood == "bernoulli":
            output.sigmoid_()
        return self._backward(z, hidden, output)

    @torch.no_grad()
    def log_likelihood(self, z: Tensor) -> Tensor:
        """log p(x | z) in nats, (..., batch), whatever ``beta`` is."""
        return self._log_likelihood(*self._forward(z))

    @torch.no_grad()
    def weight_grad(self, z: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Gradient of sum_i log p(x_i | z_i) in every (weight, bias), for z (batch, latent_dim)."""
        hidden, output = self._forward(z)
        if self.likelihood == "bernoulli":
            delta = torch.sub(self.x, output.sigmoid_(), out=output)  # (batch, data_dim)
        else:
            delta = self._gaussian_output_gradient(output)
        grads = []
        for activation, (weight, _) in zip(hidden[::-1], self.layers[::-1], strict=True):
            grads.append((delta.T @ activation, delta.sum(0)))
            delta = (delta @ weight) * (1 - activation.square())  # unused below the first layer
        return grads[::-1]

    def _forward(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        """Activations of every layer, z first, and the output of the last layer."""
        hidden = [z]
        for weight, bias in self.layers[:-1]:
            hidden.append(tanh_(F.linear(hidden[-1], weight, bias)))
        return hidden, F.linear(hidden[-1], *self.layers[-1])

    def _log_likelihood(self, hidden: list[Tensor], output: Tensor) -> Tensor:
        """log p(x | z); leaves a Bernoulli's probabilities in ``output`` for `_backward`."""
        if self.likelihood == "bernoulli":
            # sum_d x_d logit_d = (x W) h + x b, which spares a pass over the pixels
            x_weight, x_bias = self._x_projected()
            linear = (hidden[-1] * x_weight).sum(-1) + x_bias
            return linear - sum_softplus_(output)
        pixels = LIKELIHOODS[self.likelihood]
        return pixels.log_prob(self.x, *pixels.params(output))

    def _backward(self, z: Tensor, hidden: list[Tensor], output: Tensor) -> Tensor:
        """The gradient in z: -z + beta * (d output / d z)^T (d log p(x | z) / d output).

        ``output`` holds the probabilities of a Bernoulli, or the last layer's output for a
        Gaussian.
        """
        weight = self.layers[-1][0]
        if self.likelihood == "bernoulli":
            delta = self._x_projected()[0] - output @ weight
        else:
            delta = self._gaussian_output_gradient(output) @ weight
        for activation, (weight, _) in zip(hidden[:0:-1], self.layers[-2::-1], strict=True):
            delta = (delta * (1 - activation.square())) @ weight
        return self.beta * delta - z

    def _gaussian_output_gradient(self, output: Tensor) -> Tensor:
        mean, log_var = LIKELIHOODS[self.likelihood].params(output)
        residual = self.x - mean
        scaled = residual * torch.exp(-log_var)  # d log p / d mean
        d_log_var = 0.5 * (residual * scaled - 1)
        if self.likelihood == "gaussian_sigmoid_mean":
            scaled = scaled * mean * (1 - mean)
        return torch.cat([scaled, d_log_var], dim=-1)


AnyLogJoint = LogJoint | AutogradLogJoint


def tanh_(x: Tensor) -> Tensor:
    """tanh x = 2 sigmoid(2 x) - 1 in place, in a quarter of the time of torch.tanh_.

    The error is at most 2e-7 in float32, three units of rounding.
    """
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def sum_softplus_(logits: Tensor) -> Tensor:
    """Sum over the last dimension of log(1 + exp(logit)); turns the logits into sigmoid(logits).

    log(1 + exp(l)) = max(l, 0) - log max(p, 1 - p) with p = sigmoid(l). The factors max(p, 1 - p)
    lie in [1/2, 1], so about a hundred of them, or fourteen in float16, can be multiplied before
    the product could underflow. One logarithm for each product takes a third of the time of a
    softplus.
    """
    positive = torch.relu(logits).sum(-1)
    factors = logits.sigmoid_().sub(0.5).abs_().add_(0.5)
    group = factors_together(logits.shape[-1], logits.dtype)
    return positive - factors.unflatten(-1, (-1, group)).prod(-1).log_().sum(-1)


@cache
def factors_together(size: int, dtype: torch.dtype) -> int:
    """How many of ``size`` factors in [1/2, 1] are multiplied at a time: a divisor of ``size``."""
    most = min(MAX_FACTORS, -round(math.log2(torch.finfo(dtype).tiny)))
    return max(n for n in range(1, most + 1) if size % n == 0)


def log_likelihood_table(layers: Layers, likelihood: str, x: Tensor, z: Tensor) -> Tensor:
    """log p(x_i | z_k) of every x (batch, data_dim) at every z (n, latent_dim): (n, batch).

    Expanding the square turns the table into matrix products, also for the Gaussian. There it is
    computed in float64, since terms of 10^6 nats cancel.
    """
    if likelihood != "bernoulli":
        layers = [(weight.double(), bias.double()) for weight, bias in layers]
        x, z = x.double(), z.double()
    hidden = z
    for weight, bias in layers[:-1]:
        hidden = torch.tanh(F.linear(hidden, weight, bias))
    output = F.linear(hidden, *layers[-1])
    if likelihood == "bernoulli":
        return output @ x.T - F.softplus(output).sum(-1, keepdim=True)
    mean, log_var = LIKELIHOODS[likelihood].params(output)
    precision = torch.exp(-log_var)
    square = precision @ x.square().T - 2 * (mean * precision) @ x.T
    constant = (LOG_2PI + log_var + mean.square() * precision).sum(-1, keepdim=True)
    return -0.5 * (square + constant)
