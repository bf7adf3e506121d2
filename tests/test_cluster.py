"""Sweeps beyond one machine: a real Dask scheduler with two workers, shards, and no locks."""

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from distributed import Client, LocalCluster
from waiting import wait_until

import vae_core.runs.cluster as cluster
import vae_core.runs.store as store
from vae_book.cli import cli
from vae_core import RunConfig, get_or_run
from vae_core.runs.checkpoint import load_checkpoint, save_checkpoint
from vae_core.runs.sweep import configs_of, shard, sweep

EXAMPLES = Path(__file__).parents[1] / "book/examples"
SWEEP = """sweep:
  - {dataset: digits, latent_dim: 2, hidden: [[8]], evals_per_decade: 1, n_samples: 60_000,
     seed: [0, 1, 2, 3]}
"""


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def configs(file):
    return configs_of(yaml.safe_load(file.read_text())["sweep"])


def finished(cache):
    return {path.parent.name for path in cache.glob("runs/[!.]*/run.json")}


def begun(cache):
    return {path.stem for path in cache.glob("checkpoints/*.lock")}


class Worker:
    """A Dask worker in its own process, with a store of its own or one that it is given."""

    def __init__(self, address, folder, reference, cache=None, first=""):
        self.cache = cache or folder / "cache"
        own = {"VAE_CORE_CACHE": str(self.cache), "VAE_CORE_REFERENCE": str(reference)}
        command = "distributed.cli.dask_worker --nthreads 1 --no-nanny --no-dashboard"
        options = ["--local-directory", folder, *(["--preload", first] if first else [])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command.split(), *options, address],
            env=os.environ | own,
            stderr=subprocess.DEVNULL,
        )

    def stop(self):
        """Holds it where it is; returns once all of its threads stand still."""
        self.process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "the worker has ended"

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def scheduler(tmp_path):
    """The address of a scheduler on 127.0.0.1."""
    where = tmp_path / "scheduler.json"
    command = "distributed.cli.dask_scheduler --host 127.0.0.1 --port 0 --no-dashboard"
    process = subprocess.Popen(
        [sys.executable, "-m", *command.split(), "--scheduler-file", where],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: where.exists() and where.read_text().endswith("}"))
        yield yaml.safe_load(where.read_text())["address"]
    finally:
        process.kill()
        process.wait()


