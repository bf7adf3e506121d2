"""The page on speed: ratios, exponents, and results that are there for all that it draws."""

import json
import re
import sys
from pathlib import Path

import pytest

from vae_book.plots import speed

ROOT = Path(__file__).parents[1]
TIMES = {
    "DataLoader": {"median": 6.0, "low": 5.0, "high": 9.0},
    "vae_core": {"median": 2.0, "low": 1.0, "high": 3.0},
}


def test_times_are_told_in_units_of_one_of_them():
    assert speed.relative(TIMES, "vae_core") == {
        "DataLoader": {"median": 3.0, "low": 2.5, "high": 4.5},
        "vae_core": {"median": 1.0, "low": 0.5, "high": 1.5},
    }


def test_the_fastest_pace_is_the_shortest_time():
    times = speed.as_times({"a": {"median": 4.0, "low": 2.0, "high": 8.0}})
    assert times == {"a": {"median": 0.25, "low": 0.125, "high": 0.5}}


def test_bars_stand_from_short_to_long_and_carry_their_ratio():
    panel = speed.bars_panel("a step", TIMES, "vae_core")
    assert panel.numbers == "vae_core 1.00, DataLoader 3.00"
    assert ">3.00<" in panel.markup and speed.OURS.lower() in panel.markup.lower()


def one(median):
    return {"median": median, "low": median, "high": median}


def test_aims_stand_beside_what_is_measured():
    step = {
        "vae_core, AEVB": one(9.0),
        "vae_core, wake-sleep": one(6.0),
        "vae_core, AEVB, bfloat16": one(12.0),
        "DataLoader and Adam": one(3.0),
        "matrix products alone, bfloat16": one(15.0),
    }
    times = {"vae_core": one(2.0), "matrix products alone": one(1.0)}
    found = {
        "training": {"latent_dim": {"20": {"samples_per_second": step}}},
        "hmc": {"microseconds": times | {"blackjax, vmapped": one(3.0), "pyro": one(99.0)}},
        "importance_sampling": {"milliseconds": times | {"pythae": one(7.0)}},
        "sweeps": {"long": {"seconds": {"2 processes": one(10.0), "Dask": one(10.5)}}},
    }
    without = [row[2:] for row in speed.aims_table(found).rows]
    step["vae_core, wake-sleep, bfloat16"] = one(10.0)
    table = speed.aims_table(found)
    assert table.header[1] == "aim" and [row[2:] for row in table.rows] == [
        ["0.80", "1.00"],
        ["4.00", "5.00"],
        ["1.50", "–"],
        ["1.20", "–"],
        ["1.50", "3.00"],
        ["3.50", "7.00"],
        ["1.05", "–"],
    ]
    training = found["training"]
    assert speed.wake_sleep_table(training).rows == [["20 latent", "1.50", "1.20"]]
    del step["vae_core, wake-sleep, bfloat16"]
    assert speed.wake_sleep_table(training).rows == [["20 latent", "1.50", "–"]]
    assert without == [row[2:] for row in table.rows if row[2] != "1.20"]


def test_two_threads_are_told_where_they_were_measured():
    assert speed.threads_table({}) is None
    paces = {"vae_core, AEVB, 1 thread": one(8.0), "vae_core, AEVB, 2 threads": one(10.0)}
    table = speed.threads_table({"threads": {"what": "wall time", "samples_per_second": paces}})
    assert [row[1] for row in table.rows] == ["1.00", "0.80"]


def test_growth_is_drawn_with_its_exponents():
    seconds = {str(n): {"median": n**2, "low": n**2, "high": n**2} for n in (1.0, 10.0, 100.0)}
    axis = {"title": "a against b", "seconds": seconds, "exponent": 2.0, "last_exponent": 2.0}
    assert speed.growth_panel(axis).numbers == "exponent 2.00, 2.00 at the end"


def test_the_spread_is_the_median_with_its_quartiles(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from _timing import spread, times_faster

    assert spread([5.0, 1.0, 2.0, 3.0, 4.0]) == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert times_faster({"ours": [1.0, 2.0, 9.0], "theirs": [3.0, 5.0, 5.0]}, "ours") == {
        "ours": 1.0,
        "theirs": 2.5,
    }
    sys.modules.pop("_timing")


@pytest.mark.parametrize("machine", [p for p in speed.RESULTS.iterdir() if p.is_dir()], ids=str)
def test_each_machine_has_all_that_make_bench_measures(machine):
    (names,) = re.findall(r"^BENCHMARKS \?= (.*)$", (ROOT / "Makefile").read_text(), flags=re.M)
    assert sorted(path.stem for path in machine.glob("*.json")) == sorted(names.split())
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in names.split())
    assert len({json.loads(path.read_text())["machine"] for path in machine.glob("*.json")}) == 1
