"""Numbers beside figures: our bounds, the paper's, and the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import median_high

import numpy as np

from vae_book.claims import contests
from vae_book.plots import paper
from vae_book.plots.curves import group_runs
from vae_book.plots.style import NZ, data_title, name_of, plain
from vae_book.readings import (
    CHOICE_HEAD,
    choice_of,
    choice_words,
    experiment_of,
    is_but_for_choice,
    longest,
)
from vae_core.data.registry import dataset_spec

MOST_NATS = 1e6  # what is written out; runs that diverge go beyond
LONG = 25  # characters of a cell that may break over lines, even at a "±"


@dataclass(frozen=True)
class Comparison:
    """A bound of one experiment after `samples` training samples, in nats per datapoint."""

    dataset: str
    latent_dim: int
    algorithm: str
    samples: float
    paper: float  # nan where the paper's curve says nothing
    ours: float  # mean over the seeds that reach so far; nan where none does
    spread: float  # half the range over those seeds, 0 for one
    n_seeds: int

    @property
    def difference(self) -> float:
        """Ours minus the paper's, in nats: positive where ours is the better bound."""
        return self.ours - self.paper


def compare(runs, at: Sequence[float]) -> list[Comparison]:
    """Our test bound and the paper's at sample counts `at`, both interpolated in log samples."""
    comparisons = []
    for key, group in group_runs(runs, _experiment).items():
        curve = paper.fig2_of(group[0])
        for samples in at:
            theirs = float(curve.at(samples)) if curve else float("nan")
            values = np.array([run.at(samples) for run in group])
            values = values[np.isfinite(values)]
            ours = float(values.mean()) if len(values) else float("nan")
            spread = float(np.ptp(values)) / 2 if len(values) else 0.0
            comparisons.append(Comparison(*key, samples, theirs, ours, spread, len(values)))
    return comparisons


@dataclass(frozen=True)
class Table:
    """A table for the page (HTML) and for plain text.

    On the page a column of text that says the same in every row stands in the caption instead.
    """

    header: list[str]
    rows: list[list[str]]
    label: str
    n_text_columns: int = 1
    kind: str = ""  # a class for the page's style sheet

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{escape(self.label)}: no such runs here.</p>"
        same = self._same()

        def cells(values, tag):
            align = ["left"] * self.n_text_columns + ["right"] * len(values)
            return "".join(
                _cell(tag, value, align[i]) for i, value in enumerate(values) if i not in same
            )

        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in self.rows)
        told = ", ".join(f"{self.header[i]} {self.rows[0][i]}" for i in same)
        caption = f"<caption>In every row: {told}</caption>" if told else ""
        label = escape(self.label, quote=True)
        kind = f"vc-table {self.kind}".strip()
        return (
            f'<div class="{kind}" style="overflow-x:auto" tabindex="0" role="region" '
            f'aria-label="{label}"><table class="table">{caption}'
            f"<thead><tr>{cells(self.header, 'th')}"
            f"</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def __repr__(self) -> str:
        return "\n".join("  ".join(map(plain, row)) for row in [self.header, *self.rows])

    def _same(self) -> list[int]:
        """Columns of text, where there are other columns, that say the same in several rows."""
        if len(self.rows) < 2 or self.n_text_columns >= len(self.header):
            return []
        columns = list(zip(*self.rows, strict=True))[: self.n_text_columns]
        return [i for i, column in enumerate(columns) if len(set(column)) == 1 and column[0]]


def _cell(tag: str, value: str, align: str) -> str:
    """A cell of a table: what follows a "±" stays with it, and on a telephone all of the value."""
    kind = ' scope="col"' if tag == "th" else ""
    if " ± " in value and len(value) < LONG:
        kind, value = ' class="whole"', value.replace("± ", "±&nbsp;")
    return f'<{tag}{kind} style="text-align:{align};padding:.25rem .5rem">{value}</{tag}>'


@dataclass(frozen=True)
class Note:
    """A sentence or two that a cell says, as a paragraph of the page."""

    text: str

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.text)}</p>"

    def __repr__(self) -> str:
        return self.text


def counts_for(runs) -> list[float]:
    """Two sample counts worth columns: powers of ten from a million on, or the end of short runs.

    As far as half of the experiments go, each by its longest run.
    """
    groups = group_runs(runs, _experiment).values()
    ends = [max(float(run.curve["samples"][-1]) for run in group) for group in groups]
    last = median_high(ends) if ends else 1e6
    return [10.0**k for k in range(6, 9) if 10**k <= last][-2:] or [last / 10, last]


