"""Numbers that are computed once from a finished run and then kept.

Each function looks first in the run's ``metrics``, then in what this user has computed before. What
is missing is computed now, with fixed seeds, and kept in the user's cache, so that pages render
without waiting; a committed run is never written to. Invalid arguments raise ValueError first.
"""

import json
import math
import os
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from vae_core._arguments import check_choice, check_count, check_kind
from vae_core._atomic import write_text
from vae_core.algorithms import ALGORITHMS
from vae_core.data import Dataset
from vae_core.images import Images
from vae_core.marginal_likelihood import bdmc, hmc_density, log_marginal
from vae_core.runs import MissingRunError, Run, cache_dir, load_data
from vae_core.runs.folders import OTHER_CACHE
from vae_core.runs.store import read_metrics
from vae_core.runs.trainer import mean_bound

N_POINTS = 1_000  # Appendix E: the first 1,000 train and test points
SPLITS = ("train", "test")
METHODS: dict[str, dict[str, Any]] = {
    "hmc_density": {"n_samples": 50},
    "importance_sampling": {"n_samples": 1_000, "proposal": "hmc"},
    "ais": {"n_samples": 4, "n_temperatures": 200},
    "quadrature": {"tolerance": 0.002},
}


def mean_log_marginal(run: Run, split: str, method: str, n_points: int = N_POINTS) -> dict:
    """{"mean", "stderr"} of log p(x) in nats over the first n_points of ``split``.

    The standard error is that of the estimator at these very points; it does not include how much
    points differ from one another.
    """
    name = _log_marginal_name(run, split, method, n_points)
    options = METHODS[method]
    return _kept(run, name, lambda: _mean_log_marginal(run, split, method, n_points, options))


def known_log_marginal(run: Run, split: str, method: str, n_points: int = N_POINTS) -> float:
    """The mean of :func:`mean_log_marginal` if it was computed before, else nan."""
    name = _log_marginal_name(run, split, method, n_points)
    return _all_kept(run).get(name, {}).get("mean", math.nan)


def _log_marginal_name(run: Run, split: str, method: str, n_points: int) -> str:
    _check(run, split, n_points)
    check_choice("method", method, METHODS)
    return f"log_marginal/{split}/{method}/{n_points}/" + _words(METHODS[method])


def repeated_log_marginal(
    run: Run, split: str, n_repeats: int = 5, n_points: int = N_POINTS
) -> dict:
    """{"mean", "sd"} in nats of Appendix D's mean log p(x), over independent repeats.

    Each repeat starts new chains. Modes that a chain misses by chance show in "sd", but not in an
    estimate's own standard error; modes that every chain misses show nowhere.
    """
    _check(run, split, n_points)
    check_count("n_repeats", n_repeats, 2)
    return _kept(
        run,
        f"repeated_log_marginal/{split}/{n_points}/n_repeats={n_repeats}",
        lambda: _repeated_log_marginal(run, split, n_repeats, n_points),
    )


def _repeated_log_marginal(run: Run, split: str, n_repeats: int, n_points: int) -> dict:
    options = METHODS["hmc_density"]
    means = [
        _mean_log_marginal(run, split, "hmc_density", n_points, options, seed)["mean"]
        for seed in range(1, n_repeats + 1)
    ]
    return {"mean": statistics.fmean(means), "sd": statistics.stdev(means)}


def _mean_log_marginal(
    run: Run, split: str, method: str, n_points: int, options: dict[str, Any], seed: int = 0
) -> dict:
    x = _points(load_data(run.config), split, n_points)
    generator = torch.Generator().manual_seed(seed)
    estimate, stderr = log_marginal(
        run.model(), x, method, generator=generator, return_stderr=True, **options
    )
    return {
        "mean": estimate.mean(dtype=torch.float64).item(),
        "stderr": stderr.double().square().sum().sqrt().item() / len(x),
    }


def _points(data: Dataset, split: str, n_points: int) -> torch.Tensor:
    return getattr(data, split)[:n_points]


