"""Data sets: the paper's MNIST and Frey Face, and digits, a small one without a download.

A data set is held as whole tensors, one image a row; a minibatch is an `index_select`, and the
pixels are divided by `levels` when they are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vae_core._arguments import check_count, check_kind
from vae_core.data.files import (
    DataCorrupt,
    RemoteFile,
    data_folder,
    find,
    obtain,
)
from vae_core.data.readers import read
from vae_core.data.registry import DATASETS, DatasetSpec, dataset_spec
from vae_core.images import Images

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: images as rows, (N, D), and labels where it has any, (N,).

    `train_bytes`, `valid_bytes` and `test_bytes` are as stored: uint8 or, for a user's own data set
    of floats, float32. A pixel is its value / `levels`. `train`, `valid` and `test` are float32
    pixels in [0, 1], computed at each access.
    """

    name: str
    image_shape: tuple[int, int]
    levels: int
    train_bytes: torch.Tensor
    valid_bytes: torch.Tensor
    test_bytes: torch.Tensor
    train_labels: torch.Tensor | None = None
    valid_labels: torch.Tensor | None = None
    test_labels: torch.Tensor | None = None

    @property
    def data_dim(self) -> int:
        """Number of pixels of an image."""
        return self.image_shape[0] * self.image_shape[1]

    @property
    def train(self) -> torch.Tensor:
        """Training images, float32 in [0, 1], (N, D)."""
        return Images(self.train_bytes, self.levels).scaled(self.train_bytes)

    @property
    def valid(self) -> torch.Tensor:
        """Validation images, float32 in [0, 1], (N, D); Frey Face and digits have none."""
        return Images(self.valid_bytes, self.levels).scaled(self.valid_bytes)

    @property
    def test(self) -> torch.Tensor:
        """Test images, float32 in [0, 1], (N, D)."""
        return Images(self.test_bytes, self.levels).scaled(self.test_bytes)

    @cached_property
    def sha256(self) -> str:
        """Hash of the pixels and labels of all three parts, in their order."""
        digest = hashlib.sha256(f"{self.name} {self.image_shape} {self.levels}".encode())
        for part in ("train", "valid", "test"):
            for tensor in (getattr(self, f"{part}_bytes"), getattr(self, f"{part}_labels")):
                if tensor is not None:
                    digest.update(f"{part} {tuple(tensor.shape)}".encode())
                    digest.update(tensor.contiguous().numpy())
        return digest.hexdigest()


