"""Sweeps of any length, and what ends one: Ctrl-C, leaving the loop, a script without a guard."""

import itertools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from contextlib import suppress

import pytest
from waiting import wait_until

import vae_core.runs.store as runs
from vae_core import RunConfig, find_run
from vae_core.runs import workers as pools
from vae_core.runs.sweep import sweep
from vae_core.runs.workers import LONGEST, ONE_THREAD, workers

pytestmark = pytest.mark.usefixtures("empty_reference")  # no committed run is found

# short of what is compiled, and hours of training
ENDLESS = {"dataset": "digits", "hidden": (8,), "n_samples": 10**8, "evals_per_decade": 1}
SHORT = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 100}
MANY = 600  # notes of LONGEST bytes each are more than a pipe holds


def checkpoints():
    return list((runs.cache_dir() / "checkpoints").glob("*[0-9].safetensors"))


def begun():
    return list((runs.cache_dir() / "checkpoints").glob("*.lock"))


def test_nothing_fills_up_however_many_runs_there_are():
    with workers(1) as pool:
        futures = [pool.submit("k" * (LONGEST - 20), int) for _ in range(MANY)]
        assert not wait(futures, timeout=300).not_done
    assert [future.result() for future in futures] == MANY * [0]


SWEEP = """
import signal
import vae_core.runs.trainer
vae_core.runs.trainer.CHECKPOINT_SECONDS = 0.0
from vae_core import RunConfig
from vae_core.runs.checkpoint import RunInterrupted
from vae_core.runs.sweep import sweep
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        list(sweep([RunConfig(**{fields}, seed=s) for s in range(4)], jobs=1, progress=False))
    except RunInterrupted as stopped:
        print("kept", stopped.checkpoint)
"""


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["the sweep", "its workers too"])
def test_ctrl_c_ends_a_sweep_with_one_checkpoint_and_no_other_run(send, tmp_path):
    script = tmp_path / "endless.py"
    script.write_text(SWEEP.format(fields=ENDLESS))
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(checkpoints)
        send(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)  # the worker holds the pipe until it ends
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, err
    (kept,) = checkpoints()
    assert out == f"kept {kept}\n" and len(begun()) == 1
    assert "Traceback" not in err


def test_who_leaves_the_loop_early_does_not_wait_for_the_runs_that_are_left():
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    endless, short = RunConfig(**ENDLESS), RunConfig(**SHORT)
    found = sweep([endless, short], jobs=2, progress=False)
    assert next(found).config == short
    assert {name: os.environ.get(name) for name in ONE_THREAD} == before
    found.close()
    assert find_run(endless) is None


def miss_the_first(folder):
    """As some modules do that are being imported when a signal comes."""
    for times in itertools.count():
        (folder / str(times)).touch()
        try:
            time.sleep(3600)
        except KeyboardInterrupt:
            if times:
                raise


def test_a_worker_that_missed_a_signal_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "SECONDS_TO_END", 0.5)
    with pytest.raises(KeyboardInterrupt), workers(1) as pool:
        pool.submit("key", miss_the_first, tmp_path)
        wait_until((tmp_path / "0").exists)
        raise KeyboardInterrupt
    assert (tmp_path / "1").exists()


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_keeps_no_other_from_ending(killed, monkeypatch):
    """One of two idle workers waits for tasks, the other for the lock that the first one holds."""
    monkeypatch.setattr(pools, "SECONDS_TO_END", 0.5)
    with pytest.raises(KeyError), workers(2) as pool:
        wait([pool.submit("key", int) for _ in range(10)])
        os.kill(pool._processes[killed].pid, signal.SIGKILL)
        raise KeyError


def test_a_script_without_a_guard_is_told_of_it(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from vae_core import RunConfig\nfrom vae_core.runs.sweep import sweep\n"
        f"list(sweep([RunConfig(**{SHORT})], progress=False))\n"
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert told.returncode == 1
    last = told.stderr.strip().splitlines()[-1]
    assert "SweepError: the workers did not start" in last and "__main__" in last, told.stderr
