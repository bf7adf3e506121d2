"""Parameter files (YAML): the values for the notebooks of the book, and the runs of a sweep.

latent_dims: [2, 50]              # for every notebook that declares this parameter
n_samples: 1_000_000
notebooks:                        # for one notebook only
  figures/fig2_lower_bound:
    datasets: [freyface]
sweep:                            # grids of RunConfig: a list stands for each of its values
  - dataset: mnist
    latent_dim: [3, 5, 10]
    hidden: [500]                 # one value: `hidden` is itself a list
"""

import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from vae_book._yaml import load
from vae_core.data.registry import did_you_mean

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = 12


class ParameterError(ValueError):
    """A parameter that no notebook declares, or a value of the wrong type."""


class Params(NamedTuple):
    """What a parameter file says; `vae_core.runs.sweep.configs_of` makes runs of `sweep`."""

    source: str
    values: dict[str, Any]
    notebooks: dict[str, dict[str, Any]]
    sweep: list[dict[str, Any]]


def load_params(file: str | Path) -> Params:
    """Reads a parameter file and checks its form; names are checked against notebooks later.

    Raises:
        ParameterError: not YAML, or a part that is not of the form above.
    """
    content = parse_yaml(_text_of(Path(file)), str(file))
    content = _mapping({} if content is None else content, str(file))
    notebooks = _mapping(content.pop("notebooks", None) or {}, f"{file}: notebooks")
    for name, values in notebooks.items():
        _mapping(values, f"{file}: notebooks: {name}")
    sweep = content.pop("sweep", None) or []
    if not isinstance(sweep, list):
        raise ParameterError(f"{file}: sweep: expected a list of grids, found {shown(sweep)}")
    for index, grid in enumerate(sweep, 1):
        _mapping(grid, f"{file}: sweep: entry {index}")
    return Params(str(file), content, notebooks, sweep)


def parse_yaml(text: str, source: str) -> Any:
    """The value of a YAML text (see `vae_book._yaml`); ParameterError with what is wrong where."""
    try:
        return load(text)
    except ValueError as error:
        raise ParameterError(f"{source}: not valid YAML: {error}") from None


def parse_pair(pair: str) -> tuple[str, str]:
    """Name and value of `name=value`, both as text; ParameterError where it is no such pair."""
    name, equals, value = pair.partition("=")
    if not (equals and name.strip().isidentifier()):
        raise ParameterError(f"-p {pair}: write -p NAME VALUE or -p NAME=VALUE")
    if not value.strip():
        raise ParameterError(f"-p {name.strip()}: the value is empty; leave it out for the default")
    return name.strip(), value


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a message on an unknown name: the nearest known one, or what there is."""
    known = sorted(known)
    if hint := did_you_mean(name, known):
        return hint.removeprefix("; ")
    more = ", ..." if len(known) > 12 else ""
    return f"known: {', '.join(known[:12])}{more}" if known else "there are none"


def one_line(error: Exception) -> str:
    """The text of an error in one line; of pydantic's, each field with its value and the reason."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    reasons = []
    for detail in error.errors(include_url=False):
        field = ".".join(map(str, detail["loc"]))
        where = f"{field}={shown(detail['input'])}: " if field else ""
        reasons.append(where + detail["msg"].removeprefix("Value error, "))
    return "; ".join(reasons)


def shown(value: Any) -> str:
    """A value in a message: as Python writes it, long ones cut in the middle."""
    return _SHORT.repr(value)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ParameterError(f"{file}: cannot be read: {reason}") from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ParameterError(f"{where}: expected `name: value` lines, found {shown(value)}")
    return value
