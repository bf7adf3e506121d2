"""Verification: an honest run follows, and each of many tamperings does not."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vae_core import RunConfig, get_or_run
from vae_core.runs import Run, load_data, metrics
from vae_core.runs.checks import SUMS, metrics_again, sha256_sums
from vae_core.runs.plan import is_evaluated, schedule
from vae_core.runs.verify import _verify_folder, verify, verify_all

SETTINGS = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 8_000}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A small run with a metric, and without the hashes that a forger would have made anew."""
    patch = pytest.MonkeyPatch()
    patch.setenv("VAE_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.delenv("VAE_CORE_TRAIN", raising=False)
    run = get_or_run(RunConfig(**SETTINGS), progress=False)
    metrics.bound_variance(run)
    yield run.path
    patch.undo()


@pytest.fixture
def forged(honest, tmp_path):
    """A copy of the run's folder, without its hashes."""
    folder = tmp_path / "runs" / honest.name
    shutil.copytree(honest, folder)
    edit(folder, lambda stored: stored["provenance"].pop("sha256"))
    return folder


def edit(folder, change):
    stored = json.loads((folder / "run.json").read_text())
    change(stored)
    (folder / "run.json").write_text(json.dumps(stored))


def of_curve(change):
    """A tampering that maps each column of the curve by ``change(name, values)``."""

    def tamper(stored):
        stored["curve"] = {name: change(name, v) for name, v in stored["curve"].items()}

    return tamper


def of_column(column, change):
    return of_curve(lambda name, v: change(v) if name == column else v)


def renamed(stored):
    stored["curve"]["test_elbo"] = stored["curve"].pop("test_bound")


CURVES = {
    "8 nats more after the second row": of_column("test_bound", lambda v: v[:2] + more(v[2:])),
    "8 nats more everywhere": of_column("train_bound", lambda v: more(v)),
    "the middle row alone": of_column("test_bound", lambda v: [*v[:5], v[5] + 0.5, *v[6:]]),
    "another sign": of_column("test_bound", lambda v: [-x for x in v]),
    "doubled samples": of_column("samples", lambda v: [2 * x for x in v]),
    "halved samples": of_column("samples", lambda v: [x // 2 for x in v]),
    "a deleted column": lambda stored: stored["curve"].pop("test_bound"),
    "a null column": of_column("test_bound", lambda v: [None] * len(v)),
    "a null": of_column("train_bound", lambda v: [None, *v[1:]]),
    "an infinity": of_column("train_bound", lambda v: [*v[:-1], float("-inf")]),
    "a renamed column": renamed,
    "one more column": lambda s: s["curve"].update(train_log_marginal=s["curve"]["test_bound"]),
    "repeated rows": of_curve(lambda name, v: [*v[:4], v[3], *v[4:]]),
    "a missing row": of_curve(lambda name, v: v[:4] + v[5:]),
    "swapped rows": of_curve(lambda name, v: [*v[:3], v[4], v[3], *v[5:]]),
    "cut short": of_curve(lambda name, v: v[:-2]),
    "the first row alone": of_curve(lambda name, v: v[:1]),
    "no rows": of_curve(lambda name, v: []),
    "minibatches shifted": of_column("train_bound_minibatch", lambda v: more(v, 0.5)),
    "columns exchanged": lambda s: s["curve"].update(test_bound=s["curve"]["train_bound"]),
}
RECORDS = {
    "another seed": lambda stored: stored["config"].update(seed=1),
    "a longer run than it was": lambda stored: stored["config"].update(n_samples=9_000),
    "newer semantics": lambda stored: stored["config"].update(semantics=2),
    "no hashes": lambda stored: stored["provenance"].update(sha256=None),
    "no device": lambda stored: stored["provenance"].update(device=None),
    "a metric that is no number": lambda stored: stored["metrics"].update(x=float("nan")),
}


def more(values, by=8.0):
    return [None if value is None else value + by for value in values]


@pytest.mark.parametrize("name", [*CURVES, *RECORDS])
def test_a_tampered_record_does_not_follow(name, forged):
    edit(forged, (CURVES | RECORDS)[name])
    assert not _verify_folder(forged, 1.0, quick=True).ok


def flipped(tensors):
    weights = next(iter(tensors.values()))
    weights.view(torch.int32).flatten()[0] ^= 1 << 30  # the highest bit of an exponent


def random(tensors):
    generator = torch.Generator().manual_seed(0)
    for tensor in tensors.values():
        tensor.normal_(0, 0.01, generator=generator)


def of_other_shape(tensors):
    name = next(iter(tensors))
    tensors[name] = tensors[name][:-1].contiguous()


WEIGHTS = {
    "flipped": flipped,
    "random": random,
    "of another shape": of_other_shape,
    "not a number": lambda tensors: next(iter(tensors.values())).fill_(torch.nan),
    "scaled by a hundredth": lambda tensors: [tensor.mul_(1.01) for tensor in tensors.values()],
    "missing one": lambda tensors: tensors.pop(next(iter(tensors))),
}


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_tampered_weights_do_not_follow(name, forged):
    tensors = load_file(forged / "model.safetensors")
    WEIGHTS[name](tensors)
    save_file(tensors, forged / "model.safetensors")
    assert not _verify_folder(forged, 1.0, quick=True).ok


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_weights_that_are_empty_or_cut_short_do_not_follow(share, forged):
    path = forged / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    found = _verify_folder(forged, 1.0, quick=True)
    assert not found.ok and "its weights cannot be used" in str(found)


@pytest.mark.parametrize("value", [{"variance": 10.0}, {"variance": 1e-6}, {"mean": -20.0}])
def test_a_faked_variance_does_not_follow(value, forged):
    path = forged / "metrics.json"
    stored = json.loads(path.read_text())
    stored["bound_variance/test/50"] |= value
    path.write_text(json.dumps(stored))
    found = _verify_folder(forged, 1.0, quick=True)
    assert not found.ok and "bound_variance/test/50" in str(found)


@pytest.mark.parametrize(
    "metric",
    [
        {"bound_variance/test/50": {"mean": -20.0}},
        {"mcem_acceptance": {}},
        {"log_marginal": {"mean": -20.0}},
        {"log_marginal/test/importance_sampling/50/n_samples=1000,proposal=hmc": {}},
    ],
)
def test_metrics_that_cannot_be_read_do_not_follow(metric, forged):
    (forged / "metrics.json").write_text(json.dumps(metric))
    for found in (_verify_folder(forged, 1.0, quick=True), verify(Run.load(forged), quick=True)):
        assert not found.ok and "its record cannot be read" in str(found)


def test_a_faked_marginal_likelihood_does_not_follow(forged):
    name = "log_marginal/test/importance_sampling/50/n_samples=1000,proposal=hmc"
    run = Run.load(forged)
    right = metrics.mean_log_marginal(run, "test", "importance_sampling", 50)
    data = load_data(run.config)
    for by, is_told in ((0.0, False), (3.0, True)):
        forgery = replace(run, metrics={name: right | {"mean": right["mean"] + by}})
        assert (name in str(metrics_again(forgery, data))) == is_told


def test_a_renamed_folder_does_not_follow(forged):
    other = forged.with_name("digits-aevb-z2-s0-00000000")
    forged.rename(other)
    found = _verify_folder(other, 1.0, quick=True)
    assert not found.ok and forged.name in str(found)


def test_an_honest_run_follows_to_the_last_bit(honest, forged):
    for folder in (honest, forged):
        found = verify(Run.load(folder), quick=True, progress=False)
        assert found.ok and found.difference < 1e-6 and found.at_end < 1e-4
        assert found.samples == 8_000  # so small a run is trained again whole


def test_what_was_stored_is_known_by_its_hash(honest, tmp_path):
    """On a run too long to be trained again, a change in the middle is told from the hash."""
    folder = tmp_path / honest.name
    shutil.copytree(honest, folder)
    edit(folder, of_column("test_bound", lambda v: [*v[:5], v[5] + 1e-6, *v[6:]]))
    assert "the curve is not what was stored" in str(_verify_folder(folder, 1.0, quick=True))


def test_half_precision_of_the_weights_is_allowed_and_keeps_their_hash(honest, tmp_path):
    folder = tmp_path / honest.name
    shutil.copytree(honest, folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({n: t.half() for n, t in tensors.items()}, folder / "model.safetensors")
    found = _verify_folder(folder, 1.0, quick=True)
    assert found.ok and 0 < found.at_end < 0.1


def test_committed_files_are_compared_with_their_sums(forged):
    sums = forged.parent / SUMS
    sums.write_text(sha256_sums(forged.parent))
    assert _verify_folder(forged, 1.0, quick=True).ok
    (forged / "metrics.json").unlink()
    found = _verify_folder(forged, 1.0, quick=True)
    assert found.problems == (f"{forged.name}/metrics.json is not as in {SUMS}",)


def test_on_another_processor_more_is_allowed(forged):
    def elsewhere(stored):
        stored["provenance"]["device"] = "Other"
        stored["curve"]["test_bound"][0] += 0.02

    edit(forged, elsewhere)
    found = _verify_folder(forged, 1.0, quick=True)
    assert found.ok and found.allowed == pytest.approx(0.005 * 33.7, rel=0.05)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_without_its_gpu_a_run_is_held_to_its_record_and_its_weights(shift, forged, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    edit(forged, lambda stored: stored["config"].update(device="cuda"))
    folder = forged.rename(forged.with_name(RunConfig(**SETTINGS, device="cuda").key))
    tensors = load_file(folder / "model.safetensors")
    tensors["decoder.2.bias"] += shift
    save_file(tensors, folder / "model.safetensors")
    found = verify(Run.load(folder), progress=False)
    assert found.ok == (shift == 0) and found.n_rows == 0
    if found.ok:
        assert "without the GPU" in str(found)


def test_many_are_verified_side_by_side_and_a_broken_one_is_told(forged):
    broken = forged.parent / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    found = {v.key: v for v in verify_all([forged, broken], quick=True, jobs=2)}
    assert found[forged.name].ok and not found["broken"].ok
    assert "is not a finished run" in str(found["broken"])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n_samples": 123_456, "evals_per_decade": 40},
        {"n_train": 333, "batch_size": 70, "n_samples": 50_000},
        {"algorithm": "mcem", "n_train": 200, "n_samples": 100_000},
        {"evals_per_decade": 1},
    ],
)
def test_the_schedule_is_that_of_the_trainer(fields):
    config = RunConfig(**SETTINGS | fields)
    per_step = 15 * config.n_train if config.algorithm == "mcem" else config.batch_size
    end = -(-config.n_samples // per_step) * per_step
    steps = range(per_step, end + 1, per_step)
    expected = [n for n in steps if is_evaluated(n, per_step, config) or n == end]
    assert list(schedule(config)) == expected
    assert np.all(np.diff(expected) > 0)
