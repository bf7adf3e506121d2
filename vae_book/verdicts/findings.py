"""What was found, each finding with its number: the cards at the top of the front page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from vae_book.plots import paper
from vae_book.plots.curves import truths_of
from vae_book.plots.marginal import end_of
from vae_book.plots.tables import nats
from vae_book.verdicts.contests import furthest_contests, judge_contests, reading_pairs
from vae_book.verdicts.figure2 import CLOSE, figure2_runs, judge_curves
from vae_book.verdicts.figure3 import figure3_runs, judge_ends
from vae_book.verdicts.held_out import COUNTS, gaps, misses
from vae_core.runs import Run

N_CURVES = 2 * sum(map(len, paper.FIG2_LATENT_DIMS.values()))


@dataclass(frozen=True)
class Finding:
    """One card: a number, what it is the number of, and the page with the evidence."""

    number: str
    title: str
    text: str
    page: str  # without its ending


class Findings(list[Finding]):
    """Cards for the page (HTML), lines for plain text."""

    def _repr_html_(self) -> str:
        cards = [
            f'<a class="vc-finding" href="{found.page}.html"><strong>{escape(found.number)}'
            f"</strong><b>{escape(found.title)}</b><span>{escape(found.text)}</span></a>"
            for found in self
        ]
        return f'<div class="vc-findings">{"".join(cards)}</div>' if cards else ""

    def __repr__(self) -> str:
        return "\n".join(f"{found.number}: {found.title}. {found.text}" for found in self)


def findings(runs: Iterable[Run], mean_face: Mapping, held_out: Sequence[Mapping]) -> Findings:
    """The book's findings, as far as the stored runs can tell of them.

    Args:
        mean_face: the study of wake-sleep's plateau, `book/studies/mean_face.json`.
        held_out: the study of validation and test images, `book/studies/held_out.json`.
    """
    runs = list(runs)
    fig2, fig3 = figure2_runs(runs), figure3_runs(runs)
    found = [
        _order(fig2, fig3),
        _past_the_print(),
        _plateau(mean_face),
        _estimator(fig3),
        _held_out(runs, held_out),
        _misses(runs, fig2),
    ]
    return Findings(finding for finding in found if finding is not None)


def _order(fig2: Sequence[Run], fig3: Mapping) -> Finding | None:
    groups = [[run for run in fig2 if run.config.dataset == dataset] for dataset in CLOSE]
    found = [item for group in groups for item in furthest_contests(reading_pairs(group))]
    ends = {name: fig3.get((50_000, name)) for name in ("aevb", "mcem")}
    if not found or None in ends.values():
        return None
    wins, most = sum(item.lead > 0 for item in found), max(item.share for item in found)
    aevb, mcem = (end_of(run, "test")[2] for run in ends.values())
    rows = [row for row in judge_contests(fig2, []) if row.id == "fig2/chance"]
    sure = [ok for row in rows for ok in row.passed or ()]
    chance = (
        "After three million samples, with three seeds each, the 95% interval of the mean lead "
        f"lies above zero in {sum(sure)} of {len(sure)}. "
    )
    text = (
        f"AEVB ends above wake-sleep in {wins} of the {len(found)} experiments of Figure 2. In the "
        f"longest runs it needs at most {most:.0%} of the samples to reach wake-sleep’s final "
        f"bound. {chance if sure else ''}Monte Carlo EM keeps up with AEVB on 1,000 training "
        f"images; on 50,000 it ends {nats(aevb - mcem)} nats below."
    )
    title = "The algorithms rank as in the paper"
    return Finding(f"{wins} of {len(found)}", title, text, "figures/fig2_lower_bound")


def _past_the_print() -> Finding:
    sizes = paper.FIG2_LATENT_DIMS["freyface"]
    drawn = [paper.fig2_curve("freyface", dim, "aevb", "test") for dim in sizes]
    falls = [float(curve.bound.max() - curve.bound[-1]) for curve in drawn if curve is not None]
    text = (
        "The paper says that superfluous latent variables do not overfit. Long training does: the "
        "vector drawing of Figure 2 continues beyond the printed axis, up to five times as far, "
        f"and by its end the test bound on faces has fallen by {min(falls):.0f} to "
        f"{max(falls):.0f} nats from its maximum. The largest model does not lose the most."
    )
    title = "Faces overfit beyond the printed axis"
    return Finding(f"−{max(falls):.0f} nats", title, text, "reproducibility/paper_curves")


def _plateau(study: Mapping) -> Finding | None:
    if not study:
        return None
    before, after = (
        sum(curve["test_bound"][-1] for curve in study["curves"][name]) / len(study["curves"][name])
        for name in ("reading", "reading_centred")
    )
    samples = study["curves"]["reading"][0]["samples"][-1]
    text = (
        "On Frey Face wake-sleep learns only the mean face, in the paper’s Figure 2 and in ours. "
        "If we subtract the mean face from its encoder’s input and change nothing else, it leaves "
        f"this plateau at once: after {samples:,} samples the test bound is {after:.0f} nats "
        f"instead of {before:.0f}."
    )
    title = "Wake-sleep’s plateau on faces has a cause"
    return Finding(f"+{after - before:.0f} nats", title, text, "method/rivals")


def _estimator(fig3: Mapping) -> Finding | None:
    gaps = [
        truth - end_of(run, split)[2]
        for (n_train, name), run in fig3.items()
        if n_train == 1_000 and name in ("aevb", "mcem")
        for split, truth in truths_of(run).items()
    ]
    if not gaps:
        return None
    text = (
        "With three latent variables p(x) can be computed by numerical integration. Our AEVB and "
        f"Monte Carlo EM models of 1,000 images turn out {nats(min(gaps))} to {nats(max(gaps))} "
        "nats better than the paper’s estimator says: it relies on Markov chains, and ours, each "
        "started at one of a thousand draws from the prior, miss modes of the posterior. The paper "
        "does not say where its chains start."
    )
    title = "A curve of Figure 3 also measures its estimator"
    return Finding(f"+{nats(max(gaps))} nats", title, text, "reproducibility/estimator")


def _held_out(runs: Sequence[Run], study: Sequence[Mapping]) -> Finding | None:
    early, late = ([g for g in gaps(study, runs) if g.samples == samples] for samples in COUNTS)
    if not early:
        return None
    test, validation = misses(early)
    nearer = sum(abs(gap.validation - gap.paper) < abs(gap.test - gap.paper) for gap in early)
    text = (
        "In the paper’s Figure 2 the gap between training and test bound does not fit MNIST’s test "
        "images. On the 10,000 validation images our gaps after ten million samples differ from "
        f"the paper’s by {nats(validation)} nats on average instead of {nats(test)}, and are "
        f"closer in {nearer} of {len(early)} experiments, which share their images."
    )
    if late:
        far, far_validation = misses(late)
        text += f" After a hundred million it is {nats(far_validation)} instead of {nats(far)}."
    title = "The test curves on MNIST probably show validation images"
    return Finding(f"{nats(validation)} nats", title, text, "reproducibility/paper_curves")


def _misses(runs: Sequence[Run], fig2: Sequence[Run]) -> Finding | None:
    rows = [row for row in judge_curves(fig2) if row.passed]
    far = [row for row in rows if row.id == "fig2/ends"]
    rows = [row for row in rows if row.id == "fig2/curves"]
    ends = [row for row in judge_ends(runs) if row.passed and row.id == "fig3/ends"]
    if not rows or not ends:
        return None
    groups = rows, far, ends
    n, n_far, n_ends = (sum(len(row.passed or ()) for row in group) for group in groups)
    off, off_far, off_ends = (
        sum(not ok for row in group for ok in row.passed or ()) for group in groups
    )
    is_whole = n_far == N_CURVES
    going = f"all {n_far}" if is_whole else f"the {n_far} that reach that far"
    text = (
        f"After ten million samples {off} of the {n} curves of Figure 2 are more than 1.5 nats "
        f"(MNIST) or 4% (Frey Face) from the paper’s; after a hundred million {off_far} of "
        f"{going}. The printed axis ends there on Frey Face; on MNIST it goes on to 250 million, "
        f"and our curves stop at {_lengths(fig2)} million. "
        f"In Figure 3, {off_ends} of {n_ends} curves end more than 1.5 nats off."
    )
    title = "Not every curve matches" + ("" if is_whole else ", or reaches far enough")
    landed = f"{n_far - off_far} of {n_far}" if is_whole else f"{n - off} of {n}"
    return Finding(landed, title, text, "reproducibility/report")


def _lengths(fig2: Iterable[Run]) -> str:
    """Where the longest runs of the curves on MNIST end, in million samples."""
    ends: dict[tuple, float] = {}
    for run in fig2:
        config, end = run.config, float(run.curve["samples"][-1])
        if config.dataset == "mnist":
            curve = config.algorithm, config.latent_dim
            ends[curve] = max(end, ends.get(curve, 0.0))
    return " or ".join(f"{end / 1e6:.0f}" for end in sorted(set(ends.values())))
