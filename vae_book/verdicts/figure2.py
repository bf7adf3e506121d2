"""Verdicts on Figure 2: where its curves lie, and what the paper says of them."""

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from vae_book.claims import AXIS_END, Contest, common_count, contest, crossing
from vae_book.plots import paper
from vae_book.plots.curves import group_runs
from vae_book.plots.tables import nats, span
from vae_book.readings import FREE_FIELDS, experiment_of, is_of_reading, longest, reading_of
from vae_book.verdicts.verdict import Verdict, interval, lead_words, miss
from vae_core.data import DATASETS
from vae_core.runs import Run

CLOSE = {"mnist": 1.5, "freyface": 0.04}  # nats; share of the paper's bound
CONSIDERABLY = 0.75  # of wake-sleep's samples: what "considerably faster" is taken to mean
SHORTEST = 1e6  # samples; a step is chosen among runs at least as long
HARMLESS = 0.01  # share of the bound that superfluous latent variables may cost
FIG2 = "figures/fig2_lower_bound"
EXPERIMENT = "dataset", "algorithm", "latent_dim", "seed", "split_seed"


def figure2_runs(runs: Iterable[Run]) -> list[Run]:
    """The longest run of each of the paper's experiments and each seed, by the book's reading."""

    def fits(run: Run) -> bool:
        config = run.config
        printed = paper.FIG2_LATENT_DIMS.get(config.dataset, ())
        two = config.algorithm in ("aevb", "wake_sleep")
        return two and config.latent_dim in printed and is_of_reading(config)

    def key(run: Run) -> tuple:
        return run.config.dataset, run.config.latent_dim, run.config.algorithm, run.config.seed

    return list(longest(filter(fits, runs), key).values())


def judged_at(runs: Sequence[Run]) -> float:
    """The largest sample count that every experiment reaches with some seed, within the axes."""
    groups = group_runs(runs, lambda run: (run.config.latent_dim, run.config.algorithm))
    furthest = (max(run.curve["samples"][-1] for run in group) for group in groups.values())
    return min(AXIS_END, *map(float, furthest))


def fitted_settings(runs: Sequence[Run]) -> str:
    """The settings of a reading that were chosen by looking at the paper's curves."""
    words = {}
    for run in runs:
        config = run.config
        reading = reading_of(config.dataset, config.algorithm, config.latent_dim)
        if reading is not None:
            step = f"step {reading.step_size:g}"
            warmup = f" after {reading.adagrad_warmup} minibatches"
            prior = "" if reading.prior_sd else ", no prior on weights"
            words[step + warmup * bool(reading.adagrad_warmup) + prior] = None
    return "; ".join(words)


def judge_curves(runs: Sequence[Run]) -> list[Verdict]:
    """How far our test bounds are from the paper's.

    Judged where all curves of a data set reach and, for those that go so far, at AXIS_END.
    """
    rows = []
    for dataset, limit in CLOSE.items():
        mine = [run for run in runs if run.config.dataset == dataset]
        samples = judged_at(mine) if mine else math.nan
        words = f"each within {limit} nats" if limit > 1 else f"each within {100 * limit:.0f}%"
        title, n_sizes = DATASETS[dataset].title, len(paper.FIG2_LATENT_DIMS[dataset])
        for algorithm, name in (("aevb", "AEVB"), ("wake_sleep", "wake-sleep")):
            group = [run for run in mine if run.config.algorithm == algorithm]
            claim = f"{title}, {name}: the test bound, {words}"
            rows.append(_curves_row(claim, group, samples, limit, n_sizes))
        if samples < AXIS_END:
            claim = f"{title} after 10⁸ samples: the test bound, {words}"
            rows.append(_curves_row(claim, mine, AXIS_END, limit, 2 * n_sizes))
    return rows


def _without_runs(dataset: str, n_cases: int) -> int:
    """How many of the paper's experiments on a data set are not among so many cases."""
    return len(paper.FIG2_LATENT_DIMS[dataset]) - n_cases


def _curves_row(
    claim: str, runs: Sequence[Run], samples: float, limit: float, n_curves: int
) -> Verdict:
    """Each experiment's mean over its seeds beside the paper's curve, at a count they reach."""
    pairs = []
    reaching = [run for run in runs if np.isfinite(run.at(samples))]
    by_experiment = group_runs(reaching, lambda run: (run.config.latent_dim, run.config.algorithm))
    for group in by_experiment.values():
        theirs = float(paper.fig2_of(group[0]).at(samples))
        pairs.append((theirs, float(np.mean([run.at(samples) for run in group]))))
    if not pairs:
        return Verdict("Figure 2", claim, FIG2)
    theirs, ours = map(list, zip(*pairs, strict=True))
    differences = [b - a for a, b in pairs]
    allowed = [limit if limit > 1 else limit * abs(value) for value in theirs]
    return Verdict(
        "Figure 2", claim, FIG2,
        passed=tuple(abs(d) <= most for d, most in zip(differences, allowed, strict=True)),
        samples=(samples,), paper=f"{span(theirs)} nats", ours=f"{span(ours)} nats",
        difference=miss(differences), fitted=fitted_settings(reaching),
        missing=n_curves - len(pairs),
    )  # fmt: skip


