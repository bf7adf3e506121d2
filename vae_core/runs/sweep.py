"""Many runs side by side, the longest first: on this machine, or on an executor's workers."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from typing import Any

from vae_core._arguments import check_count, check_kind
from vae_core.runs.checkpoint import RunInterrupted
from vae_core.runs.config import RunConfig
from vae_core.runs.hardware import check_hardware
from vae_core.runs.plan import training_seconds
from vae_core.runs.store import Run, find_run, get_or_run, store_files
from vae_core.runs.workers import train, workers

ARRAY_FIELDS = ("hidden",)  # fields whose one value is itself a list


class SweepError(RuntimeError):
    """Runs of a sweep failed; the message names each with its reason. The others are stored."""


def grid(entry: dict) -> list[RunConfig]:
    """The RunConfigs of one sweep entry, in which a list stands for each of its values in turn.

    A value of ``hidden`` is itself a list, so for several values it needs a list of lists.

    Raises:
        ValueError: not a mapping, an empty list, or a setting that RunConfig refuses.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"sweep entry {entry!r}: write settings, such as {{latent_dim: [2, 5]}}")

    def values(name: str, value: Any) -> list:
        several = isinstance(value, list | tuple)
        if name in ARRAY_FIELDS:
            several = several and bool(value) and isinstance(value[0], list | tuple)
        if several and not value:
            raise ValueError(f"sweep entry {entry!r}: {name} has no value")
        return list(value) if several else [value]

    choices = [values(name, value) for name, value in entry.items()]
    return [RunConfig(**dict(zip(entry, c, strict=True))) for c in itertools.product(*choices)]


def configs_of(entries: Iterable[dict]) -> list[RunConfig]:
    """All RunConfigs of a ``sweep:`` section, each once, checked before any is run.

    Raises:
        ValueError: as `grid`, or the section is not a list.
    """
    if isinstance(entries, dict | str) or not isinstance(entries, Iterable):
        raise ValueError(f"sweep: {entries!r} is not a list; begin each entry with a dash")
    return list({config.key: config for entry in entries for config in grid(entry)}.values())


def shard(configs: Iterable[RunConfig], index: int, n_shards: int) -> list[RunConfig]:
    """Part ``index`` (from 1) of ``n_shards`` of a sweep, for a job array; all cost about as much.

    Raises:
        ValueError: an index outside 1 to n_shards.
    """
    check_count("n_shards", n_shards)
    check_count("index", index, 0)
    if not 1 <= index <= n_shards:
        raise ValueError(
            f"shard {index}/{n_shards}: the first number must be one of 1 to {n_shards}"
        )
    return sorted(configs, key=lambda c: (-training_seconds(c), c.key))[index - 1 :: n_shards]


def sweep(
    configs: Iterable[RunConfig],
    jobs: int = 1,
    *,
    executor: Executor | None = None,
    progress: bool = True,
) -> Iterator[Run]:
    """Yields every run as soon as it is available: stored runs first, then the others, trained.

    Leaving the loop early, or Ctrl-C, ends the workers, each after a checkpoint. Call this below
    ``if __name__ == "__main__":`` in a script, since each worker imports the script.

    Args:
        jobs: number of worker processes on this machine, with one thread each.
        executor: any ``concurrent.futures`` executor to use instead, such as dask's
            ``Client.get_executor()``, loky's or mpi4py's. Its workers need this package and, for
            your own data, the file. A finished run is sent back as its files, so no common disk is
            needed.

    Raises:
        ValueError: ``jobs`` below 1, or a run whose device does not exist.
        SweepError: runs failed, after all others were yielded; or a worker was killed, or none
            started.
        RunInterrupted: Ctrl-C; the message says whether a checkpoint was written.
    """
    check_count("jobs", jobs)
    configs = list(configs)
    for config in configs:
        check_kind("config", config, RunConfig, "RunConfig(dataset=...) makes one")
    pending = []
    for config in sorted(configs, key=training_seconds, reverse=True):
        run = find_run(config)
        if run is None:
            pending.append(config)
        else:
            yield run
    if not pending:
        return
    if executor is not None:  # its workers tell what they lack
        yield from _collect({executor.submit(train_elsewhere, c): c for c in pending}, store_files)
        return
    for config in pending:
        check_hardware(config)
    futures: dict[Future, RunConfig] = {}
    try:
        with workers(min(jobs, len(pending))) as pool:
            for config in pending:
                futures[pool.submit(config.key, train, config, progress)] = config
            yield from _collect(futures, lambda config, run: run)
    except BrokenExecutor as error:
        raise SweepError(str(error)) from error
    except KeyboardInterrupt:
        raise _interrupted(futures) from None


def _collect(futures: dict[Future, RunConfig], finish: Callable) -> Iterator[Run]:
    """Yields finish(config, result) as results arrive; at the end, raises what failed."""
    failures = []
    try:
        for future in as_completed(futures):
            try:
                run = finish(futures[future], future.result())
            except BrokenExecutor:
                raise
            except Exception as error:
                failures.append(f"{futures[future].key}: {error}")
            else:
                yield run
    finally:
        for future in futures:
            future.cancel()
    if failures:
        raise SweepError(f"{len(failures)} of {len(futures)} runs failed\n" + "\n".join(failures))


def _interrupted(futures: Iterable[Future]) -> KeyboardInterrupt:
    """The error of a stopped worker that wrote a checkpoint, if one did."""
    ended = [future for future in futures if future.done() and not future.cancelled()]
    told = [error for f in ended if isinstance(error := f.exception(), RunInterrupted)]
    return next((error for error in told if error.checkpoint), KeyboardInterrupt())


def train_elsewhere(config: RunConfig) -> dict[str, bytes]:
    """The files of a run, from the store of the machine that calls this, or trained there.

    It uses one thread, as everywhere: the number of threads changes the last digits.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = get_or_run(config, progress=False)
    finally:
        torch.set_num_threads(threads)
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
