"""Checks that every method makes of its model, its data and its generator."""

from typing import Any

import torch
from torch import Tensor, nn

from vae_core._arguments import check_generator, check_kind, check_rows
from vae_core.log_joint import LatentVariableModel
from vae_core.model import VAE


def check_arguments(
    model: LatentVariableModel, x: Tensor, generator: torch.Generator | None
) -> None:
    """Refuses what would give NaN, a wrong number, or an error from deep inside."""
    if not hasattr(model, "log_joint") or not hasattr(model, "latent_dim"):
        raise ValueError(f"model={model!r}: a module with latent_dim and log_joint(x, z) is needed")
    check_kind("x", x, Tensor, "torch.as_tensor makes one")
    weights = model.parameters() if isinstance(model, nn.Module) else ()
    dtype = next((weight.dtype for weight in weights), torch.get_default_dtype())
    check_rows("x", x, getattr(model, "data_dim", None), dtype, ndim=2)
    check_generator(generator)
    if x.is_meta:  # it has no values
        return
    if not x.isfinite().all():
        raise ValueError("x has values that are NaN or infinite: remove them")
    _check_pixels(model, x)


def _check_pixels(model: Any, x: Tensor) -> None:
    """Refuses pixels outside [0, 1] where the VAE's own likelihood needs them there."""
    is_own = getattr(type(model), "log_likelihood", None) is not VAE.log_likelihood
    if is_own or model.likelihood == "gaussian" or not len(x):
        return
    low, high = x.min().item(), x.max().item()
    if low < 0 or high > 1:
        raise ValueError(
            f"x has values from {low:g} to {high:g}: scale them to [0, 1], as likelihood="
            f"{model.likelihood!r} needs them"
        )
