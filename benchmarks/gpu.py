"""A GPU in one sitting: is it right, how fast is it, and then a sweep for the time that is left.

python benchmarks/gpu.py --seconds 540 --out _build/gpu

Each part is a process of its own, so that none falls with another, and writes what it found as it
goes: OUT/tests.log, OUT/gpu.json (also below benchmarks/results), and finished runs in OUT/runs,
which OUT/stored.yaml names for `python -m vae_book.build.store_reference`. A run that the time does
not suffice for is stored at the length that it reached; its checkpoint in OUT/checkpoints lets the
same command, or `vae-core sweep` over that store, go on with it.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # where the package is not installed

import torch  # noqa: E402
import yaml  # noqa: E402
from _images import mnist_like  # noqa: E402
from _timing import RESULTS, machine  # noqa: E402

from vae_book.params import load_params  # noqa: E402
from vae_core import RunConfig  # noqa: E402
from vae_core.data import Dataset  # noqa: E402
from vae_core.runs.checkpoint import resume, save_checkpoint  # noqa: E402
from vae_core.runs.provenance import Provenance  # noqa: E402
from vae_core.runs.steps import VALUE_EVERY, Steps, on_stream  # noqa: E402
from vae_core.runs.store import load_data, store_run  # noqa: E402
from vae_core.runs.sweep import configs_of  # noqa: E402
from vae_core.runs.trainer import Trainer  # noqa: E402

TESTS = ["-n", "4", "-k", "not command_line", "tests/test_steps.py", "tests/test_device.py"]
SHORT, LONG = 1_000, 100_000_000  # of a run: not compiled, compiled
ROUNDS, SECONDS = 3, 1.0  # of a measurement
BESIDE = 4, 9, 18  # runs side by side
PROCESSES = 4
SECONDS_TO_START = 25.0  # of processes that are to measure at one time
SLICE, RESERVE = 4.0, 12.0  # seconds of a run between two looks at the clock; to finish all in
MOST = {"tests": 140.0, "throughput": 160.0}  # seconds of a part


@cache
def images() -> Dataset:
    return mnist_like()


def made(*, launched: bool = False, n_samples: int = SHORT, device: str = "cuda", **fields):
    """A trainer of MNIST's size that is ready to be timed; ``launched``: without a graph."""
    config = RunConfig(**{"latent_dim": 20, "n_samples": n_samples, "device": device} | fields)
    trainer = Trainer(config, images())
    if launched:
        trainer.steps = Steps(trainer._step)
    with on_stream(trainer.stream):
        for _ in range(3):
            trainer.advance(VALUE_EVERY)
    return trainer


def advanced(trainer: Trainer, seconds: float) -> int:
    """Samples that a run went through in about so many seconds, on its own stream."""
    before, end = trainer.samples, time.perf_counter() + seconds
    with on_stream(trainer.stream):
        while time.perf_counter() < end:
            for _ in range(10):
                trainer.advance(VALUE_EVERY)
            trainer.bound_sum.item()  # waits, so that the device does not lag behind
    return trainer.samples - before


def pace(trainers: list[Trainer]) -> dict[str, float]:
    """Samples a second of runs in threads, all together, and what the processor did for it."""
    paces, used = [], []
    with ThreadPoolExecutor(len(trainers)) as pool:
        for _ in range(ROUNDS):
            start, cpu = time.perf_counter(), time.process_time()
            samples = sum(pool.map(lambda t: advanced(t, SECONDS), trainers))
            seconds = time.perf_counter() - start
            paces.append(samples / seconds)
            used.append((time.process_time() - cpu) / seconds)
    return {
        "samples_per_second": round(statistics.median(paces)),
        "lowest": round(min(paces)),
        "highest": round(max(paces)),
        "processor_seconds_per_second": round(statistics.median(used), 2),
    }


def side_by_side(n: int, **fields) -> dict[str, float]:
    """The pace of n runs in the threads of this process."""
    return pace([made(seed=seed, **fields) for seed in range(n)])


def alone(start_at: float, seed: int, device: str) -> float:
    """Samples a second of one run in this process from a moment on."""
    trainer = made(seed=seed, device=device)
    time.sleep(max(0.0, start_at - time.time()))
    start = time.perf_counter()
    samples = advanced(trainer, 3 * SECONDS)
    return samples / (time.perf_counter() - start)


