"""Adagrad and the MAP prior of Section 5, in place on dictionaries of tensors."""

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]


class Bound(nn.Module):
    """Evaluates any function of a model at given parameters, for ``torch.func``."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, function, *args, **kwargs):
        return function(self.model, *args, **kwargs)

    def at(self, params: Tensors, function, *args, **kwargs) -> Tensor:
        """function(model, *args, **kwargs) with the named parameters replaced by ``params``."""
        renamed = {f"model.{name}": tensor for name, tensor in params.items()}
        return torch.func.functional_call(self, renamed, (function, *args), kwargs)


def add_map_prior_(grads: Tensors, params: Tensors, precision: float) -> None:
    """Adds the gradient of -log N(W; 0, I / precision) for weights; biases have no prior."""
    for name, grad in grads.items():
        if params[name].ndim == 2:
            # not add_(..., alpha=precision): compiled, torch 2.13 ignores alpha there
            grad.add_(precision * params[name])


def adagrad_(
    params: Tensors, grads: Tensors, sums: Tensors, step_size: Tensor, epsilon: float
) -> None:
    """One descent step p -= step_size * g / sqrt(sum g^2 + epsilon) (Duchi et al. 2010), in place.

    A ``step_size`` of zero only accumulates the squares. Only the parameters in ``grads`` move.
    """
    for name, grad in grads.items():
        sums[name].add_(grad.square())
        params[name].sub_(step_size * grad * torch.rsqrt(sums[name] + epsilon))


def subset(tensors: Tensors, prefix: str) -> Tensors:
    """The entries whose name starts with ``prefix`` (the same tensors, not copies)."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
