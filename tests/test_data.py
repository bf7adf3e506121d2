"""Readers, splits, checks and downloads of the data sets."""

import errno
import gzip
import hashlib
import http.server
import struct
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests
import torch
from scipy.io import savemat
from sklearn.datasets import load_digits

from vae_core import RunConfig, find_run, get_or_run
from vae_core._atomic import StoreError
from vae_core.data import DATASETS, DataCorrupt, DataNotFound, load_dataset, readers
from vae_core.data import load as data
from vae_core.data.files import Content, content_of, data_folder

NOWHERE = "http://127.0.0.1:9/"  # the discard port: nothing answers


def idx(array: np.ndarray) -> bytes:
    """The bytes of an idx file of unsigned bytes (LeCun's format)."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def content(raw: bytes) -> Content:
    return Content(len(raw), hashlib.sha256(raw).hexdigest())


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_CORE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def mnist(folder, monkeypatch):
    """A tiny MNIST, packed, that the register takes for the published one: 5, 3 and 4 images."""
    random = np.random.RandomState(0)
    arrays = [
        random.randint(0, 256, (8, 28, 28), dtype=np.uint8),
        np.arange(8, dtype=np.uint8),
        random.randint(0, 256, (4, 28, 28), dtype=np.uint8),
        np.arange(4, dtype=np.uint8)[::-1].copy(),
    ]
    spec, files = DATASETS["mnist"], []
    for file, array in zip(spec.files, arrays, strict=True):
        packed = gzip.compress(idx(array), mtime=0)
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed)
        changes = {"content": content(packed), "extracted": content(idx(array))}
        files.append(replace(file, urls=(NOWHERE + path.name,), **changes))
    spec = replace(spec, n_train=5, n_valid=3, n_test=4, files=tuple(files))
    monkeypatch.setitem(DATASETS, "mnist", spec)
    return arrays


@pytest.fixture
def freyface(folder, monkeypatch):
    """A tiny Frey Face file of 12 faces, one a column."""
    faces = np.random.RandomState(1).randint(0, 256, (560, 12), dtype=np.uint8)
    spec = DATASETS["freyface"]
    path = folder / spec.files[0].path
    path.parent.mkdir(parents=True)
    savemat(path, {"ff": faces})
    file = replace(spec.files[0], urls=(NOWHERE + path.name,), content=content_of(path))
    monkeypatch.setitem(DATASETS, "freyface", replace(spec, n_train=9, n_test=3, files=(file,)))
    return faces


@pytest.fixture
def server(tmp_path):
    """A web server of tmp_path/site; yields its folder and its address."""
    site = tmp_path / "site"
    site.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(site))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()
        yield site, f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()
        thread.join()


def offer(monkeypatch, server, served: bytes | None, expected: bytes) -> None:
    """Makes Frey Face's file one that the server offers; None: the server has no such file."""
    site, address = server
    if served is not None:
        (site / "faces.mat").write_bytes(served)
    spec = DATASETS["freyface"]
    file = replace(spec.files[0], urls=(address + "faces.mat",), content=content(expected))
    monkeypatch.setitem(DATASETS, "freyface", replace(spec, files=(file,)))


# The published files


@pytest.mark.data("mnist")
def test_mnist_is_the_published_one():
    ds = load_dataset("mnist")
    assert ds.train_bytes.shape == (50_000, 784)
    assert ds.valid_bytes.shape == ds.test_bytes.shape == (10_000, 784)
    assert ds.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert ds.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    both = torch.cat([ds.train_bytes, ds.valid_bytes])
    assert both.double().mean().item() / 255 == pytest.approx(0.1306604762738429, abs=1e-12)
    assert ds.train.max() == 1 and ds.train.min() == 0 and ds.train.dtype == torch.float32


@pytest.mark.data("freyface")
def test_frey_face_is_the_published_one_and_upright():
    ds = load_dataset("freyface")
    assert ds.train_bytes.shape == (1600, 560) and ds.test_bytes.shape == (365, 560)
    assert ds.train_labels is None
    assert ds.train.max() < 1  # divided by 256
    faces = ds.train.view(-1, 28, 20)
    wrong = ds.train.view(-1, 20, 28)
    step = [images.diff(dim=1).abs().mean() for images in (faces, wrong)]
    assert step[0] < 0.5 * step[1]  # rows of a face continue each other
    mirrored = (faces - faces.flip(2)).abs().mean()
    upside_down = (faces - faces.flip(1)).abs().mean()
    assert mirrored < upside_down  # a face is symmetric about a vertical line


