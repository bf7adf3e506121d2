"""The paper's claims about Figure 2 as functions of finished runs."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vae_book.readings import experiment_of, longest
from vae_core.runs import Run

AXIS_END = 1e8  # samples; nothing is judged beyond the printed axes of Frey Face
PLATEAU_FROM = 1e6  # samples, after which wake-sleep has come to rest at the mean face
PLATEAU_NATS = 10.0  # how far from there a test bound may be that rests still


def crossing(samples: np.ndarray, values: np.ndarray, goal: float) -> float:
    """Sample count at which a curve first reaches `goal`, linear in log samples; inf if never."""
    samples, values = np.asarray(samples, float), np.asarray(values, float)
    known = np.isfinite(values) & (samples > 0)
    log_samples, values = np.log(samples[known]), values[known]
    reached = np.flatnonzero(values >= goal)
    if not len(reached):
        return float("inf")
    i = reached[0]
    if i == 0:
        return float(np.exp(log_samples[0]))
    ends = slice(i - 1, i + 1)
    return float(np.exp(np.interp(goal, values[ends], log_samples[ends])))


def common_count(runs: Iterable[Run]) -> float:
    """The largest sample count that all of the runs reach, within the printed axes."""
    return min(AXIS_END, *(float(run.curve["samples"][-1]) for run in runs))


@dataclass(frozen=True)
class Contest:
    """AEVB against wake-sleep in one experiment, on the test bound at one common sample count."""

    dataset: str
    latent_dim: int
    seed: int
    samples: float  # where both are judged
    lead: float  # AEVB's bound minus wake-sleep's, in nats
    share: float  # of those samples that AEVB needs to reach wake-sleep's bound


def contest(aevb: Run, wake_sleep: Run) -> Contest:
    """Both runs of one experiment at the largest sample count that both reach."""
    samples = common_count([aevb, wake_sleep])
    goal = wake_sleep.at(samples)
    share = crossing(aevb.curve["samples"], aevb.curve["test_bound"], goal) / samples
    dataset, latent_dim, _, seed = experiment_of(aevb.config)
    return Contest(dataset, latent_dim, seed, samples, aevb.at(samples) - goal, share)


def contests(runs: Iterable[Run]) -> list[Contest]:
    """AEVB against wake-sleep wherever both were run with the same data, size and seed."""
    best = longest(runs, lambda run: experiment_of(run.config))
    pairs = [
        (run, best.get((dataset, latent_dim, "wake_sleep", seed)))
        for (dataset, latent_dim, algorithm, seed), run in best.items()
        if algorithm == "aevb"
    ]
    return [contest(aevb, other) for aevb, other in pairs if other is not None]


def bounds_at(runs: Iterable[Run], samples: float, column: str = "test_bound") -> dict:
    """Bound by latent dimension at a sample count, the mean over the seeds that reach it."""
    values: dict[int, list[float]] = {}
    for run in runs:
        value = run.at(samples, column)
        if np.isfinite(value):
            values.setdefault(run.config.latent_dim, []).append(value)
    return {dim: float(np.mean(bounds)) for dim, bounds in sorted(values.items())}
