"""The book's reading of the paper: which of the stored runs stand for its experiments.

The paper chose Adagrad's step for each experiment and does not print it; whether the prior on the
weights was in force is not certain either. One table holds what this book takes. What is not in
it (minibatch, initial weights, ...) is RunConfig's default, and runs may differ in length,
in the precision of their products and in how often they were evaluated.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import nullcontext, suppress
from types import MappingProxyType
from typing import Any, NamedTuple

import vae_core as vc
from vae_core.algorithms import ALGORITHMS, autoencoder
from vae_core.data import DataNotFound
from vae_core.runs import MissingRunError, Run
from vae_core.runs.config import RunConfig
from vae_core.runs.plan import is_evaluated, samples_per_step


class Reading(NamedTuple):
    """What the paper leaves open about an experiment of its Figure 2, as this book takes it."""

    step_size: float  # Adagrad's
    adagrad_warmup: int  # minibatches that only accumulate squared gradients
    prior_sd: float | None  # of the MAP prior on the weights; None: no prior


# By data set and algorithm, and by number of latent variables where one needs its own. Chosen
# among the candidates of Section 5 as the nearest to the paper's curves, so the distance to those
# curves is a fit and no prediction; `reproducibility/ambiguities` shows what the others cost.
READINGS: dict[tuple, Reading] = {
    ("mnist", "aevb"): Reading(0.02, 100, 1.0),
    ("mnist", "aevb", 3): Reading(0.02, 0, 1.0),
    ("mnist", "aevb", 5): Reading(0.02, 0, 1.0),
    ("mnist", "aevb", 20): Reading(0.01, 0, 1.0),
    ("mnist", "wake_sleep"): Reading(0.02, 100, 1.0),
    ("freyface", "aevb"): Reading(0.02, 0, None),
    ("freyface", "wake_sleep"): Reading(0.02, 0, None),
}
FREE_FIELDS = {"n_samples", "matmul_precision", "evals_per_decade", "device"}
DEFAULT_LENGTH = 10_000_000  # training samples of an experiment that is not stored
MIN_EVALUATIONS = 12  # rows that a curve should have, however short its run


def reading_of(dataset: str, algorithm: str, latent_dim: int) -> Reading | None:
    """The book's reading of an experiment; None where RunConfig's defaults are all there is."""
    kind = dataset, algorithm
    return READINGS.get((*kind, latent_dim), READINGS.get(kind))


def config_of(
    dataset: str,
    algorithm: str,
    latent_dim: int,
    seed: int = 0,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> RunConfig:
    """The RunConfig of an experiment by the book's reading; `settings` go before all else.

    On Frey Face a seed stands for a split of the data, too.
    """
    reading = reading_of(dataset, algorithm, latent_dim)
    fields: dict[str, Any] = {} if reading is None else reading._asdict()
    fields |= dict(dataset=dataset, algorithm=algorithm, latent_dim=latent_dim, seed=seed)
    if dataset == "freyface":
        fields["split_seed"] = seed
    return RunConfig(**(fields | dict(settings)))


def why_no_bound(algorithm: str) -> str:
    """Why runs of an algorithm have no lower bound on log p(x) to draw; "" if they have one."""
    bound = ALGORITHMS[algorithm].bound
    if bound is None:
        return "has no encoder and so no bound to draw: see Figure 3"
    if bound is autoencoder.reconstruction:
        return "reports a reconstruction, which is no bound on log p(x), so it is not drawn here"
    return ""


def with_bound(algorithms: Iterable[str]) -> list[str]:
    """Those of the algorithms that have a lower bound, and names that stand for none.

    Raises:
        ValueError: none has; it says where their curves are.
    """
    algorithms = list(algorithms)
    found = [a for a in algorithms if a not in ALGORITHMS or not why_no_bound(a)]
    if not found:
        raise ValueError(
            f"algorithms={algorithms}: {algorithms[0]} {why_no_bound(algorithms[0])}; take aevb or "
            "wake_sleep, or execute fig3_marginal_likelihood, which shows log p(x)"
        )
    return found


def experiment_of(config: RunConfig) -> tuple[str, int, str, int]:
    """What a reading's runs are told apart by: data set, latent size, algorithm and seed."""
    return config.dataset, config.latent_dim, config.algorithm, config.seed


def same_but(a: RunConfig, b: RunConfig, free: Iterable[str] = FREE_FIELDS) -> bool:
    """Whether two runs differ in the free fields alone."""
    excluded = set(free)
    return a.model_dump(exclude=excluded) == b.model_dump(exclude=excluded)


