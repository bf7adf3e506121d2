"""What the learning algorithms share: state, settings, and ascent by Adagrad (Section 5).

``ascend``, and all functions whose names end in an underscore, change tensors in place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vae_core.images import Images
from vae_core.model import VAE

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Settings:
    """Settings of every algorithm: Adagrad and the prior of the MAP estimate of the weights.

    Attributes:
        step_size: Adagrad's global step size.
        adagrad_epsilon: added to the sum of squared gradients inside the root.
        adagrad_warmup: the number of first updates that only sum up squared gradients.
        prior_sd: standard deviation of the prior N(0, prior_sd^2) on weights; None for no prior.
    """

    step_size: float = 0.01
    adagrad_epsilon: float = 1e-8
    adagrad_warmup: int = 0
    prior_sd: float | None = 1.0


@dataclass(frozen=True)
class MinibatchSettings(Settings):
    """Settings of every algorithm that uses minibatches.

    Attributes:
        batch_size: M of Algorithm 1.
    """

    batch_size: int = 100


class State(NamedTuple):
    """All that training changes, as named tensors."""

    params: Tensors  #: shares memory with the model's parameters
    sums: Tensors  #: Adagrad's sums of squared gradients
    counter: Tensors  #: "steps", the number of steps taken, ()


def init(
    model: VAE, images: Images, settings: Settings, generator: torch.Generator | None = None
) -> State:
    """The state before the first step."""
    params = {name: p.detach() for name, p in model.named_parameters()}
    sums = {name: torch.zeros_like(p) for name, p in params.items()}
    steps = torch.zeros((), dtype=torch.long, device=images.rows.device)
    return State(params, sums, {"steps": steps})


def samples_per_step(settings: MinibatchSettings, n_train: int) -> int:
    """How far one step moves along the horizontal axis of Figure 2: one minibatch."""
    return settings.batch_size


def subset(tensors: Tensors, prefix: str) -> Tensors:
    """The entries whose name starts with ``prefix`` (the same tensors, not copies)."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def ascend(
    model: nn.Module,
    state: State,
    settings: Settings,
    objective: Callable,
    *args: Any,
    size: Tensor,
    share: float,
    part: str = "",
    **kwargs: Any,
) -> Tensor:
    """One Adagrad step of gradient ascent on ``objective(model, *args, **kwargs)``, (batch,).

    Parameters that require no gradient stay as they are.

    Args:
        size: the step size of this step, ().
        share: M/N, the minibatch's share of the data, which weights the prior (eq. 8 over N/M).
        part: "decoder." moves theta alone, "encoder." phi alone, "" both.

    Returns:
        The objective before the step, summed over the batch, in nats.
    """
    moving: Tensors = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(part) and parameter.requires_grad
    }
    with torch.enable_grad():
        value = objective(model, *args, **kwargs).sum()
        of = list(moving.values())
        slopes = torch.autograd.grad(-value, of, materialize_grads=True) if of else ()
    with torch.no_grad():
        grads = dict(zip(moving, slopes, strict=True))
        add_map_prior_(grads, moving, settings.prior_sd, share)
        adagrad_(moving, grads, state.sums, size, settings.adagrad_epsilon)
    return value.detach()


def add_map_prior_(grads: Tensors, params: Tensors, prior_sd: float | None, share: float) -> None:
    """Adds the gradient of -share log N(W; 0, prior_sd^2) for weights; biases have no prior."""
    if prior_sd is None:
        return
    for name, grad in grads.items():
        if params[name].ndim > 1:
            # a new tensor: two weights may share the one that autograd made
            grads[name] = grad + share / prior_sd**2 * params[name]


def adagrad_(
    params: Tensors, grads: Tensors, sums: Tensors, step_size: Tensor, epsilon: float
) -> None:
    """One Adagrad descent step p -= step_size * g / sqrt(sum g^2 + epsilon) (Duchi et al. 2010).

    It is made in place, for the parameters in ``grads`` alone. With a ``step_size`` of zero it only
    accumulates the squares.
    """
    for name, grad in grads.items():
        sums[name].add_(grad.square())
        params[name].sub_(step_size * grad * torch.rsqrt(sums[name] + epsilon))


def next_step_size(state: State, settings: Settings) -> Tensor:
    """The size of this step, (): zero during the warm-up. Also counts the step."""
    steps = state.counter["steps"]
    is_moving = steps >= settings.adagrad_warmup
    steps.add_(1)
    return is_moving * settings.step_size  # not torch.where, which copies numbers to the device
