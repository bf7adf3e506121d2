"""The gap between training bound and test bound on MNIST: of which images, and whose fault."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vae_book.plots.marginal import end_of
from vae_book.plots.paper import fig2_of
from vae_book.plots.style import NZ, name_of
from vae_book.plots.tables import Table, nats, power
from vae_book.studies import of_stored
from vae_book.verdicts.figure2 import figure2_runs
from vae_core.runs import Run

COUNTS = (1e7, 1e8)  # samples


class Gap(NamedTuple):
    """The training bound less the bound on images held out, in nats, of one experiment."""

    algorithm: str
    latent_dim: int
    samples: float
    paper: float
    test: float  # ours, on the test images
    validation: float  # ours, on the validation images


def gaps(study: Sequence[Mapping[str, Any]], runs: Iterable[Run]) -> list[Gap]:
    """Every experiment of Figure 2 on MNIST, at each of COUNTS that our run of seed 0 reaches.

    `study` is `book/studies/held_out.json`. How much harder the validation images are is taken
    from its model of the same experiment that was trained longest, but no longer.
    """
    rows = []
    for run in figure2_runs(runs):
        config = run.config
        if config.dataset != "mnist" or config.seed:
            continue
        for samples in COUNTS:
            mine = [row for row in study if _is_of(row, run) and row["samples"] <= samples]
            train, test = (fig2_of(run, split).at(samples) for split in ("train", "test"))
            gap = run.at(samples, "train_bound") - run.at(samples)
            if mine and np.isfinite(gap):
                model = max(mine, key=lambda row: row["samples"])
                harder = model["test_bound"] - model["validation_bound"]
                kind = config.algorithm, config.latent_dim, samples
                rows.append(Gap(*kind, float(train - test), gap, gap + harder))
    return sorted(rows)


def _is_of(row: Mapping[str, Any], run: Run) -> bool:
    return (row["algorithm"], row["latent_dim"]) == (run.config.algorithm, run.config.latent_dim)


def misses(rows: Sequence[Gap]) -> tuple[float, float]:
    """Mean absolute differences from the paper's gaps: on the test images, on the others."""
    test = np.mean([abs(gap.test - gap.paper) for gap in rows])
    validation = np.mean([abs(gap.validation - gap.paper) for gap in rows])
    return float(test), float(validation)


def gaps_table(rows: Sequence[Gap]) -> Table:
    """A row for each experiment and sample count, and the mean distance from the paper's."""
    cells = [
        [name_of(gap.algorithm), str(gap.latent_dim), power(gap.samples)]
        + [nats(value, signed=True) for value in (gap.paper, gap.test, gap.validation)]
        for gap in rows
    ]
    if rows:
        cells.append(["mean distance", "", "", "", *map(nats, misses(rows))])
    header = ["", NZ, "after", "paper", "ours: test", "ours: valid."]
    label = "The training bound less the bound on images held out, on MNIST, in nats"
    return Table(header, cells, label, n_text_columns=3, kind="tight")


def shares_table(study: Sequence[Mapping[str, Any]], runs: Iterable[Run]) -> Table:
    """Whose the overfitting is: how far q(z|x) is from the posterior on either kind of image.

    `study` is `book/studies/who_overfits.json`. A row for each of its models among `runs`:
    KL(q(z|x) || p(z|x)) on training and on test images, mean and standard error, how much more it
    is on the latter, and the training bound less the test bound where the run ends, in nats.
    """
    rows = []
    for row, run in of_stored(study, runs):
        config, end = run.config, float(run.curve["samples"][-1])
        train, test = row["train"], row["test"]
        cells = [name_of(config.algorithm), str(config.hidden[0]), power(end)]
        cells += [f"{nats(kl['mean'])} ± {nats(kl['stderr'])}" for kl in (train, test)]
        gap = run.at(end, "train_bound") - run.at(end)
        cells += [nats(value, signed=True) for value in (test["mean"] - train["mean"], gap)]
        rows.append(((config.algorithm, -config.hidden[0], end), cells))
    rows = [cells for _, cells in sorted(rows)]
    header = ["", "hidden", "samples", "KL, training", "KL, test", "more", "bounds apart"]
    label = "The divergence of q(z|x) from the posterior, and how far apart the bounds are, in nats"
    return Table(header, rows, label, n_text_columns=3, kind="tight")


def ends_table(study: Sequence[Mapping[str, Any]], runs: Iterable[Run]) -> Table:
    """The test curves of Figure 3 at their ends, on either kind of image, beside the paper's.

    `study` is `book/studies/held_out_figure3.json`. A row for each of its models among `runs`:
    Appendix D's log p(x) in nats, and how far it is from the paper's with either.
    """
    rows, off = [], []
    for row, run in of_stored(study, runs):
        theirs = end_of(run, "test")[1]
        ours = [float(np.mean(row[split])) for split in ("test", "validation")]
        off.append([value - theirs for value in ours])
        cells = [f"{row['n_train']:,}", name_of(row["algorithm"]), *map(nats, (theirs, *ours))]
        rows.append(cells + [nats(value, signed=True) for value in off[-1]])
    if rows:
        means = (nats(value) for value in np.abs(off).mean(0))
        rows.append(["mean distance", "", "", "", "", *means])
    header = ["images", "", "paper", "ours: test", "ours: valid.", "off: test", "off: valid."]
    label = "The ends of Figure 3’s test curves on images held out of either kind, in nats"
    return Table(header, rows, label, n_text_columns=2, kind="tight")


def sizes_table(study: Sequence[Mapping[str, Any]], runs: Iterable[Run]) -> Table:
    """The encoder's share of the overfitting for more latent variables, a row for each model.

    `study` is `book/studies/encoders_share.json`; columns as of :func:`shares_table`.
    """
    rows = []
    for row, run in of_stored(study, runs):
        cells = [str(row["latent_dim"])]
        cells += [f"{nats(row[s]['mean'])} ± {nats(row[s]['stderr'])}" for s in ("train", "test")]
        gap = run.curve["train_bound"][-1] - run.curve["test_bound"][-1]
        more = row["test"]["mean"] - row["train"]["mean"]
        rows.append([*cells, *(nats(value, signed=True) for value in (more, gap))])
    header = [NZ, "KL, training", "KL, test", "more", "bounds apart"]
    label = "The same for AEVB with more latent variables, by importance sampling, in nats"
    return Table(header, rows, label, n_text_columns=1, kind="tight")