def bound_table(runs, at: Sequence[float]) -> Table:
    """The comparison of `compare` as a table: one row an experiment, three columns a count.

    "±" is half the range over the seeds that reach a count. The last column is the mean
    |ours - paper| over all of the printed curve that the longest runs cover, over their seeds.
    """
    header = ["Data", NZ, "Algorithm", "Seeds"]
    for samples in at:
        header += [f"paper, {power(samples)}", "ours", "difference"]
    rows = []
    for key, group in group_runs(runs, _experiment).items():
        seeds = sorted({run.config.seed for run in group})
        row = [*labels(*key), ", ".join(map(str, seeds))]
        for item in compare(group, at):
            ours = nats(item.ours) + (f" ± {item.spread:.1f}" if item.n_seeds > 1 else "")
            row += [nats(item.paper), ours, nats(item.difference, signed=True)]
        end = max(run.curve["samples"][-1] for run in group)
        longest = [run for run in group if run.curve["samples"][-1] == end]
        apart = [paper.mean_abs_difference(run) for run in longest]
        rows.append([*row, nats(float(np.mean(apart)))])
    header.append("mean distance")
    return Table(header, rows, "test bound beside the paper's, in nats", 4, "tight")


def choice_table(runs, algorithm: str, dataset: str, until: float = 1e6) -> Table | None:
    """What one choice of step, warm-up and prior for all sizes costs, beside one for each size.

    One row a choice that `runs` made, one column a number of latent variables: the mean distance
    to the paper's test curve over the first `until` samples, of the lowest seed, the nearest in
    bold. A size whose curve enters the printed axes only later is judged where the drawing goes on
    outside them, and marked with a star. The last column is the mean where all sizes were tried;
    the last row takes each size's nearest. None where no run is that long.
    """
    runs = [run for run in runs if run.curve["samples"][-1] >= until]
    mine = _of_figure2(runs, dataset, algorithm)
    mine.sort(key=lambda run: (-run.config.seed, run.config.n_samples))
    distances: dict[tuple, dict[int, float]] = {}
    for run in mine:  # a lower seed overwrites a higher one, and a longer run a shorter one
        of_choice = distances.setdefault(choice_of(run.config), {})
        off_axes = _starts_outside(paper.fig2_of(run), until)
        distance = paper.mean_abs_difference(run, until=until, beyond_axes=off_axes)
        of_choice[run.config.latent_dim] = distance
    if not distances:
        return None
    nearest = {
        size: min((of[size] for of in distances.values() if size in of), default=np.nan)
        for size in paper.paper_latent_dims(dataset)
    }
    nearest = {size: value for size, value in nearest.items() if np.isfinite(value)}
    sizes = list(nearest)
    rows = []
    for choice in sorted(distances):
        found = [distances[choice].get(size, np.nan) for size in sizes]
        cells = [
            f"<strong>{nats(value)}</strong>" if value == nearest[size] else nats(value)
            for size, value in zip(sizes, found, strict=True)
        ]
        rows.append([*choice_words(choice), *cells, nats(float(np.mean(found)))])
    best = list(nearest.values())
    rows.append(["each its own", "", "", *map(nats, best), nats(float(np.mean(best)))])
    name = f"{name_of(algorithm)} on {data_title(dataset_spec(dataset))}"
    title = f"{plain(name)}: distance by choice, in nats"
    header = [f"{name}: {CHOICE_HEAD[0]}", *CHOICE_HEAD[1:]]
    drawn = {size: paper.fig2_curve(dataset, size, algorithm, "test") for size in sizes}
    stars = {size: " *" * _starts_outside(curve, until) for size, curve in drawn.items()}
    header += [f"{NZ} = {size}{stars[size]}" for size in sizes]
    return Table([*header, "all sizes"], rows, title, n_text_columns=3)


def _of_figure2(runs, dataset: str, algorithm: str) -> list:
    """Runs of Figure 2's experiments with a data set and an algorithm, whatever their choice."""
    mine = [r for r in runs if (r.config.dataset, r.config.algorithm) == (dataset, algorithm)]
    return [run for run in mine if is_but_for_choice(run) and paper.fig2_of(run)]


def _starts_outside(curve: paper.PaperCurve, until: float) -> bool:
    """Whether a curve has not entered the printed axes after so many samples."""
    return bool(curve.samples[curve.in_axes][0] >= until)


