"""Checkpoints: all that a run needs to resume bit for bit, each written whole or not at all.

The last two of each run are kept. A damaged checkpoint is never used: a hash of its tensors and its
progress is stored with them.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vae_core._atomic import replacing
from vae_core.runs.finite import check_state

if TYPE_CHECKING:
    from vae_core.runs.trainer import Trainer

UNREADABLE = (SafetensorError, OSError, ValueError, KeyError, TypeError)


class DamagedCheckpoint(ValueError):
    """A checkpoint is empty, cut short, altered, or of another run."""


class RunInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C or SIGTERM, between two steps.

    Attributes:
        key: of the run that was stopped.
        checkpoint: where its progress was written; None if it was not.
    """

    def __init__(self, key: str, checkpoint: Path | None):
        super().__init__(key, checkpoint)
        self.key, self.checkpoint = key, checkpoint

    def __str__(self) -> str:
        kept = (
            f"the same call goes on from {self.checkpoint}"
            if self.checkpoint
            else "nothing is kept"
        )
        return f"{self.key} was stopped; {kept}"


def save_checkpoint(path: Path, trainer: Trainer) -> None:
    """Writes the state of ``trainer`` to ``path``; the checkpoint before it is kept, too.

    Raises:
        FloatingPointError: a number is not finite; the old checkpoint stays.
        StoreError: the disk is full; the old checkpoint stays.
    """
    check_state(trainer)
    tensors = dict(changing(trainer))
    tensors["generator"] = trainer.generator.get_state()
    progress = json.dumps(
        {
            "samples": trainer.samples,
            "seconds": trainer.seconds,
            "curve": trainer.curve,
            "recent": trainer.recent,
        }
    )
    with replacing(path) as temporary:
        metadata = {"progress": progress, "sha256": digest(tensors, progress)}
        temporary.write_bytes(_packed(tensors, metadata))
        if path.exists():
            os.replace(path, path.with_suffix(".before.safetensors"))


def load_checkpoint(path: Path, trainer: Trainer) -> None:
    """Restores the state that ``save_checkpoint`` wrote; ``trainer`` changes wholly or not at all.

    Raises:
        DamagedCheckpoint: names the file and what is wrong with it.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata()
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        progress = json.loads(metadata["progress"])
        # checkpoints of version 1.0 have no hash
        if metadata.get("sha256", "") not in ("", digest(tensors, metadata["progress"])):
            raise ValueError("its content is not what was written")
        state = _as_state(tensors, trainer)
        generator, samples = tensors["generator"], progress["samples"]
        seconds, curve, recent = progress["seconds"], progress["curve"], progress["recent"]
    except UNREADABLE as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}") from error
    for old, new in state:
        old.copy_(new)
    _add_buffers(tensors, trainer)
    trainer.generator.set_state(generator)
    trainer.samples, trainer.seconds, trainer.curve, trainer.recent = (
        samples,
        seconds,
        curve,
        recent,
    )


def changing(trainer: Trainer) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of all that training changes: the state, and the model's buffers."""
    groups = trainer.state._asdict() | {"buffers": dict(trainer.model.named_buffers())}
    for group, members in groups.items():
        for name, tensor in members.items():
            yield f"{group}/{name}", tensor


def _as_state(tensors: dict[str, Tensor], trainer: Trainer) -> list[tuple[Tensor, Tensor]]:
    """(tensor of the trainer, its stored value) pairs; ValueError if they do not match."""
    pairs = [(tensor, tensors[name]) for name, tensor in changing(trainer)]
    for old, new in pairs:
        if old.shape != new.shape or old.dtype != new.dtype:
            raise ValueError(f"a tensor of shape {tuple(new.shape)} stands for {tuple(old.shape)}")
    return pairs


def _add_buffers(tensors: dict[str, Tensor], trainer: Trainer) -> None:
    """Adds buffers that the model creates only in training, such as one that is None at first."""
    known = dict(trainer.model.named_buffers())
    for name, tensor in tensors.items():
        group, _, where = name.partition("/")
        if group == "buffers" and where not in known:
            owner, _, last = where.rpartition(".")
            module = trainer.model.get_submodule(owner)
            module.register_buffer(last, tensor.to(trainer.device))


def resume(trainer: Trainer, folder: Path) -> None:
    """Moves ``trainer`` to the furthest undamaged checkpoint of its run, within its length.

    Checkpoints of shorter runs with the same settings count. A damaged one is skipped with a
    warning.
    """
    within = trainer.config.n_samples + trainer.per_step
    found = []
    for path in folder.glob(f"{trainer.config.trajectory_key}.*.safetensors"):
        samples = _samples(path)
        if samples is None:
            warnings.warn(f"{path} is damaged and is not used", stacklevel=2)
        elif 0 < samples < within:
            found.append((samples, path))
    for _, path in sorted(found, reverse=True):
        try:
            return load_checkpoint(path, trainer)
        except DamagedCheckpoint as error:
            warnings.warn(f"{error}; the one before is used", stacklevel=2)


def _samples(path: Path) -> int | None:
    """The number of samples at a checkpoint, from its header; None if that cannot be read."""
    try:
        with safe_open(path, framework="pt") as stored:
            return int(json.loads(stored.metadata()["progress"])["samples"])
    except UNREADABLE:
        return None


def digest(tensors: dict[str, Tensor], text: str) -> str:
    """SHA-256 of a text and of tensors by name."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes safetensors, whole or not at all; raises StoreError."""
    with replacing(path) as temporary:
        temporary.write_bytes(_packed(tensors, metadata))


def _packed(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The content of a safetensors file.

    ``save_file`` would write to a temporary name of its own, which a killed process leaves behind.
    It refuses tensors that share memory, hence the copies.
    """
    return save({name: t.contiguous().clone() for name, t in tensors.items()}, metadata)
