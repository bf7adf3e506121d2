"""Verdicts on AEVB against wake-sleep, and on larger against smaller models (Section 5).

Every pair of stored runs that a claim is about is a case of it: none is chosen.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

from vae_book.claims import Contest, common_count, contest, crossing
from vae_book.plots import paper
from vae_book.plots.tables import nats
from vae_book.readings import FREE_FIELDS, READINGS, experiment_of, is_of_reading, longest
from vae_book.verdicts.figure2 import FIG2, fitted_settings, minibatch_words
from vae_book.verdicts.verdict import Verdict, interval, lead_words, miss
from vae_core.data import DATASETS
from vae_core.runs import Run

# Of wake-sleep's samples: what "considerably faster" is taken to mean. In the paper's own curves
# AEVB needs half of them or fewer after ten million samples, up to 84% after a million.
CONSIDERABLY = 0.75
SHORTEST = 1e6  # samples; a step is chosen among runs at least as long
HARMLESS = 0.01  # share of the bound that superfluous latent variables may cost
IN_ORDER_OF = "latent_dim", "seed", "step_size"  # pairs are listed

Pair = tuple[Run, Run]


def judge_contests(runs: Sequence[Run], others: Sequence[Run]) -> list[Verdict]:
    """AEVB converges considerably faster, and to a better solution, in all experiments.

    Judged by the book's reading, which lies nearest to the paper's curves and has several seeds;
    with every setting equal for both; and with each algorithm at its own best step.

    Args:
        runs: those of the book's reading.
        others: all that are stored.
    """
    rows = []
    for dataset in paper.FIG2_LATENT_DIMS:
        mine = [run for run in runs if run.config.dataset == dataset]
        stored = [r for r in others if r.config.dataset == dataset and paper.fig2_of(r)]
        fit, reading = fitted_settings(mine), reading_pairs(mine)
        equal = equal_pairs(stored, "algorithm", ("aevb", "wake_sleep"))
        best, shared = best_step_pairs(stored), minibatch_words(dataset)
        but_step = ", ".join(filter(None, [_prior_words(dataset), shared]))
        rows += _contest_rows(dataset, "with the book's settings", reading, fit)
        rows.append(_seeds_row(dataset, reading, fit))
        rows += _contest_rows(dataset, "with equal settings for both", equal, shared)
        way = "each at the step size with the best training bound"
        rows += _contest_rows(dataset, way, best, but_step)
    return rows


def _prior_words(dataset: str) -> str:
    readings = {kind: reading for kind, reading in READINGS.items() if kind[0] == dataset}
    return "no prior on weights" if all(r.prior_sd is None for r in readings.values()) else ""


def paper_contest(dataset: str, latent_dim: int, samples: float) -> tuple[float, float]:
    """(AEVB's lead, share of the samples it needs) in the paper's own curves."""
    aevb, other = (
        paper.fig2_curve(dataset, latent_dim, name, "test") for name in ("aevb", "wake_sleep")
    )
    goal = float(other.at(samples))
    share = crossing(aevb.samples, aevb.bound, goal) / samples
    return float(aevb.at(samples)) - goal, share


def reading_pairs(runs: Iterable[Run]) -> list[Pair]:
    """(AEVB, wake-sleep) for each size and seed, of runs of the reading on one data set."""
    by_key = {(r.config.latent_dim, r.config.seed, r.config.algorithm): r for r in runs}
    keys = sorted({key[:2] for key in by_key})
    both = [(by_key.get((*key, "aevb")), by_key.get((*key, "wake_sleep"))) for key in keys]
    return [(a, b) for a, b in both if a is not None and b is not None]


def equal_pairs(runs: Iterable[Run], field: str, values: tuple) -> list[Pair]:
    """All pairs of runs that differ in `field` alone, where it has these two values.

    One of each settings, the longest of those that differ in the free fields.
    """

    def rest(run: Run) -> tuple:
        config = run.config
        settings = config.model_dump_json(exclude=FREE_FIELDS | {field})
        first = [getattr(config, name) for name in IN_ORDER_OF if name != field]
        return *first, settings

    found = longest(runs, lambda run: (str(getattr(run.config, field)), rest(run)))
    first, second = map(str, values)
    return [
        (run, found[second, rest(run)])
        for (value, _), run in found.items()
        if value == first and (second, rest(run)) in found
    ]


def best_step_pairs(runs: Iterable[Run]) -> list[Pair]:
    """(AEVB, wake-sleep) for each experiment, each with the step that serves it best.

    Only runs at the readings' settings, but for the step and its warm-up, of the reading's seed 0.
    Candidates are the choices that both were trained with, so that neither has a larger menu. The
    best is the one with the highest training bound where all candidates of both reach; with one
    candidate alone nothing was chosen, and nothing is judged.
    """
    free = FREE_FIELDS | {"step_size", "adagrad_warmup"}
    candidates: dict[tuple, dict[tuple, Run]] = {}
    mine = [run for run in runs if is_of_reading(run.config, free)]
    mine = [run for run in mine if run.config.seed == 0 and run.curve["samples"][-1] >= SHORTEST]
    for (dataset, dim, algorithm, *step), run in longest(mine, _experiment_and_step).items():
        candidates.setdefault((dataset, dim, algorithm), {})[tuple(step)] = run
    pairs = []
    for dataset, dim, algorithm in candidates:
        both = [candidates.get((dataset, dim, name), {}) for name in ("aevb", "wake_sleep")]
        shared = both[0].keys() & both[1].keys()
        if algorithm != "aevb" or len(shared) < 2:
            continue
        groups = [[group[step] for step in sorted(shared)] for group in both]
        samples = common_count(itertools.chain(*groups))
        aevb, other = (max(g, key=lambda run: run.at(samples, "train_bound")) for g in groups)
        pairs.append((aevb, other))
    return pairs


def _experiment_and_step(run: Run) -> tuple:
    config = run.config
    return *experiment_of(config)[:3], config.step_size, config.adagrad_warmup


def furthest_contests(pairs: Iterable[Pair]) -> list[Contest]:
    """For each latent size the contest that goes furthest, of the lowest seed among equals."""
    found = [contest(*pair) for pair in pairs]
    best: dict[int, Contest] = {}
    for item in sorted(found, key=lambda item: (item.latent_dim, -item.samples, item.seed)):
        best.setdefault(item.latent_dim, item)
    return list(best.values())


def _contest_rows(dataset: str, way: str, pairs: Sequence[Pair], fitted: str) -> list[Verdict]:
    """Which is better, and how much faster, where both runs of a pair reach."""
    title = DATASETS[dataset].title
    better = f"{title}: AEVB ends at a better bound than wake-sleep, {way}"
    faster = f"{title}: AEVB is considerably faster, {way}: it reaches wake-sleep's final "
    faster += f"bound with at most {CONSIDERABLY:.0%} of the samples"
    if not pairs:
        return [Verdict("Figure 2", claim, FIG2, unit="pairs") for claim in (better, faster)]
    found = [contest(*pair) for pair in pairs]
    theirs = [paper_contest(dataset, c.latent_dim, c.samples) for c in found]
    leads, shares = [c.lead for c in found], [c.share for c in found]
    drawn_leads, drawn_shares = map(list, zip(*theirs, strict=True))
    off = miss([a - b for a, b in zip(leads, drawn_leads, strict=True)])
    common = dict(
        subject="Figure 2", page=FIG2, unit="pairs", samples=tuple(c.samples for c in found),
        fitted=fitted or "nothing",
        missing=len({*paper.FIG2_LATENT_DIMS[dataset]} - {c.latent_dim for c in found}),
    )  # fmt: skip
    return [
        Verdict(
            claim=better, passed=tuple(lead > 0 for lead in leads), paper=lead_words(drawn_leads),
            ours=lead_words(leads), difference=off, **common,
        ),
        Verdict(
            claim=faster, passed=tuple(share <= CONSIDERABLY for share in shares),
            paper=_percent(drawn_shares), ours=_percent(shares), **common,
        ),
    ]  # fmt: skip


def _percent(shares: Sequence[float]) -> str:
    known = [100 * share for share in shares if math.isfinite(share)]
    never = len(shares) - len(known)
    ends = [f"{end:.0f}%" for end in (min(known), max(known))] if known else []
    words = [" to ".join(dict.fromkeys(ends))] if ends else []
    return ", ".join(words + ([f"{never} never get there"] if never else []))


def _seeds_row(dataset: str, pairs: Sequence[Pair], fitted: str) -> Verdict:
    """Experiments with several seeds: the 95% interval of the lead over seeds is above zero."""
    claim = f"{DATASETS[dataset].title}: AEVB's lead is more than chance, with the book's "
    claim += "settings: in each experiment the 95% interval of the lead over seeds lies above zero"
    passed, counts, leads, worst = [], [], [], (math.inf, "")
    for latent_dim, found in itertools.groupby(pairs, key=lambda pair: pair[0].config.latent_dim):
        group = list(found)
        if len(group) < 2:
            continue
        samples = common_count(itertools.chain(*group))
        leads += [a.at(samples) - b.at(samples) for a, b in group]
        mean, half = interval(leads[-len(group) :])
        passed.append(mean - half > 0)
        counts.append(samples)
        words = f"{nats(mean)} ± {nats(half)} nats with {latent_dim} latent variables, "
        words += f"{len(group)} seeds"
        worst = min(worst, (mean - half, words))
    return Verdict(
        "Figure 2", claim, FIG2, tuple(passed), "experiments", tuple(counts), "one run each",
        f"ahead in {sum(lead > 0 for lead in leads)} of {len(leads)} pairs; least sure: {worst[1]}"
        if passed else "", "", fitted,
        len(paper.FIG2_LATENT_DIMS[dataset]) - len(passed) if passed else 0, id="fig2/chance",
    )  # fmt: skip


def judge_superfluous(runs: Iterable[Run]) -> list[Verdict]:
    """Superfluous latent variables do not overfit: the largest model against the next one."""
    rows = []
    for dataset, sizes in paper.FIG2_LATENT_DIMS.items():
        kind = dataset, "aevb"
        mine = [r for r in runs if (r.config.dataset, r.config.algorithm) == kind]
        mine = [run for run in mine if paper.fig2_of(run)]
        small, large = sizes[-2:]
        claim = f"{DATASETS[dataset].title}: {large} latent variables cost at most "
        claim += f"{HARMLESS:.0%} of the test bound against {small}, with equal settings"
        gains, theirs, counts, passed = [], [], [], []
        for pair in equal_pairs(mine, "latent_dim", (small, large)):
            samples = common_count(pair)
            bounds = [run.at(samples) for run in pair]
            drawn = [float(paper.fig2_of(run).at(samples)) for run in pair]
            gains.append(bounds[1] - bounds[0])
            theirs.append(drawn[1] - drawn[0])
            counts.append(samples)
            passed.append(gains[-1] >= -HARMLESS * abs(bounds[0]))
        told = [f"{large} {lead_words(values)}" if gains else "" for values in (theirs, gains)]
        off = miss([a - b for a, b in zip(gains, theirs, strict=True)]) if gains else ""
        fitted = (minibatch_words(dataset) or "nothing") if gains else ""
        rows.append(
            Verdict("Figure 2", claim, FIG2, tuple(passed), "pairs", tuple(counts), *told, off,
                    fitted)
        )  # fmt: skip
    return rows
