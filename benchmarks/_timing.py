"""Shared by the benchmarks: one thread, interleaved repetitions, the best of each counts."""

import json
import os
import platform
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def one_thread() -> None:
    """Call before torch or jax is imported: one thread each, and the process on one core."""
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        "JAX_PLATFORMS": "cpu",
    }
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def best_seconds(candidates: dict, repetitions: int) -> dict[str, float]:
    """Processor seconds of each function, the least of ``repetitions`` rounds in turn.

    Processor time does not count what other programs take of the core.
    """
    for function in candidates.values():
        function()  # compiles, fills caches
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(repetitions):
        for name, function in candidates.items():
            start = time.process_time()
            function()
            best[name] = min(best[name], time.process_time() - start)
    return best


def report(name: str, result: dict, packages: list[str]) -> None:
    """Prints the result and writes it to ``results/<name>.json``."""
    from importlib.metadata import version

    result["versions"] = {package: version(package) for package in packages}
    result["processor"] = f"{platform.machine()}, one thread"
    text = json.dumps(result, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)
