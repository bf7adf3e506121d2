"""Images as they are stored, and as the networks see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Images(NamedTuple):
    """Images as they are stored: pixels in [0, 1] are rows / levels."""

    rows: Tensor  #: (N, data_dim), uint8 or float32
    levels: int

    @property
    def n(self) -> int:
        """N, the number of images."""
        return self.rows.shape[0]

    def scaled(self, rows: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Stored rows as pixels in [0, 1], in float32 unless another ``dtype`` is given."""
        pixels = rows.float() if dtype is None else rows.to(dtype)
        return pixels / self.levels  # uint8 until here: a quarter of the memory traffic

    def minibatch(self, size: int, generator: torch.Generator) -> Tensor:
        """A minibatch X^M of Algorithm 1: (size, data_dim) stored rows, drawn with replacement."""
        import torch  # not needed to describe a data set

        index = torch.randint(self.n, (size,), generator=generator, device=self.rows.device)
        return self.rows.index_select(0, index)
