"""Stops and damage: kill -9 at any moment, workers without a parent, damaged checkpoints."""

import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import _ExecutorManagerThread
from contextlib import suppress

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from waiting import wait_until

import vae_core.runs.store as runs
from vae_core import RunConfig, find_run, get_or_run, load_dataset
from vae_core._atomic import StoreError, remove_orphans, replacing, write_text
from vae_core.runs import trainer as training
from vae_core.runs.checkpoint import (
    RunInterrupted,
    digest,
    load_checkpoint,
    resume,
    save_checkpoint,
)
from vae_core.runs.sweep import SweepError, configs_of, shard, sweep
from vae_core.runs.trainer import Trainer

pytestmark = pytest.mark.usefixtures("empty_reference")  # no committed run is found

N_KILLS, KILLS_A_RUN = 60, 20
# short of what is compiled, and hours of training
ENDLESS = {"dataset": "digits", "hidden": (8,), "n_samples": 10**8, "evals_per_decade": 1}


def config(**fields):
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 5_000}
    return RunConfig(**(small | fields))


@pytest.fixture
def forkserver():
    """Processes that start at once, from one that has imported torch but computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vae_core.runs.store", "vae_core.runs.trainer"])
    return context


def train_with_checkpoints(cache, reference, settings):
    """In a process of its own: a run that writes a checkpoint after every step."""
    os.environ |= {"VAE_CORE_CACHE": cache, "VAE_CORE_REFERENCE": reference}
    torch.set_num_threads(1)
    training.CHECKPOINT_SECONDS = 0.0
    get_or_run(RunConfig(**settings), progress=False)


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model().parameters()])


def test_sixty_kills_at_random_moments_change_nothing(forkserver, empty_reference, tmp_path):
    moments, n_kills, seed = random.Random(0), 0, 0
    while n_kills < N_KILLS:
        settings = config(seed=seed, n_samples=20_000).model_dump()
        arguments = str(runs.cache_dir()), str(empty_reference), settings
        for kill in range(KILLS_A_RUN + 1):
            process = forkserver.Process(target=train_with_checkpoints, args=arguments)
            process.start()
            process.join(moments.uniform(0.0, 0.3) if kill < KILLS_A_RUN else None)
            if process.exitcode is None:
                process.kill()
                n_kills += 1
            process.join()
        finished = find_run(RunConfig(**settings))
        trainer = Trainer(RunConfig(**settings), load_dataset("digits"))
        rows = trainer.run(progress=False)
        expected = {name: runs._json_number(value) for name, value in rows[-1].items()}
        stored = json.loads((finished.path / "run.json").read_text())["curve"]
        assert {name: column[-1] for name, column in stored.items()} == expected
        state = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        assert torch.equal(weights(finished), state)
        seed += 1
    for folder in ("runs", "checkpoints"):
        assert not list((runs.cache_dir() / folder).glob(".*"))


def test_of_three_processes_with_one_run_one_is_killed(forkserver, empty_reference):
    settings = config(n_samples=20_000).model_dump()
    arguments = str(runs.cache_dir()), str(empty_reference), settings
    three = [forkserver.Process(target=train_with_checkpoints, args=arguments) for _ in range(3)]
    for process in three:
        process.start()
    wait_until(lambda: list((runs.cache_dir() / "checkpoints").glob("*.safetensors")))
    three[0].kill()
    for process in three:
        process.join()
    assert [process.exitcode for process in three[1:]] == [0, 0]
    assert find_run(RunConfig(**settings)) is not None


SWEEP = """
import vae_core.runs.trainer
vae_core.runs.trainer.CHECKPOINT_SECONDS = 0.0
from vae_core import RunConfig
from vae_core.runs.sweep import sweep
if __name__ == "__main__":
    fields = {fields}
    list(sweep([RunConfig(**fields, seed=seed) for seed in range(2)], jobs=2, progress=False))
