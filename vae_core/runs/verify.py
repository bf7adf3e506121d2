"""Verification of stored runs: checks the record, computes the first part and the end again."""

import math
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from vae_core._arguments import check_between, check_kind
from vae_core.algorithms import ALGORITHMS
from vae_core.data import Dataset
from vae_core.runs.checks import metrics_again, problems_of, variance_of_mean
from vae_core.runs.config import RunConfig
from vae_core.runs.plan import log_marginal_passes
from vae_core.runs.provenance import packages, processor
from vae_core.runs.store import Run, load_data
from vae_core.runs.trainer import COLUMNS, Trainer
from vae_core.runs.workers import workers

SAME = 0.01  # nats, where versions and processor are the run's: a step, compiled or not, and the
# chains of Appendix D, whose moves are accepted or not by the last digit
ELSEWHERE = 0.005  # of the column: rounding differs between processors, and training amplifies it
HALF = 0.25  # nats: weights in half precision are off by 5e-4 of themselves
QUICK = 2e9  # parameter x image products that a quick verification spends after the first row


@dataclass(frozen=True)
class Verification:
    """The result of verifying one run.

    Attributes:
        n_rows: how many rows of the curve were trained again.
        samples: the sample count of the last of them.
        difference: the largest difference of any column in these rows, in nats.
        allowed: the limit of that difference.
        at_end: the largest difference between the stored last row and that from the weights, in
            nats; nan if the run has no weights.
        problems: what else is wrong, one line each.
    """

    key: str
    n_rows: int = 0
    samples: int = 0
    difference: float = math.nan
    allowed: float = 0.0
    at_end: float = math.nan
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.difference <= self.allowed and not self.problems

    def __str__(self) -> str:
        verdict = "follows" if self.ok else "DOES NOT FOLLOW"
        line = f"{self.key}: {verdict} from this code"
        if self.n_rows:
            line += (
                f": {self.n_rows} rows to {self.samples:,} samples differ by at most "
                f"{self.difference:.4f} nats ({self.allowed:.2f} allowed)"
            )
        elif self.ok:
            line += ", as far as that is told without the GPU that it was trained on"
        if not math.isnan(self.at_end):
            line += f", the last by {self.at_end:.4f} from what its weights give"
        return "\n  ".join([line, *self.problems])


def verify(
    run: Run, fraction: float = 0.01, *, quick: bool = False, progress: bool = True
) -> Verification:
    """Checks a run's record, trains its first part again, and evaluates its weights again.

    Every column is compared, with a limit of 0.01 nats if package versions and processor are those
    of the run, else of 0.5%. The limit for the last row, from the weights, is 0.01 nats, or 0.25
    for weights in half precision or on another processor. For a run with device="cuda" on a machine
    without a GPU, the record is checked and the weights are evaluated, with other noise.

    Args:
        fraction: how much of the run is trained again.
        quick: train only the first row again, and those that take only a moment more.

    Raises:
        ValueError: a fraction outside (0, 1].
        DataNotFound: the data set is missing.
    """
    check_kind("run", run, Run, "find_run(config) gives one")
    if fraction != 1:
        check_between("fraction", fraction, 0, 1)
    try:
        return _verify(run, fraction, quick, progress)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        line = f"its record cannot be read: {type(error).__name__}: {error}"
        return Verification(run.key, problems=(line,))


def _verify(run: Run, fraction: float, quick: bool, progress: bool) -> Verification:
    found = Verification(run.key, problems=tuple(problems_of(run)))
    if not run.curve.keys() >= {*COLUMNS} or not run.curve["samples"].size:
        return found
    data = load_data(run.config)
    if run.config.device == "cuda" and not torch.cuda.is_available():
        return _without_gpu(run, data, found)
    found = _train_again(run, data, n_rows_again(run, fraction, quick=quick), found, progress)
    return _evaluate_again(run, data, found) if run.has_weights else found


def verify_all(
    paths: Iterable[Path], fraction: float = 0.01, *, quick: bool = False, jobs: int = 1
) -> Iterator[Verification]:
    """Verifies the runs in these folders side by side; yields each result as soon as it is known.

    A folder without a run of this version does not follow, and its result says why.
    """
    paths = list(paths)
    with workers(max(1, min(jobs, len(paths)))) as pool:
        futures = [pool.submit(p.name, _verify_folder, p, fraction, quick) for p in paths]
        for future in as_completed(futures):
            yield future.result()


