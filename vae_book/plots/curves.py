"""Figures 2 and 3: our curves over the paper's own."""

import numpy as np
from matplotlib.ticker import MultipleLocator

from vae_book.plots import paper
from vae_book.plots.style import COLORS, DASHES, NAMES, Figure, panel_size, svg_panel
from vae_core.data import DATASETS

AGAINST = " (nats per datapoint) against training samples evaluated"
Y_STEPS = {"mnist": 20, "freyface": 500}


def group_runs(runs, key) -> dict:
    """Runs by `key(run)`, in order of first appearance."""
    groups: dict = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def _names(latent_dim: int) -> str:
    return f"<i>N</i><sub>z</sub> = {latent_dim}"


def _ours(axes, runs, columns, scale=1.0):
    """Our curves, one colour an algorithm: one seed a line, several a band about their mean."""
    for algorithm, group in group_runs(runs, lambda run: run.config.algorithm).items():
        for split, column in columns.items():
            style = dict(color=COLORS[algorithm], linestyle=DASHES[split])
            x = np.asarray(min((r.curve["samples"] for r in group), key=len), float)
            values = np.stack([np.asarray(r.curve[column], float)[: len(x)] for r in group])
            known = np.isfinite(values).all(0) & (x > 0)
            x, values = x[known] * scale, values[:, known]
            axes.plot(x, values.mean(0), **style)
            if len(group) > 1:
                band = dict(color=COLORS[algorithm], alpha=0.25, linewidth=0)
                axes.fill_between(x, values.min(0), values.max(0), **band)


def _own_axes(axes, runs, columns):
    """Log axis over the last factor of 20 in samples, where curves of the runs' own can be told."""
    axes.set_xscale("log")
    last = max(np.max(run.curve["samples"]) for run in runs)
    shown = []
    for run in runs:
        late = np.asarray(run.curve["samples"]) >= last / 20
        shown += [np.asarray(run.curve[column], float)[late] for column in columns.values()]
    values = np.concatenate(shown)
    values = values[np.isfinite(values)]
    if len(values) > 8 * len(runs):  # else the whole curve is short
        margin = 0.05 * (values.max() - values.min()) + 1e-3
        axes.set(xlim=(last / 20, 1.1 * last))
        axes.set(ylim=(values.min() - margin, values.max() + margin))


def _theirs(axes, curves, scale=1.0):
    for split, curve in curves:
        if curve is not None:
            style = dict(color=COLORS["paper"], linestyle=DASHES[split], linewidth=0.8)
            axes.plot(curve.samples * scale, curve.bound, zorder=1.5, **style)


def _has_paper(group) -> bool:
    """Whether the paper drew a curve for any of the runs, in either figure."""
    configs = [run.config for run in group]
    return any(
        paper.fig2_curve(c.dataset, c.latent_dim, c.algorithm, "test")
        or paper.fig3_curve(c.n_train, c.algorithm, "test")
        for c in configs
    )


def _legend(runs, columns, with_paper):
    legend = []
    for algorithm in group_runs(runs, lambda run: run.config.algorithm):
        legend += [(f"{NAMES[algorithm]} ({s})", COLORS[algorithm], s) for s in columns]
    if with_paper and _has_paper(runs):
        legend += [(f"the paper ({split})", COLORS["paper"], split) for split in columns]
    return legend


def _describe(runs, column, label) -> str:
    """Each algorithm's curve in a sentence, from its first to its last value."""
    parts = []
    for algorithm, group in group_runs(runs, lambda run: run.config.algorithm).items():
        y = np.asarray(group[0].curve[column], float)
        x = np.asarray(group[0].curve["samples"], float)[np.isfinite(y)]
        y = y[np.isfinite(y)]
        if len(y):
            parts.append(
                f"{NAMES[algorithm]} goes from {y[0]:.0f} at {x[0]:.1e} "
                f"to {y[-1]:.0f} nats at {x[-1]:.1e} samples"
            )
    return f"{label}: {'; '.join(parts)}."


