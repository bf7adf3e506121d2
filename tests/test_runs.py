import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest
import torch
from filelock import FileLock
from waiting import wait_until

import vae_core.runs.config as settings
import vae_core.runs.store as runs
from vae_core import RunConfig, all_runs, find_run, get_or_run
from vae_core.runs import MissingRunError, Run
from vae_core.runs.verify import verify

pytestmark = pytest.mark.usefixtures("empty_reference")  # no committed run is found


def config(**fields):
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 5_000}
    return RunConfig(**(small | fields))


def quiet(config, **arguments):
    return get_or_run(config, progress=False, **arguments)


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model().parameters()])


def test_a_run_is_trained_once_and_found_again(monkeypatch):
    first = quiet(config())
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    again = quiet(config())
    assert again.path == first.path and find_run(config()).key == config().key
    assert np.array_equal(first.curve["test_bound"], again.curve["test_bound"])


def test_training_is_seen_unless_one_asks_for_quiet(capfd):
    get_or_run(config(seed=1))
    assert "digits-aevb-z2-s1" in capfd.readouterr().err
    quiet(config(seed=2))
    assert "digits-aevb-z2-s2" not in capfd.readouterr().err


def test_what_is_stored_is_what_the_contract_says():
    run = quiet(config())
    stored = json.loads((run.path / "run.json").read_text())
    assert sorted(p.name for p in run.path.iterdir()) == ["model.safetensors", "run.json"]
    columns = {"samples", "train_bound", "train_bound_minibatch", "test_bound"}
    assert set(stored["curve"]) == columns
    assert len({len(column) for column in stored["curve"].values()}) == 1
    assert stored["curve"]["samples"][-1] == 5_000
    assert RunConfig(**stored["config"]) == config()
    recorded = {"versions", "source_sha256", "data_sha256", "device", "threads", "wall_seconds"}
    assert recorded <= set(stored["provenance"])


def test_training_is_refused_where_it_is_forbidden(monkeypatch):
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    with pytest.raises(MissingRunError, match=f"{config().key}.*VAE_CORE_TRAIN=never"):
        quiet(config())


def test_a_longer_run_continues_the_shorter_one(monkeypatch):
    whole = quiet(config(n_samples=8_000))
    curve, final = whole.curve, weights(whole)
    for path in [whole.path / "run.json", *(runs.cache_dir() / "checkpoints").glob("*.safe*")]:
        path.unlink()
    quiet(config(n_samples=5_000))
    started = []
    resume = runs.resume
    monkeypatch.setattr(
        runs, "resume", lambda trainer, at: (resume(trainer, at), started.append(trainer.samples))
    )
    extended = quiet(config(n_samples=8_000))
    assert started == [5_000]
    assert torch.equal(weights(extended), final)
    for name, column in extended.curve.items():
        assert np.array_equal(column, curve[name], equal_nan=True)


def wait_for_checkpoint(process):
    """Until ``process`` has written a checkpoint; the folder where it lies."""
    folder = runs.cache_dir() / "checkpoints"
    wait_until(lambda: process.poll() is not None or list(folder.glob("*.safetensors")))
    assert process.poll() is None, "no checkpoint was written"
    return folder


