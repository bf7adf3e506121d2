"""Copies finished runs from the user's cache into book/reference, as they are committed.

    python -m vae_book.build.store_reference SWEEP.yaml [--weights aevb] [--weights mcem]

Weights are kept for the named algorithms only, in half precision: the figures that need them draw
pictures, and the numbers of a run are in its run.json. A run that lies there with its weights is
replaced only where they are asked for.
"""

import json
import shutil
from pathlib import Path

import click
import torch
from safetensors.torch import load_file

from vae_book.params import load_params
from vae_core._atomic import replacing, write_text
from vae_core.runs import cache_dir, reference_dir
from vae_core.runs.checkpoint import write_tensors
from vae_core.runs.checks import SUMS, sha256_sums
from vae_core.runs.store import read_metrics
from vae_core.runs.sweep import configs_of


def copy_run(source: Path, target: Path, *, weights: bool) -> int:
    """Copies one run; returns its size in bytes."""
    with replacing(target) as temporary:
        temporary.mkdir()
        shutil.copyfile(source / "run.json", temporary / "run.json")
        for folder in (source, target):  # what was computed of it before is kept
            if (folder / "metrics.json").exists():
                shutil.copyfile(folder / "metrics.json", temporary / "metrics.json")
                break
        if weights:
            tensors = load_file(source / "model.safetensors")
            halved = {name: t.to(torch.float16) for name, t in tensors.items()}
            write_tensors(temporary / "model.safetensors", halved, {})
    return sum(path.stat().st_size for path in target.iterdir())


def copy_metrics(kept: Path) -> None:
    """Adds what was computed from committed runs since, a file for each, to theirs."""
    for source in sorted(kept.glob("*.json")):
        target = reference_dir() / source.stem / "metrics.json"
        if target.parent.is_dir():
            metrics = read_metrics(target) | read_metrics(source)
            write_text(target, json.dumps(metrics, indent=1, sort_keys=True) + "\n")
            click.echo(f"{source.stem}: metrics")


@click.command()
@click.argument("sweep_file", type=click.Path(exists=True, path_type=Path))
@click.option("--weights", multiple=True, help="Algorithm whose weights are kept; repeatable.")
def main(sweep_file: Path, weights: tuple[str, ...]) -> None:
    """Copies the finished runs of SWEEP_FILE into book/reference; names those still missing.

    Metrics that were computed from runs which lie there already are copied, too.
    """
    for config in configs_of(load_params(sweep_file).sweep):
        source, target = cache_dir() / "runs" / config.key, reference_dir() / config.key
        keep = config.algorithm in weights
        if not keep and (target / "model.safetensors").exists():
            click.echo(f"{config.key}: stays as it is, with its weights")
        elif (source / "run.json").exists():
            size = copy_run(source, target, weights=keep)
            click.echo(f"{config.key}: {size / 1e6:.2f} MB")
        elif not (target / "run.json").exists():
            click.echo(f"{config.key}: not trained yet")
    copy_metrics(cache_dir() / "metrics")
    write_text(reference_dir() / SUMS, sha256_sums(reference_dir()))


if __name__ == "__main__":
    main()
