"""Pictures drawn by a model: manifolds, samples, reconstructions, walks and traversals."""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.patches import Circle
from torch import Tensor

from vae_book.plots.curves import panel_title
from vae_book.plots.style import CLASS_COLORS, Figure, Panel, color_of, png_panel, svg_panel
from vae_book.words import counted

RING = "#8c8c8c"  # on white and on black
APART = 0.35  # between two labels in the latent plane
MOST_CLASSES = len(CLASS_COLORS)  # that are labelled there, each with a colour of its own
LONGEST_LABEL = 2  # characters that fit into a label


def image_grid(images: Tensor, image_shape, n_columns: int, gap: int = 0) -> np.ndarray:
    """Images (n, D) as one picture, row by row, `gap` grey pixels apart, (height, width)."""
    n_rows = -(-len(images) // n_columns)
    height, width = image_shape
    tiles = torch.full((n_rows * n_columns, height + gap, width + gap), 0.5)
    tiles[: len(images), :height, :width] = images.detach().reshape(-1, height, width)
    tiles = tiles.reshape(n_rows, n_columns, height + gap, width + gap).transpose(1, 2)
    picture = tiles.reshape(n_rows * (height + gap), n_columns * (width + gap)).numpy()
    return picture[: picture.shape[0] - gap, : picture.shape[1] - gap]


def unit_square_latents(n: int) -> Tensor:
    """n x n equally spaced points of the unit square through the inverse Gaussian CDF, (n*n, 2).

    Row by row from the top: z_1 grows to the right, z_2 upwards (Appendix A).
    """
    positions = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    z = torch.special.ndtri(positions).float()
    z2, z1 = torch.meshgrid(z.flip(0), z, indexing="ij")
    return torch.stack([z1, z2], dim=-1).reshape(-1, 2)


@torch.no_grad()
def decode_means(run, z: Tensor) -> Tensor:
    """Decoder means of a run's model at z, (n, D)."""
    return run.model().decode(z).mean


def _shape(run):
    return run.config.spec.image_shape


def _seam(run) -> int:
    """Gap between pictures of a seamless grid: none, but strokes of tiny images would run on."""
    return int(min(_shape(run)) < 16)


def _words(run) -> str:
    return f"{run.config.spec.title}, {counted(run.config.latent_dim, 'latent dimension')}"


class Fitted(NamedTuple):
    """A Gaussian in latent space."""

    mean: Tensor  #: (d,)
    root: Tensor  #: Cholesky factor of the covariance, (d, d)


def fitted_gaussian(codes: Tensor) -> Fitted:
    """The Gaussian with the mean and the covariance of codes (n, d).

    The covariance has 1e-6 on its diagonal, so that codes on a line, or a single one, have a factor
    as well.
    """
    dim, codes = codes.shape[1], codes.double()
    covariance = 1e-6 * torch.eye(dim, dtype=codes.dtype)
    if len(codes) > 1:
        covariance += torch.cov(codes.T).reshape(dim, dim)
    return Fitted(codes.mean(0).float(), torch.linalg.cholesky(covariance).float())


def _from_codes(z: Tensor, codes: Tensor | Fitted | None) -> Tensor:
    """z (n, d) of the prior, or as much of the Gaussian fitted to the codes (m, d)."""
    if codes is None:
        return z
    mean, root = codes if isinstance(codes, Fitted) else fitted_gaussian(codes)
    return mean + z @ root.T


def manifold_figure(runs, n: int = 20, *, columns: int = 1, codes: dict | None = None) -> Figure:
    """Figure 4: the decoder means over the latent plane as one seamless picture a run.

    The plane is that of the prior, or with `codes`, by run key (m, 2), that of the Gaussian fitted
    to them. More than one in a row shrink below their own pixels where n is large.
    """
    panels, titles = [], [panel_title(run.config) for run in runs]
    for run, title in zip(runs, titles, strict=True):
        if titles.count(title) > 1:
            title += f", step {run.config.step_size:g}"
        if run.config.latent_dim != 2:
            raise ValueError(f"latent_dim={run.config.latent_dim}: a manifold needs 2 latents")
        z = _from_codes(unit_square_latents(n), codes and codes[run.key])
        picture = image_grid(decode_means(run, z), _shape(run), n, _seam(run))
        alt = f"{n} by {n} pictures drawn by the decoder over the latent plane. {_words(run)}."
        panels.append(png_panel(title, picture, alt))
    return Figure(panels, columns, narrow=1)


@torch.no_grad()
def draw_samples(
    run, n: int, *, pixels: bool = False, seed: int = 0, codes: Tensor | Fitted | None = None
) -> Tensor:
    """n draws from a run's model, (n, D): decoder means at z ~ p(z), or pixels x ~ p(x|z).

    With codes (m, latent_dim) z is drawn from the Gaussian fitted to them, or from a given one.
    """
    generator = torch.Generator().manual_seed(seed)
    model = run.model()
    z = _from_codes(torch.randn(n, model.latent_dim, generator=generator), codes)
    if not pixels:
        return model.decode(z).mean
    noise = model.pixels.noise((n, model.data_dim), generator=generator)
    return model.sample_given(z, noise).clamp(0, 1)


def samples_figure(
    runs, n_rows: int = 10, n_columns: int = 10, *, pixels=False, seed=0, codes: dict | None = None
) -> Figure:
    """Figure 5: random samples, one seamless picture a run.

    From the prior, or with `codes`, by run key (m, latent_dim), from the Gaussian fitted to them,
    which may be given in their place.
    """
    place = "the prior" if codes is None else "the Gaussian fitted to the codes"
    kind = f"{'pixels drawn' if pixels else 'decoder means'} at z drawn from {place}"
    panels = []
    for run in runs:
        own = codes and codes[run.key]
        images = draw_samples(run, n_rows * n_columns, pixels=pixels, seed=seed, codes=own)
        alt = f"{n_rows * n_columns} random samples, {kind}. {_words(run)}."
        picture = image_grid(images, _shape(run), n_columns, _seam(run))
        panels.append(png_panel(panel_title(run.config), picture, alt))
    return Figure(panels, _columns(len(panels)), narrow=1)


def _columns(n_panels: int) -> int:
    """Two panels a row, or three where two would leave one alone in the last row."""
    return 3 if n_panels > 1 and n_panels % 2 and n_panels % 3 != 1 else min(n_panels, 2) or 1


@torch.no_grad()
def reconstruction_figure(runs, images: Tensor) -> Figure:
    """Test images (n, D) above their reconstructions, the decoder means at the mean of q(z|x)."""
    panels = []
    for run in runs:
        model = run.model()
        again = model.decode(model.encoder_params(images)[0]).mean
        picture = image_grid(torch.cat([images, again]), _shape(run), len(images), gap=1)
        alt = f"{len(images)} test images above their reconstructions. {_words(run)}."
        panels.append(png_panel(panel_title(run.config), picture, alt))
    return Figure(panels, 1, narrow=1)


@torch.no_grad()
def walk_figure(runs, images: Tensor, n_steps: int = 12) -> Figure:
    """Straight walks in latent space from each image (n, D) to the next: one row a pair.

    Images 2i and 2i + 1 are the ends of row i, shown outermost; between them stand the decoder
    means along the line from one posterior mean to the other.
    """
    panels = []
    for run in runs:
        model = run.model()
        z = model.encoder_params(images)[0]
        t = torch.linspace(0, 1, n_steps)[:, None]
        rows = []
        for i in range(0, len(images) - 1, 2):
            walk = model.decode((1 - t) * z[i] + t * z[i + 1]).mean
            rows.append(torch.cat([images[i : i + 1], walk, images[i + 1 : i + 2]]))
        picture = image_grid(torch.cat(rows), _shape(run), n_steps + 2, gap=1)
        alt = f"{len(rows)} walks between two test images, {n_steps} steps each. {_words(run)}."
        panels.append(png_panel(panel_title(run.config), picture, alt))
    return Figure(panels, 1, narrow=1)


def active_dimensions(run, n: int) -> list[int]:
    """The n latent dimensions that change the picture most as they go from -2 to 2, best first."""
    dim = run.config.latent_dim
    ends = torch.cat([2 * torch.eye(dim), -2 * torch.eye(dim)])
    low, high = decode_means(run, ends).chunk(2)
    return (high - low).abs().sum(-1).argsort(descending=True)[:n].tolist()


def traversal_figure(runs, n_dims: int = 10, n_steps: int = 12, reach: float = 2.5) -> Figure:
    """One latent dimension a row, from -reach to reach with the others at zero."""
    panels = []
    for run in runs:
        dims = active_dimensions(run, min(n_dims, run.config.latent_dim))
        z = torch.zeros(len(dims), n_steps, run.config.latent_dim)
        for row, dim in enumerate(dims):
            z[row, :, dim] = torch.linspace(-reach, reach, n_steps)
        picture = image_grid(decode_means(run, z.flatten(0, 1)), _shape(run), n_steps, gap=1)
        alt = f"The effect of {len(dims)} latent dimensions, one a row. {_words(run)}."
        panels.append(png_panel(panel_title(run.config), picture, alt))
    return Figure(panels, min(len(panels), 2) or 1, narrow=1)


def scatter_figure(run, latents: Tensor, labels: Tensor | None = None) -> Figure:
    """The encoded test set in the latent plane, (n, 2), coloured by class where there are any.

    Colours go by the order of the labels, which stand at the classes' medians where there are few
    of them, and short ones. The rings hold 39% and 86% of the prior: one and two standard
    deviations.
    """
    z = latents.numpy()
    radius = max(2.2, float(np.abs(z).max()) * 1.05)
    size = float(np.clip(2500 / len(z), 1.5, 6))

    def draw(axes):
        axes.set(xlim=(-radius, radius), ylim=(-radius, radius), aspect="equal")
        axes.set(xlabel="z$_1$", ylabel="z$_2$")
        for ring in (1, 2):
            axes.add_patch(
                Circle((0, 0), ring, fill=False, linewidth=0.8, edgecolor=RING, zorder=3)
            )
        style = dict(s=size, linewidths=0, alpha=0.8, rasterized=len(z) > 500)
        if labels is None:
            axes.scatter(*z.T, color=color_of("aevb"), **style)
            return
        classes = labels.unique().tolist()
        clouds = {label: z[labels.numpy() == label] for label in classes}
        middles = np.stack([np.median(cloud, axis=0) for cloud in clouds.values()])
        spots = apart(middles) if are_told(classes) else [None] * len(classes)
        colors = itertools.cycle(CLASS_COLORS)
        for (label, cloud), spot, color in zip(clouds.items(), spots, colors, strict=False):
            axes.scatter(*cloud.T, color=color, **style)
            if spot is not None:
                box = dict(boxstyle="circle,pad=0.15", fc="white", ec=color, lw=1)
                text = dict(ha="center", va="center", color="black", fontsize=9, fontweight="bold")
                axes.annotate(label, spot, bbox=box, **text)

    alt = f"{len(z)} encoded test images in the latent plane. {_words(run)}."
    inside = float((np.linalg.norm(z, axis=1) < 2).mean())
    numbers = f"{inside:.0%} of {len(z)} codes within two standard deviations of the prior"
    kept = dict(size=(330, 330), numbers=numbers, colors=256)
    panel = svg_panel(panel_title(run.config), draw, alt, **kept)
    return Figure([panel], 1, narrow=1)


def are_told(classes: list[int]) -> bool:
    """Whether labels are few and short enough to be written into the latent plane."""
    longest = max(len(str(label)) for label in classes)
    return len(classes) <= MOST_CLASSES and longest <= LONGEST_LABEL


def apart(spots: np.ndarray) -> np.ndarray:
    """Places (n, 2) near the given ones, no two nearer than APART where there is room."""
    spots = spots.astype(float).copy()
    for _ in range(100):
        steps = spots[:, None] - spots  # (n, n, 2), from the second to the first
        far = np.linalg.norm(steps, axis=-1)
        np.fill_diagonal(far, np.inf)
        push = np.clip(APART - far, 0, None) / 2
        spots += ((push / np.maximum(far, 1e-9))[..., None] * steps).sum(1)
    return spots


def beside(*figures: Figure) -> Figure:
    """The panels of several figures side by side in one figure; on a phone one below the other."""
    panels: list[Panel | str] = [panel for figure in figures for panel in figure.panels]
    return Figure(panels, len(panels), narrow=1)


def stacked(*figures: Figure) -> Figure:
    """The panels of several figures one below the other in one figure."""
    return Figure([panel for figure in figures for panel in figure.panels], 1, narrow=1)
