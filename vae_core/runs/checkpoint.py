"""Checkpoints: all that a run needs to go on bit for bit, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

if TYPE_CHECKING:
    from vae_core.runs.trainer import Trainer


def save_checkpoint(path: Path, trainer: Trainer) -> None:
    """Writes all that a run needs to go on bit for bit, whole or not at all."""
    tensors = {
        f"{group}/{name}": tensor
        for group, members in trainer.state._asdict().items()
        for name, tensor in members.items()
    }
    tensors["generator"] = trainer.generator.get_state()
    progress = {
        "samples": trainer.samples,
        "seconds": trainer.seconds,
        "curve": trainer.curve,
        "recent": trainer.recent,
    }
    write_tensors(path, tensors, {"progress": json.dumps(progress)})


def load_checkpoint(path: Path, trainer: Trainer) -> None:
    """Puts ``trainer`` where ``save_checkpoint`` left it."""
    with safe_open(path, framework="pt") as stored:
        progress = json.loads(stored.metadata()["progress"])
        for group, members in trainer.state._asdict().items():
            for name, tensor in members.items():
                tensor.copy_(stored.get_tensor(f"{group}/{name}"))
        trainer.generator.set_state(stored.get_tensor("generator"))
    trainer.samples, trainer.seconds = progress["samples"], progress["seconds"]
    trainer.curve, trainer.recent = progress["curve"], progress["recent"]


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """safetensors to a temporary name, flushed to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file({k: t.contiguous() for k, t in tensors.items()}, temporary, metadata)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
