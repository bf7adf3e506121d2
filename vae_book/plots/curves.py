"""Figures 2 and 3: our curves over the paper's own."""

import math

import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, MultipleLocator, NullLocator

from vae_book.plots import paper
from vae_book.plots.style import (
    DASHES,
    NTRAIN,
    NZ,
    PALE,
    Figure,
    color_of,
    data_title,
    name_of,
    panel_size,
    svg_panel,
)
from vae_book.readings import same_but
from vae_book.words import counted
from vae_core.runs.interpolate import interpolate_log
from vae_core.runs.metrics import known_log_marginal

AGAINST = " (nats per datapoint) against training samples evaluated"
Y_STEPS = {"mnist": 20, "freyface": 500}
MOST_COLUMNS = 5  # of Figure 2; in more the numbers along the axes would run together
MINIBATCH = "train_bound_minibatch"
NOT_THE_WEIGHTS = {"log_marginal", "evals_per_decade", "n_samples"}  # at a number of samples
LOG_MARGINAL = {"train": "train_log_marginal", "test": "test_log_marginal"}
LONE = {"train": {"marker": "."}, "test": {"marker": "o", "markersize": 6, "mfc": "none"}}
TRUTH = "the model at that point, by quadrature"


def group_runs(runs, key) -> dict:
    """Runs by `key(run)`, in order of first appearance."""
    groups: dict = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def _by_algorithm(runs) -> dict:
    return group_runs(runs, lambda run: run.config.algorithm)


def known(run, column) -> tuple[np.ndarray, np.ndarray]:
    """A curve's sample counts and values where it has any, (n,) each.

    A run so short that the mean over its minibatches is known at less than half of its rows has
    the bound over the whole training set in its place.
    """
    x, y = (np.asarray(run.curve.get(name, []), float) for name in ("samples", column))
    if len(y) == 0:
        return y, y
    if column == MINIBATCH and 2 * np.isfinite(y).sum() < len(y):
        return known(run, "train_bound")
    return x[np.isfinite(y) & (x > 0)], y[np.isfinite(y) & (x > 0)]


def _ours(axes, runs, columns):
    """Our curves, one colour an algorithm: the longest run a line, all seeds together a band."""
    for algorithm, group in _by_algorithm(runs).items():
        color = color_of(algorithm)
        for split, column in columns.items():
            curves = [curve for curve in (known(run, column) for run in group) if len(curve[0])]
            if not curves:
                continue
            x, y = max(curves, key=lambda curve: curve[0][-1])
            lone = LONE[split] if len(x) == 1 else {}  # a run of one step
            axes.plot(x, y, color=color, linestyle=DASHES[split], **lone)
            if len(curves) > 1:
                seeds = np.stack([interpolate_log(*curve, x) for curve in curves])  # (seeds, n)
                shared = np.isfinite(seeds).all(0)
                band = seeds[:, shared].min(0), seeds[:, shared].max(0)
                axes.fill_between(x[shared], *band, color=color, alpha=0.25, linewidth=0)


def _told_truths(runs) -> str:
    """What the finished models are worth by quadrature, for the line that a test compares."""
    told = [
        f"{name_of(run.config.algorithm)} {' / '.join(f'{v:.1f}' for v in truths_of(run).values())}"
        for run in runs
        if truths_of(run)
    ]
    return f"; by quadrature {', '.join(told)}" if told else ""


def _truths(axes, runs, stored):
    """What models are worth by quadrature, as far as the axes go: filled on training images."""
    low, high = axes.get_ylim()
    for run in runs:
        color = color_of(run.config.algorithm)
        for split, samples, value in truths_along(run, stored):
            face = color if split == "train" else "none"
            if low <= value <= high:
                axes.plot([samples], [value], "D", color=color, mfc=face, clip_on=False)


def _own_axes(axes, runs, columns):
    """Axes of the runs' own, for curves that do not enter the paper's.

    Logarithmic in samples over the last factor of 20, and as high as the values there.
    """
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    curves = [known(run, column) for run in runs for column in columns.values()]
    curves = [curve for curve in curves if len(curve[0])]
    if not curves:
        return
    first, last = min(x[0] for x, _ in curves), max(x[-1] for x, _ in curves)
    if last < 10 * first:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    late = np.concatenate([y[x >= last / 20] for x, y in curves])
    if len(late) > 3 * len(curves):  # else the whole curve is short
        margin = 0.05 * (late.max() - late.min()) + 1e-3
        axes.set(xlim=(last / 20, 1.1 * last))
        axes.set(ylim=(late.min() - margin, late.max() + margin))


