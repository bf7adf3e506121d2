"""A verdict: one claim of the paper, what the paper and our runs show, and how many cases held."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from vae_book.plots.tables import Table, in_words, nats, power, span

# What each verdict means, and its mark.
OUTCOMES = {
    "reproduced": ("✓", "all of the cases"),
    "mostly": ("◕", "more than half of them"),
    "hardly": ("◔", "half of them or fewer"),
    "not reproduced": ("✗", "none of them"),
    "judged by eye": ("", "pictures, judged by looking at them"),
    "no runs yet": ("", "no stored run can tell"),
}


@dataclass(frozen=True)
class Verdict:
    """One row of the table.

    Attributes:
        subject: the figure of the paper.
        claim: what the paper shows or says, in our words.
        page: the page of the evidence, without its ending.
        passed: whether each case behaved as the claim says; None for a picture.
        unit: what a case is ("curves", "seeds").
        missing: cases of the paper for which no run is stored.
        samples: the sample counts at which the cases are judged.
        paper: the value in the paper, with a unit.
        ours: the value here.
        difference: how far apart they are.
        fitted: what was chosen by looking at the paper's own curves.
        id: by which code asks for it ("fig2/curves", "fig2/ends", "fig2/chance", "fig3/ends").
        short: its name on a chapter's card.
        limit: how near is near ("within 1.5 nats"); a claim without one has no row on a card.
    """

    subject: str
    claim: str
    page: str
    passed: tuple[bool, ...] | None = ()
    unit: str = "curves"
    samples: tuple[float, ...] = ()
    paper: str = ""
    ours: str = ""
    difference: str = ""
    fitted: str = ""
    missing: int = 0
    id: str = ""
    short: str = ""
    limit: str = ""

    @property
    def outcome(self) -> str:
        """One of OUTCOMES, by the share of cases that behaved as the claim says."""
        return outcome(self.passed, self.missing)

    @property
    def held(self) -> str:
        """ "8 of 10 curves", with those that have no run; nothing where nothing was judged."""
        if not self.passed:
            return ""
        absent = f" ({self.missing} more without a run)" if self.missing else ""
        return f"{sum(self.passed)} of {len(self.passed)} {self.unit}{absent}"


def outcome(passed: Sequence[bool] | None, missing: int = 0) -> str:
    """The verdict on so many cases: all, most, few or none as the paper says.

    A case without a run counts as one that did not hold, unless no case has one.
    """
    if passed is None:
        return "judged by eye"
    if not len(passed):
        return "no runs yet"
    if not any(passed):
        return "not reproduced"
    n_cases = len(passed) + missing
    if sum(passed) == n_cases:
        return "reproduced"
    return "mostly" if 2 * sum(passed) > n_cases else "hardly"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95% t interval; the half width of one value is nan."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), math.nan
    t = stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(t * values.std(ddof=1) / math.sqrt(len(values)))


def miss(differences: Sequence[float]) -> str:
    """ "1.8 nats off, 0.3 below on average": mean |ours - paper| and the bias in words.

    Of one alone: "0.3 nats below".
    """
    size, bias = float(np.mean(np.abs(differences))), float(np.mean(differences))
    side = "above" if bias > 0 else "below"
    if len(differences) == 1:
        return f"{nats(size)} nats {side}"
    return f"{nats(size)} nats off, {nats(abs(bias))} {side} on average"


def sizes(differences: Sequence[float]) -> str:
    """ "1.5 nats off, at most 4.3": of differences whose signs have no common meaning."""
    off = np.abs(differences)
    return f"{nats(float(off.mean()))} nats off, at most {nats(float(off.max()))}"


def lead_words(leads: Sequence[float]) -> str:
    """Leads of the first over the second: "leads by 0.3 to 6.8 nats", never a bare sign."""
    if min(leads) > 0 or max(leads) < 0:
        sizes = sorted(map(abs, leads))
        return f"{'leads' if leads[0] > 0 else 'trails'} by {span(sizes)} nats"
    return f"{in_words(min(leads))} to {in_words(max(leads))} nats"


def verdict_table(rows: Sequence[Verdict]) -> Table:
    """The rows as a table, each claim a link to its page."""
    wide = "display:inline-block;min-width:13rem"  # a sentence, not a column of words
    body = [
        [
            row.subject.replace(" ", "\u00a0"),
            f'<a href="{row.page}.html" style="{wide}">{row.claim}</a>',
            f"{OUTCOMES[row.outcome][0]} {row.outcome}".strip(),
            row.held,
            *(row.paper, row.ours, row.difference),
            _counts(row.samples),
            row.fitted,
        ]
        for row in rows
    ]
    header = ["Figure", "What the paper shows or says", "Verdict", "Held in", "The paper", "Here"]
    header += ["Difference", "Samples", "Fitted to the paper"]
    return Table(header, body, "What was reproduced", n_text_columns=len(header))


def _counts(samples: Sequence[float]) -> str:
    if not samples:
        return ""
    low, high = power(min(samples)), power(max(samples))
    return low if low == high else f"{low} to {high}"
