"""Ways to run Appendix D's chains, beside the truth: from `book/studies/persisting_chains.json`.

The study has rows for each run: {"samples", "split", "quadrature", and mean log p(x) in nats by the
name of each way}. Here it is a list of (run, rows).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vae_book.plots import marginal, paper
from vae_book.plots.style import OTHER_COLORS, Figure, name_of, panel_size, svg_panel
from vae_book.plots.tables import Table, nats, power
from vae_book.studies import of_stored
from vae_core.runs import Run, all_runs

Study = list[tuple[Run, list[dict]]]
WAYS = "begun now, resampled", "begun now, encoder", "begun now, prior"
PERSISTING = "persisting"
COLORS = dict(zip((*WAYS, PERSISTING), OTHER_COLORS, strict=True))
MOST_TICKS = 4  # of a panel
FLOOR = -3.0  # nats; what lies lower is told in the table


def load(study: Mapping[str, list[dict]]) -> Study:
    """The study, of those of its runs that are stored."""
    runs = {run.key: run for run in all_runs()}
    return [(runs[key], rows) for key, rows in dict(study).items() if key in runs]


def errors(row: dict) -> dict[str, float]:
    """What each way adds to the truth, in nats."""
    ways = {name: value for name, value in row.items() if name not in ("samples", "split")}
    truth = ways.pop("quadrature")
    return {name: value - truth for name, value in ways.items()}


def persisting(row: dict) -> list[float]:
    """The errors of all readings whose chains live through training."""
    return [error for name, error in errors(row).items() if name.startswith(PERSISTING)]


def span_of_persisting(study: Study, split: str) -> tuple[float, float]:
    """The lowest and the highest error at the last count, over all runs and readings."""
    values = [e for _, row in last_rows(study) if row["split"] == split for e in persisting(row)]
    return min(values), max(values)


def last_rows(study: Study) -> list[tuple[Run, dict]]:
    """Each run with each row of its last count."""
    return [
        (run, row) for run, rows in study for row in rows if row["samples"] == rows[-1]["samples"]
    ]


def error_figure(study: Study) -> Figure:
    """The error of each way against training samples, a panel for each run and split."""
    panels: list = ["Mean error of log p(x) (nats) against training samples evaluated"]
    for split, (run, rows) in itertools.product(marginal.SPLITS, study):
        of_split = [row for row in rows if row["split"] == split]
        panels.append(_panel(run, split, of_split, len(study)))
    legend = [(name, color, "train") for name, color in COLORS.items()]
    return Figure(panels, len(study), legend)


def _panel(run, split: str, rows: list[dict], n_columns: int):
    samples = [row["samples"] for row in rows]
    curves = {name: [errors(row)[name] for row in rows] for name in errors(rows[0])}

    def draw(axes):
        for name, values in curves.items():
            color = COLORS.get(name, COLORS[PERSISTING])
            axes.plot(samples, values, color=color, linewidth=1.3 if name in COLORS else 0.7)
        axes.axhline(0, color="#8c8c8c", linewidth=0.6)
        told = samples[:: -(-len(samples) // MOST_TICKS)]
        top = max([0.5, *(max(values) + 0.1 for values in curves.values())])
        axes.set(ylim=(FLOOR, top), xscale="log", xticks=told)
        axes.set_xticklabels([f"{n / 1e6:.2g}M" for n in told])
        axes.minorticks_off()

    config = run.config
    title = f"{name_of(config.algorithm)}, {config.n_train:,} points, {split}"
    ends = {name: values[-1] for name, values in curves.items()}
    low, high = min(persisting(rows[-1])), max(persisting(rows[-1]))
    told = ", ".join(f"{name} {nats(ends[name], signed=True)}" for name in WAYS)
    numbers = f"{told}, persisting {nats(low, True)} to {nats(high, True)}"
    alt = f"Error of the estimates at the end, in nats: {numbers}."
    return svg_panel(title, draw, alt, size=panel_size(n_columns, 0.9), numbers=numbers)


def error_table(study: Study) -> Table:
    """The truth and the error of each way at the last count."""
    header = ["N<sub>train</sub>", "Algorithm", "Split", "samples", "truth", *WAYS]
    rows = []
    for run, row in last_rows(study):
        error = errors(row)
        low, high = min(persisting(row)), max(persisting(row))
        rows.append(
            [
                *_labels(run, row),
                power(row["samples"]),
                nats(row["quadrature"]),
                *(nats(error[name], signed=True, digits=2) for name in WAYS),
                f"{nats(low, True, 2)} to {nats(high, True, 2)}",
            ]
        )
    title = "log p(x) on 100 images of each split, and what each way adds to it, in nats"
    return Table([*header, "persisting, all readings"], rows, title, 3)


def landing_table(study: Study) -> Table:
    """Our curve as chains that persist would have drawn it, beside the paper's, in nats."""
    rows = []
    for run, row in last_rows(study):
        samples = row["samples"]
        ours = run.at(samples, f"{row['split']}_log_marginal")
        theirs = float(paper.fig3_of(run, row["split"]).at(samples))
        shift = [error - errors(row)["begun now, resampled"] for error in persisting(row)]
        ends = ours + min(shift), ours + max(shift)
        off = [end - theirs for end in ends]
        rows.append(
            [*_labels(run, row), power(samples), nats(theirs), nats(ours)]
            + [
                f"{nats(ends[0])} to {nats(ends[1])}",
                f"{nats(off[0], True)} to {nats(off[1], True)}",
            ]
        )
    header = ["N<sub>train</sub>", "Algorithm", "Split", "samples", "paper", "ours, resampled"]
    header += ["ours, persisting", "difference"]
    return Table(header, rows, "Figure 3 as persisting chains would draw it, in nats", 3)


def _labels(run, row: dict) -> list[str]:
    config = run.config
    return [f"{config.n_train:,}", name_of(config.algorithm), row["split"]]


def starts_table(study: Sequence[Mapping[str, Any]], runs: Iterable[Run]) -> Table:
    """A row for each model among `runs` and each way to start its chains.

    `study` is `book/studies/chain_starts.json`: the estimate less the truth in nats, mean and
    standard error, median, worst, and how many images of a hundred are off by three nats or more.
    """
    rows = [
        [
            name_of(run.config.algorithm),
            f"{row['n_candidates']:,}",
            str(row["n_burnin"]),
            f"{nats(row['mean'], signed=True)} ± {nats(row['stderr'])}",
            nats(row["median"], signed=True, digits=2),
            nats(row["worst"], signed=True),
            str(row["far"]),
        ]
        for row, run in of_stored(study, runs)
    ]
    header = ["", "draws", "moves before", "mean", "median", "worst image", "3 nats off"]
    label = "Appendix D less the truth by how its chains start, on 100 test images, in nats"
    return Table(header, rows, label, n_text_columns=1, kind="tight")
