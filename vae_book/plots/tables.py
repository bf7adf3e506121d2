"""Numbers beside figures: our bounds, the paper's, and the difference."""

from dataclasses import dataclass
from html import escape

import numpy as np

from vae_book.claims import contests
from vae_book.plots import paper
from vae_book.plots.curves import group_runs
from vae_book.plots.style import NAMES, plain
from vae_core.data import DATASETS


@dataclass(frozen=True)
class Comparison:
    """Test bound of one experiment after `samples` training samples, in nats per datapoint."""

    dataset: str
    latent_dim: int
    algorithm: str
    samples: float
    paper: float  # nan where the paper's curve says nothing
    ours: float  # mean over seeds; nan where no run reaches that far
    spread: float  # half the range over seeds, 0 for one seed
    n_seeds: int

    @property
    def difference(self) -> float:
        """Ours minus the paper's, in nats: positive where ours is the better bound."""
        return self.ours - self.paper


def compare(runs, at=(1e6, 1e7), split: str = "test") -> list[Comparison]:
    """Our bound and the paper's at sample counts `at`, both interpolated in log samples."""
    comparisons = []
    for key, group in group_runs(runs, _experiment).items():
        curve = paper.fig2_curve(*key, split)
        for samples in at:
            theirs = float(curve.at(samples)) if curve else float("nan")
            values = [
                float(paper.interpolate_log(r.curve["samples"], r.curve[f"{split}_bound"], samples))
                for r in group
            ]
            spread = (max(values) - min(values)) / 2
            ours = float(np.mean(values))
            comparisons.append(Comparison(*key, samples, theirs, ours, spread, len(group)))
    return comparisons


@dataclass(frozen=True)
class Table:
    """A table for the page (HTML) and for plain text."""

    header: list[str]
    rows: list[list[str]]
    label: str
    n_text_columns: int = 1

    def _repr_html_(self) -> str:
        def cells(values, tag):
            align = ["left"] * self.n_text_columns + ["right"] * len(values)
            scope = ' scope="col"' if tag == "th" else ""
            return "".join(
                f'<{tag}{scope} style="text-align:{side};padding:.25rem .5rem">{value}</{tag}>'
                for value, side in zip(values, align, strict=False)
            )

        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in self.rows)
        label = escape(self.label, quote=True)
        return (
            f'<div class="vc-table" style="overflow-x:auto" tabindex="0" role="region" '
            f'aria-label="{label}"><table class="table"><thead><tr>{cells(self.header, "th")}'
            f"</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def __repr__(self) -> str:
        return "\n".join("  ".join(map(plain, row)) for row in [self.header, *self.rows])


def bound_table(runs, at=(1e6, 1e7), split: str = "test") -> Table:
    """The comparison of `compare` as a table: one row an experiment, three columns a count.

    The last column is the mean |ours - paper| over all of the printed curve that the runs cover.
    """
    header = ["Data", "<i>N</i><sub>z</sub>", "Algorithm"]
    for samples in at:
        header += [f"paper, {_power(samples)}", "ours", "difference"]
    comparisons = compare(runs, at, split)
    rows = []
    for i in range(0, len(comparisons), len(at)):
        first = comparisons[i]
        row = [DATASETS[first.dataset].title, str(first.latent_dim), NAMES[first.algorithm]]
        for item in comparisons[i : i + len(at)]:
            ours = _nats(item.ours)
            if item.n_seeds > 1:
                ours += f" ± {item.spread:.1f}"
            row += [_nats(item.paper), ours, _nats(item.difference, signed=True)]
        group = [run for run in runs if _experiment(run) == _experiment(first)]
        distances = [paper.mean_abs_difference(run, split) for run in group]
        rows.append([*row, _nats(float(np.mean(distances)))])
    header.append("mean distance")
    return Table(header, rows, f"{split} bound beside the paper's, in nats", n_text_columns=3)


def contest_table(runs) -> Table:
    """AEVB against wake-sleep: the lead at the end, and how much sooner it got there."""
    header = ["Data", "<i>N</i><sub>z</sub>", "AEVB's lead, nats", "samples needed"]
    rows = [
        [DATASETS[c.dataset].title, str(c.latent_dim), _nats(c.lead, signed=True), _share(c.share)]
        for c in contests(runs)
    ]
    return Table(header, rows, "AEVB against wake-sleep at the end of both runs", n_text_columns=2)


def _experiment(item) -> tuple[str, int, str]:
    """Data set, latent size and algorithm of a run or of a comparison."""
    config = getattr(item, "config", item)
    return config.dataset, config.latent_dim, config.algorithm


def _share(share: float) -> str:
    return f"{100 * share:.0f}%" if np.isfinite(share) else "never"


def _nats(value: float, signed: bool = False) -> str:
    if not np.isfinite(value):
        return "–"
    text = f"{value:+.1f}" if signed else f"{value:.1f}"
    return text.replace("-", "−")


def _power(samples: float) -> str:
    exponent = round(float(np.log10(samples)))
    if np.isclose(samples, 10.0**exponent):
        return f"10<sup>{exponent}</sup>"
    return f"{samples:,.0f}"
