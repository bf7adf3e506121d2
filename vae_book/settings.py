"""The settings of a run as a user writes them, and the question before a long training."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

import click

from vae_book.params import ParameterError, parse_pair, parse_yaml
from vae_book.words import in_words
from vae_core.runs import reference_dir
from vae_core.runs.config import RunConfig
from vae_core.runs.plan import training_seconds

LONG = 600  # seconds of training that are not begun unasked


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
        raise click.UsageError(f"{told}: use --train to train {'it' if one else 'them'}{book}")
    click.confirm(f"{told}. Train now?", abort=True, err=True)