def paper_contest(dataset: str, latent_dim: int, samples: float) -> tuple[float, float]:
    """(AEVB's lead, share of the samples it needs) in the paper's own curves."""
    aevb, other = (
        paper.fig2_curve(dataset, latent_dim, name, "test") for name in ("aevb", "wake_sleep")
    )
    goal = float(other.at(samples))
    share = crossing(aevb.samples, aevb.bound, goal) / samples
    return float(aevb.at(samples)) - goal, share


def equal_pairs(runs: Iterable[Run], field: str, values: tuple) -> list[tuple[Run, Run]]:
    """Pairs of runs that differ in `field` alone, where it has these two values.

    One pair for each experiment and seed: the one that can be followed furthest.
    """

    def rest(run: Run) -> str:
        return run.config.model_dump_json(exclude=FREE_FIELDS | {field})

    found = longest(runs, lambda run: (rest(run), str(getattr(run.config, field))))
    best: dict[tuple, tuple[Run, Run]] = {}
    for (settings, value), run in found.items():
        other = found.get((settings, str(values[1])))
        if value != str(values[0]) or other is None:
            continue
        key = tuple(getattr(run.config, name) for name in EXPERIMENT if name != field)
        if key not in best or common_count(best[key]) < common_count((run, other)):
            best[key] = run, other
    return [best[key] for key in sorted(best)]


def judge_contests(runs: Sequence[Run], others: Sequence[Run]) -> list[Verdict]:
    """AEVB converges considerably faster, and to a better solution, in all experiments.

    Judged between the curves that lie nearest to the paper's, between runs with one and the same
    step for both, with each algorithm at its own best step, and, where there are several seeds, by
    the interval over them.
    """
    rows = []
    for dataset in CLOSE:
        mine = [run for run in runs if run.config.dataset == dataset]
        title = DATASETS[dataset].title
        pairs, furthest = reading_pairs(mine), reading_contests(mine)
        fit = fitted_settings(mine)
        rows += [
            _lead_row(f"{title}: AEVB ends at a better bound than wake-sleep", furthest, fit),
            _share_row(f"{title}: AEVB is considerably faster", furthest, fit),
            _seeds_row(f"{title}: AEVB's lead is more than chance", dataset, pairs, fit),
        ]
        stored = [r for r in others if r.config.dataset == dataset and paper.fig2_of(r)]
        equal = [contest(*p) for p in equal_pairs(stored, "algorithm", ("aevb", "wake_sleep"))]
        claim = f"{title}: AEVB ends better with every setting equal for both"
        rows.append(_lead_row(claim, longest_contests(equal), "nothing"))
        best = [contest(*pair) for pair in best_step_pairs(stored)]
        claim = f"{title}: AEVB ends better where each takes the step with the best training bound"
        rows.append(_lead_row(claim, best, "nothing"))
    return rows


def best_step_pairs(runs: Iterable[Run]) -> list[tuple[Run, Run]]:
    """(AEVB, wake-sleep) for each experiment, each with the step that serves it best.

    Only runs at the readings' settings, but for the step and its warm-up, of the reading's seed 0.
    The best step is the one with the highest training bound where all candidates of both reach,
    and an algorithm without two candidates is not judged: nothing was chosen.
    """
    free = FREE_FIELDS | {"step_size", "adagrad_warmup"}
    candidates: dict[tuple, list[Run]] = {}
    mine = [run for run in runs if is_of_reading(run.config, free)]
    mine = [run for run in mine if run.config.seed == 0 and run.curve["samples"][-1] >= SHORTEST]
    for (dataset, dim, algorithm, _, _), run in longest(mine, _experiment_and_step).items():
        candidates.setdefault((dataset, dim, algorithm), []).append(run)
    pairs = []
    for dataset, dim, algorithm in candidates:
        both = [candidates.get((dataset, dim, name), []) for name in ("aevb", "wake_sleep")]
        if algorithm != "aevb" or min(map(len, both)) < 2:
            continue
        samples = common_count(itertools.chain(*both))
        aevb, other = (max(g, key=lambda run: run.at(samples, "train_bound")) for g in both)
        pairs.append((aevb, other))
    return pairs


def _experiment_and_step(run: Run) -> tuple:
    config = run.config
    name = config.dataset, config.latent_dim, config.algorithm
    return *name, config.step_size, config.adagrad_warmup


