"""Options of `vae-core run`, one for each field of RunConfig."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, get_args, get_origin

import click

from vae_core.data.registry import DatasetSpec

NONE = object()  # the user's `none`, which is not the absence of the option


class Number(click.ParamType):
    """An integer or a float, also as 1e7 or 1_000_000; `none` where a field allows it."""

    def __init__(self, kind: type, optional: bool) -> None:
        self.kind, self.optional, self.name = kind, optional, kind.__name__

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if self.optional and value.lower() == "none":
            return NONE
        try:
            return self.kind(value)
        except ValueError:
            pass
        try:
            number = float(value)  # 1e7 for an integer
            if number == int(number):
                return int(number)
        except (ValueError, OverflowError):
            pass
        self.fail(f"{value!r} is not {'an integer' if self.kind is int else 'a number'}")


class Integers(click.ParamType):
    """Integers with commas between them, such as 500,200; an empty text for none at all."""

    name = "int,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(int(part) for part in value.split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r}: write integers with commas between them, such as 500,200")


class RunCommand(click.Command):
    """A command with one option for each field of RunConfig, made when it is needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not any(param.name == "dataset" for param in self.params):
            from vae_core.runs.config import RunConfig

            fields = RunConfig.model_fields.items()
            self.params += [
                _option(n, f) for n, f in fields if n not in ("semantics", "data_sha256")
            ]
        return super().get_params(ctx)


def _option(name: str, field: Any) -> click.Option:
    """The option for a field of RunConfig, by its annotation."""
    flag = "--" + name.replace("_", "-")
    members = _members(field.annotation)
    kind = next(member for member in members if member is not type(None))
    default = field.default
    if default is None:
        default = (
            "the data set's"
            if name in DatasetSpec.__annotations__ or hasattr(DatasetSpec, name)
            else "none"
        )
    description = f"{field.description or ''}  [default: {default}]".strip()
    if kind is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}"], default=None, help=description)
    if get_origin(kind) is Literal:
        choices = click.Choice(get_args(kind))
        return click.Option([flag], type=choices, help=description)
    if get_origin(kind) is tuple:
        return click.Option([flag], type=Integers(), help=description)
    if kind in (int, float):
        return click.Option([flag], type=Number(kind, type(None) in members), help=description)
    return click.Option([flag], type=str, help=description)


def _members(annotation: Any) -> tuple:
    """The alternatives of a union; the annotation itself where it is none."""
    union = get_origin(annotation) in (types.UnionType, typing.Union)
    return get_args(annotation) if union else (annotation,)
