"""Readers of the data sets: each returns whole arrays, one image a row."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_core.data.files import DataCorrupt, content_of, data_folder, obtain
from vae_core.data.npz import PARTS, read_npz
from vae_core.data.registry import ARRAYS, DatasetSpec


class Images(NamedTuple):
    """Pixels (N, D), uint8 or, in a user's own data, float32; labels (N,) int64 or None."""

    pixels: np.ndarray
    labels: np.ndarray | None

    def take(self, rows: slice | np.ndarray) -> Images:
        """Some of the images, with their labels."""
        labels = None if self.labels is None else self.labels[rows]
        return Images(self.pixels[rows], labels)


def read(spec: DatasetSpec, progress: bool) -> tuple[Images, ...]:
    """All images of a data set or, where its split is fixed, training, validation and test images.

    Raises:
        ValueError: no reader is known for the data set.
        DataNotFound, DataCorrupt: a file is missing, or is not the expected one.
    """
    if spec.path is not None:
        return _read_own(spec.path, spec.sha256)
    if spec.name in ARRAYS:
        raise ValueError(
            f"dataset={spec.name!r} was made from arrays, which are not stored: call vc.fit again"
        )
    if spec.name not in READERS:
        raise ValueError(f"dataset={spec.name!r} has no reader in vae_core/data/readers.py: add it")
    return READERS[spec.name](spec, progress)


def _read_mnist(spec: DatasetSpec, progress: bool) -> tuple[Images, Images, Images]:
    from vae_core.data._torchvision import datasets

    paths = [obtain(file, data_folder(), progress=progress) for file in spec.files]
    with _extracted(paths) as root:
        parts = [datasets.MNIST(root, train=flag) for flag in (True, False)]
    train, test = (Images(d.data.flatten(1).numpy(), d.targets.numpy()) for d in parts)
    first, rest = slice(spec.n_train), slice(spec.n_train, None)
    return train.take(first), train.take(rest), test


@contextlib.contextmanager
def _extracted(paths: list[Path]) -> Iterator[Path]:
    """A temporary root for torchvision, which reads extracted files only."""
    from vae_core.data._torchvision import extract_archive

    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for path in paths:
            if path.suffix == ".gz":
                extract_archive(path, raw)
            else:
                (raw / path.name).symlink_to(path)
        yield Path(root)


def _read_freyface(spec: DatasetSpec, progress: bool) -> tuple[Images]:
    from scipy.io import loadmat

    (file,) = spec.files
    faces = loadmat(obtain(file, data_folder(), progress=progress))["ff"]  # (560, 1965)
    return (Images(np.ascontiguousarray(faces.T), None),)


def _read_digits(spec: DatasetSpec, progress: bool) -> tuple[Images]:
    # the file of scikit-learn's load_digits, whose import would take as long as that of PyTorch
    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    table = np.loadtxt(str(file), dtype=int, delimiter=",")
    return (Images(table[:, :-1].astype(np.uint8), table[:, -1].astype(np.int64)),)


def _read_own(path: Path, sha256: str | None) -> tuple[Images, Images, Images]:
    arrays, _ = read_npz(path)
    if content_of(path).sha256 != sha256:
        raise DataCorrupt(f"{path} has changed while it was read: try again")
    train, valid, test = (Images(arrays[part], arrays.get(f"{part}_labels")) for part in PARTS)
    return train, valid, test


READERS: dict[str, Callable] = {
    "mnist": _read_mnist,
    "freyface": _read_freyface,
    "digits": _read_digits,
}