# Readers and splits


def test_mnist_keeps_the_publishers_order(mnist):
    ds = load_dataset("mnist")
    images, labels, test_images, test_labels = mnist
    assert ds.train_bytes.tolist() == images[:5].reshape(5, 784).tolist()
    assert ds.valid_bytes.tolist() == images[5:].reshape(3, 784).tolist()
    assert ds.test_bytes.tolist() == test_images.reshape(4, 784).tolist()
    assert ds.train_labels.tolist() == labels[:5].tolist()
    assert ds.valid_labels.tolist() == labels[5:].tolist()
    assert ds.test_labels.tolist() == test_labels.tolist()
    assert torch.equal(ds.train, ds.train_bytes.float() / 255)


def test_mnist_is_read_packed_or_extracted(mnist, folder):
    packed = load_dataset("mnist")
    raw = folder / "MNIST/raw"
    assert len(list(raw.iterdir())) == 4  # reading writes nothing
    for path in list(raw.glob("*.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert load_dataset("mnist").sha256 == packed.sha256


def test_a_frey_face_is_a_column_and_the_split_loses_none(freyface):
    ds = load_dataset("freyface")
    assert ds.train_bytes.shape == (9, 560) and ds.test_bytes.shape == (3, 560)
    rows = torch.cat([ds.train_bytes, ds.test_bytes]).tolist()
    assert sorted(rows) == sorted(freyface.T.tolist())
    assert torch.equal(ds.test, ds.test_bytes.float() / 256)


def test_digits_are_those_of_scikit_learn_with_their_labels():
    ds = load_dataset("digits")
    assert ds.train_bytes.shape == (1500, 64) and ds.test_bytes.shape == (297, 64)
    labelled = {tuple(x): y for x, y in zip(*load_digits(return_X_y=True), strict=True)}
    for pixels, labels in ((ds.train_bytes, ds.train_labels), (ds.test_bytes, ds.test_labels)):
        assert [labelled[tuple(x)] for x in pixels.tolist()] == labels.tolist()
    rows = torch.cat([ds.train, ds.test]) * 16
    assert sorted(rows.tolist()) == sorted(load_digits().data.tolist())
    assert ds.valid.shape == (0, 64)


def test_fewer_training_images_are_the_first_and_leave_the_test_set():
    whole, part = load_dataset("digits"), load_dataset("digits", n_train=100)
    assert torch.equal(part.train_bytes, whole.train_bytes[:100])
    assert torch.equal(part.train_labels, whole.train_labels[:100])
    assert torch.equal(part.test_bytes, whole.test_bytes)


def test_the_split_is_a_parameter():
    default, other = load_dataset("digits"), load_dataset("digits", split_seed=1)
    assert not torch.equal(default.test_bytes, other.test_bytes)
    larger = load_dataset("digits", n_test=797)
    assert len(larger.train_bytes) == 1000 and len(larger.test_bytes) == 797


def test_sha256_is_of_the_content():
    default = load_dataset("digits")
    assert load_dataset("digits").sha256 == default.sha256
    others = [{"split_seed": 1}, {"n_train": 1499}, {"binarize": True}, {"n_test": 296}]
    assert len({load_dataset("digits", **other).sha256 for other in others} - {default.sha256}) == 4


def test_binarized_pixels_are_bernoulli_draws_with_the_pixel_as_probability():
    grey, binary = load_dataset("digits"), load_dataset("digits", binarize=True)
    assert binary.levels == 1 and set(binary.train.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(binary.train_labels, grey.train_labels)
    for level in range(17):
        draws = binary.train[grey.train_bytes == level].double()
        p = level / 16
        deviation = (p * (1 - p) / len(draws)) ** 0.5
        assert abs(draws.mean().item() - p) <= 4 * deviation  # exact at both ends


def test_binarization_is_one_fixed_draw():
    whole = load_dataset("digits", binarize=True)
    part = load_dataset("digits", binarize=True, n_train=333)
    assert torch.equal(part.train_bytes, whole.train_bytes[:333])
    assert torch.equal(part.test_bytes, whole.test_bytes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "minst"}, "minst.*mnist, freyface, digits"),
        ({"name": "digits", "n_train": 1501}, r"n_train=1501.*1 to 1,500"),
        ({"name": "digits", "n_train": 0}, "n_train=0"),
        ({"name": "digits", "n_train": -3}, "n_train=-3"),
        ({"name": "digits", "n_test": 1797}, "n_test=1797.*1 to 1,796"),
        ({"name": "digits", "n_train": 1500, "n_test": 298}, "n_train=1500.*1 to 1,499"),
        ({"name": "mnist", "n_train": 50_001}, r"n_train=50001.*1 to 50,000"),
        ({"name": "mnist", "split_seed": 1}, "split_seed=1.*its own split"),
    ],
)
def test_bad_arguments_are_refused_before_any_file_is_sought(arguments, message, folder):
    with pytest.raises(ValueError, match=message):
        load_dataset(arguments.pop("name"), **arguments)


