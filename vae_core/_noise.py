"""Helpers for tensors: noise that matches one, and copies that autograd accepts."""

from typing import Any

import torch
from torch import Tensor


def noise_like(tensor: Tensor, generator: torch.Generator | None) -> dict[str, Any]:
    """Arguments of ``torch.randn``, besides the shape, for noise of a tensor's type and device."""
    return {"generator": generator, "dtype": tensor.dtype, "device": tensor.device}


def ordinary(tensor: Tensor) -> Tensor:
    """The tensor, or a copy if it was made in inference mode: autograd refuses such tensors."""
    if not tensor.is_inference():
        return tensor
    with torch.inference_mode(False):
        return tensor.clone()
