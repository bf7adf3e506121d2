"""The front page's table: each figure and each claim of the paper, judged from stored runs.

Every judgement is a function of Run objects alone. Both sides of a comparison are read off at one
sample count, which the table names, and the paper's own curves are put to the same question.
"""

from collections.abc import Iterable

from vae_book.verdicts import contests, figure2, figure3
from vae_book.verdicts.figure2 import figure2_runs
from vae_book.verdicts.verdict import OUTCOMES, Verdict, verdict_table
from vae_core.runs import Run

__all__ = ["OUTCOMES", "Verdict", "figure2_runs", "summary", "verdict_table", "verdicts"]

PICTURES = (
    ("Figure 4", "Planes of digits and of faces, smooth throughout", "figures/fig4_manifold"),
    ("Figure 5", "Samples of digits with 2, 5, 10 and 20 latent variables", "figures/fig5_samples"),
)


def verdicts(runs: Iterable[Run]) -> list[Verdict]:
    """Every row of the front page's table, from all stored runs."""
    runs = list(runs)
    fig2 = figure2_runs(runs)
    rows = figure2.judge_curves(fig2) + contests.judge_contests(fig2, runs)
    rows += contests.judge_superfluous(runs) + figure2.judge_variance(fig2)
    rows += figure3.judge_ends(runs) + figure3.judge_scaling(runs) + figure3.judge_appendix_d(runs)
    return rows + [Verdict(subject, claim, page, None) for subject, claim, page in PICTURES]


def summary(rows: Iterable[Verdict]) -> str:
    """The verdicts counted: "3 reproduced, 2 mostly, ..." in the order of OUTCOMES."""
    found = [row.outcome for row in rows]
    counts = [f"{found.count(name)} {name}" for name in OUTCOMES if name in found]
    return ", ".join(counts)