def seeds_table(
    runs, algorithm: str, dataset: str, counts: tuple[float, ...] = (1e6, 3e6, 1e7)
) -> Table | None:
    """The test bound less the paper's at some sample counts, for choices that several seeds made.

    One row a choice of step, warm-up and prior and a number of latent variables: the mean over all
    runs that go so far and, of more than one, their standard deviation. None without such choices.
    """
    mine = _of_figure2(runs, dataset, algorithm)
    by_seed = longest(mine, lambda r: (choice_of(r.config), r.config.latent_dim, r.config.seed))
    groups: dict[tuple, list] = {}
    for (choice, size, _), run in by_seed.items():
        groups.setdefault((choice, size), []).append(run)
    rows = []
    for (choice, size), group in groups.items():
        if len(group) > 1:
            cells = [mean_and_sd([above_the_paper(r, n) for r in group]) for n in counts]
            rows.append([*choice_words(choice), str(size), str(len(group)), *cells])
    if not rows:
        return None
    name = f"{name_of(algorithm)} on {data_title(dataset_spec(dataset))}"
    header = [f"{name}: {CHOICE_HEAD[0]}", *CHOICE_HEAD[1:], NZ]
    title = f"{plain(name)}: the test bound less the paper's, over seeds, in nats"
    return Table([*header, "seeds", *map(power, counts)], rows, title, n_text_columns=4)


def above_the_paper(run, samples: float) -> float:
    """A run's test bound less the paper's at a sample count, in nats."""
    return run.at(samples) - float(paper.fig2_of(run).at(samples))


def mean_and_sd(values: Sequence[float]) -> str:
    """ "+1.5 ± 0.4": mean and standard deviation of what is known; of one value, that alone."""
    known = [value for value in values if np.isfinite(value)]
    if len(known) < 2:
        return nats(known[0], signed=True) if known else nats(np.nan)
    return f"{nats(float(np.mean(known)), signed=True)} ± {np.std(known, ddof=1):.1f}"


def contest_table(runs) -> Table:
    """AEVB against wake-sleep where both end: who leads, and how much sooner AEVB got there."""
    header = ["Data", NZ, "Seed", "samples", "AEVB, nats", "samples needed"]
    rows = [
        [
            *[data_title(dataset_spec(c.dataset)), str(c.latent_dim), str(c.seed)],
            *[power(c.samples), in_words(c.lead), _share(c.share)],
        ]
        for c in contests(runs)
    ]
    return Table(header, rows, "AEVB against wake-sleep at the end of both runs", n_text_columns=3)


def _experiment(run) -> tuple[str, int, str]:
    """What seeds of one experiment have in common."""
    return experiment_of(run.config)[:3]


def labels(dataset: str, latent_dim: int, algorithm: str) -> list[str]:
    """The cells of a table that tell an experiment: data set, latent size, algorithm."""
    return [data_title(dataset_spec(dataset)), str(latent_dim), name_of(algorithm)]


def _share(share: float) -> str:
    return f"{100 * share:.0f}%" if np.isfinite(share) else "never there"


def nats(value: float, signed: bool = False, digits: int = 1) -> str:
    """A number of nats for a table: a true minus sign, no "-0.0", a dash for what is not known."""
    if not np.isfinite(value):
        return "–"
    value = round(value, digits) + 0.0  # -0.0 becomes 0.0
    kind = f".{digits}f" if abs(value) < MOST_NATS else ".1e"
    text = f"{value:+{kind}}" if signed and value else f"{value:{kind}}"
    return text.replace("-", "−")


def in_words(lead: float) -> str:
    """A difference with its sign in words: "leads by 0.3", "trails by 0.3", "level"."""
    if not np.isfinite(lead):
        return "–"
    size = nats(abs(lead))
    if float(size) == 0:
        return "level"
    return f"{'leads' if lead > 0 else 'trails'} by {size}"


def span(values: Sequence[float]) -> str:
    """ "−141.1 to −102.5", or the one number that all round to."""
    low, high = nats(min(values)), nats(max(values))
    return low if low == high else f"{low} to {high}"


def power(samples: float) -> str:
    """A number of samples: as a power of ten, in millions, or as it is."""
    exponent = round(float(np.log10(samples)))
    if np.isclose(samples, 10.0**exponent):
        return f"10<sup>{exponent}</sup>"
    return f"{samples / 1e6:.3g} million" if samples >= 1e6 else f"{samples:,.0f}"