def load_dataset(
    name: str | Path,
    *,
    n_train: int | None = None,
    n_test: int | None = None,
    binarize: bool = False,
    split_seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Loads a data set, and downloads its files first if they are not in the data folder.

    MNIST: the first 50,000 images of its training set are for training, as in the paper, the other
    10,000 for validation; there are 10,000 test images. Frey Face: 1,965 frames of a film, shuffled
    by `split_seed`; the last `n_test` (default 365) are for test, and training images are taken
    from the others. Digits: the same, with 297 of 1,797 for test.

    Args:
        name: "mnist", "freyface", "digits", or the path of your own `.npz` file (see
            `vae_core.data.npz`), which contains its split.
        n_train: number of training images, the first ones; default all. A smaller training set is
            part of a larger one.
        n_test: number of test images; default all of them (MNIST), 365 (Frey Face), 297 (digits).
        binarize: replaces each pixel by one Bernoulli draw with its value as probability; the draw
            is the same each time.
        split_seed: seed of the shuffle of Frey Face and digits; MNIST comes with its own split.

    Raises:
        ValueError: an unknown name, or more images than there are.
        DataNotFound: a file is missing and cannot be downloaded.
        DataCorrupt: a file is not the published one, or an `.npz` file is no data set.
    """
    import torch

    spec = dataset_spec(name)
    check_count("split_seed", split_seed, 0)
    if split_seed >= 2**32:
        raise ValueError(f"split_seed={split_seed}: it must be below 2**32")
    check_kind("binarize", binarize, bool, "give True or False")
    n_train, n_test = _sizes(spec, n_train, n_test, split_seed)
    split = read(spec, progress)
    if not spec.fixed_split:
        (pool,) = split
        order = np.random.RandomState(split_seed).permutation(spec.n_pool)
        split = tuple(pool.take(order[part]) for part in _cuts(spec.n_pool, n_test))
    train, valid, test = split
    parts = {"train": train.take(slice(n_train)), "valid": valid, "test": test.take(slice(n_test))}
    tensors: dict[str, torch.Tensor] = {}
    for seed, (part, images) in enumerate(parts.items()):
        pixels = bernoulli_draw(images.pixels, spec.levels, seed) if binarize else images.pixels
        tensors[f"{part}_bytes"] = torch.from_numpy(pixels)
        if images.labels is not None:
            tensors[f"{part}_labels"] = torch.from_numpy(images.labels)
    return Dataset(spec.name, spec.image_shape, 1 if binarize else spec.levels, **tensors)


def fetch(names: Iterable[str] = tuple(DATASETS), *, progress: bool = True) -> list[Path]:
    """Downloads missing files of the named data sets and verifies the others; returns all paths.

    Raises:
        ValueError, DataNotFound, DataCorrupt: as `load_dataset`.
    """
    if isinstance(names, str):
        raise ValueError(f"names={names!r}: give a list of names")
    files = [file for name in names for file in dataset_spec(name).files]
    return [obtain(file, data_folder(), progress=progress) for file in files]


class FileStatus(NamedTuple):
    """State of one data file: "ok", "missing", "corrupt", or "embedded" for a set without files."""

    dataset: str
    path: Path | None
    state: str
    message: str

    @property
    def ok(self) -> bool:
        """Whether the file is not damaged; a missing one is downloaded when it is needed."""
        return self.state != "corrupt"


def status() -> list[FileStatus]:
    """The state of every file of every data set, without any download."""
    folder = data_folder()
    return [
        line
        for spec in DATASETS.values()
        for line in (
            [_file_status(file, folder) for file in spec.files]
            or [FileStatus(spec.name, None, "embedded", "comes with scikit-learn")]
        )
    ]


def _file_status(file: RemoteFile, folder: Path) -> FileStatus:
    try:
        path = find(file, folder)
    except DataCorrupt as error:
        return FileStatus(file.dataset, folder / file.path, "corrupt", str(error))
    if path is None:
        return FileStatus(file.dataset, folder / file.path, "missing", f"from {file.urls[0]}")
    return FileStatus(file.dataset, path, "ok", "sha256 verified")


def _sizes(
    spec: DatasetSpec, n_train: int | None, n_test: int | None, split_seed: int
) -> tuple[int, int]:
    """The requested numbers of training and test images, checked against what there is."""
    if spec.fixed_split and split_seed != 0:
        raise ValueError(f"split_seed={split_seed}: {spec.title} comes with its own split; use 0")
    most_test = spec.n_test if spec.fixed_split else spec.n_pool - 1
    n_test = _checked("n_test", n_test, spec.n_test, most_test, spec)
    most_train = spec.n_train if spec.fixed_split else spec.n_pool - n_test
    return _checked("n_train", n_train, most_train, most_train, spec), n_test


def _checked(field: str, value: int | None, default: int, most: int, spec: DatasetSpec) -> int:
    if value is None:
        return default
    check_count(field, value)
    if value > most:
        raise ValueError(f"{field}={value}: {spec.title} allows 1 to {most:,}")
    return value


def _cuts(n_pool: int, n_test: int) -> tuple[slice, slice, slice]:
    """Rows of a shuffled pool for training, validation (none) and test."""
    return slice(0, n_pool - n_test), slice(0, 0), slice(n_pool - n_test, n_pool)


def bernoulli_draw(pixels: np.ndarray, levels: int, seed: int) -> np.ndarray:
    """One Bernoulli draw for each pixel, with probability exactly pixel / `levels`.

    The draw is 1 where a uniform integer below `levels` is less than the pixel. `seed` is 0 for
    training images, 1 for validation, 2 for test.
    """
    # RandomState, unlike newer generators, promises the same stream in every version of numpy.
    random = np.random.RandomState(seed)
    if pixels.dtype == np.float32:
        return (random.random_sample(pixels.shape) < pixels).astype(np.uint8)
    uniform = random.randint(0, levels, size=pixels.shape, dtype=np.uint8)
    return (uniform < pixels).astype(np.uint8)
