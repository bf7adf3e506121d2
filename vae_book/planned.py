"""The runs that the parameters of a notebook ask for, made before a kernel starts.

A parameter whose name is a field of RunConfig sets that field, its plural (`latent_dims`) each of
its values in turn, and `settings` is a mapping of further fields. A value that is empty or 0 by
default leaves the choice to the notebook.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from vae_book.declared import Parameter
from vae_book.params import shown

MAX_RUNS = 2_000


def planned_runs(declared: Iterable[Parameter], values: Mapping[str, Any]) -> list[Any]:
    """One RunConfig for each combination of the values; those not given are at their defaults.

    Raises:
        ValueError: (pydantic's ValidationError among them) a run that there cannot be.
    """
    from vae_core.runs.config import RunConfig  # late: it loads numpy

    fields = _planned_fields(declared, values)
    return [RunConfig.model_validate(one, strict=True) for one in fields]


def missing_runs(declared: Iterable[Parameter], values: Mapping[str, Any]) -> list[Any]:
    """Those of `planned_runs` that no stored run answers, whatever it has in what is left open.

    None of a notebook that does not say how long its runs are.
    """
    from vae_core.runs import all_runs
    from vae_core.runs.config import RunConfig

    declared = list(declared)
    if not any(parameter.name == "n_samples" for parameter in declared):
        return []
    stored = [run.config for run in all_runs()]
    return [
        RunConfig(**fields)
        for fields in _planned_fields(declared, values)
        if not any(all(getattr(c, n) == v for n, v in fields.items()) for c in stored)
    ]


def _planned_fields(
    declared: Iterable[Parameter], values: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The fields of each planned run that are not left open."""
    from vae_core.runs.config import RunConfig

    declared = list(declared)
    chosen = {p.name: values.get(p.name, p.value) for p in declared}
    settings = chosen.pop("settings", None) or {}
    left_open = {p.name for p in declared if not p.value and values.get(p.name, p.value) == p.value}
    grid: dict[str, list] = {}
    for name in chosen.keys() - left_open:
        if name in RunConfig.model_fields:
            grid[name] = [chosen[name]]
        elif name.removesuffix("s") in RunConfig.model_fields:
            grid[name.removesuffix("s")] = _without_duplicates(name, chosen[name])
    for field in settings:
        owner = next((name for name in chosen if name in (field, f"{field}s")), None)
        if owner is not None:
            raise ValueError(f"settings={settings}: set {field} by its own parameter, {owner}")
    n_runs = math.prod(map(len, grid.values()))
    if n_runs > MAX_RUNS:
        raise ValueError(
            f"{n_runs:,} runs are asked for, more than {MAX_RUNS:,}: name fewer values"
        )
    combinations = (dict(zip(grid, c, strict=True)) for c in itertools.product(*grid.values()))
    return [_tuples(combination | settings) for combination in combinations]


def _without_duplicates(name: str, values: list) -> list:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"{name}={shown(values)} names {value!r} twice: name each once")
    return values


def check_device(config: Any) -> None:
    """Raises ValueError for a run on a GPU that is neither stored nor can be trained here."""
    if config.device == "cpu":
        return  # without torch
    from vae_core.runs import find_run
    from vae_core.runs.hardware import device_of

    if find_run(config) is None:
        device_of(config)


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """`hidden` as the tuple that it is in a RunConfig."""
    return {n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()}
