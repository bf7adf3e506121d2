"""The front page's table: each figure and each claim of the paper, judged from stored runs.

Every judgement is a function of Run objects alone, with its threshold beside it.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from vae_book.claims import Contest, contests, final_bounds
from vae_book.plots import marginal, paper
from vae_book.plots.tables import Table
from vae_core.runs import Run
from vae_core.runs.config import RunConfig

PAPER_SCALE = 10_000_000  # samples a run of Figure 2 must reach to be judged
CLOSE = {"mnist": 2.0, "freyface": 0.08}  # nats; share of the paper's bound
FREE_FIELDS = {"algorithm", "latent_dim", "seed", "n_samples", "matmul_precision"}
FREE_FIELDS |= {"evals_per_decade"}  # it changes nothing but how often a run is looked at
FIG3_ENDS = 50_000_000  # samples; the claims are about the end of the paper's axis
FIG2, FIG3 = "figures/fig2_lower_bound", "figures/fig3_marginal_likelihood"
FIG4, FIG5 = "figures/fig4_manifold", "figures/fig5_samples"
TITLES = {"mnist": "MNIST", "freyface": "Frey Face"}


@dataclass(frozen=True)
class Verdict:
    """One row of the table.

    Attributes:
        subject: the figure.
        claim: what the paper shows or says, in our words.
        outcome: "reproduced", "in part", "not reproduced" or "no runs yet".
        effect: what was measured, with its interval and unit.
        page: the page of the evidence, without its ending.
    """

    subject: str
    claim: str
    outcome: str
    effect: str
    page: str


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95% t interval; the half width of one value is nan."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), math.nan
    t = stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(t * values.std(ddof=1) / math.sqrt(len(values)))


def describe(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """ "+4.1 ± 0.6 nats (n = 5)": mean and 95% t interval."""
    mean, half = interval(values)
    spread = "" if math.isnan(half) else f" ± {half:.{digits}f}"
    return f"{mean:+.{digits}f}{spread} {unit} (n = {len(values)})".replace("-", "−")


def outcome(passed: Sequence[bool]) -> str:
    """All, some or none of the experiments behaved as the paper says."""
    if not len(passed):
        return "no runs yet"
    return "reproduced" if all(passed) else "in part" if any(passed) else "not reproduced"


def is_default(run: Run, **fixed) -> bool:
    """Whether a run differs from its data set's defaults in free fields only, or as ``fixed``."""
    given = run.config.model_dump()
    kind = {name: given[name] for name in ("dataset", "algorithm", "latent_dim")}
    expected = RunConfig(**kind | fixed).model_dump()
    return all(given[name] == value for name, value in expected.items() if name not in FREE_FIELDS)


def figure2_runs(runs: Iterable[Run]) -> list[Run]:
    """The longest run of each experiment of Figure 2 and each seed, at paper scale."""
    longest: dict[tuple, Run] = {}
    for run in runs:
        config = run.config
        if config.dataset not in paper.FIG2_LATENT_DIMS or config.n_samples < PAPER_SCALE:
            continue
        printed = config.latent_dim in paper.paper_latent_dims(config.dataset)
        if not (printed and is_default(run)):
            continue
        key = config.dataset, config.latent_dim, config.algorithm, config.seed
        if key not in longest or longest[key].config.n_samples < config.n_samples:
            longest[key] = run
    return [longest[key] for key in sorted(longest)]


def differences(runs: Sequence[Run], dataset: str) -> list[tuple[float, float]]:
    """(ours - paper's, paper's) test bound at 1e7 samples of every experiment, in nats."""
    pairs = []
    for run in runs:
        if run.config.dataset == dataset:
            curve = paper.fig2_curve(dataset, run.config.latent_dim, run.config.algorithm, "test")
            theirs = float(curve.at(PAPER_SCALE))
            pairs.append((run.at(PAPER_SCALE) - theirs, theirs))
    return pairs


def judge_curves(runs: Sequence[Run]) -> list[Verdict]:
    """Do our test bounds land on the paper's at ten million samples?"""
    rows = []
    for dataset, title in TITLES.items():
        pairs = differences(runs, dataset)
        scale = CLOSE[dataset]
        close = [abs(d) < (scale if dataset == "mnist" else scale * abs(p)) for d, p in pairs]
        limit = "2 nats" if dataset == "mnist" else "8%"
        claim = f"{title}: the bound at 10<sup>7</sup> samples, each curve within {limit}"
        effect = f"{sum(close)} of {len(close)} curves; "
        effect += describe([d for d, _ in pairs], "nats") if pairs else ""
        rows.append(Verdict("Figure 2", claim, outcome(close), effect if pairs else "", FIG2))
    return rows


def judge_contests(runs: Sequence[Run]) -> list[Verdict]:
    """AEVB converges considerably faster, and to a better solution, in all experiments."""
    found = contests(runs)
    return [row for dataset in TITLES for row in _contest_rows(dataset, found)]


