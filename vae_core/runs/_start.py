"""How a model is recognised, and put back to where it began."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vae_core.images import Images
from vae_core.runs.checkpoint import changing, digest
from vae_core.runs.hardware import own_precision
from vae_core.runs.trainer import Trainer

ROWS = 200  # of the first bound
PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Beginning:
    """A trainer's state, and its model's buffers and plain attributes, as they are now.

    Raises:
        ValueError: a buffer whose entries share memory, which cannot be written back.
    """

    def __init__(self, trainer: Trainer):
        _check_buffers(trainer.model)
        self._buffers = [(module, dict(module._buffers)) for module in trainer.model.modules()]
        self._plain = plain_attributes(trainer.model)
        self._values = [(tensor, tensor.clone()) for _, tensor in changing(trainer)]

    @torch.no_grad()
    def restore(self) -> None:
        """Puts all of it back."""
        put_back(self._plain)
        for module, buffers in self._buffers:
            module._buffers.clear()
            module._buffers.update(buffers)
        for tensor, value in self._values:
            tensor.copy_(value)


def _check_buffers(model: nn.Module) -> None:
    for name, buffer in model.named_buffers():
        if any(n > 1 and not step for n, step in zip(buffer.shape, buffer.stride(), strict=True)):
            raise ValueError(
                f"model=...: its {name} was made by expand(), so that its entries share memory and "
                f"cannot be brought back from a checkpoint: register its .contiguous()"
            )


def plain_attributes(model: nn.Module) -> list[tuple[nn.Module, dict[str, Any]]]:
    """The plain attributes of each of the model's modules, see ``_plain``."""
    return [(module, _plain(module)) for module in model.modules()]


def put_back(attributes: list[tuple[nn.Module, dict[str, Any]]]) -> None:
    """Restores the plain attributes of each module."""
    for module, plain in attributes:
        vars(module).update(plain)


def _plain(module: nn.Module) -> dict[str, Any]:
    """Attributes of a module that are numbers, strings, functions, or tuples of these."""
    return {name: value for name, value in vars(module).items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, PLAIN) or _name_of(value) is not None


def _name_of(value: Any) -> str | None:
    """The qualified name of a function or class; None for anything else."""
    is_named = callable(value) and not isinstance(value, nn.Module)
    return getattr(value, "__qualname__", None) if is_named else None


def _text_of(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_text_of, value))})"
    return _name_of(value) or repr(value)


def start_of(trainer: Trainer) -> str:
    """A name for the model as it is before training.

    It depends on the layers, tensors, frozen parameters and plain attributes, on the first bound in
    training, and on the norm of its gradient in each parameter.
    """
    model = trainer.model
    told = [repr(model)]
    told += [f"{name} {p.requires_grad}" for name, p in model.named_parameters()]
    for where, module in model.named_modules():
        told += [f"{where}.{name}={_text_of(v)}" for name, v in sorted(_plain(module).items())]
    if trainer.bound:
        told += _first_bound(trainer, trainer.bound)
    started = digest(dict(changing(trainer)), "\n".join(told))
    return f"{type(model).__name__}-{started[:8]}"


def _first_bound(trainer: Trainer, bound: Callable[..., Tensor]) -> list[str]:
    """The bound of the first rows in training mode, and the norms of its gradient, bit for bit."""
    images, model, device = trainer.images, trainer.model, trainer.device
    few = Images(images.rows[:ROWS], images.levels)
    moving = [p for p in model.parameters() if p.requires_grad]
    generator = torch.Generator(device).manual_seed(0)
    with _untouched(trainer), torch.inference_mode(False), torch.enable_grad():
        value = bound(model, few.scaled(few.rows), generator=generator).sum()
        is_moved = value.requires_grad
        slopes = torch.autograd.grad(value, moving, allow_unused=True) if is_moved else ()
    norms = [None if slope is None else slope.norm().item() for slope in slopes]
    return [repr(value.item()), repr(norms)]


@contextmanager
def _untouched(trainer: Trainer) -> Iterator[None]:
    """Leaves model and random numbers as they were; uses one thread, so that sums are the same."""
    beginning, threads = Beginning(trainer), torch.get_num_threads()
    devices = [trainer.device] if trainer.device.type == "cuda" else []
    with torch.random.fork_rng(devices), own_precision():
        torch.default_generator.manual_seed(0)
        if devices:
            torch.cuda.manual_seed(0)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            beginning.restore()