def test_a_run_that_was_killed_resumes_and_ends_in_the_same_place(tmp_path):
    """kill -9 in the middle; the same call then ends bit for bit where a quiet run ends."""
    fields = "dict(dataset='digits', latent_dim=2, hidden=(8,), n_samples=40_000)"
    script = (
        "import vae_core.runs.trainer as t, torch\n"
        "t.CHECKPOINT_SECONDS = 0.0; torch.set_num_threads(1)\n"
        f"from vae_core import *; get_or_run(RunConfig(**{fields}), progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    wait_for_checkpoint(process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    big = config(n_samples=40_000)
    assert find_run(big) is None, "the run was over before it could be killed"
    resumed = quiet(big)
    os.environ["VAE_CORE_CACHE"] = str(tmp_path / "other")
    undisturbed = quiet(big)
    assert resumed.path != undisturbed.path
    assert torch.equal(weights(resumed), weights(undisturbed))
    stored = [
        json.loads((r.path / "run.json").read_text())["curve"] for r in (resumed, undisturbed)
    ]
    assert stored[0] == stored[1]


def test_the_workers_of_a_sweep_end_with_it():
    """kill -9 of the sweep: its worker stops too, and does not go on to the runs in the queue."""
    script = (
        "import vae_core.runs.trainer\nvae_core.runs.trainer.CHECKPOINT_SECONDS = 0.0\n"
        "from vae_core import RunConfig\nfrom vae_core.runs.sweep import sweep\n"
        "if __name__ == '__main__':\n"
        "    endless = dict(dataset='digits', hidden=(8,), n_samples=10**8, evals_per_decade=1)\n"
        "    configs = [RunConfig(**endless, seed=seed) for seed in range(3)]\n"
        "    list(sweep(configs, jobs=1, progress=False))\n"
    )
    file = runs.cache_dir() / "endless.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script)
    process = subprocess.Popen(
        [sys.executable, file], stdout=subprocess.PIPE, start_new_session=True
    )
    folder = wait_for_checkpoint(process)
    process.send_signal(signal.SIGKILL)
    try:
        process.communicate(timeout=120)  # the worker holds the pipe until it ends
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert len(list(folder.glob("*.lock"))) == 1


def test_a_run_that_cannot_be_written_leaves_nothing_behind(monkeypatch):
    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "write_tensors", no_space)
    with pytest.raises(OSError, match="No space left"):
        quiet(config())
    assert find_run(config()) is None and not list((runs.cache_dir() / "runs").iterdir())
    monkeypatch.undo()


def test_reference_runs_come_first_and_may_lack_weights(empty_reference):
    run = quiet(config())
    (empty_reference / run.key).mkdir()
    (empty_reference / run.key / "run.json").write_bytes((run.path / "run.json").read_bytes())
    found = find_run(config())
    assert found.path.parent == empty_reference and not found.has_weights
    with pytest.raises(LookupError, match="stored without weights"):
        found.model()
    assert find_run(config(), weights=True).path == run.path == Run.load(str(run.path)).path
    assert [r.path.parent for r in all_runs()] == [empty_reference]


@pytest.mark.parametrize(
    ("given", "kept"), [({"x": {"mean": 1.0}}, {"x": {"mean": 1.0}}), (None, {})]
)
def test_a_run_is_stored_with_the_metrics_that_it_has(given, kept, tmp_path):
    rows = [{"samples": 1, "test_bound": -1.0}]
    runs.store_run(tmp_path / "run", config(), rows, None, {}, given)
    assert Run.load(tmp_path / "run").metrics == kept


def test_metrics_that_cannot_be_read_are_told_and_left_out():
    run = quiet(config())
    (run.path / "metrics.json").write_text("[")
    with pytest.warns(UserWarning, match="metrics.json holds no metrics"):
        assert find_run(config()).metrics == {}


def test_a_file_that_is_not_a_run_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="run.json is not a finished run"):
        Run.load(tmp_path)


def test_one_bad_folder_does_not_hide_the_others(monkeypatch):
    good, cache = quiet(config()), runs.cache_dir() / "runs"
    other = json.loads((good.path / "run.json").read_text())
    other["config"]["semantics"] = 99
    bad = {"a-no-json": "{", "b-a-list": "[]", "c-no-curve": '{"config": {}}', "d-text": "\0"}
    bad["e-newer"] = json.dumps(other)
    other["config"]["semantics"], other["curve"]["samples"] = 1, [1]
    bad["f-ragged"] = json.dumps(other)
    for name, text in bad.items():
        (cache / name).mkdir()
        (cache / name / "run.json").write_text(text)
    (cache / "g-folder" / "run.json").mkdir(parents=True)
    shutil.copytree(good.path, cache / f".{good.key}.abc")  # kill -9 while it was stored
    with pytest.warns(UserWarning) as warned:
        assert [run.key for run in all_runs()] == [good.key]
    messages = [str(warning.message) for warning in warned]
    assert len(messages) == 7 and all("\n" not in message for message in messages)
    for name, message in zip([*sorted(bad), "g-folder"], messages, strict=True):
        assert str(cache / name / "run.json") in message


