"""The tables below a chapter's claims: what was judged, and the numbers behind it."""

from collections.abc import Iterable, Sequence

import numpy as np

from vae_book.claims import PLATEAU_FROM, PLATEAU_NATS, bounds_at, crossing
from vae_book.plots.curves import group_runs
from vae_book.plots.style import NTRAIN, NZ, data_title, name_of
from vae_book.plots.tables import Note, Table, compare, nats, power
from vae_book.verdicts.figure2 import judged_at
from vae_book.verdicts.verdict import OUTCOMES, Verdict
from vae_book.words import counted
from vae_core.data import DataNotFound, dataset_spec
from vae_core.runs import MissingRunError, Run
from vae_core.runs import metrics as evaluations


def claim_table(rows: Iterable[Verdict]) -> Table | None:
    """The claims that some stored run can tell about; None where there is no such claim."""
    body = [
        [row.claim, f"{OUTCOMES[row.outcome][0]} {row.held}", row.paper, row.ours]
        for row in rows
        if row.passed
    ]
    header = ["What the paper shows or says", "Held in", "The paper", "Here"]
    return Table(header, body, "The claims, judged", len(header), "vc-claims") if body else None


def size_table(runs: Iterable[Run]) -> Table:
    """AEVB's test bound for each number of latent variables, where all of a data set's runs reach.

    The mean over the seeds that go so far.
    """
    aevb = [run for run in runs if run.config.algorithm == "aevb"]
    rows = []
    for group in group_runs(aevb, lambda run: run.config.dataset).values():
        samples = judged_at(group)
        bounds = bounds_at(group, samples)
        rows += [
            [data_title(group[0].config.spec), power(samples), str(dim), nats(bound)]
            for dim, bound in bounds.items()
        ]
    return Table(["Data", "samples", NZ, "AEVB, test bound"], rows, "Test bounds by size", 2)


def scatter_note(runs: Iterable[Run], at: Sequence[float] = (1e6, 3e6)) -> Note | None:
    """How far apart the seeds of one experiment lie at each sample count, where it is the farthest.

    By data set and algorithm; None where no experiment has several runs that reach so far.
    """
    runs, sentences = list(runs), []
    for samples in at:
        compared = [item for item in compare(runs, at=[samples]) if item.n_seeds > 1]
        parts = []
        for group in group_runs(compared, lambda item: (item.dataset, item.algorithm)).values():
            widest = max(group, key=lambda item: item.spread)
            where = counted(widest.latent_dim, "latent variable")
            name = f"{name_of(widest.algorithm)} on {dataset_spec(widest.dataset).title}"
            parts.append(f"{name} {nats(2 * widest.spread)} nats ({where})")
        if parts:
            told = f"Largest range over seeds after {samples:,.0f} samples: "
            sentences.append(f"{told}{', '.join(parts)}.")
    return Note(" ".join(sentences)) if sentences else None


def variance_table(runs: Iterable[Run]) -> Table:
    """The variance over draws of epsilon of the test set's mean bound, in squared nats.

    For runs whose weights are stored, where it is stored or can be computed here.
    """
    rows = []
    for run in (run for run in runs if run.has_weights):
        try:
            variance = evaluations.bound_variance(run)["variance"]
        except (MissingRunError, DataNotFound):
            continue
        c = run.config
        labels = [data_title(c.spec), name_of(c.algorithm), str(c.latent_dim), str(c.seed)]
        rows.append([*labels, nats(variance, digits=4)])
    header = ["Data", "Algorithm", NZ, "Seed", "variance, nats²"]
    return Table(header, rows, "Variance of the estimated test bound", 2)


def plateau_table(runs: Iterable[Run]) -> Table:
    """Where wake-sleep's test bound on Frey Face rests after a million samples, and how long."""
    rows = []
    for run in runs:
        c = run.config
        if (c.dataset, c.algorithm) != ("freyface", "wake_sleep"):
            continue
        samples, bounds = run.curve["samples"], run.curve["test_bound"]
        rests, end, stays = run.at(PLATEAU_FROM), samples[-1], "–"
        if end >= PLATEAU_FROM:
            after = samples >= PLATEAU_FROM
            until = crossing(samples[after], np.abs(bounds[after] - rests), PLATEAU_NATS)
            stays = power(until) if until <= end else "its end"
        labels = [str(c.latent_dim), str(c.seed), nats(rests), stays]
        rows.append([*labels, power(end), nats(bounds[-1])])
    header = [NZ, "Seed", f"test bound after {power(PLATEAU_FROM)}"]
    header += [f"within {PLATEAU_NATS:.0f} nats of it until", "end, samples", "test bound there"]
    return Table(header, rows, "Wake-sleep on Frey Face")


def order_table(runs: Sequence[Run]) -> Table:
    """The algorithms of each panel of Figure 3, the best on the test images first."""

    def end(run: Run) -> float:
        return float(run.curve["test_log_marginal"][-1])

    groups = group_runs(runs, lambda run: (run.config.dataset, run.config.n_train))
    rows = []
    for _, group in sorted(groups.items()):
        ranked = sorted(group, key=end, reverse=True)
        order = ", ".join(f"{name_of(r.config.algorithm)} {nats(end(r))}" for r in ranked)
        data = data_title(group[0].config.spec)
        rows.append([data, f"{group[0].config.n_train:,}", order])
    header = ["Data", NTRAIN, "Test images, log <i>p</i>(<i>x</i>), best first"]
    return Table(header, rows, "The order of the algorithms", len(header))
