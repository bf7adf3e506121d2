"""The curves that the paper printed in Figures 2 and 3, read from its vector drawings."""

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from vae_book.resources import paper_curves
from vae_core._arguments import check_choice
from vae_core.algorithms import ALGORITHMS
from vae_core.runs.interpolate import interpolate_log
from vae_core.runs.metrics import SPLITS

# The printed axes: (smallest x, largest x), (smallest y, largest y).
FIG2_AXES = {
    "mnist": ((1e5, 2.5e8), (-150.0, -90.0)),
    "freyface": ((1e5, 1e8), (0.0, 1600.0)),
}
FIG3_AXES = {
    1_000: ((0.0, 6.0e7), (-160.0, -100.0)),
    50_000: ((0.0, 6.8e7), (-160.0, -125.0)),
}
FIG2_LATENT_DIMS = {"mnist": (3, 5, 10, 20, 200), "freyface": (2, 5, 10, 20)}
# A straight piece of a drawing that spans more than a factor of 8 in samples and more than 5 nats
# is a gap in the authors' reports, not a line through points left out.
MAX_GAP = (np.log(8.0), 5.0)


def paper_latent_dims(dataset: str) -> tuple[int, ...]:
    """The numbers of latent variables in Figure 2's row of a data set; a few for another set."""
    return FIG2_LATENT_DIMS.get(dataset, (2, 5, 10))


@dataclass(frozen=True)
class PaperCurve:
    """One printed curve: `samples` (training samples evaluated), `bound` (nats per datapoint)."""

    samples: np.ndarray
    bound: np.ndarray
    in_axes: np.ndarray  # bool: inside the printed axes

    def at(self, samples: float | np.ndarray) -> np.ndarray:
        """The curve at sample counts, linear in log samples; nan outside it and in wide gaps."""
        return interpolate_log(self.samples, self.bound, samples, max_gap=MAX_GAP)


@cache
def _read(name: str, n_key_fields: int) -> dict[tuple[str, ...], np.ndarray]:
    path = paper_curves() / name
    curves: dict[tuple[str, ...], list] = {}
    with open(path, newline="") as file:
        for row in list(csv.reader(file))[1:]:
            values = [float(value) for value in row[n_key_fields:]]
            curves.setdefault(tuple(row[:n_key_fields]), []).append(values)
    return {key: np.array(rows).T for key, rows in curves.items()}


def _curve(
    name: str, experiment: tuple[str, ...], algorithm: str, split: str, unit: float = 1.0
) -> PaperCurve | None:
    check_choice("algorithm", algorithm, ALGORITHMS)
    check_choice("split", split, SPLITS)
    key = *experiment, algorithm, split
    columns = _read(name, len(key)).get(key)
    if columns is None:
        return None
    return PaperCurve(unit * columns[0], columns[1], columns[2] == 1)


def fig2_curve(dataset: str, latent_dim: int, algorithm: str, split: str) -> PaperCurve | None:
    """A curve of Figure 2 (lower bound), or None where the paper drew none.

    Args:
        dataset: "mnist" or "freyface".
        latent_dim: a size of FIG2_LATENT_DIMS.
        algorithm: "aevb" or "wake_sleep".
        split: "train" or "test".
    """
    return _curve("fig2.csv", (dataset, str(latent_dim)), algorithm, split)


def fig3_curve(n_train: int, algorithm: str, split: str) -> PaperCurve | None:
    """A curve of Figure 3 (estimated log marginal likelihood), or None where there is none.

    Args:
        n_train: 1,000 or 50,000.
        algorithm: "aevb", "wake_sleep" or "mcem".
        split: "train" or "test".
    """
    return _curve("fig3.csv", (str(n_train),), algorithm, split, unit=1e6)


def fig2_of(run, split: str = "test") -> PaperCurve | None:
    """The curve of Figure 2 that a run reproduces; None if its experiment is not the paper's.

    The experiment is the data set, all of it, the networks' width, the number of latent variables
    and the algorithm. Anything else is a reading of it.
    """
    config, spec = run.config, run.config.spec
    if (config.n_train, config.hidden) != (spec.n_train, spec.hidden):
        return None
    return fig2_curve(config.dataset, config.latent_dim, config.algorithm, split)


def fig3_of(run, split: str = "test") -> PaperCurve | None:
    """The curve of Figure 3 that a run reproduces, or None: MNIST, 3 latents, 100 hidden units."""
    config = run.config
    if (config.dataset, config.latent_dim, config.hidden) != ("mnist", 3, (100,)):
        return None
    return fig3_curve(config.n_train, config.algorithm, split)


def mean_abs_difference(
    run,
    split: str = "test",
    *,
    column: str | None = None,
    until: float = np.inf,
    beyond_axes: bool = False,
) -> float:
    """Mean absolute difference in nats over what the run covers of the paper's printed curve.

    The mean is over 100 positions evenly spaced in log samples, up to ``until``; nan where they do
    not overlap. With ``beyond_axes`` also where the drawing goes on outside the printed axes.
    """
    curve = fig2_of(run, split)
    if curve is None:
        return float("nan")
    samples, ours = run.curve["samples"], run.curve[column or f"{split}_bound"]
    drawn = curve.samples[curve.in_axes | beyond_axes]
    first = max(drawn[0], samples[np.asarray(samples) > 0][0])
    last = min(drawn[-1], samples[-1], until)
    if last <= first:
        return float("nan")
    at = np.geomspace(first, last, 100)
    return float(np.nanmean(np.abs(interpolate_log(samples, ours, at) - curve.at(at))))
