"""Content hashes by which the build knows what has changed."""

import hashlib
import itertools
import json
import os
import sys
from pathlib import Path

from vae_core.data.files import data_folder
from vae_core.runs.folders import cache_dir, reference_dir

_SKIP = {"__pycache__", ".ipynb_checkpoints"}
_ENVIRONMENT = ("VAE_CORE_DATA", "VAE_CORE_REFERENCE", "VAE_CORE_CACHE", "VAE_CORE_TRAIN")


def files_below(path):
    """The file itself, or every file below a folder, in a fixed order."""
    path = Path(path)
    if path.is_file():
        return [path]
    below = (p for p in path.rglob("*") if p.is_file() and not _SKIP & set(p.parts))
    return sorted(below)


def _found():
    """The stored runs and the data files that a notebook finds, by name and size."""
    runs = [folder.glob("*/run.json") for folder in (cache_dir() / "runs", reference_dir())]
    files = [*itertools.chain(*runs), *files_below(data_folder())]
    return sorted((str(file), file.stat().st_size) for file in files)


def fingerprint(paths, root, *values):
    """One sha256 of the contents of files and folders, of values, and of what selects data."""
    digest = hashlib.sha256()
    for path in paths:
        for file in files_below(path):
            name = os.path.relpath(file, root)
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    environment = {name: os.environ.get(name) for name in _ENVIRONMENT}
    rest = [environment, _found(), sys.version_info[:2], *values]
    digest.update(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()
