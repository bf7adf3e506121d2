"""Hamiltonian Monte Carlo (HMC) for many chains at once, for Monte Carlo EM and for Appendix D.

A chain is a row. Rows may have different targets, such as the posteriors of different datapoints.
The kernel is a pure function ``step(state, step_size, ...) -> (state, info)`` without hidden state,
so chains resume exactly from a checkpoint of the state. Sources: Neal (2011), "MCMC using
Hamiltonian dynamics"; for step sizes by dual averaging, Hoffman and Gelman (2014), section 3.2.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vae_core._arguments import check_between, check_count, check_generator, check_kind
from vae_core._noise import noise_like, ordinary

__all__ = [
    "HMCInfo",
    "HMCState",
    "SampleInfo",
    "autograd_log_prob_and_grad",
    "dual_averaging_init",
    "dual_averaging_update",
    "init",
    "leapfrog",
    "reasonable_step_size",
    "sample",
    "step",
]

LogProbAndGrad = Callable[[Tensor], tuple[Tensor, Tensor]]
MAX_ENERGY_ERROR = 1000.0


class HMCState(NamedTuple):
    """Positions of the chains, with log density and gradient there: neither is computed twice."""

    position: Tensor  #: (chains, dim)
    log_prob: Tensor  #: (chains,)
    grad: Tensor  #: (chains, dim)


class HMCInfo(NamedTuple):
    """Diagnostics of one transition, each (chains,)."""

    acceptance_prob: Tensor
    is_accepted: Tensor
    is_divergent: Tensor  #: energy_error above 1000
    energy_error: Tensor  #: change of the Hamiltonian, in nats


class SampleInfo(NamedTuple):
    """Diagnostics of a whole run of :func:`sample`, (chains,) unless stated otherwise."""

    log_prob: Tensor  #: (n_samples, chains), at the samples, in nats
    acceptance_rate: Tensor  #: mean acceptance probability after burn-in
    step_size: Tensor  #: frozen at the end of burn-in
    n_divergent: Tensor  #: number of divergent transitions after burn-in
    state: HMCState  #: the last one, from which chains can go on


def autograd_log_prob_and_grad(log_prob: Callable[[Tensor], Tensor]) -> LogProbAndGrad:
    """Turns log_prob (chains, dim) -> (chains,) into a function that also returns its gradient."""

    def log_prob_and_grad(z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(False), torch.enable_grad():
            z = ordinary(z).detach().requires_grad_()
            value = log_prob(z)
            (grad,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), grad

    return log_prob_and_grad


def init(position: Tensor, log_prob_and_grad: LogProbAndGrad) -> HMCState:
    """The state of chains at ``position`` (chains, dim)."""
    return HMCState(position, *log_prob_and_grad(position))


def leapfrog(
    state: HMCState,
    momentum: Tensor,
    step_size: Tensor | float,
    n_leapfrog: int,
    log_prob_and_grad: LogProbAndGrad,
) -> tuple[HMCState, Tensor]:
    """n_leapfrog steps of Hamilton's equations with unit mass (Neal 2011, eqs. 2.28-2.30).

    Returns the state and the momentum (chains, dim) at the end. Only there is the log density
    itself needed; before that, a ``grad`` method of log_prob_and_grad is used if there is one.
    """
    step_size = torch.as_tensor(step_size, dtype=momentum.dtype, device=momentum.device)
    step_size = step_size.reshape(-1, 1)  # (chains | 1, 1)
    gradient = getattr(log_prob_and_grad, "grad", None)
    position, log_prob, grad = state
    momentum = momentum + 0.5 * step_size * grad
    for i in range(n_leapfrog):
        position = position + step_size * momentum
        is_last = i == n_leapfrog - 1
        if is_last or gradient is None:
            log_prob, grad = log_prob_and_grad(position)
        else:
            grad = gradient(position)
        momentum = momentum + (0.5 if is_last else 1.0) * step_size * grad
    return HMCState(position, log_prob, grad), momentum


def step(
    state: HMCState,
    step_size: Tensor | float,
    n_leapfrog: int,
    log_prob_and_grad: LogProbAndGrad,
    *,
    generator: torch.Generator | None = None,
    momentum: Tensor | None = None,
    uniform: Tensor | None = None,
) -> tuple[HMCState, HMCInfo]:
    """One HMC transition of every chain: fresh momentum, leapfrog steps, Metropolis test.

    step_size is a number or (chains,). Noise can be given: ``momentum`` (chains, dim) ~ N(0, I) and
    ``uniform`` (chains,) on (0, 1); a proposal is accepted if its probability is above ``uniform``.
    """
    position = state.position
    noise = noise_like(position, generator)
    if momentum is None:
        momentum = torch.randn(position.shape, **noise)
    if uniform is None:
        uniform = torch.rand(position.shape[:1], **noise)
    proposal, end_momentum = leapfrog(state, momentum, step_size, n_leapfrog, log_prob_and_grad)
    kinetic = 0.5 * (end_momentum.square().sum(-1) - momentum.square().sum(-1))  # (chains,)
    energy_error = kinetic - (proposal.log_prob - state.log_prob)
    energy_error = torch.nan_to_num(energy_error, nan=math.inf)
    acceptance_prob = torch.exp(-energy_error).clamp(max=1.0)
    is_accepted = uniform < acceptance_prob
    keep = is_accepted.unsqueeze(-1)
    new_state = HMCState(
        torch.where(keep, proposal.position, position),
        torch.where(is_accepted, proposal.log_prob, state.log_prob),
        torch.where(keep, proposal.grad, state.grad),
    )
    is_divergent = energy_error > MAX_ENERGY_ERROR
    return new_state, HMCInfo(acceptance_prob, is_accepted, is_divergent, energy_error)


class DualAveraging(NamedTuple):
    """State of the step-size adaptation of each chain (Hoffman and Gelman 2014, eq. 6)."""

    log_step: Tensor  #: (chains,), in use during burn-in
    log_step_average: Tensor  #: (chains,), in use after burn-in
    error_sum: Tensor  #: (chains,), running mean of target - acceptance
    mu: Tensor  #: (chains,), towards which log_step shrinks
    n_updates: int


def dual_averaging_init(step_size: Tensor) -> DualAveraging:
    """The state of the adaptation before its first update, from step sizes (chains,)."""
    log_step = step_size.log()
    return DualAveraging(log_step, log_step, torch.zeros_like(log_step), log_step + math.log(2), 0)


def dual_averaging_update(
    state: DualAveraging,
    acceptance_prob: Tensor,
    target_accept: float,
    *,
    gamma: float = 0.2,
    t0: float = 10.0,
    kappa: float = 0.75,
) -> DualAveraging:
    """Moves each chain's log step size towards the target acceptance probability.

    gamma is larger than the source's 0.05. With 0.05, wide early swings leave a burn-in of some
    dozens of transitions with step sizes that are too small (acceptance 0.97 for a target of 0.9).
    """
    count = state.n_updates + 1
    weight = 1 / (count + t0)
    error_sum = (1 - weight) * state.error_sum + weight * (target_accept - acceptance_prob)
    log_step = state.mu - math.sqrt(count) / gamma * error_sum
    rate = count**-kappa
    average = rate * log_step + (1 - rate) * state.log_step_average
    return DualAveraging(log_step, average, error_sum, state.mu, count)


def reasonable_step_size(
    state: HMCState,
    log_prob_and_grad: LogProbAndGrad,
    *,
    generator: torch.Generator | None = None,
    n_doublings: int = 12,
) -> Tensor:
    """A first step size (chains,), halved or doubled until the acceptance of one step crosses 0.5.

    Source: Hoffman and Gelman (2014), algorithm 4, here for all chains at once.
    """
    position = state.position
    momentum = torch.randn(position.shape, **noise_like(position, generator))
    step_size = position.new_full(position.shape[:1], 0.1)
    direction = torch.zeros_like(step_size)
    for _ in range(n_doublings):
        proposal, end = leapfrog(state, momentum, step_size, 1, log_prob_and_grad)
        kinetic = 0.5 * (end.square().sum(-1) - momentum.square().sum(-1))
        log_accept = torch.nan_to_num(proposal.log_prob - state.log_prob - kinetic, nan=-math.inf)
        wish = torch.where(log_accept > math.log(0.5), 1.0, -1.0).to(step_size)
        direction = torch.where(direction == 0, wish, direction)
        moving = (wish == direction) & (step_size < 10)
        if not moving.any():
            break
        step_size = torch.where(moving, step_size * 2**direction, step_size)
        direction = torch.where(moving, direction, 2.0)  # 2: settled, no wish equals it
    return step_size


def sample(
    log_prob: Callable[[Tensor], Tensor] | None,
    z0: Tensor,
    n_samples: int,
    n_burnin: int,
    n_leapfrog: int,
    target_accept: float = 0.9,
    *,
    generator: torch.Generator | None = None,
    log_prob_and_grad: LogProbAndGrad | None = None,
    step_size: Tensor | float | None = None,
    jitter: float = 0.5,
    shared_step: bool = False,
) -> tuple[Tensor, SampleInfo]:
    """Runs HMC on all chains from z0 (chains, dim): samples (n_samples, chains, dim), diagnostics.

    Args:
        log_prob: (chains, dim) -> (chains,) in nats, differentiated by autograd; may be None if
            ``log_prob_and_grad`` is given, which is then used.
        n_burnin: discarded transitions, in which dual averaging tunes each chain's step size to
            ``target_accept``; then it is frozen. With 0 it is ``step_size`` itself.
        step_size: where the tuning starts, a number or (chains,); None finds one.
        jitter: each transition scales each chain's step by a uniform number in 1 +- jitter, so that
            no trajectory resonates with its target: without it Appendix D scatters twice as much.
        shared_step: one step size for all chains, tuned to their mean acceptance.

    Raises:
        ValueError: names the argument, its value and what it must be.
    """
    check_count("n_samples", n_samples)
    check_count("n_burnin", n_burnin, 0)
    check_count("n_leapfrog", n_leapfrog)
    check_between("target_accept", target_accept, 0, 1)
    if jitter != 0:
        check_between("jitter", jitter, 0, 1)
    check_generator(generator)
    state, log_prob_and_grad = _start(z0, step_size, log_prob, log_prob_and_grad)
    if step_size is None:
        step_size = reasonable_step_size(state, log_prob_and_grad, generator=generator)
    step_size = torch.as_tensor(step_size, dtype=z0.dtype, device=z0.device)
    step_size = step_size.expand(z0.shape[:1])  # (chains,)
    if shared_step:
        step_size = step_size.log().mean().exp().expand(step_size.shape)
    tuning = dual_averaging_init(step_size)

    def move(state: HMCState, step_size: Tensor) -> tuple[HMCState, HMCInfo]:
        spread = 2 * torch.rand(step_size.shape, **noise_like(z0, generator)) - 1
        step_size = step_size * (1 + jitter * spread)
        return step(state, step_size, n_leapfrog, log_prob_and_grad, generator=generator)

    for _ in range(n_burnin):
        state, info = move(state, tuning.log_step.exp())
        acceptance = info.acceptance_prob
        if shared_step:
            acceptance = acceptance.mean().expand(acceptance.shape)
        tuning = dual_averaging_update(tuning, acceptance, target_accept)
    step_size = tuning.log_step_average.exp()
    samples = z0.new_empty(n_samples, *z0.shape)
    log_probs = z0.new_empty(samples.shape[:2])
    accepted, divergent = torch.zeros_like(step_size), torch.zeros_like(step_size)
    for i in range(n_samples):
        state, info = move(state, step_size)
        samples[i], log_probs[i] = state.position, state.log_prob
        accepted += info.acceptance_prob
        divergent += info.is_divergent
    return samples, SampleInfo(log_probs, accepted / n_samples, step_size, divergent, state)


def _start(
    z0: Tensor,
    step_size: Tensor | float | None,
    log_prob: Callable[[Tensor], Tensor] | None,
    log_prob_and_grad: LogProbAndGrad | None,
) -> tuple[HMCState, LogProbAndGrad]:
    """The state at z0 and the log density with its gradient; refuses what does not fit together."""
    _check_start(z0, step_size)
    if log_prob_and_grad is None:
        if not callable(log_prob):
            raise ValueError(f"log_prob={log_prob}: give a function, or log_prob_and_grad")
        log_prob_and_grad = autograd_log_prob_and_grad(log_prob)
    state = init(z0.detach(), log_prob_and_grad)
    if state.log_prob.shape != z0.shape[:1]:
        raise ValueError(
            f"log_prob gives the shape {tuple(state.log_prob.shape)}: one number a chain, "
            f"{tuple(z0.shape[:1])}, is needed"
        )
    lost = ~(state.log_prob.isfinite() & state.grad.isfinite().all(-1))
    if log_prob is not None and lost.any():
        raise ValueError(
            f"z0: log_prob or its gradient is not finite at {z0[lost][0].tolist()}: start elsewhere"
        )
    return state, log_prob_and_grad


def _check_start(z0: Tensor, step_size: Tensor | float | None) -> None:
    check_kind("z0", z0, Tensor, "torch.as_tensor makes one")
    if z0.ndim != 2 or not z0.is_floating_point() or not z0.isfinite().all():
        raise ValueError(
            f"z0 of shape {tuple(z0.shape)} and {z0.dtype}: finite floats (chains, dim) are needed"
        )
    if isinstance(step_size, Tensor):
        is_size = (step_size > 0) & step_size.isfinite()
        if step_size.shape not in ((), z0.shape[:1]) or not is_size.all():
            raise ValueError(f"step_size={step_size.tolist()}: one above 0 for each chain")
    elif step_size is not None:
        check_between("step_size", step_size, 0)
