"""Committed runs are copies of the cache's, whole, with half-precision weights where asked for."""

import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import vae_core as vc
from vae_book.build.store_reference import copy_run, main

SWEEP = """sweep:
  - {dataset: digits, latent_dim: 2, hidden: [6], n_samples: 1e3, seed: [0, 1]}
"""


@pytest.fixture
def trained(empty_reference, tmp_path):
    """A sweep of two runs, one of which is trained; its file, and the run."""
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP)
    config = vc.RunConfig(dataset="digits", latent_dim=2, hidden=(6,), n_samples=1_000)
    return file, vc.get_or_run(config, progress=False)


def stored(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_runs_are_copied_with_the_weights_that_are_asked_for(trained, empty_reference):
    file, run = trained
    copied, missing = stored(file)
    assert copied.startswith(f"{run.key}: ") and missing.endswith(": not trained yet")
    found = vc.find_run(run.config)
    assert found.path == empty_reference / run.key and not found.has_weights
    assert (found.path / "run.json").read_text() == (run.path / "run.json").read_text()
    stored(file, "--weights", "aevb")
    halves = load_file(empty_reference / run.key / "model.safetensors")
    assert {tensor.dtype for tensor in halves.values()} == {torch.float16}
    assert stored(file)[0] == f"{run.key}: stays as it is, with its weights"
    sums = (empty_reference / "SHA256SUMS").read_text()
    assert f"{run.key}/run.json" in sums and f"{run.key}/model.safetensors" in sums


def test_what_cannot_be_copied_leaves_what_is_there(trained, empty_reference):
    file, run = trained
    stored(file, "--weights", "aevb")
    kept = {path.name: path.read_bytes() for path in (empty_reference / run.key).iterdir()}
    (run.path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError):
        copy_run(run.path, empty_reference / run.key, weights=True)
    assert kept == {path.name: path.read_bytes() for path in (empty_reference / run.key).iterdir()}


def test_metrics_that_were_computed_of_it_stay(trained, empty_reference):
    file, run = trained
    stored(file)
    metrics = empty_reference / run.key / "metrics.json"
    metrics.write_text(json.dumps({"strangeness": {"value": 1.0}}))
    stored(file)
    assert json.loads(metrics.read_text()) == {"strangeness": {"value": 1.0}}