# Damaged and missing files


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_truncated_archive_is_refused_and_left_alone(mnist, folder, name):
    path = folder / "MNIST/raw" / name
    expected, whole = content_of(path), path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(DataCorrupt) as error:
        load_dataset("mnist")
    found = content_of(path)
    for part in (str(path), str(expected), str(found), "vae-core data fetch mnist"):
        assert part in str(error.value)
    assert path.read_bytes() == whole[:-7]


def test_one_changed_byte_of_an_extracted_file_is_refused(mnist, folder):
    path = folder / "MNIST/raw/t10k-images-idx3-ubyte"
    raw = bytearray(gzip.decompress(path.with_name(path.name + ".gz").read_bytes()))
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataCorrupt, match=f"{path} is not the published file"):
        load_dataset("mnist")


def test_a_damaged_frey_face_file_is_refused(freyface, folder):
    path = folder / "FreyFace/frey_rawface.mat"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataCorrupt, match="found 1,000 bytes.*vae-core data fetch freyface"):
        load_dataset("freyface")


def test_a_missing_file_without_network_is_one_error_that_says_it_all(freyface, folder):
    path = folder / "FreyFace/frey_rawface.mat"
    path.unlink()
    with pytest.raises(DataNotFound) as error:
        load_dataset("freyface", progress=False)
    message = str(error.value)
    for part in (str(path), str(folder), "VAE_CORE_DATA", NOWHERE, "no connection", "'digits'"):
        assert part in message
    assert "\n" not in message
    assert list(path.parent.iterdir()) == []


def test_digits_need_no_folder(monkeypatch):
    monkeypatch.setenv("VAE_CORE_DATA", "/nonexistent/folder")
    assert len(load_dataset("digits").train_bytes) == 1500


# Downloads


def test_a_download_is_checked_and_arrives_whole(folder, server, monkeypatch):
    offer(monkeypatch, server, b"faces" * 1000, b"faces" * 1000)
    (path,) = data.fetch(["freyface"], progress=False)
    assert path == folder / "FreyFace/frey_rawface.mat"
    assert path.read_bytes() == b"faces" * 1000
    assert path.stat().st_mode & 0o777 == 0o644  # others may share the folder
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("served", "reason"),
    [(b"<html>log in first</html>", "another sha256"), (None, "status 404")],
)
def test_a_wrong_download_is_not_kept(folder, server, monkeypatch, served, reason):
    offer(monkeypatch, server, served, b"faces" * 1000)
    with pytest.raises(DataNotFound, match=reason):
        data.fetch(["freyface"], progress=False)
    assert list((folder / "FreyFace").iterdir()) == []