def bound_variance(run: Run, n_draws: int = 50) -> dict:
    """{"variance", "mean"} of the mean test bound, in nats^2 and nats, over fresh draws of epsilon.

    Each draw has one epsilon for each test image. Figure 2 has no error bars because this is below
    1.
    """
    _check(run)
    check_count("n_draws", n_draws, 2)
    if ALGORITHMS[run.config.algorithm].bound is None:
        having = [name for name, kind in ALGORITHMS.items() if kind.bound is not None]
        raise ValueError(
            f"run={run.key} is of algorithm={run.config.algorithm!r}, which has no bound: give a "
            f"run of {', '.join(having)}"
        )
    return _kept(run, f"bound_variance/test/{n_draws}", lambda: _bound_variance(run, n_draws))


def _bound_variance(run: Run, n_draws: int) -> dict:
    data, model, generator = load_data(run.config), run.model(), torch.Generator().manual_seed(0)
    bound = ALGORITHMS[run.config.algorithm].bound
    draws = [
        mean_bound(bound, model, Images(data.test_bytes, data.levels), generator)
        for _ in range(n_draws)
    ]
    return {"variance": statistics.variance(draws), "mean": statistics.fmean(draws)}


def appendix_d_bias(run: Run, n_points: int = 100, n_temperatures: int = 200) -> dict:
    """Appendix D compared with BDMC bounds, on data simulated from the run's own decoder.

    {"lower", "upper", "hmc_density", "importance_sampling"}: means over the points, in nats.
    """
    _check(run, n_points=n_points)
    check_count("n_temperatures", n_temperatures)
    return _kept(
        run,
        f"appendix_d_bias/{n_points}/n_temperatures={n_temperatures}",
        lambda: _appendix_d_bias(run, n_points, n_temperatures),
    )


def _appendix_d_bias(run: Run, n_points: int, n_temperatures: int) -> dict:
    model, generator = run.model(), torch.Generator().manual_seed(0)
    sandwich = bdmc(model, n_points, 4, n_temperatures=n_temperatures, generator=generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is unreliable is what is measured here
        estimate, _ = hmc_density(model, sandwich.x, 50, generator=generator)
    weighted = log_marginal(
        model, sandwich.x, "importance_sampling", 1_000, proposal="hmc", generator=generator
    )
    return {
        "lower": sandwich.lower.mean().item(),
        "upper": sandwich.upper.mean().item(),
        "hmc_density": estimate.mean().item(),
        "importance_sampling": weighted.mean().item(),
    }


def _check(run: Run, split: str = "test", n_points: int = N_POINTS) -> None:
    check_kind("run", run, Run, "find_run(config) gives one")
    check_choice("split", split, SPLITS)
    check_count("n_points", n_points)


def _words(options: dict) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(options.items()))


def _kept(run: Run, name: str, compute: Callable[[], dict]) -> dict:
    """The metric of this name: from the run, from what is kept beside it, or computed and kept now.

    Raises:
        MissingRunError: not stored, and VAE_CORE_TRAIN=never forbids computing it.
        FloatingPointError: it is not finite.
    """
    kept = _all_kept(run)
    if name in kept:
        return kept[name]
    if os.environ.get("VAE_CORE_TRAIN") == "never":
        raise MissingRunError(
            f"{run.key} has no stored {name!r} and VAE_CORE_TRAIN=never forbids computing it; "
            "unset VAE_CORE_TRAIN to compute it now"
        )
    value = {key: round(number, 6) for key, number in compute().items()}
    if not all(map(math.isfinite, value.values())):
        raise FloatingPointError(f"{run.key}: {name} gave {value}")
    _keep(run, name, value)
    return value


def _all_kept(run: Run) -> dict[str, dict]:
    return read_metrics(metrics_path(run)) | run.metrics


def metrics_path(run: Run) -> Path:
    """Where a run's metrics are kept: in the user's cache, never among the committed runs."""
    runs = cache_dir() / "runs"
    if run.path.parent.resolve() == runs.resolve():
        return run.path / "metrics.json"
    return cache_dir() / "metrics" / f"{run.key}.json"


def _keep(run: Run, name: str, value: dict) -> None:
    """Adds one metric to those that are kept, to which other processes may be adding too.

    If it cannot be written, a warning says so; it was computed, and is returned.
    """
    path, locks = metrics_path(run), cache_dir() / "metrics"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{run.key}.lock"):
            kept = read_metrics(path) | {name: value}
            write_text(path, json.dumps(kept, indent=1, sort_keys=True, allow_nan=False) + "\n")
    except OSError as error:
        warnings.warn(f"{run.key}: {name} is not kept: {error}; {OTHER_CACHE}", stacklevel=4)
