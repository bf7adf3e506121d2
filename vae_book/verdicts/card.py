"""The card at the top of a figure's chapter: the paper, ours, the difference."""

from collections.abc import Iterable

import numpy as np

from vae_book.plots import paper
from vae_book.plots.style import NZ, data_title
from vae_book.plots.tables import Table, compare, nats, power
from vae_book.verdicts.verdict import OUTCOMES, Verdict
from vae_core.data import dataset_spec
from vae_core.runs import Run

HEADER = ["The paper", "Ours", "Difference"]
LABEL = "The paper, ours and the difference"


def card(rows: Iterable[Verdict], quantity: str) -> Table | None:
    """The verdicts that have a limit, one row each; None where no run can tell.

    Args:
        quantity: what is compared, in nats.
    """
    body = []
    for row in rows:
        if row.passed and row.limit:
            absent = f" ({row.missing} not run)" if row.missing else ""
            held = f"{sum(row.passed)} of {len(row.passed)}{absent}"
            values = map(_short, (row.paper, row.ours, row.difference))
            name = row.short.replace(" ", "\u00a0")
            body.append([name, *values, f"{OUTCOMES[row.outcome][0]} {held} {row.limit}"])
    header = [f"{quantity}, nats", *HEADER, "Curves as in the paper"]
    return Table(header, body, LABEL, n_text_columns=len(header), kind="vc-card") if body else None


def _short(words: str) -> str:
    """What a verdict says of values, without the unit, which the header names."""
    return words.replace(" nats", "").removesuffix(" on average")


def bound_card(runs: Iterable[Run]) -> Table | None:
    """The test bounds of a figure's models, each where its run or the paper's curve ends."""
    body = []
    for run in runs:
        if not np.isfinite(run.curve["test_bound"]).any():
            continue
        curve, end = paper.fig2_of(run), float(run.curve["samples"][-1])
        end = min(end, float(curve.samples[-1])) if curve else end
        (found,) = compare([run], at=[end])
        title = f"{data_title(dataset_spec(found.dataset))}, {NZ} = {found.latent_dim}"
        theirs = nats(found.paper) if curve else "not in its Figure 2"
        off = nats(found.difference, signed=True)
        body.append([title, theirs, nats(found.ours), off, power(end)])
    header = ["Test bound, nats", *HEADER, "Samples"]
    return Table(header, body, LABEL, n_text_columns=len(header), kind="vc-card") if body else None
