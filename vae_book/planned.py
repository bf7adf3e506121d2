"""The runs that a notebook asks for, listed before a kernel starts.

A notebook that takes runs from the store has the tag `plan` on the last cell that does so. Its
cells from the parameters up to that one are executed here with a `get_or_run` that trains nothing:
what is listed is what the notebook itself asks for.
"""

import contextlib
import io
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
_LOCK = threading.Lock()  # standard output and the environment are one for all threads


class _Untrained:
    """In the place of a run that is not stored; whoever looks into it ends the plan."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(f"{name} of a run that is not trained")


def missing_runs(notebook: str | Path, values: Mapping[str, Any]) -> list[Any]:
    """The RunConfigs that the notebook, executed with these values, would train.

    None of a notebook without a cell tagged `plan`.

    Raises:
        ParameterError: a run that there cannot be; names notebook, parameter, value and remedy.
    """
    declared = declared_parameters(notebook)
    plural = _plural(declared)
    try:
        _check_lists({name: values.get(name, declared[name].value) for name in plural})
        _check_settings(values.get("settings") or {}, declared)
        code = [compile(cell, str(notebook), "exec") for cell in _planning_cells(notebook)]
        names = {p.name: p.value for p in declared.values()} | dict(values)
        if code:
            return _asked_for(code, names, Path(notebook).resolve().parent)
        _check_fields(values)
        return []
    except (ValueError, DataNotFound, SyntaxError) as error:
        told = one_line(error)
        for name, field in plural.items():
            told = re.sub(rf"\b{field}=", f"{name}=", told)
        raise ParameterError(f"{notebook}: {told}") from None


def _plural(declared: Iterable[str]) -> dict[str, str]:
    """The fields of RunConfig by the parameters that list values of theirs (`latent_dims`)."""
    from vae_core.runs.config import RunConfig  # late: it loads numpy

    fields = RunConfig.model_fields
    return {n: n.removesuffix("s") for n in declared if n not in fields and n[:-1] in fields}


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
            raise ValueError(f"settings={settings}: {field} has a parameter of its own, {owner}")


def _check_fields(values: Mapping[str, Any]) -> None:
    """Refuses a value that its field of RunConfig never has, whatever run it is for."""
    from vae_core.runs.config import RunConfig

    RunConfig(**{name: value for name, value in values.items() if name in RunConfig.model_fields})


def _planning_cells(notebook: str | Path) -> list[str]:
    """The code between the parameters and the end of the last cell tagged `plan`."""
    sources, tags = zip(*code_cells(notebook), strict=True)
    last = max((i for i, tag in enumerate(tags) if "plan" in tag), default=-1)
    first = max((i for i, tag in enumerate(tags[: last + 1]) if "parameters" in tag), default=-1)
    return list(sources[first + 1 : last + 1])


def _asked_for(code: Iterable[CodeType], names: dict[str, Any], folder: Path) -> list[Any]:
    """The runs that cells would train, up to the first cell that fails, as in a kernel it would."""
    with _LOCK, _nothing_changed(folder), _listed() as missing:
        try:
            names["__name__"] = "__main__"
            for cell in code:
                exec(cell, names)
        except (ValueError, DataNotFound):
            raise
        except Exception:
            pass
        return list(missing.values())


@contextlib.contextmanager
def _listed() -> Iterator[dict[str, Any]]:
    """The runs that `get_or_run` is asked for within and that are not stored, by their keys."""
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

    with (
        mock.patch.object(vae_core, "get_or_run", get_or_run),
        mock.patch.object(vae_core.runs, "get_or_run", get_or_run),
    ):
        yield missing


@contextlib.contextmanager
def _nothing_changed(folder: Path) -> Iterator[None]:
    """What the cells print, where they work and what they set is gone afterwards."""
    import torch

    n_threads, printed = torch.get_num_threads(), io.StringIO()
    with (
        mock.patch.dict(os.environ),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            yield
        finally:
            torch.set_num_threads(n_threads)