def _theirs(axes, curves):
    """The paper's curves, wide and pale under ours: [(algorithm, split, PaperCurve)]."""
    for algorithm, split, curve in curves:
        style = dict(color=color_of(algorithm) + PALE, linestyle=DASHES[split], linewidth=2.6)
        axes.plot(curve.samples, curve.bound, zorder=1.5, **style)


def paper_curves_of(runs, columns, curve_of) -> list[tuple]:
    """(algorithm, split, curve) for every curve of the paper's that one of the runs reproduces."""
    found = {}
    for run in runs:
        for split in columns:
            curve = curve_of(run, split)
            if curve is not None:
                found[run.config.algorithm, split] = curve
    return [(*key, curve) for key, curve in found.items()]


def _legend(runs, columns, curve_of=None):
    """One entry for each kind of line that is drawn."""
    legend = []
    for algorithm, group in _by_algorithm(runs).items():
        color, name = color_of(algorithm), name_of(algorithm)
        legend += [(f"{name} ({s})", color, s) for s, c in columns.items() if _is_drawn(group, c)]
        if curve_of and any(curve_of(run, split) for run in group for split in columns):
            legend.append((f"the paper, {name}", color + PALE, "wide"))
    return legend


def _is_drawn(runs, column) -> bool:
    return any(len(known(run, column)[0]) for run in runs)


def _describe(runs, column, label) -> str:
    """Each algorithm's curve in a sentence, from its first to its last value."""
    parts = []
    for algorithm, group in _by_algorithm(runs).items():
        x, y = known(group[0], column)
        if len(y):
            parts.append(
                f"{name_of(algorithm)} goes from {y[0]:.0f} at {x[0]:.1e} "
                f"to {y[-1]:.0f} nats at {x[-1]:.1e} samples"
            )
    return f"{label}: {'; '.join(parts)}."


def _numbers(runs, columns) -> str:
    """Where the curves of a panel end, train and test: a line that a test can compare."""
    parts = []
    for run in runs:
        ends = [y[-1] for y in (known(run, column)[1] for column in columns.values()) if len(y)]
        shown = " / ".join(f"{end:.1f}" for end in ends) or "nothing drawn"
        parts.append(f"{name_of(run.config.algorithm)} {shown}")
    return ", ".join(parts)


def panel_title(config, *, with_points: bool = False) -> str:
    """What a panel shows, as HTML: data set, size, and the number of training images if asked."""
    points = f"{NTRAIN} = {config.n_train:,}, " if with_points else ""
    size = f"{NZ} = {config.latent_dim}"
    return f"{data_title(config.spec)}, {points}{size}"


def enter_the_print(runs) -> bool:
    """Whether a curve is long enough to be seen within the paper's axes."""
    return max(np.max(run.curve["samples"]) for run in runs) >= 5e5


def _fig2_panel(runs, columns, with_paper, size):
    config, spec = runs[0].config, runs[0].config.spec
    curves = paper_curves_of(runs, columns, paper.fig2_of) if with_paper else []

    def draw(axes):
        _theirs(axes, curves)
        _ours(axes, runs, columns)
        # a run too short to enter the paper's axes gets its own
        if config.dataset not in paper.FIG2_AXES or not enter_the_print(runs):
            _own_axes(axes, runs, columns)
            return
        x_range, y_range = paper.FIG2_AXES[config.dataset]
        axes.set(xscale="log", xlim=x_range, ylim=y_range)
        axes.set_xticks([1e5, 1e6, 1e7, 1e8])
        axes.yaxis.set_major_locator(MultipleLocator(Y_STEPS[config.dataset]))

    title = panel_title(config)
    label = f"Test bound, {spec.title}, {counted(config.latent_dim, 'latent dimension')}"
    alt = _describe(runs, columns["test"], label)
    return svg_panel(title, draw, alt, size=size, numbers=_numbers(runs, columns))


