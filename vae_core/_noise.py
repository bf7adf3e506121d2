"""Tensors: where noise is drawn, and what autograd can take."""

from typing import Any

import torch
from torch import Tensor


def noise_like(tensor: Tensor, generator: torch.Generator | None) -> dict[str, Any]:
    """What ``torch.randn`` takes besides a shape for noise where ``tensor`` is."""
    return {"generator": generator, "dtype": tensor.dtype, "device": tensor.device}


def ordinary(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of one that was made in inference mode, which autograd refuses."""
    if not tensor.is_inference():
        return tensor
    with torch.inference_mode(False):
        return tensor.clone()
