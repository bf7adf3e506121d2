"""A user's own arrays as a data set: checked, and named by their content."""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_core.data import Dataset
from vae_core.data.load import bernoulli_draw
from vae_core.data.registry import ARRAYS, DatasetSpec
from vae_core.runs.config import RunConfig

EVERY_LIKELIHOOD = ("bernoulli", "gaussian_sigmoid_mean", "gaussian")


def as_dataset(config: RunConfig, train: Tensor, test: Tensor) -> Dataset:
    """The rows as a data set; ``binarize`` draws as ``load_dataset`` does for a file."""
    parts = [train[: config.n_train], train[:0], test]
    if config.binarize:
        draws = [bernoulli_draw(part.numpy(), 1, seed) for seed, part in enumerate(parts)]
        parts = [torch.from_numpy(draw) for draw in draws]
    return Dataset(config.dataset, (1, config.data_dim), 1, *parts)


def _as_float32(name: str, array: Any) -> Tensor:
    """A float32 tensor on the CPU, of an array in any memory order."""
    if isinstance(array, Tensor):
        if array.is_complex():
            raise ValueError(f"{name} is of {array.dtype}: use its .real, or another real number")
        if array.layout != torch.strided:
            raise ValueError(f"{name} is of {array.layout}: use its .to_dense()")
        return array.detach().to("cpu", torch.float32)
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(f"{name} has a mask: use its .filled(...), or rows without gaps")
    try:
        found = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: an array of numbers is needed: {error}") from None
    if found.dtype.kind not in "biuf":
        raise ValueError(
            f"{name}: an array of numbers is needed, and numpy makes {found.dtype} of it: "
            f"use .astype(float), or .real of complex numbers"
        )
    with np.errstate(over="ignore"):  # what is infinite is refused below
        return torch.from_numpy(np.require(found, np.float32, ["C", "W"]))


def rows_of(name: str, array: Any, likelihood: str, is_real: bool) -> Tensor:
    """Checked rows (N, D) in float32: any real values if ``is_real``, else in [0, 1]."""
    rows = _as_float32(name, array)
    if rows.ndim != 2 or rows.numel() == 0:
        raise ValueError(f"{name} has the shape {tuple(rows.shape)}: (N, D) is needed")
    if not rows.isfinite().all():
        raise ValueError(f"{name} has values that are NaN or infinite: replace or remove them")
    low, high = rows.min().item(), rows.max().item()
    if not is_real and (low < 0 or high > 1):
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}: scale them to [0, 1], or use "
            f"likelihood='gaussian' instead of {likelihood!r}"
        )
    return rows.contiguous()


def described(train: Tensor, test: Tensor) -> str:
    """The name by which RunConfig knows the arrays, made from their content."""
    digest = hashlib.sha256(train.numpy().data)
    digest.update(test.numpy().data)
    digest.update(str(train.shape).encode())
    name = f"array-{digest.hexdigest()[:8]}"
    ARRAYS[name] = DatasetSpec(
        name=name,
        title="array",
        image_shape=(1, train.shape[1]),
        levels=1,
        n_train=len(train),
        n_valid=0,
        n_test=len(test),
        likelihoods=EVERY_LIKELIHOOD,
        hidden=(200,),
        batch_size=min(100, len(train)),
        fixed_split=True,
    )
    return name
