"""Your own data sets: an ``.npz`` file with the arrays ``train`` and ``test``.

``numpy.savez("faces.npz", train=..., test=...)`` writes one. Optional arrays are ``valid``, the
labels ``train_labels``, ``valid_labels`` and ``test_labels``, and ``image_shape``, the (height,
width) of an image. Rows are images, (N, D) or (N, height, width), all of one type: floats in [0,
1], bytes that stand for byte / 255, or bytes that are all 0 or 1.
"""

import functools
import math
import re
import zipfile
from pathlib import Path

import numpy as np

from vae_core.data.files import DataCorrupt, DataNotFound, content_of
from vae_core.data.registry import DatasetSpec

PARTS = ("train", "valid", "test")
KNOWN = {*PARTS, *(f"{part}_labels" for part in PARTS), "image_shape"}


def npz_spec(name: str) -> DatasetSpec:
    """The description of the file at ``name``; read once, and again when the file has changed.

    Raises:
        DataNotFound: there is no such file.
        DataCorrupt: it is not a data set; the message names the array and the remedy.
    """
    try:
        path = Path(name).expanduser().resolve()
        state = path.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: ~ of a user who is not known
        why = getattr(error, "strerror", None) or error
        raise DataNotFound(
            f"dataset={name!r}: there is no such file ({why}); "
            "give the path of one, or the name of a data set"
        ) from error
    return _spec(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=16)
def _spec(path: Path, mtime_ns: int, size: int) -> DatasetSpec:
    arrays, shape = read_npz(path)
    return DatasetSpec(
        name=name_of(path),
        title=path.stem,
        image_shape=shape,
        levels=_levels(arrays),
        n_train=len(arrays["train"]),
        n_valid=len(arrays["valid"]),
        n_test=len(arrays["test"]),
        likelihoods=("bernoulli", "gaussian_sigmoid_mean", "gaussian"),
        hidden=(200,),
        batch_size=100,
        fixed_split=True,
        path=path,
        sha256=content_of(path).sha256,
    )


def name_of(path: Path) -> str:
    """The name of the data set in the keys of runs."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:40].strip("_-") or "data"


def read_npz(path: Path) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
    """The checked arrays of a file, pixels as (N, D) rows, and the shape of an image.

    Raises:
        DataCorrupt: as `npz_spec`.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is not an archive; numpy.savez makes one")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:  # numpy and zipfile raise whatever their parsers meet
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataCorrupt(f"{path} cannot be read as an .npz file: {reason}") from error
    try:
        return _checked(arrays)
    except ValueError as error:
        raise DataCorrupt(f"{path}: {error}") from None


def _checked(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
    for name in arrays:
        if name not in KNOWN:
            raise ValueError(f"unknown array {name!r}; known are {', '.join(sorted(KNOWN))}")
    for name in ("train", "test"):
        if name not in arrays:
            raise ValueError(f"no array {name!r}; the file has {', '.join(arrays) or 'none'}")
    _check_scale(arrays)
    rows = {part: _rows(part, arrays[part]) for part in PARTS if part in arrays}
    train = rows["train"]
    for part, array in rows.items():
        if array.shape[1] != train.shape[1] or array.dtype != train.dtype:
            raise ValueError(
                f"{part} has {array.shape[1]} pixels of {array.dtype}, train {train.shape[1]} of "
                f"{train.dtype}: make them alike in number and type"
            )
    shape = _image_shape(arrays, train.shape[1])
    rows.setdefault("valid", train[:0])
    labels = {f"{part}_labels": _labels(part, arrays, len(array)) for part, array in rows.items()}
    return rows | {name: array for name, array in labels.items() if array is not None}, shape


def _check_scale(arrays: dict[str, np.ndarray]) -> None:
    """Refuses booleans in one part beside bytes that stand for byte / 255 in another."""
    parts = {part: arrays[part] for part in PARTS if part in arrays}
    truths = [part for part, array in parts.items() if array.dtype == np.bool_]
    for part, array in parts.items():
        if truths and array.dtype == np.uint8 and array.max(initial=0) > 1:
            raise ValueError(
                f"{truths[0]} is of bool, and {part} has bytes up to {array.max()}: make them "
                f"alike, {part} > 0 if it is black and white"
            )


def _rows(name: str, array: np.ndarray) -> np.ndarray:
    """(N, D) uint8 or float32 in [0, 1]."""
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"{name} has the shape {array.shape}: give (N, D) or (N, height, width)")
    array = np.ascontiguousarray(array.reshape(len(array), -1))
    if array.dtype in (np.uint8, np.bool_):
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} is of {array.dtype}: give uint8, or floats in [0, 1]")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are NaN or infinite: replace or remove them")
    if array.min() < 0 or array.max() > 1:
        raise ValueError(
            f"{name} has values from {array.min():g} to {array.max():g}: scale them to [0, 1]"
        )
    return array.astype(np.float32)


def _image_shape(arrays: dict[str, np.ndarray], n_pixels: int) -> tuple[int, int]:
    """The given shape, or that of (N, height, width) rows, or a square, or one row of pixels."""
    if "image_shape" not in arrays:
        if arrays["train"].ndim == 3:
            height, width = arrays["train"].shape[1:]
            return int(height), int(width)
        side = math.isqrt(n_pixels)
        return (side, side) if side**2 == n_pixels else (1, n_pixels)
    given = arrays["image_shape"]
    is_pair = given.shape == (2,) and np.issubdtype(given.dtype, np.integer)
    if not is_pair or given.min() < 1 or given.prod() != n_pixels:
        raise ValueError(
            f"image_shape={given.tolist()} does not fit rows of {n_pixels} pixels: give two whole "
            f"numbers with that product"
        )
    return int(given[0]), int(given[1])


def _labels(part: str, arrays: dict[str, np.ndarray], n_rows: int) -> np.ndarray | None:
    """(N,) int64, or None where there are none."""
    labels = arrays.get(f"{part}_labels")
    if labels is None:
        return None
    if labels.shape != (n_rows,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{part}_labels is of {labels.dtype} and shape {labels.shape}: "
            f"give {n_rows} whole numbers"
        )
    return labels.astype(np.int64)


def _levels(arrays: dict[str, np.ndarray]) -> int:
    """1 or 255: a pixel is its value / levels."""
    if arrays["train"].dtype == np.float32:
        return 1
    return 1 if max(arrays[part].max(initial=0) for part in PARTS) <= 1 else 255
