"""The settings of a run as a user writes them, and what a run of that length costs."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

import click

from vae_book.params import ParameterError, parse_pair, parse_yaml
from vae_book.words import in_words
from vae_core.runs import reference_dir
from vae_core.runs.checks import schedule
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import LOG_MARGINAL_POINTS
from vae_core.runs.verify import log_marginal_passes

LONG = 600  # seconds of training that are not begun unasked
PRODUCTS_PER_SECOND = 1e10  # parameters x samples, on one core of the machine of the stored runs
EVALUATION = 3  # an evaluation has no backward pass: so many times as quick as a step
SECONDS_PER_STEP = 5e-4  # of a small network, whatever its size


def read_settings(pairs: Iterable[str]) -> RunConfig:
    """The RunConfig of `name=value` pairs, each value written as YAML.

    Raises:
        ValueError: (pydantic's ValidationError among them) names the field, its value, the remedy.
    """
    fields: dict[str, Any] = {}
    for name, text in map(parse_pair, pairs):
        if name in fields:
            raise ParameterError(f"-p {name} is given twice")
        value = parse_yaml(text, f"-p {name}")
        if name == "hidden" and not isinstance(value, list):
            value = parse_yaml(f"[{text}]", f"-p {name}")
        fields[name] = tuple(value) if isinstance(value, list) else value
    return RunConfig(**fields)


def described() -> Iterator[str]:
    """A line for each setting: name, default, what it means."""
    for name, field in RunConfig.model_fields.items():
        if name != "semantics":
            default = "the data set's" if _is_of_the_data(name) else str(field.default).lower()
            choices = [
                str(c)
                for arg in (field.annotation, *get_args(field.annotation))
                if get_origin(arg) is Literal
                for c in get_args(arg)
            ]
            told = ": ".join(filter(None, [field.description, " | ".join(choices)]))
            yield f"{name:20} {default:14}  {told}".rstrip()


def _is_of_the_data(name: str) -> bool:
    """Whether a field that is left out takes a value that depends on the others."""
    field = RunConfig.model_fields[name]
    return field.default is None and getattr(RunConfig(), name) is not None


def training_seconds(config: RunConfig) -> float:
    """Roughly how long a run trains and is evaluated on one core of an ordinary machine."""
    products = config.n_samples * config.n_mc * config.n_parameters / PRODUCTS_PER_SECOND
    steps = config.n_samples / (config.batch_size or 1)
    n_rows = sum(1 for _ in schedule(config))
    return products + steps * SECONDS_PER_STEP + n_rows * evaluation_seconds(config)


def evaluation_seconds(config: RunConfig) -> float:
    """Roughly how long one row of the curve takes on one core of an ordinary machine."""
    images = config.n_train + config.spec.n_test
    if config.log_marginal is not None:
        images += 2 * LOG_MARGINAL_POINTS * log_marginal_passes(config)
    return images * config.n_parameters / (EVALUATION * PRODUCTS_PER_SECOND)


def ask_before_long_training(configs: Sequence[RunConfig]) -> None:
    """Returns after a yes; without a terminal to ask at, training that takes long is refused."""
    seconds = sum(map(training_seconds, configs))
    if seconds < LONG:
        return
    one = len(configs) == 1
    what = f"{configs[0].key} is" if one else f"{len(configs):,} runs are"
    told = f"{what} not stored; training {'it' if one else 'them'} takes about {in_words(seconds)}"
    if not sys.stdin.isatty():
        book = "" if reference_dir().is_dir() else " (`vae-core reference fetch` loads the book's)"
        raise click.UsageError(f"{told}: say --train to train {'it' if one else 'them'}{book}")
    click.confirm(f"{told}. Train now?", abort=True, err=True)
