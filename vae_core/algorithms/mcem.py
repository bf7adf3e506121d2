"""Monte Carlo EM (Appendix E): no encoder, and one Markov chain for each datapoint.

An iteration moves every chain by Hamiltonian Monte Carlo. Then, with the samples held fixed, it
makes a few gradient ascent steps in theta on sum_i log p(x_i, z_i). It is a full-batch algorithm:
nothing is learnt before all N chains have moved, so it does not scale to large data sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vae_core import hmc
from vae_core._noise import noise_like
from vae_core.algorithms import common
from vae_core.algorithms.common import Tensors, adagrad_, add_map_prior_, subset
from vae_core.images import Images
from vae_core.log_joint import LogJoint
from vae_core.model import VAE

CHUNK_ROWS = 250  # their activations (250 x 784 float32) stay in the processor's cache
FIRST_CHAIN_STEP = 0.5  # the posterior starts as the prior

in_one_graph = False  # loops over chunks, with closed-form gradients
needs = ()  # it takes no model of the user's own
bound = None  # there is no q(z|x), so no lower bound to report


@dataclass(frozen=True)
class Settings(common.Settings):
    """Settings of the chains and of the weight updates (App. E).

    Attributes:
        leapfrog: leapfrog steps of one HMC move.
        updates: weight updates after each move.
        target_accept: the acceptance probability that each chain's step size is tuned to.
        adaptation: gain of that tuning, on the log step size.
        annealing: at update t Adagrad's step size is divided by 1 + annealing * t.
    """

    leapfrog: int = 10
    updates: int = 5
    target_accept: float = 0.9
    adaptation: float = 0.3
    annealing: float = 0.0


class State(NamedTuple):
    """The state of :class:`~vae_core.algorithms.common.State`, and that of the chains."""

    params: Tensors
    sums: Tensors
    counter: Tensors
    chains: Tensors  #: "position" (N, latent_dim), "log_step" and "acceptance" (N,)


class Draw(NamedTuple):
    """All random numbers of one iteration."""

    momentum: Tensor  #: (N, latent_dim) ~ N(0, I)
    uniform: Tensor  #: (N,) on (0, 1), to accept or reject


def samples_per_step(settings: Settings, n_train: int) -> int:
    """Samples of one iteration: in the paper's figure each leapfrog step and update counts N."""
    return (settings.leapfrog + settings.updates) * n_train


def init(model: VAE, images: Images, settings: Settings, generator: torch.Generator) -> State:
    """The state before the first iteration; the chains start at draws from the prior."""
    noise = noise_like(next(model.parameters()), generator)
    position = torch.randn(images.n, model.latent_dim, **noise)
    chains = {
        "position": position,
        "log_step": position.new_full((images.n,), FIRST_CHAIN_STEP).log(),
        "acceptance": position.new_full((images.n,), settings.target_accept),
    }
    return State(*common.init(model, images, settings), chains)


def draw(model: VAE, images: Images, settings: Settings, generator: torch.Generator) -> Draw:
    """The random numbers of one HMC move of every chain, drawn chunk by chunk."""
    noise = noise_like(next(model.parameters()), generator)
    parts = []
    for rows in images.rows.split(CHUNK_ROWS):
        momentum = torch.randn(len(rows), model.latent_dim, **noise)
        parts.append((momentum, torch.rand(len(rows), **noise)))
    return Draw(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def update(model: VAE, state: State, draw: Draw, settings: Settings, images: Images) -> None:
    """One iteration, in place: an HMC move of every chain, then ``settings.updates`` of theta."""
    theta, sums = subset(state.params, "decoder."), subset(state.sums, "decoder.")
    layers = as_layers(theta)
    chains = [state.chains[name] for name in ("position", "log_step", "acceptance")]
    for x, *chunk in chunks(images, *chains, *draw):
        move_chains_(LogJoint(layers, model.likelihood, x), settings, *chunk)
    for i in range(settings.updates):
        grads = {name: torch.zeros_like(tensor) for name, tensor in theta.items()}
        for x, z in chunks(images, state.chains["position"]):
            add_gradient_(grads, LogJoint(layers, model.likelihood, x), z)
        add_map_prior_(grads, theta, settings.prior_sd, share=1.0)
        size = annealed_step_size(settings, state, i)
        adagrad_(theta, grads, sums, size, settings.adagrad_epsilon)
    state.counter["steps"].add_(1)


def chunks(images: Images, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yields (x, rows of each tensor), chunk by chunk; the rows are views and may be written to."""
    views = [tensor.split(CHUNK_ROWS) for tensor in tensors]
    for rows, *parts in zip(images.rows.split(CHUNK_ROWS), *views, strict=True):
        yield images.scaled(rows, tensors[0].dtype), *parts


def move_chains_(
    log_joint: LogJoint,
    settings: Settings,
    position: Tensor,
    log_step: Tensor,
    acceptance: Tensor,
    momentum: Tensor,
    uniform: Tensor,
) -> None:
    """One HMC transition in place; each chain's step size is adapted to its acceptance.

    The posterior changes with every iteration, so the adaptation never stops.
    """
    state = hmc.init(position, log_joint)
    state, info = hmc.step(
        state, log_step.exp(), settings.leapfrog, log_joint, momentum=momentum, uniform=uniform
    )
    position.copy_(state.position)
    log_step.add_(settings.adaptation * (info.acceptance_prob - settings.target_accept))
    acceptance.lerp_(info.acceptance_prob, 0.1)


def as_layers(theta: Tensors) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) pairs of the decoder, in the order of its parameters."""
    tensors = list(theta.values())
    return list(zip(tensors[::2], tensors[1::2], strict=True))


def add_gradient_(grads: Tensors, log_joint: LogJoint, z: Tensor) -> None:
    """Adds the gradient of -sum log p(x | z) in theta (log p(z) does not depend on it)."""
    flat = [tensor for pair in log_joint.weight_grad(z) for tensor in pair]
    for total, part in zip(grads.values(), flat, strict=True):
        total.sub_(part)


def annealed_step_size(settings: Settings, state: State, i: int) -> Tensor:
    """step_size / (1 + annealing * t) at update t; with annealing=0, Adagrad alone shrinks steps.

    The first ``adagrad_warmup`` updates have step size 0: they only sum up squared gradients.
    """
    t = int(state.counter["steps"]) * settings.updates + i
    if t < settings.adagrad_warmup:
        return torch.zeros((), dtype=torch.float32, device="cpu")
    size = settings.step_size / (1 + settings.annealing * t)
    return torch.tensor(size, dtype=torch.float32, device="cpu")


def metrics(settings: Settings, state: State) -> dict[str, float]:
    """Metrics to record with the run: plain counts, and how the chains moved."""
    iterations, chains = int(state.counter["steps"]), state.chains
    return {
        "mcem_iterations": iterations,
        "mcem_plain_samples": iterations * len(chains["position"]),  # one new z each
        "mcem_weight_updates": iterations * settings.updates,
        "mcem_acceptance": chains["acceptance"].mean().item(),
        "mcem_median_step": chains["log_step"].exp().median().item(),
    }
