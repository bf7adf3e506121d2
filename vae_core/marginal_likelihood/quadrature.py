"""Quadrature over z, coarse to fine: exact for all practical purposes up to three dimensions.

Space is cut into cubes, each worth its volume times the density in its middle. Where the density
may be large a cube is cut again, and so on, for each datapoint on its own; on a regular lattice
this rule converges faster than any power of the width of the cubes.
"""

import math

import torch
from torch import Tensor

from vae_core._arguments import check_between
from vae_core.log_joint import AutogradLogJoint, LatentVariableModel, LogJoint, log_joint_of
from vae_core.marginal_likelihood._arguments import check_arguments
from vae_core.model import standard_normal_log_prob

PER_AXIS = {1: 120, 2: 80, 3: 32}  # cubes of the first level, over 12 units of the prior
HALF_WIDTH = 6.0
BLOCK = 256  # cells at a time, so that activations stay in cache
NEGLIGIBLE = math.log(1e-2)  # of the tolerance; what is left out is counted, but not refined
ROUNDING = 1e-12  # nats, of sums in float64


class QuadratureError(RuntimeError):
    """The points that are allowed do not suffice for the tolerance."""


@torch.no_grad()
def quadrature(
    model: LatentVariableModel,
    x: Tensor,
    n_samples: int = 200_000,
    *,
    tolerance: float = 1e-3,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log p(x) and an estimate of its error, each (batch,), in nats, computed in float64.

    The first grid is a cube around the origin, widened while a posterior has mass at its faces. A
    cell is cut again if its density, extrapolated by its gradient, comes near the highest found.
    Should a mode be so narrow that the first grid shows no slope towards it, its mass is missing:
    the estimate errs low. A narrow mode beside a broad one is told from the halves of the lattice
    alone, see ``add_up``.

    Args:
        n_samples: points at which the density of one datapoint may be evaluated at most.
        tolerance: cells are cut until the error, see ``add_up``, is below this, in nats.
        generator: not used; all methods take one.

    Raises:
        ValueError: four or more latent dimensions.
        RuntimeError: ``n_samples`` points do not suffice (a QuadratureError).
    """
    check_arguments(model, x, generator)
    dim = model.latent_dim
    if dim not in PER_AXIS:
        raise ValueError(
            f"quadrature in {dim} latent dimensions: the grid grows as its power; at most "
            f"{max(PER_AXIS)} are served, use importance_sampling or ais"
        )
    check_between("tolerance", tolerance, 0)
    log_joint = log_joint_of(model, x).double()
    estimate, error = x.new_empty(2, x.shape[0], dtype=torch.float64)
    remaining, per_axis = torch.arange(x.shape[0], device=x.device), PER_AXIS[dim]
    while len(remaining):
        grid = Grid(dim, per_axis, n_samples, x.device)
        table = grid.log_joint(log_joint.rows(remaining))  # (cells, remaining)
        at_edge = []
        for i, start in zip(remaining.tolist(), table.T, strict=True):
            density = log_joint.rows(slice(i, i + 1))
            estimate[i], error[i], edge = refine(density, grid, start, tolerance)
            at_edge.append(edge > tolerance)
        remaining, per_axis = remaining[torch.tensor(at_edge, device=x.device)], 3 * per_axis // 2
    return estimate.to(x.dtype), error.to(x.dtype)


class Grid:
    """The cells of the first level, and how any cell is cut.

    Attributes:
        index: lattice coordinates (cells, dim) from 0 to per_axis - 1.
        width: of a cell; that of the first level does not depend on per_axis.
    """

    def __init__(
        self, dim: int, per_axis: int, max_points: int, device: torch.device | str = "cpu"
    ):
        if per_axis**dim > max_points:
            raise QuadratureError(
                f"quadrature with n_samples={max_points}: the first grid in {dim} latent "
                f"dimensions has {per_axis**dim:,} points"
            )
        axis, two = torch.arange(per_axis, device=device), torch.arange(2, device=device)
        self.dim, self.per_axis, self.max_points = dim, per_axis, max_points
        self.index = torch.cartesian_prod(*[axis] * dim).view(-1, dim)
        self.width = 2 * HALF_WIDTH / PER_AXIS[dim]
        self.corners = torch.cartesian_prod(*[two] * dim).view(-1, dim)
        self.half = 0.5 * per_axis * self.width

    def centres(self, index: Tensor, width: float) -> Tensor:
        """The middles of cells of some level (cells, dim), in float64."""
        return (index.double() + 0.5) * width - self.half

    def log_joint(self, density: LogJoint | AutogradLogJoint) -> Tensor:
        """log p(x, z) of every x at every cell of the first level, (cells, batch)."""
        z = self.centres(self.index, self.width)
        return density.table(z) + standard_normal_log_prob(z).unsqueeze(-1)

    def slope(self, value: Tensor) -> Tensor:
        """What the density may gain within half a cell, from the neighbours' values (cells,)."""
        field = value.view([self.per_axis] * self.dim)
        gain = torch.zeros_like(field)
        for axis in range(self.dim):
            step = field.diff(dim=axis).abs()
            none = torch.zeros_like(step.narrow(axis, 0, 1))
            before, after = torch.cat([none, step], axis), torch.cat([step, none], axis)
            gain += 0.5 * torch.maximum(before, after)
        return gain.flatten()

    def cut(self, index: Tensor) -> Tensor:
        """The cells of half the width, (2^dim cells, dim)."""
        return (2 * index.unsqueeze(1) + self.corners).flatten(0, 1)


def refine(
    density: LogJoint | AutogradLogJoint, grid: Grid, value: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, float]:
    """log p(x) of one x, its error, and the share of the mass in cells at the grid's faces.

    ``value`` (cells,) is the log joint on the first level. Four signs say that the lattice is fine
    enough: its halves agree, black and white as well as by layers, and its mass is spread over more
    than a layer or two (see :func:`add_up`); so agrees the lattice of twice the width (of an error
    exp(-c / 4), hence the fourth power); and no cell holds a large share. The first lattice has
    none before it, and :func:`error_of_slope` in its place. Cells that were left uncut count by
    their middles, and their whole share as an error; so does that of the cells at the faces, beyond
    which less lies than in them.
    """
    index, width, gain = grid.index, grid.width, grid.slope(value)
    outside = ((index == 0) | (index == grid.per_axis - 1)).any(-1)
    left_out = value.new_tensor(-math.inf)
    limit = math.log(tolerance) + NEGLIGIBLE  # below the highest, what does not matter
    n_points, before = len(index), None
    while True:
        log_mass, is_cut = value + grid.dim * math.log(width), value + gain > value.max() + limit
        total, error = add_up(log_mass, index, left_out)
        if before is None:
            doubled = grid.dim * error_of_slope(gain.where(is_cut, 0).max(), limit)
        else:
            doubled = (total - before).abs() ** 4
        error, before = torch.maximum(error, doubled), total
        is_resolved = error <= tolerance and torch.exp(log_mass.max() - total) < 0.5**grid.dim
        if is_resolved or total.isnan():
            edge = torch.exp(torch.logsumexp(log_mass[outside], 0) - total)
            return total, error + torch.exp(left_out - total) + edge + ROUNDING, edge.item()
        left_out = torch.logaddexp(left_out, torch.logsumexp(log_mass[~is_cut], 0))
        index, width = grid.cut(index[is_cut]), width / 2
        outside = outside[is_cut].repeat_interleave(len(grid.corners))
        n_points += len(index)
        if n_points > grid.max_points:
            raise QuadratureError(
                f"quadrature did not reach tolerance={tolerance} with n_samples="
                f"{grid.max_points} points: the posterior is narrower than {width:.2g}"
            )
        z = grid.centres(index, width).unsqueeze(1)  # (cells, 1, dim)
        parts = [density(block) for block in z.split(BLOCK)]
        value, gradient = (torch.cat(part).squeeze(1) for part in zip(*parts, strict=True))
        gain = 0.5 * width * gradient.abs().sum(-1)


def error_of_slope(gain: Tensor, limit: float) -> Tensor:
    """The most that a lattice is off, in nats and for each axis, over a density so gentle.

    A Gaussian of s cells is off by 2 exp(-2 pi^2 s^2). Where its log has fallen by ``limit``, at
    r = sqrt(-2 limit) standard deviations, it falls by r / 2s within half a cell; so if nowhere
    above that it gains more than ``gain``, s is at least r / (2 gain).
    """
    return 2 * torch.exp(math.pi**2 * limit / gain.square())


def add_up(log_mass: Tensor, index: Tensor, left_out: Tensor) -> tuple[Tensor, Tensor]:
    """log of the integral, and its error as told by halves of the lattice and by the spread.

    The halves, black and white as on a chessboard, differ from the whole by some d. For a Gaussian
    as wide in all directions their error is exp(-3/4 c) in three dimensions where that of the whole
    is exp(-c): d^(4/3). Of one narrow direction a chessboard may see nothing, and so the even and
    odd layers of each axis and the chessboards of each two axes are compared, too. They are
    lattices of twice the width in some direction, of an error exp(-c/4): d^4. A narrow direction
    that lies between two layers alike is told by :func:`error_of_spread`.
    """
    dim = index.shape[1]
    total = torch.logaddexp(torch.logsumexp(log_mass, 0), left_out)
    share, lattice = torch.exp(log_mass - total), index.double()
    axes = _directions(dim, [0, 1], index.device)
    is_odd = lattice @ axes.T % 2  # (cells, 2^dim - 1)
    apart = -torch.log1p(-(share @ (1 - 2 * is_odd)).abs())  # nats, from each pair of halves
    power = torch.where(axes.sum(-1) == dim, 4 / 3, 4.0)
    return total, torch.maximum((apart**power).max(), error_of_spread(share, lattice))


def error_of_spread(share: Tensor, lattice: Tensor) -> Tensor:
    """What a lattice is off, in nats, over a Gaussian of the covariance that it shows.

    Along a lattice direction k, cells lie in layers 1 apart, over which a Gaussian of variance s^2
    is off by 2 exp(-2 pi^2 s^2). One that is too narrow shows at most the variance of two layers
    alike, 1/4, and an error of at least 0.014.
    """
    centred = lattice - lattice[share.argmax()]
    mean = share @ centred
    covariance = centred.T @ (share.unsqueeze(-1) * centred) - mean.outer(mean)
    k = _directions(lattice.shape[1], [-2, -1, 0, 1, 2], lattice.device)
    variance = (k @ covariance * k).sum(-1).amin()
    return 2 * torch.exp(-2 * math.pi**2 * variance)


def _directions(dim: int, steps: list[int], device: torch.device) -> Tensor:
    """All directions with these steps along the axes but the one of none, (directions, dim)."""
    axis = torch.tensor(steps, dtype=torch.float64, device=device)
    every = torch.cartesian_prod(*[axis] * dim).view(-1, dim)
    return every[every.any(-1)]