def reading_pairs(runs: Sequence[Run]) -> dict[tuple, tuple[Run, Run]]:
    """(AEVB, wake-sleep) by latent size and seed, paired by both."""
    by_key = {(r.config.latent_dim, r.config.seed, r.config.algorithm): r for r in runs}
    keys = sorted({key[:2] for key in by_key})
    both = {key: (by_key.get((*key, "aevb")), by_key.get((*key, "wake_sleep"))) for key in keys}
    return {key: pair for key, pair in both.items() if None not in pair}


def reading_contests(runs: Sequence[Run]) -> list[Contest]:
    """One contest of each experiment, by the book's reading: the one that goes furthest."""
    return longest_contests(contest(*pair) for pair in reading_pairs(runs).values())


def longest_contests(found: Iterable[Contest]) -> list[Contest]:
    """For each latent size the contest that goes furthest, of the lowest seed among equals."""
    best: dict[int, Contest] = {}
    for item in sorted(found, key=lambda item: (item.latent_dim, -item.samples, item.seed)):
        best.setdefault(item.latent_dim, item)
    return list(best.values())


def _lead_row(claim: str, found: Sequence[Contest], fitted: str) -> Verdict:
    if not found:
        return Verdict("Figure 2", claim, FIG2, unit="experiments")
    leads = [item.lead for item in found]
    theirs = [paper_contest(c.dataset, c.latent_dim, c.samples)[0] for c in found]
    return Verdict(
        "Figure 2", claim, FIG2, tuple(lead > 0 for lead in leads), "experiments",
        tuple(item.samples for item in found), lead_words(theirs), lead_words(leads),
        miss([a - b for a, b in zip(leads, theirs, strict=True)]), fitted,
        _without_runs(found[0].dataset, len(found)),
    )  # fmt: skip


def _share_row(claim: str, found: Sequence[Contest], fitted: str) -> Verdict:
    claim += f": it needs at most {CONSIDERABLY:.0%} of the samples to get where wake-sleep ends"
    if not found:
        return Verdict("Figure 2", claim, FIG2, unit="experiments")
    shares = [item.share for item in found]
    theirs = [paper_contest(c.dataset, c.latent_dim, c.samples)[1] for c in found]
    return Verdict(
        "Figure 2", claim, FIG2, tuple(share <= CONSIDERABLY for share in shares), "experiments",
        tuple(item.samples for item in found), _percent(theirs), _percent(shares), "", fitted,
        _without_runs(found[0].dataset, len(found)),
    )  # fmt: skip


def _percent(shares: Sequence[float]) -> str:
    known = [100 * share for share in shares if math.isfinite(share)]
    never = len(shares) - len(known)
    ends = [f"{end:.0f}%" for end in (min(known), max(known))] if known else []
    words = [" to ".join(dict.fromkeys(ends))] if ends else []
    return ", ".join(words + ([f"{never} never get there"] if never else []))


def _seeds_row(claim: str, dataset: str, pairs: dict[tuple, tuple[Run, Run]], fit: str) -> Verdict:
    """Experiments with several seeds: the 95% interval of the lead over seeds is above zero."""
    passed, counts, worst = [], [], (math.inf, "")
    for latent_dim, keys in itertools.groupby(sorted(pairs), key=lambda key: key[0]):
        group = [pairs[key] for key in keys]
        if len(group) < 2:
            continue
        samples = common_count(itertools.chain(*group))
        mean, half = interval([a.at(samples) - b.at(samples) for a, b in group])
        passed.append(mean - half > 0)
        counts.append(samples)
        words = f"{nats(mean)} ± {nats(half)} nats with {latent_dim}, {len(group)} seeds"
        worst = min(worst, (mean - half, words))
    claim += ": the 95% interval over seeds lies above zero"
    ours = f"least sure: {worst[1]}" if passed else ""
    return Verdict(
        "Figure 2", claim, FIG2, tuple(passed), "experiments", tuple(counts), "one run each", ours,
        "", fit, _without_runs(dataset, len(passed)) if passed else 0,
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
        rows.append(
            Verdict("Figure 2", claim, FIG2, tuple(passed), "seeds", tuple(counts), *told, off,
                    "nothing" if gains else "")
        )  # fmt: skip
    return rows


def judge_variance(runs: Sequence[Run]) -> list[Verdict]:
    """One draw of epsilon is enough: the variance of the estimated bound is below 1."""
    name = "bound_variance/test/50"
    found = [run for run in runs if name in run.metrics]
    variances = [run.metrics[name]["variance"] for run in found]
    aevb = [run for run in runs if run.config.algorithm == "aevb"]
    all_models, known = ({experiment_of(r.config)[:2] for r in group} for group in (aevb, found))
    ours = f"at most {max(variances):.2g} nats²" if found else ""
    claim = "The variance of the estimated bound is below 1"
    passed = tuple(variance < 1 for variance in variances)
    return [
        Verdict(
            "Figure 2", claim, FIG2, passed, "models", (), "below 1", ours,
            missing=len(all_models - known),
        )
    ]  # fmt: skip
