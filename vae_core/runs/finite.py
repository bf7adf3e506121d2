"""Stops a run whose curve or weights are not finite, and says why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vae_core.runs.trainer import Trainer


def check_state(trainer: Trainer) -> None:
    """Raises FloatingPointError, which names the tensor, if the state is not finite."""
    for group, members in trainer.state._asdict().items():
        for name, tensor in members.items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise diverged(trainer, f"{group}/{name} is not finite")


def check_row(trainer: Trainer, row: dict[str, float]) -> None:
    """Raises FloatingPointError, which names the column, if a row of the curve is not finite."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise diverged(trainer, f"{name} is {value}")


def diverged(trainer: Trainer, what: str) -> FloatingPointError:
    """The error to raise: it names run, step, what went wrong, and the settings to try."""
    config = trainer.config
    remedy = f"step_size={config.step_size} is too large; try a smaller one"
    if trainer.samples <= trainer.per_step:  # before any step has shown its size
        remedy = f"init_sd={config.init_sd}, the scale of the data or {remedy}"
    if config.prior_sd is not None and config.prior_sd < 1e-3:
        remedy = f"prior_sd={config.prior_sd} is too narrow; try a wider one"
    return FloatingPointError(
        f"{config.key}: {what} after step {trainer.samples // trainer.per_step:,} "
        f"({trainer.samples:,} samples): {remedy}"
    )
