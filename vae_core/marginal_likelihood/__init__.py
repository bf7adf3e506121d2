"""Estimators of the marginal likelihood log p(x), all behind :func:`log_marginal`.

The lower bound judges model and encoder together; log p(x) judges the model alone. In up to three
latent dimensions quadrature is exact for all practical purposes. Importance sampling and annealed
importance sampling are too low on average, whatever they miss. The method of Appendix D is too high
where its chains visit the whole posterior, and too low where they miss modes. Only in the first
case do the two kinds bracket the truth, and neither can tell that case from the second.
"""

import inspect
from collections.abc import Callable
from typing import Any, Literal, overload

import torch
from torch import Tensor
from tqdm import tqdm

from vae_core._arguments import check_choice, check_count
from vae_core.log_joint import LatentVariableModel
from vae_core.marginal_likelihood._arguments import check_arguments
from vae_core.marginal_likelihood.annealed import Sandwich, annealed_importance_sampling, bdmc
from vae_core.marginal_likelihood.appendix_d import hmc_density
from vae_core.marginal_likelihood.importance import importance_sampling
from vae_core.marginal_likelihood.quadrature import quadrature

__all__ = [
    "METHODS",
    "Sandwich",
    "annealed_importance_sampling",
    "bdmc",
    "hmc_density",
    "importance_sampling",
    "log_marginal",
    "quadrature",
]

METHODS: dict[str, Callable] = {
    "hmc_density": hmc_density,
    "importance_sampling": importance_sampling,
    "ais": annealed_importance_sampling,
    "quadrature": quadrature,
}
CHUNK_ROWS = 250  # datapoints at a time: their activations stay in the processor's cache


@overload
def log_marginal(
    model: LatentVariableModel,
    x: Tensor,
    method: str = ...,
    n_samples: int | None = ...,
    *,
    generator: torch.Generator | None = ...,
    return_stderr: Literal[False] = ...,
    progress: bool = ...,
    **options: Any,
) -> Tensor: ...


@overload
def log_marginal(
    model: LatentVariableModel,
    x: Tensor,
    method: str = ...,
    n_samples: int | None = ...,
    *,
    generator: torch.Generator | None = ...,
    return_stderr: Literal[True],
    progress: bool = ...,
    **options: Any,
) -> tuple[Tensor, Tensor]: ...


@overload
def log_marginal(
    model: LatentVariableModel,
    x: Tensor,
    method: str = ...,
    n_samples: int | None = ...,
    *,
    generator: torch.Generator | None = ...,
    return_stderr: bool,
    progress: bool = ...,
    **options: Any,
) -> Tensor | tuple[Tensor, Tensor]: ...


@torch.no_grad()
def log_marginal(
    model: LatentVariableModel,
    x: Tensor,
    method: str = "importance_sampling",
    n_samples: int | None = None,
    *,
    generator: torch.Generator | None = None,
    return_stderr: bool = False,
    progress: bool = True,
    **options: Any,
) -> Tensor | tuple[Tensor, Tensor]:
    """The log marginal likelihood log p(x) of each datapoint in nats, (batch,).

    Args:
        model: any module with ``latent_dim`` and ``log_joint(x, z)``, see
            :class:`~vae_core.log_joint.LatentVariableModel`.
        x: (batch, data_dim).
        method: "hmc_density" (Appendix D), "importance_sampling", "ais" or "quadrature". If the
            model has a prior of its own far from N(0, I), "ais" is too low by whole nats.
        n_samples: number of posterior samples, importance samples or annealed chains for each
            datapoint; for quadrature, the most points at which its density is evaluated. None takes
            the method's own default.
        return_stderr: also return the standard error of each estimate, (batch,). It covers the
            Monte Carlo noise, not the bias; it is NaN where n_samples=1 shows no noise.
        progress: show a progress bar if the work takes more than two seconds.
        options: passed on to the function of the method.

    Raises:
        ValueError: an unknown method or option, x of another shape or dtype than the model's, too
            many latent dimensions for the method, or no encoder to propose from.
        RuntimeError: quadrature needs more than ``n_samples`` points.
    """
    estimator = _method(method, options)
    check_arguments(model, x, generator)
    if not len(x):
        raise ValueError("x has no rows: give one datapoint at least")
    if n_samples is not None:
        check_count("n_samples", n_samples)
        options["n_samples"] = n_samples
    chunks = x.split(CHUNK_ROWS)
    bar = tqdm(chunks, desc=f"log p(x) by {method}", delay=2, leave=False, disable=not progress)
    parts = [estimator(model, chunk, generator=generator, **options) for chunk in bar]
    estimate, stderr = (torch.cat(part) for part in zip(*parts, strict=True))
    return (estimate, stderr) if return_stderr else estimate


def _method(method: str, options: dict[str, Any]) -> Callable:
    check_choice("method", method, METHODS)
    known = list(inspect.signature(METHODS[method]).parameters)[2:]
    for name in options:
        if name not in known:
            raise ValueError(f"{method} has no option {name!r}; it has {', '.join(known)}")
    return METHODS[method]
