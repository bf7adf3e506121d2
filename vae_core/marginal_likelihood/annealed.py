"""Annealed importance sampling (AIS), forwards and backwards (bidirectional Monte Carlo, BDMC).

Forwards, from the prior to the posterior, the estimate is too low on average. Backwards, from an
exact posterior sample, it is too high. For data simulated from the model, the z that generated x is
such a sample, so both sides are known. Sources: Neal (2001); Grosse, Ghahramani and Adams (2015);
Wu et al. (2017) for decoders.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vae_core import hmc
from vae_core._arguments import check_between, check_count, check_kind
from vae_core._noise import noise_like
from vae_core.estimators import log_mean_exp
from vae_core.log_joint import AnyLogJoint, LatentVariableModel, log_joint_of
from vae_core.marginal_likelihood._arguments import check_arguments
from vae_core.marginal_likelihood.importance import log_mean_exp_stderr
from vae_core.model import VAE

Generator = torch.Generator | None
N_PILOT = 2  # chains for each datapoint, which only tune the step sizes
CHUNK_ROWS = 2_000  # (datapoint, chain) pairs at a time, but not fewer than
CHUNK_CHAINS = 8  # of each datapoint


class Sandwich(NamedTuple):
    """Stochastic lower and upper bounds on log p(x) of simulated data, each (batch,), in nats."""

    lower: Tensor
    upper: Tensor
    x: Tensor  #: (batch, data_dim), the simulated data


class Path(NamedTuple):
    """The annealing path: inverse temperatures and a tuned step size for each transition."""

    betas: list[float]  #: from 0 to 1
    step_sizes: list[Tensor]  #: (batch,) for each beta after the first


@torch.no_grad()
def annealed_importance_sampling(
    model: LatentVariableModel,
    x: Tensor,
    n_samples: int = 8,
    *,
    n_temperatures: int = 100,
    n_leapfrog: int = 5,
    target_accept: float = 0.8,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log p(x) by annealed importance sampling and its standard error, each (batch,), in nats.

    Each of n_samples chains starts at the prior and passes n_temperatures densities p(z)
    p(x|z)^beta, with beta from 0 to 1. At each density after the first it makes one HMC transition
    of n_leapfrog steps. A pilot run tunes the step sizes to the acceptance probability
    target_accept beforehand. The standard error is estimated from the spread of the chains;
    for a single chain it is NaN. On models with closed forms, the z-scores of 8 chains have a mean
    square of 1.3 to 1.6 (Student's t has 1.4), those of 32 chains of 1.1.

    Chains start at N(0, I) and pass N(z; 0, I) (p(x, z) / N(z; 0, I))^beta, whatever the model's
    own prior is. If that is far from N(0, I), the estimate is too low by more than its standard
    error tells, by three nats for N(8, 1). Then take more temperatures, or standardise the model's
    z.

    Raises:
        ValueError: names the argument, its value and what it must be.
    """
    check_arguments(model, x, generator)
    check_count("n_samples", n_samples)
    log_joint = log_joint_of(model, x)
    settings = (n_leapfrog, generator)
    path = tune_path(log_joint, sigmoid_schedule(n_temperatures), target_accept, *settings)
    log_weights = anneal_from_prior(log_joint, n_samples, path, *settings)
    return log_mean_exp(log_weights), log_mean_exp_stderr(log_weights)


@torch.no_grad()
def bdmc(
    model: VAE,
    n_points: int,
    n_samples: int = 8,
    *,
    n_temperatures: int = 100,
    n_leapfrog: int = 5,
    target_accept: float = 0.8,
    generator: torch.Generator | None = None,
) -> Sandwich:
    """Lower and upper bounds on log p(x) by BDMC, for n_points simulated from the model.

    Each bound holds on average. The other arguments are those of
    :func:`~vae_core.marginal_likelihood.annealed.annealed_importance_sampling`.
    """
    check_kind("model", model, VAE, "data are simulated from a VAE")
    check_count("n_points", n_points)
    check_count("n_samples", n_samples)
    z_true, x = model.sample_joint(n_points, generator=generator)
    log_joint = log_joint_of(model, x)
    settings = (n_leapfrog, generator)
    path = tune_path(log_joint, sigmoid_schedule(n_temperatures), target_accept, *settings)
    forward = anneal_from_prior(log_joint, n_samples, path, *settings)
    chunks = z_true.expand(n_samples, -1, -1).split(chunk_sizes(n_samples, n_points))
    backward = torch.cat([anneal_back(log_joint, z, path, *settings) for z in chunks])
    return Sandwich(log_mean_exp(forward), -log_mean_exp(-backward), x)


