"""`benchmarks/gpu.py` without a GPU: it refuses in one line, and its sweep rehearses here."""

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from vae_core import RunConfig
from vae_core.data import load_dataset
from vae_core.runs.checks import problems_of
from vae_core.runs.store import Run, store_run
from vae_core.runs.sweep import configs_of
from vae_core.runs.trainer import Trainer

ROOT = Path(__file__).parents[1]
TINY = {"dataset": "digits", "latent_dim": 2, "hidden": [8]}


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu

    yield gpu
    for name in ("gpu", "_images", "_timing"):
        sys.modules.pop(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_refused_in_one_line(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "" and not (tmp_path / "out").exists()
    assert done.stderr.count("\n") == 1 and "finds no GPU" in done.stderr


def test_a_sweep_stores_what_it_finished_and_what_it_did_not(gpu, tmp_path, monkeypatch):
    clock = itertools.count()  # one second at every look, however busy the machine
    monkeypatch.setattr(gpu, "time", argparse.Namespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(gpu, "RESERVE", 0.0)
    monkeypatch.setattr(gpu, "SLICE", 1.0)
    file, lengths = tmp_path / "sweep.yaml", [3_000, 10**9]
    file.write_text(yaml.safe_dump({"sweep": [TINY | {"n_samples": lengths}]}))
    monkeypatch.setattr(RunConfig, "compiles", False)  # long as one of them is
    given = argparse.Namespace(
        out=tmp_path / "out", sweep=file, seconds=20.0, streams=2, device="cpu"
    )
    gpu.sweep(given)
    found = json.loads((given.out / "sweep.json").read_text())
    runs = {path.name: Run.load(path) for path in (given.out / "runs").iterdir()}
    assert {one["key"] for one in found.values()} == runs.keys() and len(runs) == 2
    assert not any(problem for run in runs.values() for problem in problems_of(run))
    short, part = sorted(runs.values(), key=lambda run: run.config.n_samples)
    assert short.config == RunConfig(**TINY, n_samples=3_000)
    assert 3_000 < part.config.n_samples < 10**9
    listed = yaml.safe_load((given.out / "stored.yaml").read_text())["sweep"]
    assert {config.key for config in configs_of(listed)} == runs.keys()
    # the same command goes on with the one that is not finished
    (checkpoint,) = (given.out / "checkpoints").iterdir()
    gpu.sweep(given)
    reached = json.loads((given.out / "sweep.json").read_text())
    assert max(one["samples"] for one in reached.values()) > part.config.n_samples
    assert checkpoint.exists()


def test_a_stored_part_is_the_beginning_of_the_run(gpu, tmp_path):
    data = load_dataset("digits")
    config = RunConfig(**TINY, n_samples=9_000)
    gpu_run = gpu.trained(config, data, tmp_path, float("inf"))
    rows = Trainer(config, data).run(progress=False)
    store_run(tmp_path / "alone" / config.key, config, rows, None, {})
    stored = Run.load(tmp_path / "runs" / gpu_run["key"]).curve
    alone = Run.load(tmp_path / "alone" / config.key).curve
    assert stored["test_bound"].tolist() == alone["test_bound"].tolist()


def test_every_measurement_of_a_gpu_is_one_of_a_pace(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "images", lambda: gpu.mnist_like(1_000))
    monkeypatch.setattr(gpu, "SECONDS", 0.05)
    monkeypatch.setattr(gpu, "BESIDE", (2,))
    names, paces = zip(*gpu.measurements("cpu"), strict=True)
    assert len(set(names)) == len(names) > 8
    for name in ("AEVB, launched one by one", "AEVB, replayed, 2 threads"):
        found = paces[names.index(name)](hidden=(8,))
        assert 0 < found["lowest"] <= found["samples_per_second"] <= found["highest"]
