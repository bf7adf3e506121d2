"""Where a run came from: versions, hashes, hardware, time."""

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

import torch

from vae_core.data import Dataset

PACKAGE = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "torchvision", "numpy", "safetensors", "scikit-learn")


def source_sha256() -> str:
    """Hash of the names and contents of the package's source files."""
    folder = PACKAGE
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def git_commit() -> str | None:
    """The commit of the source tree, with "+" after it if files of the package have changed.

    None without git, or if the package is installed within another project's repository.
    """
    folder = PACKAGE

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def packages() -> dict[str, str]:
    """Versions of Python and of the packages whose arithmetic or data a run depends on."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | versions


def processor() -> str:
    """The processor's name as the operating system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def curve_sha256(curve: dict) -> str:
    """Hash of a curve as ``run.json`` holds it."""
    return hashlib.sha256(json.dumps(curve, sort_keys=True).encode()).hexdigest()


def weights_sha256(tensors: dict[str, torch.Tensor]) -> str:
    """Hash of the weights in half precision, in which they may be committed."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        half = tensors[name].detach().to(torch.float16).cpu().contiguous()
        digest.update(f"{name} {tuple(half.shape)}".encode())
        digest.update(half.numpy().data)
    return digest.hexdigest()


class Provenance:
    """Records the source's hash when a run starts, and everything else when it ends."""

    def __init__(self) -> None:
        self._source = {"source_sha256": source_sha256(), "git_commit": git_commit()}

    def record(self, data: Dataset, wall_seconds: float, device: str = "cpu") -> dict:
        """The provenance of a run, ready for JSON; ``device`` as in its RunConfig."""
        hardware = [processor(), f"{os.cpu_count()} cores", platform.system()]
        if device == "cuda":
            hardware.append(torch.cuda.get_device_name())
        return {
            "versions": packages(),
            **self._source,
            "data_sha256": data.sha256,
            "device": ", ".join(hardware),
            "threads": torch.get_num_threads(),
            "wall_seconds": round(wall_seconds, 1),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        }
