"""Checks of the arguments of public functions, made before any work starts.

Each raises a ValueError that names the argument, its value and what is needed.
"""

import math
import reprlib
from collections.abc import Collection
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def _shown(value: Any) -> str:
    """The value on one line, arrays and modules included."""
    return " ".join(reprlib.repr(value).split())


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Requires a whole number of at least ``least``, Python's or numpy's."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={_shown(value)}: it must be a whole number of at least {least}")


def check_between(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Requires a finite number strictly between ``low`` and ``high``."""
    if not isinstance(value, Real) or isinstance(value, bool) or not low < float(value) < high:
        limits = f"above {low}" if high == math.inf else f"between {low} and {high}"
        raise ValueError(f"{name}={_shown(value)}: it must be a finite number {limits}")


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Requires one of the given words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={_shown(value)}: choose one of {', '.join(choices)}")


def check_kind(name: str, value: Any, kind: type, remedy: str) -> None:
    """Requires an instance of a class; ``remedy`` says how to get one."""
    if not isinstance(value, kind):
        raise ValueError(f"{name}={_shown(value)} is not a {kind.__name__}: {remedy}")


def check_generator(generator: Any) -> None:
    """Requires a torch.Generator, or None for torch's global one."""
    import torch  # not needed for the numbers above

    if generator is not None:
        check_kind("generator", generator, torch.Generator, "torch.Generator() makes one")


def check_rows(
    name: str,
    rows: Any,
    width: int | None,
    dtype: "torch.dtype | None" = None,
    ndim: int | None = None,
) -> None:
    """Requires floats (..., width); if given, also a model's dtype and ``ndim`` dimensions."""
    import torch

    if not isinstance(rows, torch.Tensor):
        raise ValueError(f"{name} is a {type(rows).__name__}: torch.as_tensor makes it a tensor")
    if width not in (None, *rows.shape[-1:]) or ndim not in (None, rows.ndim):
        last = "data_dim" if width is None else width
        needed = f"(batch, {last})" if ndim == 2 else f"(..., {last})"
        raise ValueError(f"{name} has shape {tuple(rows.shape)}: {needed} is needed")
    if dtype not in (None, rows.dtype):
        raise ValueError(
            f"{name} is of {rows.dtype}, the model of {dtype}: use {name}.to({dtype}), scaled to "
            f"[0, 1] if those are bytes, or change the model"
        )
    if not rows.is_floating_point():
        raise ValueError(
            f"{name} is of {rows.dtype}: use {name}.float(), scaled to [0, 1] if those are bytes"
        )