"""


def checkpoints():
    """When the newest checkpoint of each run was written."""
    with suppress(FileNotFoundError):  # one takes the place of another
        found = (runs.cache_dir() / "checkpoints").glob("*0.safetensors")
        return {path.name: path.stat().st_mtime_ns for path in found}
    return {}


def kill_a_sweep(file, how):
    """Stops the script once its two runs have new checkpoints; waits for all its processes."""
    before = checkpoints()
    process = subprocess.Popen(
        [sys.executable, file],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: len(checkpoints().items() - before.items()) == 2)
        process.send_signal(how)
        process.communicate(timeout=60)  # the workers hold the pipe until they end
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_workers_of_a_sweep_end_with_it(how, tmp_path):
    """Two workers, both in their last run: nothing is left in the queue that would wake them."""
    (tmp_path / "endless.py").write_text(SWEEP.format(fields=ENDLESS))
    kill_a_sweep(tmp_path / "endless.py", how)


@pytest.mark.nightly
def test_eight_kills_of_a_sweep_leave_no_process_and_change_nothing(tmp_path):
    fields = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 500_000}
    (tmp_path / "sweep.py").write_text(SWEEP.format(fields=fields))
    for how in 4 * [signal.SIGKILL, signal.SIGTERM]:
        kill_a_sweep(tmp_path / "sweep.py", how)
    configs = [RunConfig(**fields, seed=seed) for seed in range(2)]
    assert [find_run(c) for c in configs] == [None, None], "a run was over before the last kill"
    for run in sweep(configs, jobs=2, progress=False):
        trainer = Trainer(run.config, load_dataset("digits"))
        trainer.run(progress=False)
        state = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        assert torch.equal(weights(run), state)


def test_the_message_of_a_killed_worker_names_its_run(monkeypatch):
    """Of two workers one is killed; the other, which the pool then ends, is not to blame.

    The sweep sees it at once, though the pool knows a worker only after it has started.
    """
    start = multiprocessing.context.SpawnProcess.start

    def start_slowly(process):
        start(process)
        time.sleep(0.5)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", start_slowly)
    # as newer Pythons do it: a broken pool does not tell its workers to go
    monkeypatch.setattr(_ExecutorManagerThread, "shutdown_workers", lambda manager: None)
    spared, victim = (RunConfig(**ENDLESS, seed=seed) for seed in range(2))

    lock = str(runs.cache_dir() / "checkpoints" / f"{victim.key}.lock")

    def trains_the_victim():
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if lock in [file.path for file in child.open_files()]:
                    return child

    def kill():
        wait_until(trains_the_victim).kill()

    with ThreadPoolExecutor(1) as other, pytest.raises(SweepError) as failed:
        other.submit(kill)
        list(sweep([spared, victim], jobs=2, progress=False))
    message = str(failed.value)
    assert f"the worker that trained {victim.key} was killed" in message
    assert spared.key not in message and "\n" not in message


# Damage


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture
def folder(tmp_path):
    """An empty folder."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def two_checkpoints(digits, folder):
    """A trainer at 3,000 samples with the checkpoint of there and the one of 2,000 before."""
    trainer = Trainer(config(), digits)
    path = folder / f"{trainer.config.trajectory_key}.5000.safetensors"
    for until in (2_000, 3_000):
        trainer.run(until=until, progress=False)
        save_checkpoint(path, trainer)
    assert len(list(folder.iterdir())) == 2
    return trainer, path


def flip_one_bit(path):
    tensors = load_file(path)
    raw = bytearray(path.read_bytes())
    at = raw.find(
        tensors["params/" + next(n[7:] for n in tensors if n.startswith("params/"))]
        .numpy()
        .tobytes()[:16]
    )
    raw[at] ^= 1
    path.write_bytes(raw)


def other_shape(path):
    tensors = {name: t[:-1].contiguous() if t.ndim else t for name, t in load_file(path).items()}
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata() | {"sha256": ""}
    save_file(tensors, path, metadata)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "one bit": flip_one_bit,
    "of another shape": other_shape,
    "no checkpoint": lambda path: path.write_text("x" * 1000),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(damage, two_checkpoints, digits):
    trainer, path = two_checkpoints
    DAMAGE[damage](path)
    resumed = Trainer(config(), digits)
    with pytest.warns(UserWarning, match=path.name):
        resume(resumed, path.parent)
    assert resumed.samples == 2_000
    assert resumed.run(progress=False) == trainer.run(progress=False)