def test_the_next_address_is_tried(folder, server, monkeypatch):
    offer(monkeypatch, server, b"faces", b"faces")
    spec = DATASETS["freyface"]
    file = replace(spec.files[0], urls=(NOWHERE, *spec.files[0].urls))
    monkeypatch.setitem(DATASETS, "freyface", replace(spec, files=(file,)))
    (path,) = data.fetch(["freyface"], progress=False)
    assert path.read_bytes() == b"faces"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (requests.Timeout("long stack"), "no answer in time"),
        (requests.ConnectionError("long stack"), "no connection"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_why_a_download_failed_is_told_in_brief(folder, monkeypatch, error, told):
    def fails(self, url, output, pooch):
        raise error

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", fails)
    with pytest.raises(DataNotFound, match=told) as caught:
        data.fetch(["freyface"], progress=False)
    assert "long stack" not in str(caught.value)


def test_a_full_disk_ends_a_download_at_once(folder, monkeypatch):
    """No other address is tried, and none is blamed."""
    tried = []

    def fills(self, url, output, pooch):
        tried.append(url)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", fills)
    file = replace(DATASETS["freyface"].files[0], urls=(NOWHERE, NOWHERE + "second"))
    spec = replace(DATASETS["freyface"], files=(file,))
    monkeypatch.setitem(DATASETS, "freyface", spec)
    with pytest.raises(StoreError, match="No space left"):
        data.fetch(["freyface"], progress=False)
    assert tried == [NOWHERE]


def test_the_folder_is_the_users_cache_unless_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAE_CORE_DATA", "~/pictures")
    assert data_folder() == tmp_path / "pictures"
    monkeypatch.delenv("VAE_CORE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert data_folder() == tmp_path / "cache/vae_core/data"
    assert data_folder().parts[-2:] == ("vae_core", "data")


def test_fetch_downloads_nothing_that_is_there(mnist, folder):
    before = {path: path.stat().st_mtime_ns for path in (folder / "MNIST/raw").iterdir()}
    data.fetch(["mnist", "digits"])  # its addresses lead nowhere
    assert {p: p.stat().st_mtime_ns for p in (folder / "MNIST/raw").iterdir()} == before


def test_status_tells_what_is_where(mnist, freyface, folder):
    (folder / "MNIST/raw/t10k-labels-idx1-ubyte.gz").unlink()
    (folder / "MNIST/raw/t10k-images-idx3-ubyte.gz").write_bytes(b"")
    states = [(line.dataset, line.state) for line in data.status()]
    ok, corrupt, missing = (("mnist", state) for state in ("ok", "corrupt", "missing"))
    expected = [ok, ok, corrupt, missing, ("freyface", "ok"), ("digits", "embedded")]
    assert states == expected


def test_a_damaged_file_is_not_ok_and_a_missing_one_is(mnist, freyface, folder):
    (folder / "MNIST/raw/t10k-labels-idx1-ubyte.gz").unlink()
    assert all(line.ok for line in data.status())
    (folder / "MNIST/raw/t10k-images-idx3-ubyte.gz").write_bytes(b"")
    assert [line.ok for line in data.status()].count(False) == 1


# Data sets of one's own


def bars(n, seed=0):
    """(n, 12) floats in [0, 1]."""
    return np.random.RandomState(seed).random_sample((n, 12)).astype(np.float32)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_an_array_of_ones_own_is_read_as_it_is(tmp_path):
    name = npz(
        tmp_path / "my bars.npz",
        train=bars(9),
        test=bars(4, 1),
        train_labels=np.arange(9),
        image_shape=np.array([3, 4]),
    )
    ds = load_dataset(Path(name))
    assert ds.name == "my_bars" and ds.image_shape == (3, 4) and ds.levels == 1
    assert ds.data_dim == ds.train.shape[1] == 12
    assert np.array_equal(ds.train.numpy(), bars(9)) and np.array_equal(ds.test, bars(4, 1))
    assert ds.train_labels.tolist() == list(range(9)) and ds.test_labels is None
    assert len(load_dataset(name, n_train=5).train) == 5
    assert set(load_dataset(name, binarize=True).train.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("high", "levels"), [(256, 255), (2, 1)])
def test_bytes_of_ones_own_are_levels_of_255_or_binary(tmp_path, high, levels):
    images = np.random.RandomState(0).randint(0, high, (6, 4, 4), dtype=np.uint8)
    ds = load_dataset(npz(tmp_path / "x.npz", train=images, test=images))
    assert ds.image_shape == (4, 4) and ds.levels == levels
    assert np.array_equal(ds.train_bytes.numpy(), images.reshape(6, 16))


def test_truth_values_beside_bytes_of_another_scale_are_refused(tmp_path):
    images = np.random.RandomState(0).randint(0, 2, (6, 4, 4), dtype=np.uint8)
    name = npz(tmp_path / "x.npz", train=images.astype(bool), test=255 * images)
    with pytest.raises(DataCorrupt, match="train is of bool, and test has bytes up to 255"):
        load_dataset(name)
    ds = load_dataset(npz(tmp_path / "y.npz", train=images.astype(bool), test=images))
    assert ds.levels == 1 and torch.equal(ds.train, ds.test)


def test_a_run_on_ones_own_data_is_named_by_its_content(tmp_path, empty_reference):
    arrays = {"train": bars(30), "test": bars(10, 1)}
    (tmp_path / "moved").mkdir()
    first, moved, other = (
        npz(tmp_path / name, **arrays | change)
        for name, change in [("a.npz", {}), ("moved/a.npz", {}), ("b.npz", {"test": bars(10, 2)})]
    )
    settings = {"latent_dim": 2, "hidden": (4,), "n_samples": 500, "batch_size": 10}
    config = RunConfig(dataset=first, **settings)
    assert config.key.startswith("a-aevb-z2-s0-") and config.n_train == 30
    assert RunConfig(dataset=moved, **settings).key == config.key
    assert RunConfig(dataset=other, **settings).key.split("-")[-1] != config.key.split("-")[-1]
    run = get_or_run(config, progress=False)
    assert RunConfig(**run.config.model_dump()) == config
    (tmp_path / "a.npz").unlink()
    assert find_run(RunConfig(dataset=moved, **settings)).path == run.path
    npz(tmp_path / "moved/a.npz", **arrays | {"test": bars(10, 3)})
    with pytest.raises(ValueError, match="the file has changed"):
        RunConfig(**run.config.model_dump() | {"dataset": moved})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": bars(3)}, "no array 'test'"),
        ({"train": bars(3), "test": bars(0)}, r"test has the shape \(0, 12\)"),
        ({"train": bars(3), "test": bars(3)[0]}, r"test has the shape \(12,\)"),
        ({"train": 2 * bars(3), "test": bars(3)}, r"values from .*: scale them to \[0, 1\]"),
        ({"train": bars(3) * np.nan, "test": bars(3)}, "NaN or infinite"),
        ({"train": bars(3).astype(int), "test": bars(3)}, "train is of int64: give uint8"),
        ({"train": bars(3), "test": bars(3)[:, :5]}, "make them alike"),
        ({"train": bars(3), "test": bars(3), "labelz": bars(3)}, "unknown array 'labelz'"),
        ({"train": bars(3), "test": bars(3), "image_shape": [5, 5]}, "does not fit rows of 12"),
        ({"train": bars(3), "test": bars(3), "test_labels": [1]}, "give 3 whole numbers"),
        ({"train": np.array([None]), "test": bars(3)}, "cannot be read as an .npz file"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(tmp_path, arrays, message):
    with pytest.raises(DataCorrupt, match=message) as error:
        load_dataset(npz(tmp_path / "x.npz", **arrays))
    assert "\n" not in str(error.value) and "x.npz" in str(error.value)


@pytest.mark.parametrize("raw", [b"", b"PK", bytes(100), b"x" * 1000])
def test_a_file_that_is_no_npz_is_refused(tmp_path, raw):
    (tmp_path / "x.npz").write_bytes(raw)
    with pytest.raises(ValueError, match="cannot be read as an .npz file: it is not an archive"):
        RunConfig(dataset=tmp_path / "x.npz")
    with pytest.raises(DataNotFound, match="there is no such file"):
        RunConfig(dataset=str(tmp_path / "y.npz"))


def test_a_data_set_without_a_reader_is_an_error(monkeypatch):
    monkeypatch.setitem(DATASETS, "letters", replace(DATASETS["digits"], name="letters"))
    with pytest.raises(ValueError, match="dataset='letters' has no reader"):
        load_dataset("letters")
    monkeypatch.setitem(readers.READERS, "letters", readers.READERS["digits"])
    assert len(load_dataset("letters").train) == 1500
