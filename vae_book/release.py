"""The committed runs as one archive of a release, for an installation without the book.

The package knows the checksum of every file of the runs, so an archive may come from anywhere.
"""

import hashlib
import lzma
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from vae_book import published
from vae_book.resources import reference_sums
from vae_core._atomic import replacing
from vae_core.runs import reference_dir
from vae_core.runs.checks import SUMS


def archive_name() -> str:
    """The archive of this version: `vae_core-reference-1.3.0.tar.xz`."""
    return f"vae_core-reference-{version('vae_core')}.tar.xz"


def archive_address() -> str:
    """Where the archive of this version is published.

    Raises:
        LookupError: vae_book/published.py names no repository.
    """
    if published.REPOSITORY is None:
        raise LookupError(
            "vae_book/published.py names no repository to load the stored runs from; say where "
            f"their archive {archive_name()} is: vae-core reference fetch --from FILE_OR_ADDRESS"
        )
    return f"{published.REPOSITORY}/releases/download/v{version('vae_core')}/{archive_name()}"


def pack(folder: Path) -> tuple[Path, str]:
    """Writes the archive of the committed runs into a folder; its path and its SHA-256.

    Two archives of the same runs hold the same members in the same order, without times or owners.
    """
    with replacing(folder / archive_name()) as temporary, tarfile.open(temporary, "w:xz") as tar:
        for name, content in _checked(reference_dir()):
            member = tarfile.TarInfo(name)
            member.size = content.stat().st_size
            with content.open("rb") as stream:
                tar.addfile(member, stream)
    path = folder / archive_name()
    with path.open("rb") as stream:
        return path, hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(source: str | None = None, *, progress: bool = True) -> tuple[Path, int]:
    """Puts the committed runs where runs are looked for, unless they are there.

    Args:
        source: the archive, a file or an address; default: `archive_address()`.

    Returns:
        The folder, and how many runs were put there.

    Raises:
        LookupError: no source is given and none is known.
        ValueError: the archive lacks a file, or one of them is not the published one.
        OSError: it cannot be loaded or read.
    """
    folder = reference_dir()
    missing = sorted({Path(name).parent.name for name in _sums() if not _is_there(folder, name)})
    if not missing:
        return folder, 0
    contents = _contents(source or archive_address(), progress)
    for key in missing:
        with replacing(folder / key) as place:
            place.mkdir()
            for name in (name for name in contents if Path(name).parent.name == key):
                (place / Path(name).name).write_bytes(contents[name])
    (folder / SUMS).write_bytes(reference_sums().read_bytes())
    return folder, len(missing)


def _sums() -> dict[str, str]:
    """The SHA-256 of every file of the committed runs, by its path below their folder."""
    lines = (line.split("  ", 1) for line in reference_sums().read_text().splitlines())
    return {name: digest for digest, name in lines}


def _is_there(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == _sums()[name]


def _checked(folder: Path) -> Iterator[tuple[str, Path]]:
    for name in sorted(_sums()):
        if not _is_there(folder, name):
            raise ValueError(f"{folder / name} is not as in {SUMS}")
        yield name, folder / name


def _contents(source: str, progress: bool) -> dict[str, bytes]:
    """The files that the package knows, each checked, of an archive; by their names."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(source.removeprefix("file://")).expanduser()
        if source.startswith(("http://", "https://")):
            archive = _loaded(source, Path(folder) / "archive", progress)
        try:
            with tarfile.open(archive) as tar:
                return {name: _member(tar, name, source) for name in _sums()}
        except (KeyError, EOFError, lzma.LZMAError, tarfile.TarError) as error:
            reason = str(error).strip("'\"")
            raise ValueError(
                f"{source} is not an archive of this version's runs: {reason}"
            ) from error


def _loaded(address: str, target: Path, progress: bool) -> Path:
    import pooch

    try:
        pooch.HTTPDownloader(progressbar=progress, timeout=10)(address, str(target), None)
    except OSError as error:  # requests' errors among them
        raise OSError(f"the stored runs could not be loaded from {address}: {error}") from error
    return target


def _member(tar: tarfile.TarFile, name: str, source: str) -> bytes:
    stream = tar.extractfile(name)
    content = stream.read() if stream else b""
    if hashlib.sha256(content).hexdigest() != _sums()[name]:
        raise ValueError(f"{source}: {name} is not the published file of this version")
    return content