@contextmanager
def sweep_by_dask(file, address):
    """The command, in a process of its own, which ends with the block."""
    command = [sys.executable, "-m", "vae_book.cli", "sweep", file, "--dask", address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def kill_in_the_middle(worker, own_store):
    """SIGKILL while a run is under way and all that is finished has been handed over."""
    while True:
        wait_until(lambda: begun(worker.cache) - finished(worker.cache))
        worker.stop()
        lost = begun(worker.cache) - finished(worker.cache)
        if lost and finished(worker.cache) <= finished(own_store):
            worker.kill()
            return lost
        worker.go_on()


def test_a_killed_worker_costs_a_sweep_nothing_but_its_own_run(
    scheduler, file, configs, own_store, empty_reference, tmp_path, monkeypatch
):
    first, second = (Worker(scheduler, tmp_path / n, empty_reference) for n in ("a", "b"))
    try:
        with Client(scheduler, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=300)
        with sweep_by_dask(file, scheduler) as process:
            (lost,) = kill_in_the_middle(first, own_store)
            out, err = process.communicate(timeout=300)
    finally:
        for worker in (first, second):
            worker.kill()
    assert process.returncode == 0, err
    keys = {config.key for config in configs}
    assert finished(own_store) == keys and lost in keys
    assert sorted(line.split()[0] for line in out.splitlines()) == sorted(keys)
    # each was computed once, but for the one that was lost under way
    assert finished(first.cache) | finished(second.cache) == keys
    assert not finished(first.cache) & finished(second.cache)
    assert lost in finished(second.cache)
    # and is what this process computes
    again = next(config for config in configs if config.key == lost)
    from_worker = (own_store / "runs" / lost / "model.safetensors").read_bytes()
    monkeypatch.setenv("VAE_CORE_CACHE", str(tmp_path / "here"))
    here = get_or_run(again, progress=False)
    assert (here.path / "model.safetensors").read_bytes() == from_worker


OFTEN = "import vae_core.runs.trainer as training; training.CHECKPOINT_SECONDS = 0.0"
MARK = 10**6  # seconds, which are counted over all sittings of a run


def stop_in_the_middle(worker, configs):
    """SIGSTOP while a run is under way and has a checkpoint; which run, and the checkpoint."""
    checkpoints = worker.cache / "checkpoints"
    while True:
        wait_until(lambda: [*checkpoints.glob("*[0-9].safetensors")])
        worker.stop()
        for config in configs:
            path = checkpoints / f"{config.trajectory_key}.{config.n_samples}.safetensors"
            if path.exists() and config.key not in finished(worker.cache):
                return config, path
        worker.go_on()


def test_where_workers_share_a_store_one_goes_on_from_the_checkpoint_of_another(
    scheduler, file, configs, own_store, empty_reference, tmp_path, monkeypatch
):
    workers = [Worker(scheduler, tmp_path / "a", empty_reference, own_store, first=OFTEN)]
    try:
        with sweep_by_dask(file, scheduler) as process:
            config, path = stop_in_the_middle(workers[0], configs)
            stopped = store.Trainer(config, store.load_data(config))
            load_checkpoint(path, stopped)
            stopped.seconds += MARK
            save_checkpoint(path, stopped)
            workers.append(Worker(scheduler, tmp_path / "b", empty_reference, own_store))
            workers[0].kill()
            _, err = process.communicate(timeout=300)
    finally:
        for worker in workers:
            worker.kill()
    assert process.returncode == 0, err
    assert 0 < stopped.samples < config.n_samples
    assert finished(own_store) == {one.key for one in configs}
    # the mark came along, so the run was not begun anew
    marked = {one.key for one in configs if get_or_run(one).provenance["wall_seconds"] >= MARK}
    assert marked == {config.key}
    # and ends where an uninterrupted run ends
    weights = (own_store / "runs" / config.key / "model.safetensors").read_bytes()
    monkeypatch.setenv("VAE_CORE_CACHE", str(tmp_path / "here"))
    here = get_or_run(config, progress=False)
    assert (here.path / "model.safetensors").read_bytes() == weights


def test_a_run_comes_back_from_a_process_of_loky(configs, own_store, empty_reference, tmp_path):
    from joblib.externals.loky import ProcessPoolExecutor

    there = tmp_path / "there"
    with ProcessPoolExecutor(1, env={"VAE_CORE_CACHE": str(there)}) as executor:
        (run,) = sweep(configs[:1], executor=executor)
    assert run.path == own_store / "runs" / configs[0].key
    assert finished(there) == finished(own_store) == {configs[0].key}


def test_a_worker_with_several_threads_is_refused():
    options = {"processes": False, "n_workers": 1, "dashboard_address": ":0"}
    with LocalCluster(threads_per_worker=2, **options) as local:
        with pytest.raises(ValueError, match="several threads: use --nthreads 1"):
            with cluster.dask_executor(local.scheduler_address):
                pass


def test_a_scheduler_that_does_not_answer_is_told_in_one_line(file, monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_TO_ANSWER", 0.2)
    result = invoke("sweep", file, "--dask", "tcp://127.0.0.1:9")
    assert result.exit_code == 1 and "127.0.0.1:9" in result.stderr, result.output


def test_without_the_package_the_extra_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = invoke("sweep", file, "--dask", "tcp://127.0.0.1:9")
    assert result.exit_code == 2 and "pip install 'vae_core[cluster]'" in result.stderr


def test_the_shards_of_a_sweep_are_its_runs(file, configs):
    listed = [
        line.split()[0]
        for part in ("1/3", "2/3", "3/3")
        for line in invoke("sweep", file, "--shard", part, "--dry-run").stdout.splitlines()
    ]
    assert sorted(listed) == sorted(config.key for config in configs)
    assert listed[:2] == [config.key for config in shard(configs, 1, 3)]


@pytest.mark.parametrize(
    ("part", "message"),
    [("3", "such as 1/8"), ("a/b", "such as 1/8"), ("4/3", "one of 1 to 3"), ("0/3", "one of 1")],
)
def test_a_shard_that_is_none_is_refused(part, message, file):
    result = invoke("sweep", file, "--shard", part, "--dry-run")
    assert result.exit_code == 2 and message in result.stderr, result.output


def test_two_trainings_without_a_lock_end_as_one_run(own_store, empty_reference, monkeypatch):
    """As on a network disk whose locks hold nothing: the second one ends within the first."""
    config = RunConfig(dataset="digits", latent_dim=2, hidden=(8,), n_samples=1_000)
    monkeypatch.setattr(store, "locked", lambda *_: nullcontext())
    train, inner = store.Trainer.run, []

    def train_twice(self, *args, **kwargs):
        rows = train(self, *args, **kwargs)
        if not inner:
            inner.append(None)
            inner[0] = (get_or_run(config, progress=False).path / "model.safetensors").read_bytes()
        return rows

    monkeypatch.setattr(store.Trainer, "run", train_twice)
    run = get_or_run(config, progress=False)
    assert (run.path / "model.safetensors").read_bytes() == inner[0]
    assert [path.name for path in (own_store / "runs").iterdir()] == [config.key]


# The example files


def commands(text, **variables):
    """The words of every call of vae-core, with the job's variables filled in."""
    for name, value in variables.items():
        text = re.sub(rf"\$\{{?{name}\}}?", value, text)
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("vae-core ")]


def check_command(words):
    context = cli.commands["sweep"].make_context("sweep", words[1:])
    assert words[0] == "sweep" and context.params["part"] == (2, 8)


def test_the_slurm_script_calls_a_shard():
    script = EXAMPLES / "slurm.sh"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    text = script.read_text()
    assert "#SBATCH --array=1-8" in text
    (words,) = commands(text, SLURM_ARRAY_TASK_ID="2", SLURM_ARRAY_TASK_COUNT="8")
    check_command(words)


def test_the_kubernetes_job_calls_a_shard():
    job = yaml.safe_load((EXAMPLES / "kubernetes.yaml").read_text())
    assert job["kind"] == "Job" and job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == 8
    (container,) = job["spec"]["template"]["spec"]["containers"]
    shell, flag, text = container["command"]
    assert (shell, flag) == ("sh", "-ec") and "JOB_COMPLETION_INDEX + 1" in text
    (words,) = commands(text.replace("$((JOB_COMPLETION_INDEX + 1))", "2"))
    check_command(words)
