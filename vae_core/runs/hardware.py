"""What a run requires of the machine, checked before work starts."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from vae_core.runs.config import RunConfig

SLOW = 2.0  # where there are units for bfloat16, its products take about half of float32's time


class SlowPrecision(UserWarning):
    """bfloat16 products were requested on a machine where they are slower than float32's."""


def check_hardware(config: RunConfig) -> None:
    """Refuses a device that does not exist; warns once about a precision that is slow here.

    Raises:
        ValueError: as :func:`device_of`.

    Warns:
        SlowPrecision: names the setting, how much slower it is, and the remedy.
    """
    device = device_of(config)
    if config.matmul_precision == "medium" and device.type == "cpu":
        _warn_of_slow_products()


def device_of(config: RunConfig) -> torch.device:
    """The device on which a run is trained.

    Raises:
        ValueError: device="cuda", but this machine has no GPU, or its PyTorch does not support one.
    """
    import torch  # not needed to describe a run

    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device='cuda': PyTorch {torch.__version__} finds no GPU on this machine; "
            "leave device at 'cpu'"
        )
    return torch.device(config.device)


@cache  # measured, and said, once
def _warn_of_slow_products() -> None:
    slower = slowdown_of_bfloat16()
    if slower > SLOW:
        warnings.warn(
            f"matmul_precision='medium': this processor has no units for bfloat16, whose products "
            f"take {slower:.0f} times as long as float32's; use matmul_precision='highest' "
            f"(another run, with another key)",
            SlowPrecision,
            stacklevel=4,
        )


def slowdown_of_bfloat16() -> float:
    """How many times as long a bfloat16 matrix product takes here as one in float32.

    It is measured, at the size of a minibatch of MNIST, because PyTorch knows it for few
    processors: a fraction of a second where it is slow, milliseconds elsewhere.
    """
    import torch

    def seconds(dtype: torch.dtype) -> float:
        one, other = torch.ones(100, 500, dtype=dtype), torch.ones(500, 784, dtype=dtype)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            one @ other
            times.append(time.perf_counter() - start)
        return min(times)

    return seconds(torch.bfloat16) / seconds(torch.float32)


@contextmanager
def own_precision() -> Iterator[None]:
    """Computes in the run's own precision, whatever the caller's autocast settings are."""
    import torch

    with _ProductsInFull(torch.backends):
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield


class _ProductsInFull:
    """Full float32 products while any thread is within: a setting of the whole process."""

    _lock = threading.Lock()
    _within = 0
    _before: tuple[str, ...] = ()

    def __init__(self, backends: Any):
        self._products = backends.mkldnn.matmul, backends.cuda.matmul

    def __enter__(self) -> None:
        kind = type(self)
        with kind._lock:
            if not kind._within:
                kind._before = tuple(product.fp32_precision for product in self._products)
                self._set("ieee", "ieee")
            kind._within += 1

    def __exit__(self, *_: object) -> None:
        kind = type(self)
        with kind._lock:
            kind._within -= 1
            if not kind._within:
                self._set(*kind._before)

    def _set(self, *precisions: str) -> None:
        for product, precision in zip(self._products, precisions, strict=True):
            product.fp32_precision = precision