def lower_bound_figure(runs, *, with_paper=True, train_column=MINIBATCH) -> Figure:
    """Figure 2: the bound against training samples, one row a data set, one panel a latent size.

    Data sets with one panel each share a row, and more than MOST_COLUMNS panels break over several.
    Runs of several seeds are drawn as the line of the longest and a band from the lowest to the
    highest. `train_column` is the running mean of minibatch bounds, which the paper seems to plot,
    or "train_bound", the bound over the whole training set.
    """
    columns = {"train": train_column, "test": "test_bound"}
    rows = group_runs(runs, lambda run: run.config.dataset)
    n_columns = max((len({r.config.latent_dim for r in g}) for g in rows.values()), default=1)
    if n_columns == 1 and rows:
        rows, n_columns = {"all": runs}, len(rows)
    n_columns = math.ceil(n_columns / math.ceil(n_columns / MOST_COLUMNS))
    size = panel_size(n_columns, aspect=0.95)
    panels = []
    for group in rows.values():
        by_size = group_runs(group, lambda run: (run.config.dataset, run.config.latent_dim))
        panels.append("Lower bound" + AGAINST)
        panels += [_fig2_panel(by_size[k], columns, with_paper, size) for k in sorted(by_size)]
    narrow = 2 if n_columns > 3 else 1
    legend = _legend(runs, columns, paper.fig2_of if with_paper else None)
    return Figure(panels, n_columns, legend, narrow=narrow)


def truths_of(run) -> dict[str, float]:
    """log p(x) of a finished model by quadrature, by split, in nats; where it was computed."""
    found = {split: known_log_marginal(run, split, "quadrature") for split in LOG_MARGINAL}
    return {split: value for split, value in found.items() if np.isfinite(value)}


def truths_along(run, stored) -> list[tuple[str, int, float]]:
    """(split, samples, log p(x) by quadrature in nats) in the course of a run, and at its end.

    The course is told by those of the `stored` runs that are this one evaluated by quadrature:
    how a run is evaluated changes none of its weights.
    """
    found = {}
    for twin in stored:
        is_twin = same_but(twin.config, run.config, NOT_THE_WEIGHTS)
        if is_twin and twin.config.log_marginal == "quadrature":
            for split, column in LOG_MARGINAL.items():
                found |= {
                    (split, int(n)): float(v) for n, v in zip(*known(twin, column), strict=True)
                }
    end = int(run.curve["samples"][-1])
    found |= {(split, end): value for split, value in truths_of(run).items()}
    order = list(LOG_MARGINAL)
    rows = [(*at, value) for at, value in found.items() if at[1] <= end]
    return sorted(rows, key=lambda row: (order.index(row[0]), row[1]))


def marginal_likelihood_figure(runs, stored=(), *, with_paper=True) -> Figure:
    """Figure 3: the estimated marginal likelihood, one panel an experiment.

    An experiment is a data set, a number of training points and of latent variables; its
    algorithms and seeds share a panel. A diamond, hollow on test images, is what the model at that
    point gives these images by quadrature; see `truths_along`.
    """
    stored = list(stored)
    experiments = group_runs(
        runs, lambda r: (r.config.dataset, r.config.latent_dim, r.config.n_train)
    )
    n_columns = min(len(experiments), 2) or 1
    panels = ["Estimated log p(x)" + AGAINST]
    panels += [
        _fig3_panel(experiments[key], stored, with_paper, n_columns) for key in sorted(experiments)
    ]
    legend = _legend(runs, LOG_MARGINAL, paper.fig3_of if with_paper else None)
    if any(truths_along(run, stored) for run in runs):
        legend.append((TRUTH, "currentColor", "diamond"))
    return Figure(panels, n_columns, legend, narrow=1)


def _fig3_panel(runs, stored, with_paper, n_columns):
    config, spec = runs[0].config, runs[0].config.spec
    curves = paper_curves_of(runs, LOG_MARGINAL, paper.fig3_of) if with_paper else []
    reached = max(np.max(run.curve["samples"]) for run in runs)

    def draw(axes):
        _theirs(axes, curves)
        _ours(axes, runs, LOG_MARGINAL)
        if curves and enter_the_print(runs):
            x_range, y_range = paper.FIG3_AXES[config.n_train]
            axes.set(xlim=x_range, ylim=y_range)
        else:
            axes.set(xlim=(0, 1.05 * reached))
        _truths(axes, runs, stored)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))

    label = f"Test log p(x), {spec.title}, {config.n_train:,} points"
    alt = _describe(runs, LOG_MARGINAL["test"], label)
    numbers = _numbers(runs, LOG_MARGINAL) + _told_truths(runs)
    title = panel_title(config, with_points=True)
    return svg_panel(title, draw, alt, size=panel_size(n_columns), numbers=numbers)