def is_of_reading(config: RunConfig, free: Iterable[str] = FREE_FIELDS) -> bool:
    """Whether a run is one of the book's reading of its experiment, but for the free fields."""
    dataset, latent_dim, algorithm, seed = experiment_of(config)
    try:
        reading = config_of(dataset, algorithm, latent_dim, seed)
    except (ValueError, DataNotFound):  # no such run can be made here
        return False
    return same_but(config, reading, free)


def choice_of(config: RunConfig) -> tuple[float, int, float]:
    """(step size, accumulating minibatches, sd of the prior on weights), inf for no prior."""
    prior = math.inf if config.prior_sd is None else config.prior_sd
    return config.step_size, config.adagrad_warmup, prior


CHOICE_HEAD = "step", "accumulating minibatches", "prior's sd"  # above the cells of choice_words


def choice_words(choice: tuple[float, int, float]) -> tuple[str, str, str]:
    """The cells of a table that tell a choice."""
    step, warmup, prior = choice
    return f"{step:g}", str(warmup), "none" if math.isinf(prior) else f"{prior:g}"


def is_but_for_choice(run: Run) -> bool:
    """Whether a run is of the book's reading but for step, warm-up, prior and the free fields."""
    return is_of_reading(run.config, FREE_FIELDS | set(Reading._fields))


def longest(runs: Iterable[Run], key: Callable[[Run], Hashable]) -> dict[Any, Run]:
    """The longest run for each `key(run)`, the one evaluated most often among equals; sorted."""

    def rank(run: Run) -> tuple:
        config = run.config
        return config.n_samples, config.evals_per_decade, config.matmul_precision == "highest"

    best: dict[Any, Run] = {}
    for run in runs:
        name = key(run)
        if name not in best or rank(best[name]) < rank(run):
            best[name] = run
    return {name: best[name] for name in sorted(best)}


def stored_of(datasets: Iterable[str]) -> list[Run]:
    """The stored runs of these data sets."""
    wanted = set(datasets)
    return [run for run in vc.all_runs() if run.config.dataset in wanted]


def runs_of(
    dataset: str,
    algorithm: str,
    latent_dim: int,
    *,
    seeds: Iterable[int] = (),
    n_samples: int = 0,
    settings: Mapping[str, Any] = MappingProxyType({}),
    weights: bool = False,
) -> list[Run]:
    """The runs of an experiment by the book's reading, one for each seed.

    Args:
        seeds: none given: those that are stored, or 0.
        n_samples: length of each run, stored or trained now; 0: the longest stored run of each
            seed, or one of DEFAULT_LENGTH trained now, or no run where that cannot be done.
        settings: RunConfig's fields, which go before the reading, the seed and the rest. Free
            fields that are not among them are as they happen to be in a stored run.
        weights: ask for runs whose weights are stored.
    """
    length = {"n_samples": n_samples or DEFAULT_LENGTH}

    def config(seed: int) -> RunConfig:
        return config_of(dataset, algorithm, latent_dim, seed, length | dict(settings))

    stored = [run for run in vc.all_runs() if run.has_weights or not weights]
    free = FREE_FIELDS - settings.keys() - ({"n_samples"} if n_samples else set())
    stored = [run for run in stored if same_but(run.config, config(run.config.seed), free)]
    by_seed = longest(stored, lambda run: run.config.seed)
    runs = []
    for seed in seeds or by_seed or [0]:
        if seed in by_seed:
            runs.append(by_seed[seed])
            continue
        new = config(seed)
        if "evals_per_decade" not in settings:
            new = evaluated_densely(new)
        with nullcontext() if n_samples else suppress(MissingRunError, DataNotFound):
            runs.append(vc.get_or_run(new, weights=weights))
    return runs


def evaluated_densely(config: RunConfig) -> RunConfig:
    """The run with so many evaluations per factor of ten that its curve is worth drawing.

    As it is wherever that gives MIN_EVALUATIONS rows, so that the keys of long runs stay.
    """
    per_step = samples_per_step(config)
    n_steps = -(-config.n_samples // per_step)
    wanted = min(MIN_EVALUATIONS, n_steps)
    for density in (config.evals_per_decade, 13, 24, 48, 96, 192):
        dense = config.model_copy(update={"evals_per_decade": density})
        rows = 0
        for step in range(1, n_steps + 1):
            rows += is_evaluated(step * per_step, per_step, dense)
            if rows >= wanted:
                return dense
    return dense
