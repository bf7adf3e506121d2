"""Every figure of the book, drawn from Run objects in one visual language."""

from vae_book.plots.curves import lower_bound_figure, marginal_likelihood_figure
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
from vae_book.plots.live import live_lower_bound, live_marginal_likelihood
from vae_book.plots.paper import (
    fig2_curve,
    fig3_curve,
    mean_abs_difference,
    paper_latent_dims,
)
from vae_book.plots.provenance import execute_command, provenance
from vae_book.plots.style import (
    COLORS,
    DASHES,
    NAMES,
    Figure,
    Panel,
    color_of,
    name_of,
    png_panel,
    svg_panel,
)
from vae_book.plots.tables import Comparison, Table, bound_table, compare, contest_table, counts_for

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
    "bound_table",
    "color_of",
    "compare",
    "contest_table",
    "counts_for",
    "decode_means",
    "draw_samples",
    "execute_command",
    "fig2_curve",
    "fig3_curve",
    "image_grid",
    "live_lower_bound",
    "live_marginal_likelihood",
    "lower_bound_figure",
    "manifold_figure",
    "marginal_likelihood_figure",
    "mean_abs_difference",
    "name_of",
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
