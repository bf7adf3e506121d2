"""Monte Carlo EM (Appendix E): no encoder, one Markov chain for each datapoint.

An iteration moves every chain by Hamiltonian Monte Carlo, then climbs sum_i log p(x_i, z_i) in
theta a few times with the samples held fixed. It is a full-batch algorithm: nothing is learnt
before all N chains have moved, which is why it does not scale to large data sets.
"""

import torch
from torch import Tensor

from vae_core import hmc
from vae_core.algorithms.common import init_state, map_precision
from vae_core.algorithms.optim import Tensors, adagrad_, add_map_prior_, subset
from vae_core.log_joint import LogJoint

CHUNK_ROWS = 250  # their activations (250 x 784 float32) stay in the processor's cache
FIRST_CHAIN_STEP = 0.5  # the posterior starts as the prior

bound = None  # there is no q(z|x), so no lower bound to report


def samples_per_step(config) -> int:
    """As the paper's figure counts: every leapfrog step and every update is one pass, 15 N."""
    return (config.mcem_leapfrog + config.mcem_updates) * config.n_train


def init(config, data, model, generator):
    """Weights, Adagrad's sums, and chains that start at the prior."""
    n_train = data.train_bytes.shape[0]
    position = torch.randn(n_train, config.latent_dim, generator=generator)
    return init_state(model) | {
        "chains": {
            "position": position,  # (N, latent_dim)
            "log_step": torch.full((n_train,), FIRST_CHAIN_STEP).log(),
            "acceptance": torch.full((n_train,), config.mcem_target_accept),
        }
    }


def metrics(config, state) -> dict[str, float]:
    """What to record beside the curve: plain counts and how the chains moved."""
    iterations = int(state["counter"]["steps"])
    chains = state["chains"]
    return {
        "mcem_iterations": iterations,
        "mcem_plain_samples": iterations * config.n_train,  # one new z for each datapoint
        "mcem_weight_updates": iterations * config.mcem_updates,
        "mcem_acceptance": chains["acceptance"].mean().item(),
        "mcem_median_step": chains["log_step"].exp().median().item(),
    }


def make_step(config, data, model):
    """One iteration: an HMC move of all chains, then ``mcem_updates`` updates of theta."""
    pixels = data.train_bytes.split(CHUNK_ROWS)
    precision = map_precision(config, config.n_train, config.n_train)

    def chunks(state, *names):
        """(x, chain tensors...) of each chunk; the tensors are views, to be written to."""
        views = [state["chains"][name].split(CHUNK_ROWS) for name in names]
        for chunk, *rows in zip(pixels, *views, strict=True):
            yield chunk.to(torch.float32) / data.levels, *rows

    def step(state, generator, with_value: bool) -> Tensor | None:
        theta = subset(state["params"], "decoder.")
        sums = subset(state["sums"], "decoder.")
        layers = as_layers(theta)
        for x, *chain in chunks(state, "position", "log_step", "acceptance"):
            move_chains_(config, LogJoint(layers, config.likelihood, x), *chain, generator)
        for i in range(config.mcem_updates):
            grads = {name: torch.zeros_like(tensor) for name, tensor in theta.items()}
            for x, z in chunks(state, "position"):
                add_gradient_(grads, LogJoint(layers, config.likelihood, x), z)
            add_map_prior_(grads, theta, precision)
            size = annealed_step_size(config, state, i)
            adagrad_(theta, grads, sums, size, config.adagrad_epsilon)
        state["counter"]["steps"].add_(1)
        return None

    return step


def move_chains_(config, log_joint, position, log_step, acceptance, generator) -> None:
    """One HMC transition in place; each chain's step follows its acceptance.

    The posterior changes with every iteration, so the tuning is never frozen here.
    """
    state = hmc.init(position, log_joint)
    state, info = hmc.step(
        state, log_step.exp(), config.mcem_leapfrog, log_joint, generator=generator
    )
    position.copy_(state.position)
    log_step.add_(config.mcem_adaptation * (info.acceptance_prob - config.mcem_target_accept))
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


def annealed_step_size(config, state, update: int) -> Tensor:
    """step_size / (1 + mcem_annealing * t) at update t; 0 leaves the annealing to Adagrad.

    The first ``adagrad_warmup`` updates only accumulate.
    """
    t = int(state["counter"]["steps"]) * config.mcem_updates + update
    if t < config.adagrad_warmup:
        return torch.tensor(0.0)
    return torch.tensor(config.step_size / (1 + config.mcem_annealing * t))