def _fig2_panel(key, runs, columns, with_paper, size):
    dataset, latent_dim = key
    curves = []
    if with_paper:
        algorithms = group_runs(runs, lambda run: run.config.algorithm)
        curves = [
            (split, paper.fig2_curve(dataset, latent_dim, algorithm, split))
            for algorithm in algorithms
            for split in columns
        ]
    reached = max(np.max(run.curve["samples"]) for run in runs)

    def draw(axes):
        _theirs(axes, curves)
        _ours(axes, runs, columns)
        # a run too short to enter the paper's axes gets its own
        if dataset not in paper.FIG2_AXES or reached < 5e5:
            _own_axes(axes, runs, columns)
        else:
            x_range, y_range = paper.FIG2_AXES[dataset]
            axes.set(xscale="log", xlim=x_range, ylim=y_range)
            axes.set_xticks([1e5, 1e6, 1e7, 1e8])
            axes.yaxis.set_major_locator(MultipleLocator(Y_STEPS[dataset]))

    name = DATASETS[dataset].title
    alt = _describe(runs, columns["test"], f"Test bound, {name}, {latent_dim} latent dimensions")
    return svg_panel(f"{name}, {_names(latent_dim)}", draw, alt, size=size)


def lower_bound_figure(runs, *, with_paper=True, train_column="train_bound_minibatch") -> Figure:
    """Figure 2: the bound against training samples, one row a data set, one panel a latent size.

    Data sets with one panel each share a row.

    Runs that differ in their seed alone are drawn as a band about their mean. `train_column` is
    the running mean of minibatch bounds, which the paper seems to plot, or "train_bound", the
    bound over the whole training set.
    """
    columns = {"train": train_column, "test": "test_bound"}
    rows = group_runs(runs, lambda run: run.config.dataset)
    n_columns = max(len({r.config.latent_dim for r in group}) for group in rows.values())
    if n_columns == 1:
        rows, n_columns = {"all": runs}, len(rows)
    size = panel_size(n_columns, aspect=0.95)
    panels = []
    for group in rows.values():
        by_size = group_runs(group, lambda run: (run.config.dataset, run.config.latent_dim))
        panels.append("Lower bound" + AGAINST)
        panels += [_fig2_panel(k, by_size[k], columns, with_paper, size) for k in sorted(by_size)]
    narrow = 2 if n_columns > 3 else 1
    return Figure(panels, n_columns, _legend(runs, columns, with_paper), narrow=narrow)


def marginal_likelihood_figure(runs, *, with_paper=True) -> Figure:
    """Figure 3: the estimated marginal likelihood, one panel for each number of training points."""
    columns = {"train": "train_log_marginal", "test": "test_log_marginal"}
    sizes = group_runs(runs, lambda run: run.config.n_train)
    panels = ["Estimated log p(x)" + AGAINST + ", in millions"]
    for n_train in sorted(sizes, key=lambda size: size or np.inf):
        panels.append(_fig3_panel(n_train, sizes[n_train], columns, with_paper, len(sizes)))
    legend = _legend(runs, columns, with_paper)
    return Figure(panels, len(sizes), legend, narrow=1)


def _fig3_panel(n_train, runs, columns, with_paper, n_panels):
    curves = []
    if with_paper:
        algorithms = group_runs(runs, lambda run: run.config.algorithm)
        curves = [
            (split, paper.fig3_curve(n_train, algorithm, split))
            for algorithm in algorithms
            for split in columns
        ]
    reached = max(np.max(run.curve["samples"]) for run in runs)

    def draw(axes):
        _theirs(axes, curves, scale=1e-6)
        _ours(axes, runs, columns, scale=1e-6)
        if n_train in paper.FIG3_AXES and reached >= 5e5:
            x_range, y_range = paper.FIG3_AXES[n_train]
            axes.set(xlim=x_range, ylim=y_range)

    size = "all" if n_train is None else f"{n_train:,}"
    alt = _describe(runs, columns["test"], f"Test log p(x), {size} training points")
    return svg_panel(f"<i>N</i><sub>train</sub> = {size}", draw, alt, size=panel_size(n_panels))


def bound_figure(runs, *, columns=None, title="") -> Figure:
    """A single panel of runs on their own axes: colour by algorithm, dash by split."""
    columns = columns or {"train": "train_bound", "test": "test_bound"}

    def draw(axes):
        _ours(axes, runs, columns)
        _own_axes(axes, runs, columns)

    alt = _describe(runs, next(reversed(columns.values())), title or "Lower bound")
    panel = svg_panel(title, draw, alt, size=panel_size(1, 0.6))
    return Figure(["Lower bound" + AGAINST, panel], 1, _legend(runs, columns, False), narrow=1)
