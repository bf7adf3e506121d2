"""What follows from a RunConfig before it is run: its steps, the rows of its curve, its cost."""

import dataclasses
import math
from collections.abc import Iterator

from vae_core.algorithms import ALGORITHMS
from vae_core.algorithms.common import Settings
from vae_core.runs.config import RunConfig

FIRST_EVALUATION = 2  # passes over the training set; the schedule is log-spaced from there
LOG_MARGINAL_POINTS = 1_000  # Appendix E
PRODUCTS_PER_SECOND = 1e10  # parameters x samples, on one core of the machine of the stored runs
EVALUATION = 3  # an evaluation has no backward pass: so many times as quick as a step
SECONDS_PER_STEP = 5e-4  # of a small network, whatever its size


def settings_of(config: RunConfig) -> Settings:
    """The algorithm's own settings, with the names of its fields.

    A field ``x`` of the algorithm ``a`` is ``a_x`` in the RunConfig, or ``x`` if algorithms share
    it.
    """
    kind, given = ALGORITHMS[config.algorithm].Settings, config.model_dump()
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{n: given.get(f"{config.algorithm}_{n}", given.get(n)) for n in names})


def samples_per_step(config: RunConfig) -> int:
    """How many samples one step of a run with this config evaluates."""
    return ALGORITHMS[config.algorithm].samples_per_step(settings_of(config), config.n_train)


def is_evaluated(samples: int, per_step: int, config: RunConfig) -> bool:
    """Whether the schedule has a point in (samples - per_step, samples].

    The schedule is the first step, then every 10^(k / evals_per_decade) from two passes over the
    training set on; a schedule denser than the default continues from the first step. It does not
    depend on where the run ends, so the curve of a shorter run is a prefix of that of a longer one.
    """
    if samples == per_step:
        return True
    is_dense = config.evals_per_decade > RunConfig.model_fields["evals_per_decade"].default
    if samples < FIRST_EVALUATION * config.n_train and not is_dense:
        return False

    def index(n: int) -> int:
        return math.floor(config.evals_per_decade * math.log10(n) + 1e-9)

    return index(samples - per_step) < index(samples)


def schedule(config: RunConfig) -> Iterator[int]:
    """The numbers of samples at which a run with this config is evaluated, in order."""
    per_step = samples_per_step(config)
    end = math.ceil(config.n_samples / per_step) * per_step
    exponents = range(math.ceil(math.log10(end) * config.evals_per_decade) + 2)
    near = [math.ceil(10 ** (k / config.evals_per_decade) / per_step) for k in exponents]
    near += [math.ceil(FIRST_EVALUATION * config.n_train / per_step)]
    steps = {max(1, n + offset) for n in near for offset in (-1, 0, 1)}
    points = {n * per_step for n in steps if is_evaluated(n * per_step, per_step, config)}
    yield from sorted({n for n in points if per_step <= n < end} | {end})


def training_seconds(config: RunConfig) -> float:
    """Rough time to train and evaluate a run on one core of an ordinary machine."""
    products = config.n_samples * config.n_mc * config.n_parameters / PRODUCTS_PER_SECOND
    steps = config.n_samples / samples_per_step(config)
    n_rows = sum(1 for _ in schedule(config))
    return products + steps * SECONDS_PER_STEP + n_rows * evaluation_seconds(config)


def evaluation_seconds(config: RunConfig) -> float:
    """Rough time of one row of the curve on one core of an ordinary machine."""
    images = config.n_train + config.spec.n_test
    if config.log_marginal is not None:
        images += 2 * LOG_MARGINAL_POINTS * log_marginal_passes(config)
    return images * config.n_parameters / (EVALUATION * PRODUCTS_PER_SECOND)


def log_marginal_passes(config: RunConfig) -> int:
    """Rough cost of an image's log p(x), in evaluations of its bound."""
    return 30**config.latent_dim if config.log_marginal == "quadrature" else 1_000