def _verify_folder(path: Path, fraction: float, quick: bool) -> Verification:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of estimators that are known to be uncertain
        try:
            return verify(Run.load(path), fraction, quick=quick, progress=False)
        except (ValueError, OSError) as error:
            return Verification(path.name, problems=(str(error),))


def n_rows_again(run: Run, fraction: float, *, quick: bool) -> int:
    """How many rows of a run's curve `verify` trains again."""
    samples = run.curve["samples"]
    if quick:
        return _quick_rows(run.config, samples)
    n_rows = int(np.searchsorted(samples, fraction * samples[-1], "right"))
    return min(max(2, n_rows), len(samples))


def _quick_rows(config: RunConfig, samples: np.ndarray) -> int:
    """The first row, and all later ones that take only a moment more."""
    images = config.n_train + config.spec.n_test
    row = images * (log_marginal_passes(config) if config.log_marginal else 1)
    cost = (samples + row * np.arange(1, len(samples) + 1)) * config.n_parameters
    return max(1, int(np.searchsorted(cost, QUICK)))


def _is_same_machine(run: Run) -> bool:
    made = run.provenance
    return made.get("versions") == packages() and made.get("device", "").startswith(processor())


def _train_again(
    run: Run, data: Dataset, n_rows: int, found: Verification, progress: bool
) -> Verification:
    samples = int(run.curve["samples"][n_rows - 1])
    # so short a run is not compiled; what it computes is the same
    trainer = Trainer(run.config.model_copy(update={"n_samples": samples}), data)
    try:
        rows = trainer.run(until=samples, progress=progress)[:n_rows]
    except FloatingPointError as error:
        return replace(found, problems=(*found.problems, str(error)))
    now = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    difference, allowed = 0.0, SAME if _is_same_machine(run) else math.inf
    for name, column in now.items():
        stored = run.curve.get(name, np.array([]))[:n_rows]
        known = np.isfinite(column)
        if stored.shape != column.shape or not np.array_equal(known, np.isfinite(stored)):
            difference = math.inf
        elif known.any():
            difference = max(difference, float(np.abs(stored - column)[known].max()))
            if name != COLUMNS[0] and not _is_same_machine(run):
                allowed = min(allowed, ELSEWHERE * float(np.abs(column[known]).min()))
    return replace(found, n_rows=n_rows, samples=samples, difference=difference, allowed=allowed)


def _without_gpu(run: Run, data: Dataset, found: Verification) -> Verification:
    """Verifies the weights alone, with other noise, of a run that used a GPU's random numbers."""
    config = run.config.model_copy(update={"device": "cpu"})
    here, found = replace(run, config=config, provenance={}), replace(found, difference=0.0)
    if not run.has_weights or ALGORITHMS[config.algorithm].bound is None:
        return found
    return _evaluate_again(here, data, found, other_noise=True)


def _evaluate_again(
    run: Run, data: Dataset, found: Verification, *, other_noise: bool = False
) -> Verification:
    """Evaluates the stored weights with the noise of the last row."""
    try:
        weights = load_file(run.path / "model.safetensors")
        model = run.model()
        trainer = Trainer(run.config, data, model=model)
        trainer.samples = int(run.curve["samples"][-1])
        row = trainer.evaluate()
        variance = 2 * variance_of_mean(run, model, data) if other_noise else 0.0
    except Exception as error:  # safetensors' and torch's own kinds
        reason = " ".join(str(error).split())
        return replace(found, problems=(*found.problems, f"its weights cannot be used: {reason}"))
    found = replace(found, problems=(*found.problems, *metrics_again(run, data)))
    columns = [name for name in row if name not in (COLUMNS[0], COLUMNS[2])]
    apart = [abs(row[name] - run.curve[name][-1]) for name in columns if math.isfinite(row[name])]
    exact = all(tensor.dtype == torch.float32 for tensor in weights.values())
    allowed = SAME if exact and _is_same_machine(run) else HALF
    allowed += 5 * math.sqrt(variance)
    at_end = max(apart)
    if not at_end <= allowed:
        line = f"its weights give another last row: {at_end:.4f} nats ({allowed:.2f} allowed)"
        found = replace(found, problems=(*found.problems, line))
    return replace(found, at_end=at_end)