def sigmoid_schedule(n_temperatures: int, sharpness: float = 4.0) -> list[float]:
    """Inverse temperatures 0 = b_0 < ... < b_T = 1, dense at both ends (Wu et al. 2017)."""
    check_count("n_temperatures", n_temperatures, 2)
    s = torch.sigmoid(sharpness * torch.linspace(-1, 1, n_temperatures, dtype=torch.float64))
    return ((s - s[0]) / (s[-1] - s[0])).tolist()


def chunk_sizes(n_chains: int, batch: int) -> list[int]:
    """Numbers of chains of each datapoint that move together, so that memory stays bounded."""
    most = max(CHUNK_CHAINS, CHUNK_ROWS // max(1, batch))
    return [min(most, n_chains - done) for done in range(0, n_chains, most)]


def anneal_from_prior(
    log_joint: AnyLogJoint, n_chains: int, path: Path, n_leapfrog: int, generator: Generator
) -> Tensor:
    """Log weights (n_chains, batch) of chains that start at draws from N(0, I)."""
    parts = []
    for n in chunk_sizes(n_chains, len(log_joint.x)):
        z = prior_draw(log_joint, n, generator)
        parts.append(anneal(log_joint, z, path, n_leapfrog, generator)[0])
    return torch.cat(parts)


def prior_draw(log_joint: AnyLogJoint, n_chains: int, generator: torch.Generator | None) -> Tensor:
    """Draws of N(0, I), (n_chains, batch, latent_dim)."""
    x, shape = log_joint.x, (n_chains, log_joint.x.shape[0], log_joint.latent_dim)
    return torch.randn(shape, **noise_like(x, generator))


def tune_path(
    log_joint: AnyLogJoint,
    betas: list[float],
    target_accept: float,
    n_leapfrog: int,
    generator: Generator,
) -> Path:
    """The path with step sizes from pilot chains, adapted to their acceptance at each beta."""
    check_count("n_leapfrog", n_leapfrog)
    check_between("target_accept", target_accept, 0, 1)
    z = prior_draw(log_joint, N_PILOT, generator)
    log_step = z.new_zeros(z.shape[1])  # (batch,)
    step_sizes = []
    for beta in betas[1:]:
        z, acceptance = move(log_joint.tempered(beta), z, log_step.exp(), n_leapfrog, generator)
        log_step = (log_step + 0.5 * (acceptance - target_accept)).clamp(-8, 1)
        step_sizes.append(log_step.exp())
    return Path(betas, step_sizes)


def anneal(
    log_joint: AnyLogJoint,
    z: Tensor,
    path: Path,
    n_leapfrog: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Forwards from z (chains, batch, latent_dim) at the prior: log weights (chains, batch), z."""
    log_weights = z.new_zeros(z.shape[:2])
    for before, beta, step_size in zip(path.betas, path.betas[1:], path.step_sizes, strict=False):
        log_weights += (beta - before) * log_joint.log_likelihood(z)
        z, _ = move(log_joint.tempered(beta), z, step_size, n_leapfrog, generator)
    return log_weights, z


def anneal_back(
    log_joint: AnyLogJoint,
    z: Tensor,
    path: Path,
    n_leapfrog: int,
    generator: torch.Generator | None,
) -> Tensor:
    """The reverse of :func:`anneal` from posterior samples z: log weights (chains, batch)."""
    log_weights = z.new_zeros(z.shape[:2])
    steps = list(zip(path.betas, path.betas[1:], path.step_sizes, strict=False))
    for before, beta, step_size in reversed(steps):
        z, _ = move(log_joint.tempered(beta), z, step_size, n_leapfrog, generator)
        log_weights += (beta - before) * log_joint.log_likelihood(z)
    return log_weights


def move(
    log_joint: AnyLogJoint,
    z: Tensor,
    step_size: Tensor,
    n_leapfrog: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """One HMC transition of chains (chains, batch, dim); mean acceptance of each datapoint."""
    flat = Flat(log_joint, z.shape)
    state = hmc.init(z.reshape(-1, z.shape[-1]), flat)
    steps = step_size.expand(z.shape[:2]).reshape(-1)
    state, info = hmc.step(state, steps, n_leapfrog, flat, generator=generator)
    return state.position.view(z.shape), info.acceptance_prob.view(z.shape[:2]).mean(0)


class Flat:
    """A log joint over (chains, batch, dim) as one over (chains * batch, dim)."""

    def __init__(self, log_joint: AnyLogJoint, shape: torch.Size):
        self.log_joint, self.shape = log_joint, shape

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        log_prob, grad = self.log_joint(z.view(self.shape))
        return log_prob.reshape(-1), grad.reshape(z.shape)

    def grad(self, z: Tensor) -> Tensor:
        return self.log_joint.grad(z.view(self.shape)).reshape(z.shape)
