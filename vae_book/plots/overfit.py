"""How far apart training and test bound are by the time that the training bound is so high."""

from collections.abc import Iterable

import numpy as np

from vae_book.plots import paper
from vae_book.plots.style import NZ, OTHER_COLORS, PALE, Figure, color_of, panel_size, svg_panel
from vae_book.readings import is_of_reading
from vae_book.words import counted
from vae_core.runs import Run

FIRST = 1e6  # samples, below which nothing has been learnt by heart
SHORTEST = 3e6  # samples of a run that is drawn
COLUMNS = 3
OTHER, NARROW = "#999999", OTHER_COLORS[0]


def gap_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """A run's training bounds and what each is above the test bound, (n,) in nats."""
    samples, train, test = (
        np.asarray(run.curve[name], float) for name in ("samples", "train_bound", "test_bound")
    )
    known = (samples >= FIRST) & np.isfinite(train) & np.isfinite(test)
    return train[known], (train - test)[known]


def gap_of_paper(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The same of the paper's curves of a run's experiment, at the vertices of the training one."""
    train, test = (paper.fig2_of(run, split) for split in ("train", "test"))
    gap = train.bound - test.at(train.samples)
    known = (train.samples >= FIRST) & np.isfinite(gap)
    return train.bound[known], gap[known]


def _style(run: Run, color: str) -> dict:
    """A line of the reading, of a narrower prior on the weights, or of another choice."""
    if is_of_reading(run.config):
        return dict(color=color, linewidth=1.3, zorder=3)
    if (run.config.prior_sd or 1.0) < 1.0:
        return dict(color=NARROW, linewidth=1.3, zorder=4)
    return dict(color=OTHER, linewidth=0.9, zorder=2)


def gap_figure(runs: Iterable[Run]) -> Figure:
    """Training less test bound of AEVB on MNIST against the training bound, one panel a size.

    Drawn so, a choice that only learns faster or slower moves along its curve and not off it.
    """
    by_size: dict[int, list[Run]] = {}
    for run in runs:
        config = run.config
        if (config.dataset, config.algorithm) != ("mnist", "aevb") or not paper.fig2_of(run):
            continue
        if run.curve["samples"][-1] >= SHORTEST:
            by_size.setdefault(config.latent_dim, []).append(run)
    color = color_of("aevb")

    def panel(size: int, mine: list[Run]):
        def draw(axes):
            axes.plot(*gap_of_paper(mine[0]), color=color + PALE, linewidth=2.6, zorder=1.5)
            for run in mine:
                axes.plot(*gap_of(run), **_style(run, color))
            axes.set(xlabel="training bound (nats)")

        ours = [run for run in mine if is_of_reading(run.config)] or mine
        longest = max(ours, key=lambda run: run.curve["samples"][-1])
        gap, theirs = gap_of(longest)[1][-1], gap_of_paper(longest)[1][-1]
        alt = f"{size} latent variables: ours ends {gap:.1f} nats apart, the paper's {theirs:.1f}"
        numbers = f"{counted(len(mine), 'run')}, {gap:.1f} and {theirs:.1f} at the ends"
        return svg_panel(
            f"{NZ} = {size}", draw, alt, size=panel_size(COLUMNS, 0.6), numbers=numbers
        )

    panels = [panel(size, mine) for size, mine in sorted(by_size.items())]
    if not panels:
        return Figure([], 1)
    legend = [("our reading", color, "train"), ("other choices", OTHER, "train")]
    legend += [("narrower prior on the weights", NARROW, "train")]
    legend += [("the paper", color + PALE, "wide")]
    axis = "Training bound less test bound (nats) against the training bound"
    return Figure([axis, *panels], COLUMNS, legend, narrow=2)