def test_the_hash_of_a_checkpoint_is_of_names_types_and_shapes_too():
    """Zeros of one number of bytes are not told apart by their content."""
    alike = [
        {"a": torch.zeros(4)},
        {"b": torch.zeros(4)},
        {"a": torch.zeros(2, 2)},
        {"a": torch.zeros(4, dtype=torch.int32)},
    ]
    assert len({digest(tensors, "{}") for tensors in alike}) == len(alike)


def test_with_no_sound_checkpoint_a_run_begins_anew(two_checkpoints, digits):
    _, path = two_checkpoints
    for file in path.parent.iterdir():
        file.write_bytes(b"")
    resumed = Trainer(config(), digits)
    with pytest.warns(UserWarning):
        resume(resumed, path.parent)
    assert resumed.samples == 0


def test_a_checkpoint_beyond_the_end_is_not_used(two_checkpoints, digits):
    _, path = two_checkpoints
    shorter = Trainer(config(n_samples=2_500), digits)
    resume(shorter, path.parent)
    assert shorter.samples == 2_000


def test_an_interruption_says_whether_there_is_a_checkpoint(digits, tmp_path, capfd):
    for path in (tmp_path / "c.safetensors", None):
        trainer = Trainer(config(n_samples=10**8), digits)
        advance = trainer.advance

        def stop_at_ten(most, trainer=trainer, advance=advance):
            advance(most)
            if trainer.samples == 1_000:
                os.kill(os.getpid(), signal.SIGINT)

        trainer.advance = stop_at_ten
        with pytest.raises(RunInterrupted) as stopped:
            trainer.run(path, progress=False)
        assert stopped.value.checkpoint == path and stopped.value.key == trainer.config.key
    assert "stopping after this step" in capfd.readouterr().err
    again = Trainer(config(n_samples=10**8), digits)
    load_checkpoint(tmp_path / "c.safetensors", again)
    assert again.samples == 1_000


def test_an_interruption_comes_back_from_a_worker_whole(tmp_path):
    told = pickle.loads(pickle.dumps(RunInterrupted("key", tmp_path)))
    assert (told.key, told.checkpoint) == ("key", tmp_path)


# Numbers that are none


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"step_size": 1e6}, "step_size=1000000.0 is too large; try a smaller one"),
        ({"algorithm": "wake_sleep", "step_size": 1e30}, r"wake_sleep-.* after step \d+"),
        (
            {
                "algorithm": "mcem",
                "n_train": 100,
                "step_size": 1e30,
                "log_marginal": "importance_sampling",
            },
            r"mcem-.*params/decoder",
        ),
        ({"prior_sd": 1e-9, "init_sd": 1e3}, "prior_sd=1e-09 is too narrow; try a wider one"),
        ({"algorithm": "autoencoder", "init_sd": 1e30}, "autoencoder-.* init_sd=1e.30, the scale"),
    ],
)
def test_a_run_that_diverges_is_not_stored(fields, message):
    diverging = config(n_samples=500, **fields)
    with pytest.raises(FloatingPointError, match=message):
        get_or_run(diverging, progress=False)
    assert find_run(diverging) is None
    assert not list((runs.cache_dir() / "checkpoints").glob("*.safetensors"))


def test_a_state_that_is_not_finite_leaves_the_last_checkpoint(two_checkpoints):
    trainer, path = two_checkpoints
    before = path.read_bytes()
    next(iter(trainer.state.params.values())).flatten()[0] = torch.inf
    with pytest.raises(FloatingPointError, match="params/.* is not finite after step 30"):
        save_checkpoint(path, trainer)
    assert path.read_bytes() == before


# Sweeps