def _contest_rows(dataset: str, found: Sequence[Contest]) -> list[Verdict]:
    mine = [contest for contest in found if contest.dataset == dataset]
    title = TITLES[dataset]
    leads = [contest.lead for contest in mine]
    better = Verdict(
        "Figure 2",
        f"{title}: AEVB ends at a better bound than wake-sleep",
        outcome([lead > 0 for lead in leads]),
        describe(leads, "nats") if leads else "",
        FIG2,
    )
    shares = [100 * contest.share for contest in mine]
    faster = Verdict(
        "Figure 2",
        f"{title}: AEVB gets sooner to where wake-sleep ends",
        outcome([share < 100 for share in shares]),
        describe(shares, "% of the samples", 0).lstrip("+") if shares else "",
        FIG2,
    )
    return [better, faster]


def judge_superfluous(runs: Sequence[Run]) -> list[Verdict]:
    """Superfluous latent variables do not overfit: MNIST with 200 of them against the best."""
    bounds = final_bounds(runs, "mnist", "aevb")
    claim = "MNIST: 200 latent variables cost no more than 1 nat of test bound against 20"
    if not {20, 200} <= bounds.keys():
        return [Verdict("Figure 2", claim, "no runs yet", "", FIG2)]
    seeds = {20: [], 200: []}
    for run in runs:
        config = run.config
        if (config.dataset, config.algorithm) == ("mnist", "aevb") and config.latent_dim in seeds:
            seeds[config.latent_dim].append(run.at(PAPER_SCALE))
    gain = [b - a for a, b in zip(seeds[20], seeds[200], strict=False)]
    return [
        Verdict("Figure 2", claim, outcome([g > -1 for g in gain]), describe(gain, "nats"), FIG2)
    ]


def judge_plateau(runs: Sequence[Run]) -> list[Verdict]:
    """Wake-sleep on Frey Face stays at the mean face, at about 570 nats on test."""
    bounds = list(final_bounds(runs, "freyface", "wake_sleep").values())
    claim = "Frey Face: wake-sleep stays at the mean face, between 540 and 600 nats, at any size"
    effect = f"{min(bounds):.0f} to {max(bounds):.0f} nats (n = {len(bounds)})" if bounds else ""
    return [Verdict("Figure 2", claim, outcome([540 < b < 600 for b in bounds]), effect, FIG2)]


def judge_variance(runs: Sequence[Run]) -> list[Verdict]:
    """One draw of epsilon is enough: the variance of the estimated bound is below 1."""
    name = "bound_variance/test/50"
    found = [run.metrics[name]["variance"] for run in runs if name in run.metrics]
    claim = "The variance of the estimated bound is below 1"
    small = [variance < 1 for variance in found]
    effect = f"{_count(small, 'models')}; at most {max(found):.2g} nats²" if found else ""
    return [Verdict("Figure 2", claim, outcome(small), effect, FIG2)]


def figure3_runs(runs: Iterable[Run]) -> dict[tuple[int, str], Run]:
    """The longest run with an estimated marginal likelihood, by (n_train, algorithm).

    Of runs of one length it is the one that was evaluated most often.
    """

    def rank(config):
        return config.n_samples, config.evals_per_decade

    longest: dict[tuple[int, str], Run] = {}
    for run in runs:
        config = run.config
        if config.dataset != "mnist" or (config.hidden, config.latent_dim) != ((100,), 3):
            continue
        if "test_log_marginal" not in run.curve:
            continue
        key = config.n_train, config.algorithm
        if key not in longest or rank(longest[key].config) < rank(config):
            longest[key] = run
    return longest


def end_limit(config: RunConfig) -> float:
    """How far from the paper's, in nats, a curve of Figure 3 may end to count as reproduced."""
    if config.algorithm == "mcem":
        return 3.0
    return 2.0 if config.n_train == 1_000 else 1.5


def judge_figure3_ends(runs: Iterable[Run]) -> list[Verdict]:
    """The end values of all curves of Figure 3, and the order in which they lie."""
    found = {
        key: run
        for key, run in figure3_runs(runs).items()
        if run.curve["samples"][-1] >= FIG3_ENDS and marginal.paper_curve(run, "test") is not None
    }
    ends = {
        (*key, split): marginal.end_of(found[key], split)[1:]
        for key in found
        for split in marginal.SPLITS
    }
    close = [
        abs(ours - theirs) <= end_limit(found[n_train, algorithm].config)
        for (n_train, algorithm, _), (theirs, ours) in ends.items()
    ]
    ordered = [
        (ends[a][0] > ends[b][0]) == (ends[a][1] > ends[b][1])
        for a, b in itertools.combinations(ends, 2)
        if (a[0], a[2]) == (b[0], b[2])  # in one panel, on one split
    ]
    claims = (
        ("The end of every curve, within 2 (1,000 points), 1.5 (50,000) or 3 nats (MCEM)", close),
        ("The order of the three algorithms at the end, on train and on test", ordered),
    )
    units = "curves", "pairs of curves"
    return [
        Verdict("Figure 3", claim, outcome(passed), _count(passed, unit), FIG3)
        for (claim, passed), unit in zip(claims, units, strict=True)
    ]


