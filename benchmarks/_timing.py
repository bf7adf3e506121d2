"""Shared by the benchmarks: repetitions in turn, medians with quartiles, a file for each machine.

Candidates take turns in one process, so that what else the machine does falls on all of them
alike: ratios of medians are what a page may quote, absolute numbers are this machine's alone.
"""

import json
import os
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm"}
SIGMOIDS = {"aten::sigmoid_", "aten::sigmoid"}  # of which tanh is made, too


def one_thread() -> None:
    """Call before torch or jax is imported: one thread each, and the process on one core."""
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "JAX_PLATFORMS": "cpu",
    }
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def in_turn(
    candidates: dict[str, Callable], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Seconds of each function in each of ``rounds`` rounds, after one call that is not counted.

    Processor seconds, which do not count what other programs take of the core, unless another
    ``clock`` is given.
    """
    for function in candidates.values():
        function()  # compiles, fills caches
    return timed(candidates, rounds, clock)


def timed(candidates: dict[str, Callable], rounds: int, clock: Callable) -> dict[str, list[float]]:
    """As :func:`in_turn`, where every call counts."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, function in candidates.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return seconds


def spread(values: list[float], digits: int = 4) -> dict[str, float]:
    """Median and quartiles, to so many significant digits."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    named = {"median": middle, "low": low, "high": high}
    return {name: float(f"{value:.{digits}g}") for name, value in named.items()}


def times_faster(seconds: dict[str, list[float]], ours: str) -> dict[str, float]:
    """Ratios of medians: how many times as long as ``ours`` each takes."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {name: round(median / medians[ours], 2) for name, median in medians.items()}


def shares(function: Callable, kinds: dict[str, Callable[[str], bool]]) -> dict[str, float]:
    """Shares of a function's processor time: products of matrices, the given kinds, and the rest.

    A kind is told by the names of PyTorch's operations, as its profiler has them.
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        function()
    kinds = {"products": lambda name: name in PRODUCTS} | kinds
    found = dict.fromkeys([*kinds, "the rest"], 0.0)
    for event in profiled.key_averages():
        kind = next((kind for kind, holds in kinds.items() if holds(event.key)), "the rest")
        found[kind] += event.self_cpu_time_total
    return {kind: round(share / sum(found.values()), 3) for kind, share in found.items()}


def machine() -> str:
    """Processor, whether it multiplies in bfloat16, and number of cores, as text."""
    from vae_core.runs.hardware import slowdown_of_bfloat16
    from vae_core.runs.provenance import processor

    units = " with bfloat16" if slowdown_of_bfloat16() < 1 else ""
    return f"{processor()}{units}, {os.cpu_count()} cores"


def report(name: str, result: dict, packages: list[str]) -> None:
    """Prints the result and writes it to ``results/<machine>/<name>.json``."""
    result["machine"] = machine()
    result["versions"] = {package: version(package) for package in packages}
    text = json.dumps(result, indent=1)
    folder = RESULTS / re.sub(r"\W+", "-", machine().lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text + "\n")
    print(text)
