"""Damaged and made-up data files: read as what they hold, or refused by name, never otherwise."""

import gzip
import io
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import savemat

from vae_core.data import DATASETS, DataCorrupt
from vae_core.data.files import content_of, find
from vae_core.data.npz import PARTS, read_npz

reproducible = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
IMAGES = np.arange(5 * 6, dtype=np.uint8).reshape(5, 2, 3)
WHOLE = {"train": IMAGES, "test": IMAGES[:2], "train_labels": np.arange(5), "image_shape": [2, 3]}


def npz_bytes(**members):
    file = io.BytesIO()
    np.savez(file, **members)
    return file.getvalue()


def mat_bytes():
    file = io.BytesIO()
    savemat(file, {"ff": IMAGES.reshape(5, 6).T})
    return file.getvalue()


def idx_bytes():
    return gzip.compress(struct.pack(">HBB3I", 0, 8, 3, *IMAGES.shape) + IMAGES.tobytes(), mtime=0)


@st.composite
def damaged(draw, whole):
    """The bytes of a file with some replaced, removed or doubled."""
    raw = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        stop = min(len(raw), start + draw(st.sampled_from([0, 1, 1, 4, 100, len(raw)])))
        raw[start:stop] = draw(st.one_of(st.binary(max_size=8), st.just(2 * raw[start:stop])))
    return bytes(raw)


def outcome(path):
    """What is read from an .npz file, or None where it is refused in the way of this package."""
    try:
        return read_npz(path)
    except DataCorrupt as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return None


@reproducible
@given(raw=damaged(npz_bytes(**WHOLE)))
def test_a_damaged_npz_is_refused_or_read_as_it_was(raw, tmp_path):
    path = tmp_path / "own.npz"
    path.write_bytes(raw)
    found = outcome(path)
    if found is not None:
        read, shape = found
        assert shape == (2, 3) and read["valid"].shape == (0, 6)
        assert np.array_equal(read["train"], IMAGES.reshape(5, 6))
        assert np.array_equal(read["test"], IMAGES[:2].reshape(2, 6))
        assert np.array_equal(read.get("train_labels", range(5)), range(5))


ANY_ARRAY = arrays.arrays(
    dtype=st.one_of(
        arrays.scalar_dtypes(),
        arrays.unicode_string_dtypes(),
        arrays.nested_dtypes(max_itemsize=16),
    ),
    shape=arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
)
PIXELS = arrays.arrays(
    dtype=st.sampled_from([np.uint8, np.bool_, np.float16, ">f4", np.float64]),
    shape=arrays.array_shapes(min_dims=2, max_dims=3, max_side=3),
    elements=st.sampled_from([0, 1]),
)


@reproducible
@given(
    members=st.dictionaries(
        st.sampled_from([*PARTS, "train_labels", "test_labels", "image_shape"]),
        st.one_of(ANY_ARRAY, PIXELS),
    )
)
def test_whatever_arrays_a_file_holds_they_are_data_or_refused(members, tmp_path):
    path = tmp_path / "own.npz"
    path.write_bytes(npz_bytes(**members))
    found = outcome(path)
    if found is None:
        return
    read, (height, width) = found
    for part in PARTS:
        n = len(members[part]) if part in members else 0
        assert read[part].shape == (n, height * width)
        assert read[part].dtype == read["train"].dtype in (np.uint8, np.float32)
        if n:
            assert np.array_equal(read[part], members[part].reshape(n, -1))


@reproducible
@given(header=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
@pytest.mark.parametrize("shape", ["(5, 6)", "(10**13, 6)", "(-1, 6)", "(5, 6", "5", "(True, 6)"])
def test_whatever_the_header_of_an_array_says(header, shape, tmp_path):
    """The archive is sound, so that no checksum helps; one array claims what it likes."""
    path = tmp_path / "own.npz"
    said = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode() + header
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in WHOLE.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.save(member, array)
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(said))
        archive.writestr("valid.npy", start + said + IMAGES.tobytes())
    found = outcome(path)
    if found is not None:
        valid = found[0]["valid"]
        assert valid.shape[1:] == (6,) and valid.tobytes() == IMAGES.tobytes()[: valid.size]


@pytest.mark.parametrize(
    ("dataset", "published"), [("mnist", idx_bytes()), ("freyface", mat_bytes())]
)
def test_a_damaged_published_file_is_never_read(dataset, published, tmp_path):
    spec = DATASETS[dataset]
    (tmp_path / "published").write_bytes(published)
    file = replace(
        spec.files[0], path="file.gz", content=content_of(tmp_path / "published"), extracted=None
    )
    (tmp_path / "file.gz").write_bytes(published)
    assert find(file, tmp_path) == tmp_path / "file.gz"

    @reproducible
    @given(raw=damaged(published).filter(lambda raw: raw != published))
    def is_refused(raw):
        (tmp_path / "file.gz").write_bytes(raw)
        with pytest.raises(DataCorrupt, match="is not the published file"):
            find(file, tmp_path)

    is_refused()
