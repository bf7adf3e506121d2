"""Where noise is drawn: on the device and in the precision of what it goes with."""

from typing import Any

import torch
from torch import Tensor


def noise_like(tensor: Tensor, generator: torch.Generator | None) -> dict[str, Any]:
    """What ``torch.randn`` takes besides a shape for noise where ``tensor`` is."""
    return {"generator": generator, "dtype": tensor.dtype, "device": tensor.device}
