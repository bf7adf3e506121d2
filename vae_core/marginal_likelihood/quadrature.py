"""Adaptive quadrature over z: exact for all practical purposes in up to three dimensions.

Space is cut into cubes, and each counts as its volume times the density at its centre. Where the
density may be large, a cube is cut again, and so on, for each datapoint separately. On a regular
lattice the error of this rule falls faster than any power of the width of the cubes.
"""

import math

import torch
from torch import Tensor

from vae_core._arguments import check_between
from vae_core.log_joint import AutogradLogJoint, LatentVariableModel, LogJoint, log_joint_of
from vae_core.marginal_likelihood._arguments import check_arguments
from vae_core.model import standard_normal_log_prob

PER_AXIS = {1: 120, 2: 80, 3: 32}  # cubes along an axis at first, over 12 sd of the prior
HALF_WIDTH = 6.0
BLOCK = 256  # cells at a time, so that activations stay in cache
NEGLIGIBLE = math.log(1e-2)  # of the tolerance: such cells are counted, but not cut
ROUNDING = 1e-12  # nats, of sums in float64


class QuadratureError(RuntimeError):
    """The allowed number of points is too small for the tolerance."""


@torch.no_grad()
def quadrature(
    model: LatentVariableModel,
    x: Tensor,
    n_samples: int = 200_000,
    *,
    tolerance: float = 1e-3,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log p(x) by adaptive quadrature and an estimate of its error, each (batch,), in nats.

    All sums are in float64. The first grid is a cube around the origin, widened while a posterior
    has mass at its faces. A cell is cut again if its density, extrapolated by its gradient, comes
    near the highest density found. If a mode is so narrow that the first grid shows no slope
    towards it, its mass is missed and the estimate is too low. A narrow mode beside a broad one is
    noticed only by comparing halves of the lattice, see ``add_up``.

    Args:
        n_samples: the most points at which the density of one datapoint may be evaluated.
        tolerance: cells are cut until the error, see ``add_up``, is below this, in nats.
        generator: not used, but an argument of every method.

    Raises:
        ValueError: four or more latent dimensions.
        RuntimeError: ``n_samples`` points do not suffice (a QuadratureError).
    """
    check_arguments(model, x, generator)
    dim = model.latent_dim
    if dim not in PER_AXIS:
        raise ValueError(
            f"quadrature in {dim} latent dimensions: its grid would be too large; at most "
            f"{max(PER_AXIS)} are possible, use importance_sampling or ais"
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
    """The cells of the first level, and how a cell of any level is cut.

    Attributes:
        index: lattice coordinates (cells, dim), from 0 to per_axis - 1.
        width: of a cell of the first level; it does not depend on per_axis.
    """

    def __init__(
        self, dim: int, per_axis: int, max_points: int, device: torch.device | str = "cpu"
    ):
        if per_axis**dim > max_points:
            raise QuadratureError(
                f"quadrature with n_samples={max_points}: the first grid in {dim} latent "
                f"dimensions has {per_axis**dim:,} points; use more"
            )
        axis, two = torch.arange(per_axis, device=device), torch.arange(2, device=device)
        self.dim, self.per_axis, self.max_points = dim, per_axis, max_points
        self.index = torch.cartesian_prod(*[axis] * dim).view(-1, dim)
        self.width = 2 * HALF_WIDTH / PER_AXIS[dim]
        self.corners = torch.cartesian_prod(*[two] * dim).view(-1, dim)
        self.half = 0.5 * per_axis * self.width

    def centres(self, index: Tensor, width: float) -> Tensor:
        """Centres of cells of some level, from their index and width: (cells, dim), in float64."""
        return (index.double() + 0.5) * width - self.half

    def log_joint(self, density: LogJoint | AutogradLogJoint) -> Tensor:
        """log p(x, z) of every x at every cell of the first level, (cells, batch)."""
        z = self.centres(self.index, self.width)
        return density.table(z) + standard_normal_log_prob(z).unsqueeze(-1)

    def slope(self, value: Tensor) -> Tensor:
        """What the log density may gain within half a cell, from neighbouring values (cells,)."""
        field = value.view([self.per_axis] * self.dim)
        gain = torch.zeros_like(field)
        for axis in range(self.dim):
            step = field.diff(dim=axis).abs()
            none = torch.zeros_like(step.narrow(axis, 0, 1))
            before, after = torch.cat([none, step], axis), torch.cat([step, none], axis)
            gain += 0.5 * torch.maximum(before, after)
        return gain.flatten()

    def cut(self, index: Tensor) -> Tensor:
        """The 2^dim cells of half the width within each cell, (2^dim cells, dim)."""
        return (2 * index.unsqueeze(1) + self.corners).flatten(0, 1)


def refine(
    density: LogJoint | AutogradLogJoint, grid: Grid, value: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, float]:
    """log p(x) of one x, its error, and the share of the mass in cells at the faces of the grid.

    ``value`` (cells,) is the log joint on the first level. The lattice is fine enough if

    - its halves agree, as on a chessboard and by layers (:func:`add_up`);
    - its mass is spread over more than a layer or two (:func:`add_up`);
    - the lattice of twice the width agrees: the error of that one is exp(-c / 4) where this one's
      is exp(-c), hence the fourth power. The first lattice has none before it, and uses
      :func:`error_of_slope` instead;
    - no cell holds a large share.

    Cells that are left uncut count with their centres, and their whole share counts as error. So
    does the share of the cells at the faces, since less mass lies beyond the faces than in them.
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
                f"{grid.max_points} points: the posterior is narrower than {width:.2g}; "
                f"use more points"
            )
        z = grid.centres(index, width).unsqueeze(1)  # (cells, 1, dim)
        parts = [density(block) for block in z.split(BLOCK)]
        value, gradient = (torch.cat(part).squeeze(1) for part in zip(*parts, strict=True))
        gain = 0.5 * width * gradient.abs().sum(-1)


