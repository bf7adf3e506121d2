"""Verdicts on Figure 2: where its curves lie, and the variance of what they show."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from vae_book.claims import AXIS_END
from vae_book.plots import paper
from vae_book.plots.curves import group_runs
from vae_book.plots.tables import span
from vae_book.readings import experiment_of, is_of_reading, longest, reading_of
from vae_book.verdicts.verdict import Verdict, miss
from vae_core.algorithms import ALGORITHMS, autoencoder
from vae_core.data import DATASETS
from vae_core.runs import Run

CLOSE = {"mnist": 1.5, "freyface": 0.04}  # nats; share of the paper's bound
MINIBATCH = 100  # M, as Section 5 states it for all experiments
FIG2 = "figures/fig2_lower_bound"


def why_no_bound(algorithm: str) -> str:
    """Why runs of an algorithm have no lower bound on log p(x) to draw; "" if they have one."""
    bound = ALGORITHMS[algorithm].bound
    if bound is None:
        return "has no encoder and so no bound to draw: see Figure 3"
    if bound is autoencoder.reconstruction:
        return "reports a reconstruction, which is no bound on log p(x), so it is not drawn here"
    return ""


def figure2_runs(runs: Iterable[Run]) -> list[Run]:
    """The longest run of each of the paper's experiments and each seed, by the book's reading."""

    def fits(run: Run) -> bool:
        config = run.config
        printed = paper.FIG2_LATENT_DIMS.get(config.dataset, ())
        two = config.algorithm in ("aevb", "wake_sleep")
        return two and config.latent_dim in printed and is_of_reading(config)

    return list(longest(filter(fits, runs), lambda run: experiment_of(run.config)).values())


def judged_at(runs: Sequence[Run]) -> float:
    """The largest sample count that every experiment reaches with some seed, up to AXIS_END / 10.

    Long runs are judged at AXIS_END besides: a miss on the way is not forgiven at the end.
    """
    groups = group_runs(runs, lambda run: (run.config.latent_dim, run.config.algorithm))
    furthest = (max(run.curve["samples"][-1] for run in group) for group in groups.values())
    return min(AXIS_END / 10, *map(float, furthest))


def minibatch_words(dataset: str) -> str:
    """The size of a data set's minibatches, where it was read off the paper's curves; or ""."""
    size = DATASETS[dataset].batch_size
    return "" if size == MINIBATCH else f"minibatches of {size}"


def fitted_settings(runs: Sequence[Run]) -> str:
    """What was chosen for runs of the reading by looking at the paper's curves."""
    words = {}
    for run in runs:
        config = run.config
        reading = reading_of(config.dataset, config.algorithm, config.latent_dim)
        if reading is not None:
            warmup = reading.adagrad_warmup
            chosen = [f"step {reading.step_size:g}" + f" after {warmup} minibatches" * bool(warmup)]
            chosen += ["no prior on weights"] * (reading.prior_sd is None)
            chosen += [minibatch_words(config.dataset)]
            words[", ".join(filter(None, chosen))] = None
    return "; ".join(words)


def judge_curves(runs: Sequence[Run]) -> list[Verdict]:
    """How far our test bounds are from the paper's, by data set and algorithm.

    Judged where all curves of a data set reach and, for those that go so far, at AXIS_END.
    """
    rows = []
    for dataset, limit in CLOSE.items():
        mine = [run for run in runs if run.config.dataset == dataset]
        common = judged_at(mine) if mine else math.nan
        within = f"within {limit} nats" if limit > 1 else f"within {100 * limit:.0f}%"
        title, n_sizes = DATASETS[dataset].title, len(paper.FIG2_LATENT_DIMS[dataset])
        places = ("curves", common, ""), ("ends", AXIS_END, " after 10⁸ samples")
        for which, samples, after in places:
            for algorithm, name in (("aevb", "AEVB"), ("wake_sleep", "wake-sleep")):
                group = [run for run in mine if run.config.algorithm == algorithm]
                claim = f"{title}, {name}{after}: the test bound, each {within}"
                short = f"{title}, {name}" + " at 10⁸" * bool(after)
                row = _curves_row(claim, group, samples, limit, n_sizes)
                rows.append(replace(row, id=f"fig2/{which}", short=short, limit=within))
    return rows


def tolerance(limit: float, theirs: float) -> float:
    """How far from the paper's bound a limit of CLOSE lets ours lie, in nats."""
    return limit if limit > 1 else limit * abs(theirs)


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
    allowed = [tolerance(limit, value) for value in theirs]
    return Verdict(
        "Figure 2", claim, FIG2,
        passed=tuple(abs(d) <= most for d, most in zip(differences, allowed, strict=True)),
        samples=(samples,), paper=f"{span(theirs)} nats", ours=f"{span(ours)} nats",
        difference=miss(differences), fitted=fitted_settings(reaching),
        missing=n_curves - len(pairs),
    )  # fmt: skip


def judge_variance(runs: Sequence[Run]) -> list[Verdict]:
    """The paper gives no error bars, since the variance of the estimated bound is below 1."""
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
