"""The runs that a notebook asks for, listed before a kernel starts.

A notebook that takes runs from the store has the tag `plan` on the last cell that does so. The
cells up to that one are executed here, without IPython's own commands, and with a `get_or_run` that
trains nothing: what is listed is what the notebook itself asks for.
"""

import contextlib
import io
import itertools
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

from vae_book.declared import Parameter, code_cells, declared_parameters
from vae_book.params import ParameterError, one_line, shown
from vae_core.data.files import DataNotFound

MAX_RUNS = 2_000
COMMAND = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)
_LOCK = threading.Lock()  # standard output and the environment are one for all threads


class _Untrained:
    """In the place of a run that is not stored; whoever looks into it ends the plan."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(f"{name} of a run that is not trained")


def missing_runs(notebook: str | Path, values: Mapping[str, Any]) -> list[Any]:
    """The RunConfigs that the notebook, executed with these values, would train.

    None of a notebook without a cell tagged `plan`, where each combination of the values has to be
    a run that there can be.

    Raises:
        ParameterError: a run that there cannot be; names notebook, parameter, value and remedy.
    """
    from vae_core.runs.config import RunConfig  # late: it loads numpy

    declared, fields = declared_parameters(notebook), RunConfig.model_fields
    lists = [n for n, p in declared.items() if p.type.startswith("list") and n not in fields]
    plural = {name: name[:-1] for name in lists if name[:-1] in fields}
    try:
        _check_lists({name: values.get(name, declared[name].value) or [] for name in plural})
        _check_settings(values.get("settings") or {}, declared)
        if steps := _steps(notebook, values):
            return _asked_for(steps, Path(notebook).resolve().parent)
        for chosen in _combinations(declared, values, plural):
            RunConfig.model_validate(chosen, strict=True)
        return []
    except (ValueError, DataNotFound, SyntaxError) as error:
        told = one_line(error)
        for name, field in plural.items():
            told = re.sub(rf"\b{field}=", f"{name}=", told)
        raise ParameterError(f"{notebook}: {told}") from None


def _combinations(
    declared: Mapping[str, Parameter], values: Mapping[str, Any], plural: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The fields of each run that a notebook's parameters stand for, where it has no plan.

    A value that is empty or 0 by default leaves its field to the notebook.
    """
    from vae_core.runs.config import RunConfig

    grid: dict[str, list] = {}
    for name, parameter in declared.items():
        value = values.get(name, parameter.value)
        is_open = not parameter.value and value == parameter.value
        if not is_open and (field := plural.get(name, name)) in RunConfig.model_fields:
            grid[field] = value if name in plural else [value]
    grid |= {field: [value] for field, value in (values.get("settings") or {}).items()}
    for chosen in itertools.product(*grid.values()):
        fields = dict(zip(grid, chosen, strict=True))
        yield {n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()}


def _check_lists(lists: Mapping[str, list]) -> None:
    """Refuses a value that is named twice, and more runs than anyone means."""
    n_runs = 1
    for name, values in lists.items():
        for i, value in enumerate(values):
            if value in values[:i]:
                raise ValueError(f"{name}={shown(values)} names {value!r} twice: name each once")
        n_runs *= max(len(values), 1)
    if n_runs > MAX_RUNS:
        raise ValueError(
            f"{n_runs:,} runs are asked for, more than {MAX_RUNS:,}: name fewer values"
        )


def _check_settings(settings: Mapping[str, Any], declared: Mapping[str, Parameter]) -> None:
    """Refuses a field that has a parameter of its own."""
    for field in settings:
        owner = next((name for name in declared if name in (field, f"{field}s")), None)
        if owner is not None:
            raise ValueError(f"settings={settings}: set {field} by its own parameter, {owner}")


def _steps(notebook: str | Path, values: Mapping[str, Any]) -> list[CodeType | Mapping[str, Any]]:
    """The cells up to the last one tagged `plan`, the values behind those of the parameters."""
    cells = [cell for cell in code_cells(notebook) if "injected-parameters" not in cell[1]]
    last = max((i for i, (_, tags) in enumerate(cells) if "plan" in tags), default=-1)
    steps: list[CodeType | Mapping[str, Any]] = []
    for source, tags in cells[: last + 1]:
        steps.append(compile(COMMAND.sub(r"\1pass", source), str(notebook), "exec"))
        if "parameters" in tags:
            steps.append(values)
    return steps


def _asked_for(steps: Iterable[CodeType | Mapping[str, Any]], folder: Path) -> list[Any]:
    """The runs that cells would train, up to the first cell that fails, as in a kernel it would."""
    names: dict[str, Any] = {"__name__": "__main__", "display": print}
    with _untrained(folder) as missing:
        try:
            for step in steps:
                if isinstance(step, CodeType):
                    exec(step, names)
                else:
                    names.update(step)
        except (ValueError, DataNotFound):
            raise
        except Exception:
            pass
        return list(missing.values())


@contextlib.contextmanager
def _untrained(folder: Path) -> Iterator[dict[str, Any]]:
    """The runs that `get_or_run` is asked for within and that are not stored, by their keys.

    What is printed there, and set of the process, is gone afterwards.
    """
    import torch

    import vae_core.runs
    from vae_core.runs.hardware import device_of

    missing: dict[str, Any] = {}

    def get_or_run(config: Any, *, weights: bool = False, **options: Any) -> Any:
        run = vae_core.runs.find_run(config, weights=weights)
        if run is None:
            device_of(config)
            if os.environ.get("VAE_CORE_TRAIN") != "never":  # which a notebook may have taken away
                missing[config.key] = config
        return run or _Untrained()

    n_threads, printed = torch.get_num_threads(), io.StringIO()
    with (
        _LOCK,
        mock.patch.object(vae_core, "get_or_run", get_or_run),
        mock.patch.object(vae_core.runs, "get_or_run", get_or_run),
        mock.patch.dict(os.environ),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            yield missing
        finally:
            torch.set_num_threads(n_threads)