def in_processes(n: int, device: str) -> dict[str, float]:
    """The pace of n runs in processes of their own, which take turns on the GPU."""
    start_at = time.time() + SECONDS_TO_START
    with ProcessPoolExecutor(n, get_context("spawn")) as pool:
        paces = list(pool.map(alone, [start_at] * n, range(n), [device] * n))
    return {"samples_per_second": round(sum(paces))}


def measurements(device: str) -> Iterator[tuple[str, Callable[[], dict]]]:
    """What is measured, the most wanted first."""
    one = partial(side_by_side, 1, device=device)
    sleep, wide = {"algorithm": "wake_sleep"}, {"latent_dim": 200}
    half = {"matmul_precision": "medium"}
    yield "AEVB, launched one by one", partial(one, launched=True)
    yield "AEVB, replayed", one
    yield "AEVB, compiled and replayed", partial(one, n_samples=LONG)
    for n in BESIDE:
        yield f"AEVB, replayed, {n} threads", partial(side_by_side, n, device=device)
    yield "wake-sleep, replayed", partial(one, **sleep)
    yield "AEVB, replayed, latent_dim=200", partial(one, **wide)
    yield "AEVB, replayed, bfloat16", partial(one, **half)
    yield f"AEVB, replayed, {PROCESSES} processes", partial(in_processes, PROCESSES, device)
    together = partial(side_by_side, BESIDE[0], n_samples=LONG, device=device)
    yield f"AEVB, compiled and replayed, {BESIDE[0]} threads", together
    yield "wake-sleep, compiled and replayed", partial(one, n_samples=LONG, **sleep)


def throughput(given: argparse.Namespace) -> None:
    """Measures while there is time; what fails is told and does not stop the rest."""
    deadline, found = time.monotonic() + given.seconds, {}
    for name, measure in measurements(given.device):
        if time.monotonic() > deadline:
            found[name] = {"error": "no time was left"}
            continue
        start = time.monotonic()
        try:
            found[name] = measure()
        except Exception as error:
            traceback.print_exc()
            found[name] = {"error": " ".join(str(error).split())[:300]}
        found[name]["seconds_with_preparation"] = round(time.monotonic() - start, 1)
        print(name, found[name], flush=True)
        write(given.out / "throughput.json", found)


def warm_compiler(config: RunConfig) -> None:
    """Compiles the step of a run into the compiler's cache on disk."""
    Trainer(config, load_data(config)).advance()


def compile_all(configs: list[RunConfig]) -> None:
    """Fills the compiler's cache side by side: in one process, runs compile one after another."""
    if not configs:
        return
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")  # of each of these processes
    with ProcessPoolExecutor(min(12, len(configs)), get_context("spawn")) as pool:
        for compiled in [pool.submit(warm_compiler, config) for config in configs]:
            if error := compiled.exception():
                print(f"not compiled ahead: {error}", flush=True)


def data_of(config: RunConfig) -> tuple:
    """What decides the images that a run trains on."""
    return config.dataset, config.n_train, config.binarize, config.split_seed


def trained(config: RunConfig, data: Dataset, out: Path, deadline: float) -> dict:
    """Trains a run until the deadline and stores it at the length that it reached."""
    provenance, trainer = Provenance(), Trainer(config, data)
    resume(trainer, out / "checkpoints")
    rows, ahead = [], 100 * trainer.per_step
    while trainer.samples < config.n_samples and time.monotonic() < deadline:
        before, start = trainer.samples, time.monotonic()
        rows = trainer.run(until=min(config.n_samples, before + ahead), progress=False)
        pace = (trainer.samples - before) / (time.monotonic() - start)
        ahead = max(trainer.per_step, int(min(pace * SLICE, 4 * ahead)))
    if not rows:
        return {"samples": trainer.samples, "left": "no time"}
    if trainer.samples < config.n_samples:
        checkpoint = f"{config.trajectory_key}.{config.n_samples}.safetensors"
        save_checkpoint(out / "checkpoints" / checkpoint, trainer)
    reached = config.model_copy(update={"n_samples": min(trainer.samples, config.n_samples)})
    describe = getattr(trainer.algorithm, "metrics", None)
    metrics = describe(trainer.settings, trainer.state) if describe else {}
    record = provenance.record(data, trainer.seconds, config.device)
    store_run(out / "runs" / reached.key, reached, rows, trainer.model, record, metrics)
    bounds = {name: rows[-1][name] for name in ("train_bound", "test_bound")}
    return {"key": reached.key, "samples": trainer.samples, "seconds": trainer.seconds} | bounds


