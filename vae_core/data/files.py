"""Files of the data sets: where they are, their checksums, and their download."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from vae_core._atomic import StoreError, replacing


class DataNotFound(FileNotFoundError):
    """A file of a data set is not in the data folder and cannot be downloaded."""


class DataCorrupt(ValueError):
    """A file of a data set exists, but is not the published one, or not a data set."""


@dataclass(frozen=True)
class Content:
    """The size in bytes and the SHA-256 of a published file."""

    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size:,} bytes with sha256 {self.sha256}"


@dataclass(frozen=True)
class RemoteFile:
    """One published file: its path below the data folder, and the addresses that offer it.

    `extracted` describes what a `.gz` holds; an extracted copy beside it is used as well.
    """

    dataset: str
    path: str
    urls: tuple[str, ...]
    content: Content
    extracted: Content | None = None

    def variants(self, folder: Path) -> list[tuple[Path, Content]]:
        """Paths of acceptable copies with the content of each, the quickest to read first."""
        packed = folder / self.path
        if self.extracted is None:
            return [(packed, self.content)]
        return [(packed.with_suffix(""), self.extracted), (packed, self.content)]


def data_folder() -> Path:
    """The data folder: that named by `VAE_CORE_DATA`, or `data` in the user's cache directory."""
    named = os.environ.get("VAE_CORE_DATA")
    if named:
        return Path(named).expanduser().resolve()
    import platformdirs

    return platformdirs.user_cache_path("vae_core") / "data"


def content_of(path: Path) -> Content:
    """Size and SHA-256 of a file."""
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return Content(path.stat().st_size, digest.hexdigest())


def find(file: RemoteFile, folder: Path) -> Path | None:
    """The path of a verified copy of the file, or None where there is none.

    Raises:
        DataCorrupt: a copy is there, but its content is not the published one.
    """
    for path, expected in file.variants(folder):
        if path.exists():
            found = content_of(path)
            if found != expected:
                raise DataCorrupt(
                    f"{path} is not the published file (truncated, damaged or another version): "
                    f"expected {expected}, found {found}. "
                    f"Delete it and run `vae-core data fetch {file.dataset}`."
                )
            return path
    return None


def obtain(file: RemoteFile, folder: Path, *, progress: bool = True) -> Path:
    """The path of a verified copy of the file, downloaded if it is missing.

    Raises:
        DataNotFound: the file is missing and no address delivers it.
        DataCorrupt: a copy is there, but its content is not the published one.
    """
    found = find(file, folder)
    if found is not None:
        return found
    reasons = []
    for url in file.urls:
        try:
            return _download(url, folder / file.path, file.content, progress=progress)
        except StoreError:
            raise  # no other address helps against a full disk
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            reasons.append(f"{url} ({_brief(error)})")
    raise DataNotFound(
        f"{file.path} of the data set '{file.dataset}' is missing. "
        f"Looked for in {folder} (the environment variable VAE_CORE_DATA names another folder); "
        f"could not be downloaded from {' or '.join(reasons)}. "
        f"Put the file at {folder / file.path}, or use the data set 'digits', which needs no file."
    )


def _download(url: str, target: Path, expected: Content, *, progress: bool) -> Path:
    import pooch

    with replacing(target) as temporary:
        download = pooch.HTTPDownloader(progressbar=progress, timeout=10)
        download(url, str(temporary), None)
        if content_of(temporary) != expected:
            raise ValueError("the downloaded file has another sha256")
    return target


def _brief(error: Exception) -> str:
    """One short reason: connection errors carry whole call stacks in their text."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"status {error.response.status_code}"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)
