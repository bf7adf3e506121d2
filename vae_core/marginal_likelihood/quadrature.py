"""Quadrature over a grid of z, exact for all practical purposes in one and two dimensions."""

import math

import torch
from torch import Tensor

from vae_core.log_joint import decoder_layers, log_likelihood_table
from vae_core.model import VAE, standard_normal_log_prob

BLOCK = 2_000  # grid points at a time


@torch.no_grad()
def quadrature(
    model: VAE,
    x: Tensor,
    *,
    half_width: float = 6.0,
    tolerance: float = 1e-3,
    max_points: int = 2_000_000,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log p(x) by the trapezoidal rule and its numerical error, each (batch,), in nats.

    The grid covers a square around the origin, shared by all x. It is widened while any posterior
    has mass at its edge, and its spacing halved until no estimate moves by more than
    ``tolerance``, which then bounds the error reported. ``generator`` is not used.

    Raises:
        ValueError: three or more latent dimensions.
        RuntimeError: no convergence within ``max_points`` grid points.
    """
    dim = model.latent_dim
    if dim > 2:
        raise ValueError(
            f"quadrature in {dim} latent dimensions: the grid grows as its power; at most 2 are "
            "served, use importance_sampling or ais"
        )
    per_axis, previous = 33 if dim == 2 else 65, None
    while per_axis**dim <= max_points:
        estimate, edge = _trapezoid(model, x, half_width, per_axis)
        if edge > tolerance:
            half_width, previous = 1.5 * half_width, None
            continue
        if previous is not None:
            error = (estimate - previous).abs()
            if error.max() <= tolerance:
                return estimate, error
        previous, per_axis = estimate, 2 * per_axis - 1
    raise RuntimeError(
        f"quadrature did not reach tolerance={tolerance} within max_points={max_points}: the "
        f"posterior is narrower than the grid's spacing of {2 * half_width / (per_axis // 2):.4f}"
    )


def _trapezoid(model: VAE, x: Tensor, half_width: float, per_axis: int) -> tuple[Tensor, float]:
    """log sum_k w p(z_k) p(x | z_k), (batch,), and the largest share that lies on the edge."""
    axis = torch.linspace(-half_width, half_width, per_axis, dtype=x.dtype)
    grid = torch.cartesian_prod(*[axis] * model.latent_dim).view(-1, model.latent_dim)
    layers = decoder_layers(model)
    total = torch.full((x.shape[0],), -math.inf, dtype=torch.float64)
    edge = total
    for z in grid.split(BLOCK):
        table = log_likelihood_table(layers, model.likelihood, x, z)  # (block, batch)
        log_terms = (table + standard_normal_log_prob(z).unsqueeze(-1)).double()
        total = torch.logaddexp(total, torch.logsumexp(log_terms, dim=0))
        at_edge = (z.abs() >= axis[-1]).any(-1)
        edge = torch.logaddexp(edge, torch.logsumexp(log_terms[at_edge], dim=0))
    log_cell = model.latent_dim * math.log(2 * half_width / (per_axis - 1))
    return (total + log_cell).to(x.dtype), torch.exp(edge - total).max().item()
