"""The end of kernels on Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from vae_book import _kernel

TRAINS = """
import sys, time
from vae_core.runs.trainer import deferred_interrupt
with deferred_interrupt() as interrupted:
    print("ready", flush=True)
    while not interrupted():
        end = time.monotonic() + 1.5  # a step in which a second signal would be heard
        while time.monotonic() < end: time.sleep(0.1)
print("checkpoint")
"""
HEARS_NOTHING = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
GOES_ON = """
import signal, time
signal.signal(signal.SIGINT, lambda *_: print("heard", flush=True))
print("ready", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end: time.sleep(0.1)
"""
HEARS_THE_SECOND = """
import signal, time
def once(*_): signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGINT, once)
print("ready", flush=True)
try:
    end = time.monotonic() + 60
    while time.monotonic() < end: time.sleep(0.1)
except KeyboardInterrupt:
    print("heard")
"""


@pytest.fixture
def kernel():
    """Starts a program as a kernel's process, and waits for its first line."""
    managers, processes = [], []

    def start(program):
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, process_group=0
        )
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        manager = type("Manager", (), {"provisioner": SimpleNamespace(process=process)})()
        _kernel._managers.add(manager)
        managers.append(manager)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def stop(process):
    with ThreadPoolExecutor(1) as pool:
        _kernel.stop([pool.submit(process.wait)])
    return process.communicate()[0]


def test_a_step_longer_than_the_pause_between_two_looks_ends_with_its_checkpoint(kernel):
    process = kernel(TRAINS)
    assert (stop(process), process.returncode) == ("checkpoint\n", 0)


def test_a_signal_that_fell_between_two_cells_comes_again(kernel, monkeypatch):
    monkeypatch.setattr(_kernel, "GRACE", 10.0)
    process = kernel(HEARS_THE_SECOND)
    assert (stop(process), process.returncode) == ("heard\n", 0)


def test_a_kernel_that_hears_nothing_is_killed_after_the_grace(kernel, monkeypatch):
    monkeypatch.setattr(_kernel, "GRACE", 1.0)
    process = kernel(HEARS_NOTHING)
    assert (stop(process), process.returncode) == ("", -signal.SIGKILL)


def test_one_more_ctrl_c_kills_at_once(kernel, monkeypatch):
    monkeypatch.setattr(_kernel, "GRACE", 1e9)
    process = kernel(GOES_ON)

    def press():
        process.stdout.readline()  # once it has heard of the first
        os.kill(os.getpid(), signal.SIGINT)

    presses = threading.Thread(target=press)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may begin without
    try:
        presses.start()
        stop(process)
    finally:
        signal.signal(signal.SIGINT, before)
    presses.join()
    assert process.returncode == -signal.SIGKILL