def sweep(given: argparse.Namespace) -> None:
    """Trains the runs of a sweep file side by side, in threads with a stream each."""
    deadline = time.monotonic() + given.seconds - RESERVE
    (given.out / "checkpoints").mkdir(parents=True, exist_ok=True)
    entries = [entry | {"device": given.device} for entry in load_params(given.sweep).sweep]
    configs, found = configs_of(entries), {}
    data = {data_of(config): config for config in configs}
    data = {settings: load_data(config) for settings, config in data.items()}  # once each
    compile_all([config for config in configs if config.compiles])
    with ThreadPoolExecutor(min(given.streams, len(configs))) as pool:
        futures = {
            config.key: pool.submit(trained, config, data[data_of(config)], given.out, deadline)
            for config in configs
        }
        for key, future in futures.items():
            error = future.exception()
            found[key] = {"error": str(error)[:300]} if error else future.result()
            print(key, found[key], flush=True)
            write(given.out / "sweep.json", found)
    stored = [json.loads(run.read_text()) for run in sorted(given.out.glob("runs/*/run.json"))]
    (given.out / "stored.yaml").write_text(
        yaml.safe_dump({"sweep": [run["config"] for run in stored]})
    )


def tests(given: argparse.Namespace) -> None:
    """Runs the tests of steps and devices; the log tells all, the result its last line."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    with (given.out / "tests.log").open("w") as log:
        try:
            options = {"cwd": ROOT, "stdout": log, "stderr": subprocess.STDOUT}
            status = subprocess.run(command, timeout=given.seconds, **options).returncode
        except subprocess.TimeoutExpired:
            status = None
    lines = (given.out / "tests.log").read_text().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    print("\n".join([*failed, *lines[-1:]]), flush=True)
    result = {"exit_status": status, "last_line": lines[-1:], "failed": failed}
    write(given.out / "tests.json", result)


PARTS = {"tests": tests, "throughput": throughput, "sweep": sweep}


def write(path: Path, found: dict) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n")


def whole(given: argparse.Namespace) -> None:
    """All parts one after another, within the time that was given."""
    deadline = time.monotonic() + given.seconds
    result = {"machine": machine(), "card": card(given.device), "torch": torch.__version__}
    for name in given.parts.split(","):
        left = deadline - time.monotonic()
        seconds = min(left, MOST.get(name, left))
        command = [sys.executable, __file__, *sys.argv[1:], "--part", name, "--seconds"]
        try:
            subprocess.run([*command, str(seconds)], timeout=seconds + RESERVE, check=False)
        except subprocess.TimeoutExpired:
            print(f"{name} took longer than its {seconds:.0f} seconds", flush=True)
        found = given.out / f"{name}.json"
        result[name] = json.loads(found.read_text()) if found.exists() else "nothing was found"
        write(given.out / "gpu.json", result)
    if given.device == "cuda":
        name = re.sub(r"\W+", "-", card(given.device).lower())
        write(RESULTS / f"gpu-{name}.json", result)


def card(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "no GPU"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=540.0, help="for all parts")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "gpu")
    parser.add_argument("--sweep", type=Path, default=ROOT / "book" / "params" / "gpu.yaml")
    parser.add_argument("--streams", type=int, default=18, help="runs side by side")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, and in which order")
    parser.add_argument(
        "--device", choices=["cuda", "cpu"], default="cuda", help="cpu: a rehearsal"
    )
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"benchmarks/gpu.py: PyTorch {torch.__version__} finds no GPU on this machine")
    given.out.mkdir(parents=True, exist_ok=True)
    PARTS[given.part](given) if given.part else whole(given)


if __name__ == "__main__":
    main()
