"""Short runs on digits, each pinned row by row: what a setting does is not changed by accident.

`python tests/test_golden_runs.py` writes `golden_runs.json` anew, from the code as it is; look at
the difference before committing it. Curves are reproduced to rounding on one processor; elsewhere
some tens of steps amplify rounding to far less than TOLERANCE.
"""

import json
from pathlib import Path

import pytest
import torch

from vae_core.algorithms import ALGORITHMS
from vae_core.runs import RunConfig, load_data
from vae_core.runs.plan import settings_of
from vae_core.runs.trainer import Trainer

FILE = Path(__file__).with_name("golden_runs.json")
TOLERANCE = 2e-3  # nats
BASE = {
    "dataset": "digits",
    "latent_dim": 2,
    "hidden": (16,),
    "step_size": 0.05,
    "n_samples": 6_000,
}
CASES = {
    "aevb": {},
    "aevb, estimator A, three draws": {"estimator": "sgvb_a", "n_mc": 3},
    "aevb, score function": {"estimator": "score_function"},
    "aevb, warm-up": {"adagrad_warmup": 15},
    "aevb, strong prior": {"prior_sd": 0.02},
    "aevb, large epsilon": {"adagrad_epsilon": 25.0, "step_size": 0.1},
    "aevb, binarised": {"binarize": True},
    "aevb, another split": {"split_seed": 1},
    "wake_sleep": {"algorithm": "wake_sleep"},
    "wake_sleep, warm-up": {"algorithm": "wake_sleep", "adagrad_warmup": 15},
    "autoencoder": {"algorithm": "autoencoder"},
    "mcem": {"algorithm": "mcem", "n_train": 200, "n_samples": 15 * 200 * 8},
}


def curve(fields: dict) -> list[dict[str, float]]:
    """The rows of a run, without the values that it does not have."""
    config = RunConfig(**BASE | fields)
    rows = Trainer(config, load_data(config)).run(progress=False)
    return [{name: value for name, value in row.items() if value == value} for row in rows]


@pytest.mark.parametrize("name", CASES)
def test_the_curve_is_the_pinned_one(name):
    pinned, rows = json.loads(FILE.read_text())[name], curve(CASES[name])
    assert [row["samples"] for row in rows] == [row["samples"] for row in pinned]
    for row, expected in zip(rows, pinned, strict=True):
        assert row == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithms_own_defaults_are_those_of_a_run(name):
    config = RunConfig(dataset="digits", algorithm=name, step_size=0.01)
    assert settings_of(config) == ALGORITHMS[name].Settings()


def test_no_two_settings_have_one_curve():
    """A setting that did nothing would leave two pinned curves alike."""
    pinned = list(json.loads(FILE.read_text()).values())
    apart = [
        max(abs(row[name] - other[name]) for name in row if name in other and name != "samples")
        for i, rows in enumerate(pinned)
        for others in pinned[:i]
        for row, other in [(rows[-2], others[-2])]
        if row.keys() == other.keys()
    ]
    assert len(apart) == 55 and min(apart) > 10 * TOLERANCE


if __name__ == "__main__":
    torch.set_num_threads(1)
    rounded = {
        name: [{k: round(v, 5) for k, v in row.items()} for row in curve(fields)]
        for name, fields in CASES.items()
    }
    FILE.write_text(json.dumps(rounded, indent=1) + "\n")
