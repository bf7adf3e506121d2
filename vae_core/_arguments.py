"""What public functions ask of their arguments: refused in one line, before any work starts.

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
    """Arrays and modules, too, on one line."""
    return " ".join(reprlib.repr(value).split())


def check_count(name: str, value: Any, least: int = 1) -> None:
    """A whole number of at least ``least``, Python's or numpy's."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={_shown(value)}: it must be a whole number of at least {least}")


def check_between(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """A finite number strictly between two others."""
    if not isinstance(value, Real) or isinstance(value, bool) or not low < float(value) < high:
        limits = f"above {low}" if high == math.inf else f"between {low} and {high}"
        raise ValueError(f"{name}={_shown(value)}: it must be a finite number {limits}")


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """One of some words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={_shown(value)}: choose one of {', '.join(choices)}")


def check_kind(name: str, value: Any, kind: type, remedy: str) -> None:
    """An instance of a class; ``remedy`` says how to come by one."""
    if not isinstance(value, kind):
        raise ValueError(f"{name}={_shown(value)} is no {kind.__name__}: {remedy}")


def check_generator(generator: Any) -> None:
    """A random generator of torch's, or None for its global one."""
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
    """Floats (..., width); also of a model's dtype and with ``ndim`` dimensions, if given."""
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
