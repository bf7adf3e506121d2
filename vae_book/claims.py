"""The paper's claims about Figure 2 as functions of finished runs."""

from dataclasses import dataclass

import numpy as np


def samples_to_reach(run, bound: float, column: str = "test_bound") -> float:
    """Training samples after which a run's bound first reaches `bound`, in nats; inf if never.

    The crossing is interpolated in log samples between two evaluations.
    """
    values = np.asarray(run.curve[column], float)
    known = np.isfinite(values)
    log_samples, values = np.log(np.asarray(run.curve["samples"], float)[known]), values[known]
    reached = np.flatnonzero(values >= bound)
    if not len(reached):
        return float("inf")
    i = reached[0]
    if i == 0:
        return float(np.exp(log_samples[0]))
    part = (bound - values[i - 1]) / (values[i] - values[i - 1])
    return float(np.exp(log_samples[i - 1] + part * (log_samples[i] - log_samples[i - 1])))


@dataclass(frozen=True)
class Contest:
    """AEVB against wake-sleep in one experiment, on the test bound at the end of both runs."""

    dataset: str
    latent_dim: int
    seed: int
    lead: float  # AEVB's final bound minus wake-sleep's, in nats
    share: float  # of wake-sleep's samples that AEVB needs to reach wake-sleep's final bound


def contests(runs) -> list[Contest]:
    """AEVB against wake-sleep wherever both were run with the same data, size and seed."""
    by_algorithm: dict[str, dict] = {}
    for run in runs:
        experiment = run.config.dataset, run.config.latent_dim, run.config.seed
        by_algorithm.setdefault(run.config.algorithm, {})[experiment] = run
    aevb, wake_sleep = (by_algorithm.get(name, {}) for name in ("aevb", "wake_sleep"))
    results = []
    for experiment in aevb.keys() & wake_sleep.keys():
        ours, theirs = aevb[experiment], wake_sleep[experiment]
        goal = float(theirs.curve["test_bound"][-1])
        share = samples_to_reach(ours, goal) / float(theirs.curve["samples"][-1])
        results.append(Contest(*experiment, float(ours.curve["test_bound"][-1]) - goal, share))
    return sorted(results, key=lambda contest: (contest.dataset, contest.latent_dim, contest.seed))


def final_bounds(
    runs, dataset: str, algorithm: str, column: str = "test_bound"
) -> dict[int, float]:
    """Final bound by latent dimension, the mean over seeds."""
    values: dict[int, list[float]] = {}
    for run in runs:
        if (run.config.dataset, run.config.algorithm) == (dataset, algorithm):
            values.setdefault(run.config.latent_dim, []).append(float(run.curve[column][-1]))
    return {dim: float(np.mean(bounds)) for dim, bounds in sorted(values.items())}
