"""Images to measure with: bytes in the shape of MNIST, so that no data set is needed."""

import torch

from vae_core.data import Dataset

PIXELS = 784


def mnist_like(n: int = 50_000, seed: int = 0) -> Dataset:
    """n training images, a fifth of their pixels ink: speed does not depend on what they show."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, 256, (n, PIXELS), generator=generator, dtype=torch.uint8)
    rows.clamp_(min=205).sub_(205).mul_(5)  # in place: peak memory is measured, too
    return Dataset("mnist", (28, 28), 255, rows, rows[:0], rows[:1_000])
