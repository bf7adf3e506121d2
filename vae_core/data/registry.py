"""The registry of data sets: what is known of each without reading its files."""

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vae_core.data.files import Content, RemoteFile


@dataclass(frozen=True)
class DatasetSpec:
    """What is known of a data set without reading it, and the paper's settings for it.

    Attributes:
        name: begins the keys of its runs; letters, digits, "_", "-" and "." only.
        levels: a pixel is byte / levels.
        likelihoods: the suitable decoders, the default of `RunConfig` first. Some pixels of MNIST
            never change, so a density with a learned variance would be unbounded there.
        hidden: default widths of `RunConfig`.
        batch_size: default of `RunConfig`.
        prior_sd: default of `RunConfig`; None for no prior.
        files: the files that must be in the data folder; empty where data come with a package.
        fixed_split: whether the publisher defines which images are the test set.
        path: the `.npz` file of a user's own data set.
        sha256: the hash of that file.
    """

    name: str
    title: str
    image_shape: tuple[int, int]
    levels: int
    n_train: int
    n_valid: int
    n_test: int
    likelihoods: tuple[str, ...]
    hidden: tuple[int, ...]
    batch_size: int
    prior_sd: float | None = 1.0
    files: tuple[RemoteFile, ...] = ()
    fixed_split: bool = False
    path: Path | None = None
    sha256: str | None = None

    @property
    def data_dim(self) -> int:
        """Number of pixels of an image."""
        return self.image_shape[0] * self.image_shape[1]

    @property
    def likelihood(self) -> str:
        """The default likelihood."""
        return self.likelihoods[0]

    @property
    def n_pool(self) -> int:
        """Number of images, from which training and test set are drawn."""
        return self.n_train + self.n_test


_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def _mnist_file(stem: str, packed: Content, extracted: Content) -> RemoteFile:
    name = f"{stem}-ubyte.gz"
    urls = tuple(mirror + name for mirror in _MNIST_MIRRORS)
    return RemoteFile("mnist", f"MNIST/raw/{name}", urls, packed, extracted)


_MNIST_FILES = (
    _mnist_file(
        "train-images-idx3",
        Content(9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        Content(47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ),
    _mnist_file(
        "train-labels-idx1",
        Content(28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        Content(60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ),
    _mnist_file(
        "t10k-images-idx3",
        Content(1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        Content(7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ),
    _mnist_file(
        "t10k-labels-idx1",
        Content(4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        Content(10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ),
)
_FREYFACE_FILE = RemoteFile(
    "freyface",
    "FreyFace/frey_rawface.mat",
    ("https://cs.nyu.edu/~roweis/data/frey_rawface.mat",),
    Content(1100584, "265a83a23adb081755cd3de375509828e690324d1d60f076b8ecebc840d59c64"),
)

DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="mnist",
            title="MNIST",
            image_shape=(28, 28),
            levels=255,
            n_train=50_000,
            n_valid=10_000,
            n_test=10_000,
            likelihoods=("bernoulli",),
            hidden=(500,),
            batch_size=100,
            files=_MNIST_FILES,
            fixed_split=True,
        ),
        DatasetSpec(
            name="freyface",
            title="Frey Face",
            image_shape=(28, 20),
            levels=256,
            n_train=1600,
            n_valid=0,
            n_test=365,
            likelihoods=("gaussian_sigmoid_mean", "gaussian"),
            hidden=(200,),
            batch_size=500,
            files=(_FREYFACE_FILE,),
        ),
        DatasetSpec(
            name="digits",
            title="Digits (8x8)",
            image_shape=(8, 8),
            levels=16,
            n_train=1500,
            n_valid=0,
            n_test=297,
            likelihoods=("bernoulli", "gaussian_sigmoid_mean", "gaussian"),
            hidden=(64,),
            batch_size=100,
        ),
    )
}

ARRAYS: dict[str, DatasetSpec] = {}  # arrays of this process, described by `vae_core.fit`


def dataset_spec(name: str | os.PathLike[str]) -> DatasetSpec:
    """The entry of `DATASETS` for a name or, for the path of an `.npz` file, its description.

    Raises:
        ValueError: an unknown name, with the nearest one; DataCorrupt, a file that is no data set.
        DataNotFound: there is no such file.
    """
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(name, str):
        raise ValueError(f"dataset={name!r}: give one name, or the path of one .npz file")
    if name in DATASETS or name in ARRAYS:
        return DATASETS.get(name) or ARRAYS[name]
    if name.endswith(".npz"):
        from vae_core.data.npz import npz_spec  # numpy is not needed for a list of names

        return npz_spec(name)
    raise ValueError(
        f"dataset={name!r} is not one of {', '.join(DATASETS)}, nor the path of an .npz file"
        f"{did_you_mean(name, DATASETS)}"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'mnist'?" where one is near, else nothing."""
    match = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