def test_a_damaged_run_is_trained_again():
    run = quiet(config())
    before = run.curve["test_bound"]
    (run.path / "run.json").write_text("{")
    with pytest.warns(UserWarning, match=f"skipped: {run.path}"):
        assert find_run(config()) is None
    with pytest.warns(UserWarning, match="skipped"):
        again = quiet(config())
    assert again.path == run.path and np.array_equal(again.curve["test_bound"], before)


def test_runs_of_other_semantics_are_absent(monkeypatch):
    old = quiet(config())
    monkeypatch.setattr(settings, "SEMANTICS", 2)
    assert find_run(config()) is None
    with pytest.warns(UserWarning, match="semantics=1"):
        assert all_runs() == []
    assert quiet(config()).key != old.key


def test_another_config_under_the_same_key_is_not_taken():
    run = quiet(config())
    stored = json.loads((run.path / "run.json").read_text())
    stored["config"]["seed"] = 7
    (run.path / "run.json").write_text(json.dumps(stored))
    assert find_run(config()) is None


def test_what_is_stored_may_be_read_by_others():
    run = quiet(config())
    modes = {path.name: path.stat().st_mode & 0o777 for path in run.path.iterdir()}
    assert modes == {"model.safetensors": 0o644, "run.json": 0o644}
    assert run.path.stat().st_mode & 0o777 == 0o755


def test_at_interpolates_in_log_samples_and_not_beyond_the_ends():
    curve = {"samples": np.array([1e3, 1e5]), "test_bound": np.array([-200.0, -100.0])}
    run = Run(None, config(), curve)
    assert run.at(1e4) == pytest.approx(-150.0) and run.at(1e3) == -200.0
    assert np.isnan(run.at(1e6)) and np.isnan(run.at(10))


def test_the_stored_model_is_the_trained_one():
    run = quiet(config())
    data = runs.load_data(run.config)
    generator = torch.Generator().manual_seed(2**32 + 5_000)
    arguments = {"generator": generator}
    bounds = [
        runs.Trainer(run.config, data).algorithm.bound(run.model(), x, **arguments).sum().item()
        for x in (*data.train.split(1_000), *data.test.split(1_000))
    ]
    assert sum(bounds[:2]) / 1_500 == pytest.approx(run.curve["train_bound"][-1], abs=1e-4)
    assert bounds[2] / 297 == pytest.approx(run.curve["test_bound"][-1], abs=1e-4)


def test_verify_reproduces_a_stored_run_to_the_last_bit():
    result = verify(quiet(config()), fraction=1.0, progress=False)
    assert result.ok and result.difference < 1e-6 and result.samples == 5_000


def test_verify_notices_a_curve_that_does_not_follow_from_the_code():
    run = quiet(config())
    path = run.path / "run.json"
    stored = json.loads(path.read_text())
    stored["curve"]["test_bound"][1] += 2.0
    path.write_text(json.dumps(stored))
    result = verify(Run.load(run.path), fraction=1.0, progress=False)
    assert not result.ok and result.difference == pytest.approx(2.0, abs=1e-4)


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.5])
def test_verify_refuses_a_fraction_outside_the_run(fraction):
    with pytest.raises(ValueError, match=f"fraction={fraction}"):
        verify(Run(None, config(), {}), fraction)


def test_runs_can_be_looked_for_among_runs():
    one, other = (get_or_run(config(seed=seed), progress=False) for seed in (0, 1))
    again = Run.load(one.path)
    assert again == one and again != other and again != one.path
    assert all_runs().index(again) == all_runs().index(one) and again in {one}


def test_who_finds_a_run_in_training_waits_for_it(monkeypatch, capsys):
    order, path = [], runs.cache_dir() / "checkpoints" / f"{config().key}.lock"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(runs, "_train", lambda *arguments: order.append("trained"))
    second = threading.Thread(target=get_or_run, args=(config(),))
    with FileLock(path):
        second.start()
        wait_until(lambda: "waiting for another process" in capsys.readouterr().err)
        order.append("released")
    second.join()
    assert order == ["released", "trained"]