def _count(passed: Sequence[bool], unit: str) -> str:
    return f"{sum(passed)} of {len(passed)} {unit}" if len(passed) else ""


def judge_figure3(runs: Iterable[Run]) -> list[Verdict]:
    """Monte Carlo EM keeps up with 1,000 points and falls behind with 50,000."""
    found = figure3_runs(runs)
    rows = []
    for n_train, claim, holds in (
        (1_000, "1,000 points: Monte Carlo EM keeps up with AEVB, to within 4 nats", -4.0),
        (50_000, "50,000 points: Monte Carlo EM falls behind AEVB by more than 5 nats", 5.0),
    ):
        pair = [found.get((n_train, name)) for name in ("aevb", "mcem")]
        if None in pair:
            rows.append(Verdict("Figure 3", claim, "no runs yet", "", FIG3))
            continue
        end = min(run.curve["samples"][-1] for run in pair)
        ours = [run.at(end, "test_log_marginal") for run in pair]
        gap = ours[0] - ours[1]
        passed = gap < -holds if holds < 0 else gap > holds
        effect = f"AEVB leads by {gap:+.1f} nats on test at {end / 1e6:.0f} million samples"
        verdict = outcome([passed]) if end >= FIG3_ENDS else "runs too short to tell"
        rows.append(Verdict("Figure 3", claim, verdict, effect.replace("-", "−"), FIG3))
    return rows


def judge_appendix_d(runs: Iterable[Run]) -> list[Verdict]:
    """Appendix D serves below five latent dimensions and errs by more than a nat in many."""
    errors: dict[int, list[float]] = {}
    for run in runs:
        for name, found in run.metrics.items():
            if name.startswith("appendix_d_bias/"):
                middle = 0.5 * (found["lower"] + found["upper"])
                error = found["hmc_density"] - middle
                errors.setdefault(run.config.latent_dim, []).append(error)
    claim = "Appendix D: unreliable for a higher dimensional latent space, not below 5"
    if len(errors) < 2 or max(errors) < 5:
        return [Verdict("Figure 3", claim, "no runs yet", "", FIG3)]
    low = [error for latent_dim in errors if latent_dim < 5 for error in errors[latent_dim]]
    high = errors[max(errors)]
    effect = f"errs by at most {max(map(abs, low)):.1f} nats below 5 latent variables, "
    effect += f"by {max(high, key=abs):+.1f} with {max(errors)}"
    passed = [abs(error) < 0.5 for error in low] + [abs(error) > 1 for error in high]
    return [Verdict("Figure 3", claim, outcome(passed), effect.replace("-", "−"), FIG3)]


def judge_pictures(runs: Iterable[Run]) -> list[Verdict]:
    """Figures 4 and 5 are pictures; what can be judged is the bound of the models behind them."""
    best: dict[tuple[str, int], float] = {}
    for run in runs:
        config = run.config
        if config.algorithm == "aevb" and is_default(run) and config.n_samples >= PAPER_SCALE:
            key = config.dataset, config.latent_dim
            value = float(run.curve["test_bound"][-1])
            best[key] = max(value, best.get(key, -math.inf))
    planes = [best.get((name, 2)) for name in TITLES]
    done = None not in planes
    shown = "to be seen" if done else "no runs yet"
    effect = " and ".join(f"{b:.1f}" for b in planes) + " nats on test" if done else ""
    rows = [Verdict("Figure 4", "Smooth planes of digits and of faces", shown, effect, FIG4)]
    ladder = [best[key] for key in (("mnist", d) for d in (2, 5, 10, 20)) if key in best]
    rises = [b > a for a, b in zip(ladder, ladder[1:], strict=False)] if len(ladder) == 4 else []
    effect = " < ".join(f"{b:.1f}" for b in ladder) + " nats" if rises else ""
    claim = "Samples of digits gain from more latent variables: 2, 5, 10, 20"
    return [*rows, Verdict("Figure 5", claim, outcome(rises), effect.replace("-", "−"), FIG5)]


def verdicts(runs: Iterable[Run]) -> list[Verdict]:
    """Every row of the front page's table, from all stored runs."""
    runs = list(runs)
    fig2 = figure2_runs(runs)
    rows = judge_curves(fig2) + judge_contests(fig2) + judge_superfluous(fig2)
    rows += judge_variance(fig2) + judge_plateau(fig2)
    rows += judge_figure3_ends(runs) + judge_figure3(runs) + judge_appendix_d(runs)
    return rows + judge_pictures(runs)


def verdict_table(rows: Sequence[Verdict]) -> Table:
    """The rows as a table, each claim a link to its page."""
    marks = {"reproduced": "✓ ", "in part": "◐ ", "not reproduced": "✗ "}
    body = [
        [
            row.subject.replace(" ", "\u00a0"),
            f'<a href="{row.page}.html">{row.claim}</a>',
            f"{marks.get(row.outcome, '')}{row.outcome}",
            row.effect,
        ]
        for row in rows
    ]
    header = ["Figure", "What the paper shows", "Here", "Measured"]
    return Table(header, body, "What was reproduced", n_text_columns=4)
