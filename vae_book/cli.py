"""The command `vae-core`: data sets, runs, sweeps and notebooks.

What a command needs is imported when it runs, so that `--help` does not wait for torch.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path

import click

from vae_book._errors import PackageGroup
from vae_book._pairs import PAIRS, SHARD, PairsCommand, RunCommand


@click.group("vae-core", cls=PackageGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vae_core", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the full traceback of an error.")
def cli(debug: bool) -> None:
    """Auto-Encoding Variational Bayes: data sets, runs, sweeps and notebooks."""


@cli.group()
def data() -> None:
    """Show or download the data sets (folder: VAE_CORE_DATA, else the user's cache)."""


@data.command("status")
def data_status() -> None:
    """Show where each file is, and whether it is the published one."""
    from vae_core.data import data_folder, status

    click.echo(f"data folder: {data_folder()}")
    for line in status():
        place = "" if line.path is None else f"{line.path}  "
        click.echo(f"{line.dataset:9} {line.state:9} {place}({line.message})")


@data.command("fetch")
@click.argument("names", nargs=-1)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def data_fetch(names: tuple[str, ...], quiet: bool) -> None:
    """Download missing files of the data sets NAMES (default: all), and verify the others."""
    from vae_core.data import DATASETS, data_folder, fetch

    files = fetch(names or tuple(DATASETS), progress=not quiet)
    click.echo(f"{len(files)} files verified in {data_folder()}")


@cli.group()
def reference() -> None:
    """The book's runs, for an installation without the book (folder: VAE_CORE_REFERENCE)."""


@reference.command("fetch")
@click.option("--from", "source", metavar="FILE_OR_ADDRESS", help="Use this archive instead.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def reference_fetch(source: str | None, quiet: bool) -> None:
    """Download the runs of this version from its release, and verify each file."""
    from vae_book.release import fetch
    from vae_book.words import counted

    folder, n_runs = fetch(source, progress=not quiet)
    loaded = f"{counted(n_runs, 'run')} loaded into" if n_runs else "all runs are in"
    click.echo(f"{loaded} {folder}")


@reference.command("pack")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
def reference_pack(folder: Path) -> None:
    """Write the archive of the book's runs, for a release, to FOLDER; print its SHA-256."""
    from vae_book.release import pack

    archive, sha256 = pack(folder)
    click.echo(f"{sha256}  {archive}")


@cli.command(cls=RunCommand)
@PAIRS
@click.option(
    "--retrain",
    metavar="KEY",
    help="Use the settings of stored run KEY; train it again if it has no weights.",
)
@click.option("--train", is_flag=True, help="Do not ask before a training that takes long.")
@click.option("--list", "list_only", is_flag=True, help="List the settings with their defaults.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def run(
    pairs: tuple[str, ...], retrain: str | None, train: bool, list_only: bool, quiet: bool
) -> None:
    """Train one run, or find it if it is stored, and print its bounds.

    A setting is given as -p latent_dim=5, -p latent_dim 5 or --latent-dim 5. A run that was
    stopped resumes from its last checkpoint.
    """
    from vae_book.settings import ask_before_long_training, described, read_settings
    from vae_book.stored import stored_runs, summary_of
    from vae_core.runs import find_run, get_or_run

    if list_only:
        click.echo("\n".join(described()))
        return
    if retrain is not None and pairs:
        raise click.UsageError("--retrain takes all settings from the stored run; give no others")
    weights = retrain is not None
    config = read_settings(pairs) if retrain is None else stored_runs([retrain])[0].config
    if not train and find_run(config, weights=weights) is None:
        ask_before_long_training([config])
    finished = get_or_run(config, weights=weights, progress=not quiet)
    click.echo(summary_of(finished))
    click.echo(finished.path)


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of runs side by side, one thread each.",
)
@click.option(
    "--dask", "scheduler", metavar="ADDRESS", help="Train on the workers of this Dask scheduler."
)
@click.option(
    "--shard", "part", type=SHARD, metavar="I/N", help="Only part I (1 to N), for a job array."
)
@click.option("--dry-run", is_flag=True, help="List the runs and whether each is stored.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def sweep(
    file: Path,
    jobs: int,
    scheduler: str | None,
    part: tuple[int, int] | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Train every run of the `sweep:` section of FILE, a parameter file, the longest first."""
    from vae_book.params import load_params
    from vae_book.stored import summary_of
    from vae_core.runs import find_run
    from vae_core.runs.cluster import dask_executor
    from vae_core.runs.sweep import configs_of, shard
    from vae_core.runs.sweep import sweep as train_all

    configs = configs_of(load_params(file).sweep)
    if not configs:
        raise click.UsageError(f"{file} has no runs under `sweep:`")
    configs = shard(configs, *part) if part else configs
    if dry_run:
        for config in configs:
            click.echo(f"{config.key:44} {'stored' if find_run(config) else 'to train'}")
        return
    with dask_executor(scheduler) if scheduler else nullcontext() as executor:
        for finished in train_all(configs, jobs, executor=executor, progress=not quiet):
            click.echo(summary_of(finished))


@cli.command()
@click.argument("keys", nargs=-1)
@click.option(
    "--fraction",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.01,
    show_default=True,
    help="Fraction of each run to train again.",
)
@click.option("--quick", is_flag=True, help="Train only the first rows, and check the weights.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of runs side by side.",
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def verify(keys: tuple[str, ...], fraction: float, quick: bool, jobs: int, quiet: bool) -> None:
    """Train the first part of stored runs again and compare it with their curves.

    KEYS are those of `vae-core runs`; default: every run under book/reference. The exit status is
    1 if a run does not follow from this code. After Ctrl-C the same command resumes with the rest.
    """
    from vae_book.stored import stored_runs
    from vae_book.verification import Verifications
    from vae_book.words import counted, in_words
    from vae_core.runs import reference_dir

    folder = reference_dir().resolve()
    chosen = [r for r in stored_runs(keys) if keys or r.path.resolve().parent == folder]
    if not chosen:
        raise ValueError(f"there are no runs in {folder}; give keys listed by `vae-core runs`")
    verifications = Verifications(chosen, fraction, quick)
    if done := len(verifications.known):
        click.echo(f"{done} of {len(chosen)} were verified before the interruption", err=True)
    length = in_words(verifications.seconds() / jobs)
    click.echo(f"{counted(len(verifications.left), 'run')}, about {length}", err=True)
    follows = True
    for line, ok in verifications.results(jobs, progress=not quiet):
        click.echo(line)
        follows = follows and ok
    if not follows:
        sys.exit(1)


@cli.command("runs")
@click.argument("keys", nargs=-1)
def list_runs(keys: tuple[str, ...]) -> None:
    """List the stored runs: samples, final bounds in nats, whether weights are stored.

    With KEYS: only these, in this order.
    """
    from vae_book.stored import stored_runs, summary_of

    stored = stored_runs(keys)
    for one in stored:
        click.echo(summary_of(one))
    if not stored:
        click.echo("no runs are stored yet", err=True)


@cli.command(cls=PairsCommand)
@click.argument("notebook")
@PAIRS
@click.option(
    "-y",
    "params_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A parameter file of the book, such as book/params/smoke.yaml.",
)
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT",
    help="File for the executed notebook.  [default: its name with the parameters]",
)
@click.option("--train", is_flag=True, help="Do not ask before a training that takes long.")
@click.option("--html", is_flag=True, help="Also write OUT as one self-contained HTML page.")
@click.option("--list", "list_only", is_flag=True, help="List the parameters; execute nothing.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def execute(
    notebook: str,
    pairs: tuple[str, ...],
    params_file: Path | None,
    output: Path | None,
    train: bool,
    html: bool,
    list_only: bool,
    quiet: bool,
) -> None:
    """Execute NOTEBOOK with other parameters; names, types and runs are checked first.

    NOTEBOOK is a file, or the name of a notebook of the book such as fig2_lower_bound.
    """
    from vae_book import notebooks
    from vae_book.planned import missing_runs
    from vae_book.settings import ask_before_long_training

    path = notebooks.find_notebook(notebook)
    if list_only:
        for parameter in notebooks.declared_parameters(path).values():
            click.echo(f"{parameter.name}: {parameter.type} = {parameter.default}")
        return
    values = notebooks.read_values(path, pairs)
    values = notebooks.all_values(path, values, params_file)
    if not train:
        ask_before_long_training(missing_runs(path, values))
    done = notebooks.execute_checked(path, output, values, progress=not quiet)
    click.echo(done)
    if html:
        from vae_book.page import write_page

        click.echo(write_page(done, path))


@cli.command()
@click.argument("keys", nargs=-1)
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to.",
)
def explorer(keys: tuple[str, ...], output: Path | None) -> None:
    """Export stored runs with two latent dimensions for the book's latent explorer.

    Without KEYS: the longest stored AEVB run of each data set that has weights, by default into
    the book.
    """
    from vae_book.explorer import export, longest_runs, paths_of
    from vae_book.stored import stored_runs

    chosen = stored_runs(keys) if keys else longest_runs()
    if keys and output is None:
        raise click.UsageError("give a folder with -o FOLDER: the book's own files are kept")
    if not chosen:
        raise ValueError("no run with two latent variables is stored with its weights")
    for finished, path in zip(chosen, paths_of(chosen, output), strict=True):
        click.echo(f"{finished.key} -> {export(finished, path)}")


def main() -> None:
    """Entry point of `vae-core`: one thread, as for all stored runs, unless told otherwise."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch, and by the kernels of notebooks
    warnings.formatwarning = lambda message, *where: f"warning: {message}\n"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's way to press Ctrl-C
    sys.exit(cli(prog_name="vae-core"))


if __name__ == "__main__":
    main()