def error_of_slope(gain: Tensor, limit: float) -> Tensor:
    """The largest error of a lattice, in nats and for each axis, over a density of this slope.

    Over a Gaussian with a standard deviation of s cells the error is 2 exp(-2 pi^2 s^2). Where its
    log has fallen by ``limit``, at r = sqrt(-2 limit) standard deviations, it falls by r / 2s
    within half a cell. So if above that it nowhere gains more than ``gain``, s is at least r / (2
    gain).
    """
    return 2 * torch.exp(math.pi**2 * limit / gain.square())


def add_up(log_mass: Tensor, index: Tensor, left_out: Tensor) -> tuple[Tensor, Tensor]:
    """log of the integral, and its error, estimated from halves of the lattice and from the spread.

    The halves, black and white as on a chessboard, differ from the whole by some d. For a Gaussian
    that is equally wide in all directions, their error is exp(-3/4 c) in three dimensions where
    that of the whole is exp(-c): this gives d^(4/3). A chessboard may not notice a single narrow
    direction. So the even and odd layers of each axis, and the chessboards of each two axes, are
    compared, too. They are lattices of twice the width in some direction, with an error of
    exp(-c/4): this gives d^4. A narrow direction that lies between two equal layers is noticed by
    :func:`error_of_spread`.
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
    """Error of a lattice, in nats, over a Gaussian with the covariance that the lattice shows.

    Along a lattice direction k, cells lie in layers 1 apart. Over a Gaussian of variance s^2 such
    layers are off by 2 exp(-2 pi^2 s^2). A Gaussian that is too narrow shows at most the variance
    of two equal layers, 1/4, and so an error of at least 0.014.
    """
    centred = lattice - lattice[share.argmax()]
    mean = share @ centred
    covariance = centred.T @ (share.unsqueeze(-1) * centred) - mean.outer(mean)
    k = _directions(lattice.shape[1], [-2, -1, 0, 1, 2], lattice.device)
    variance = (k @ covariance * k).sum(-1).amin()
    return 2 * torch.exp(-2 * math.pi**2 * variance)


def _directions(dim: int, steps: list[int], device: torch.device) -> Tensor:
    """All directions with these steps along the axes, without zero itself: (directions, dim)."""
    axis = torch.tensor(steps, dtype=torch.float64, device=device)
    every = torch.cartesian_prod(*[axis] * dim).view(-1, dim)
    return every[every.any(-1)]