def test_a_failing_run_does_not_end_its_sweep():
    good, bad = config(n_samples=500), config(n_samples=600, step_size=1e6)
    found = []
    with ThreadPoolExecutor(1) as executor, pytest.raises(SweepError) as failed:
        found.extend(run.key for run in [*sweep_into(found, [good, bad], executor)])
    assert found == [good.key]
    assert str(failed.value).startswith("1 of 2 runs failed\n" + bad.key)


def sweep_into(found, configs, executor):
    for run in sweep(configs, executor=executor, progress=False):
        found.append(run.key)
    return ()


def test_a_run_comes_back_from_elsewhere_as_its_files(forkserver, empty_reference, tmp_path):
    """A worker with a store of its own: nothing but the result is shared."""
    elsewhere = tmp_path / "elsewhere"
    settings = {"VAE_CORE_CACHE": str(elsewhere), "VAE_CORE_REFERENCE": str(empty_reference)}
    with ProcessPoolExecutor(1, forkserver, set_environment, (settings,)) as executor:
        (run,) = sweep([config(n_samples=500)], executor=executor)
    assert run.path.parent == runs.cache_dir() / "runs"
    there = elsewhere / "runs" / run.key
    for name in ("run.json", "model.safetensors"):
        assert (run.path / name).read_bytes() == (there / name).read_bytes()


def set_environment(settings):
    os.environ.update(settings)


def test_files_of_another_run_are_not_stored():
    other = get_or_run(config(n_samples=500), progress=False)
    files = {path.name: path.read_bytes() for path in other.path.iterdir()}
    with pytest.raises(ValueError, match="is another run"):
        runs.store_files(config(n_samples=600), files)
    assert find_run(config(n_samples=600)) is None


def test_shards_share_out_every_run_once():
    configs = [config(seed=seed, n_samples=100 * (seed + 1)) for seed in range(7)]
    parts = [shard(configs, i, 3) for i in (1, 2, 3)]
    assert sorted(c.seed for part in parts for c in part) == list(range(7))
    assert [part[0].seed for part in parts] == [6, 5, 4]  # the longest first in each
    many = config(n_samples=10_000, n_mc=100)  # costs more than it has samples
    assert shard([config(n_samples=20_000), many], 1, 2) == [many]
    small = config(n_samples=20_000, batch_size=5)  # twenty times as many steps
    assert shard([config(n_samples=40_000, batch_size=100), small], 1, 2) == [small]
    for index in (0, 4):
        with pytest.raises(ValueError, match=f"shard {index}/3"):
            shard(configs, index, 3)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"hidden": 16}], "hidden"),
        ([{"a": 1}], "unknown field 'a'"),
        ({"a": 1}, "is not a list"),
        ("seed", "is not a list"),
        (["seed"], "sweep entry 'seed'"),
        ([{"seed": []}], "seed has no value"),
        ([None], "sweep entry None"),
    ],
)
def test_a_bad_sweep_entry_is_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        configs_of(entries)


# Files


def test_a_file_is_there_whole_or_not_at_all(folder):
    path = folder / "x.txt"
    write_text(path, "first")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first" and list(folder.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_is_one_line(folder):
    path = folder / "x.txt"
    with pytest.raises(StoreError) as failed, replacing(path):
        raise OSError(28, "No space left on device")
    assert "No space left" in str(failed.value) and "\n" not in str(failed.value)


def test_a_folder_takes_the_place_of_another(folder):
    run = folder / "run"
    for text in ("old", "new"):
        with replacing(run) as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert [path.name for path in run.iterdir()] == ["new"]
    assert list(folder.iterdir()) == [run]


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(folder):
    dead = subprocess.Popen(["true"])
    dead.wait()
    with replacing(folder / "x") as mine:
        mine.write_text("mine")
        orphan = folder / mine.name.replace(str(os.getpid()), str(dead.pid))
        orphan.write_text("orphan")
        orphan.with_name(orphan.name.replace(".x.", ".y.")).mkdir()
        orphan.with_name(orphan.name.replace(".tmp", ".0.tmp")).mkdir()  # that was replaced
        remove_orphans(folder)
        assert list(folder.iterdir()) == [mine]
