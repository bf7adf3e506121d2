"""Estimators of the marginal likelihood log p(x), all behind :func:`log_marginal`.

The bound says how good model and encoder are together; log p(x) judges the model alone. Up to
three latent dimensions quadrature is exact for all practical purposes. Importance and annealed
importance sampling err low on average, whatever they miss. The method of Appendix D errs high
where its chains visit the whole posterior, and low where they miss modes: the two bracket the
truth only in the first case, which neither can tell from the second.
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
    """log p(x) of each datapoint in nats, (batch,), for x (batch, data_dim).

    ``model`` is any module with ``latent_dim`` and ``log_joint(x, z)``, see
    :class:`~vae_core.log_joint.LatentVariableModel`.

    Args:
        method: "hmc_density" (Appendix D), "importance_sampling", "ais" or "quadrature". With a
            prior of the model's own that lies far from N(0, I), "ais" errs low by nats.
        n_samples: posterior samples, importance samples or annealed chains for each datapoint;
            for quadrature, the most points at which its density is evaluated. None takes the
            method's own default.
        return_stderr: also return the standard error of each estimate, (batch,). It covers the
            Monte Carlo noise, not the bias; NaN where n_samples=1 shows no noise.
        progress: show a bar if the work takes more than two seconds.
        options: passed on to the method, see the functions of the same names.

    Raises:
        ValueError: an unknown method, a bad option, x of another shape or precision than the
            model's, a latent dimension that the method cannot serve, or no encoder to propose from.
        RuntimeError: quadrature needs more than ``n_samples`` points.
    """
    estimator = _method(method, options)
    check_arguments(model, x, generator)
    if not len(x):
        raise ValueError("x has no rows")
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
