"""Options in forms of their own: `-p NAME VALUE` or `-p NAME=VALUE`, and `--shard I/N`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

PAIRS = click.option(
    "-p",
    "pairs",
    multiple=True,
    metavar="NAME VALUE | NAME=VALUE",
    help="Set NAME to VALUE, written as YAML; a list needs no brackets: -p latent_dims 2,50.",
)


class Shard(click.ParamType):
    """`I/N`: part I of N, as two numbers."""

    name = "shard"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        index, slash, n_shards = str(value).partition("/")
        if not (slash and index.isdecimal() and n_shards.isdecimal()):
            self.fail(f"{value!r}: write the part and the number of parts, such as 1/8")
        return int(index), int(n_shards)


SHARD = Shard()


class PairsCommand(click.Command):
    """A command with `PAIRS`, whose two forms are made one before the command line is parsed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        joined, rest = [], iter(args)
        for word in rest:
            joined.append(word)
            if word == "-p":
                name = next(rest, None)
                value = None if name is None or "=" in name else next(rest, None)
                joined += [part for part in [name if value is None else f"{name}={value}"] if part]
        return super().parse_args(ctx, joined)


class RunCommand(PairsCommand):
    """Takes `--latent-dim 5` for `-p latent_dim=5`, and `--binarize` for `-p binarize=true`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any(word.startswith("--") for word in args):
            from vae_core.runs.config import RunConfig

            args = [part for word in args for part in _short(word, RunConfig.model_fields)]
        return super().parse_args(ctx, args)


def _short(word: str, fields: Mapping[str, Any]) -> list[str]:
    """The words that stand for a word of the command line."""
    flag, equals, value = word.partition("=")
    name = flag.removeprefix("--").replace("-", "_")
    if not flag.startswith("--") or name not in fields:
        return [word]
    if fields[name].annotation is bool and not equals:
        return ["-p", f"{name}=true"]
    return ["-p", f"{name}={value}"] if equals else ["-p", name]
