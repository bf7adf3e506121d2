"""The paper's choice of the step size: the best of {0.01, 0.02, 0.1} in the first iterations."""

import math
from collections.abc import Iterable

from vae_core._arguments import check_between, check_count, check_kind
from vae_core.algorithms import ALGORITHMS
from vae_core.runs import load_data
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import Trainer

CANDIDATES = (0.01, 0.02, 0.1)  # Section 5


def choose_step_size(
    config: RunConfig,
    candidates: Iterable[float] = CANDIDATES,
    *,
    n_samples: int = 100_000,
    progress: bool = True,
) -> tuple[float, dict[float, float]]:
    """The step size with the highest training bound after a short run with each (Section 5).

    Returns:
        The chosen step size and, for each candidate, its training bound in nats per datapoint at
        the end (-inf if it diverged).

    Raises:
        ValueError: the algorithm has no bound, no candidate gave a finite one, ``candidates`` is
            not a list, or one of them is not a finite number above 0.
    """
    check_kind("config", config, RunConfig, "RunConfig(dataset=...) makes one")
    check_count("n_samples", n_samples)
    if ALGORITHMS[config.algorithm].bound is None:
        raise ValueError(f"algorithm={config.algorithm!r} has no bound to choose by; set step_size")
    try:
        candidates = list(candidates)
    except TypeError:
        raise ValueError(f"candidates={candidates!r}: give a list of step sizes") from None
    if not candidates:
        raise ValueError("candidates=[]: give at least one step size")
    for candidate in candidates:
        check_between("candidates", candidate, 0)
    data = load_data(config)
    bounds = {}
    for candidate in candidates:
        short = {"step_size": candidate, "n_samples": n_samples, "log_marginal": None}
        trainer = Trainer(config.model_copy(update=short), data)
        try:
            bound = trainer.run(progress=progress)[-1]["train_bound"]
        except FloatingPointError:
            bound = -math.inf
        bounds[candidate] = bound if math.isfinite(bound) else -math.inf
    best = max(bounds, key=lambda candidate: bounds[candidate])
    if bounds[best] == -math.inf:
        raise ValueError(f"no step size in {tuple(bounds)} gave a finite bound: try smaller ones")
    return best, bounds
