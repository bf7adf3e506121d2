"""Every figure of the book, drawn from Run objects in one visual language."""

from vae_book.plots.curves import bound_figure, lower_bound_figure, marginal_likelihood_figure
from vae_book.plots.images import (
    active_dimensions,
    beside,
    decode_means,
    draw_samples,
    image_grid,
    manifold_figure,
    reconstruction_figure,
    samples_figure,
    scatter_figure,
    stacked,
    traversal_figure,
    unit_square_latents,
    walk_figure,
)
from vae_book.plots.paper import (
    fig2_curve,
    fig3_curve,
    interpolate_log,
    mean_abs_difference,
    paper_latent_dims,
)
from vae_book.plots.provenance import execute_command, provenance
from vae_book.plots.style import COLORS, DASHES, NAMES, Figure, Panel, png_panel, svg_panel
from vae_book.plots.tables import Comparison, Table, bound_table, compare, contest_table

__all__ = [
    "COLORS",
    "DASHES",
    "NAMES",
    "Comparison",
    "Figure",
    "Panel",
    "Table",
    "active_dimensions",
    "beside",
    "bound_figure",
    "bound_table",
    "compare",
    "contest_table",
    "decode_means",
    "draw_samples",
    "execute_command",
    "fig2_curve",
    "fig3_curve",
    "image_grid",
    "interpolate_log",
    "lower_bound_figure",
    "manifold_figure",
    "marginal_likelihood_figure",
    "mean_abs_difference",
    "paper_latent_dims",
    "png_panel",
    "provenance",
    "reconstruction_figure",
    "samples_figure",
    "scatter_figure",
    "stacked",
    "svg_panel",
    "traversal_figure",
    "unit_square_latents",
    "walk_figure",
]
