import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import vae_core.runs.config as module
from vae_core import RunConfig
from vae_core.data import DATASETS, DataNotFound
from vae_core.runs.trainer import build_model

REFERENCE = Path(__file__).parents[1] / "book" / "reference"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent_dims": 3}, "unknown field 'latent_dims'; did you mean 'latent_dim'"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"batch_size": -5}, "batch_size"),
        ({"n_samples": 0}, "n_samples"),
        ({"step_size": 0.0}, "step_size"),
        ({"hidden": (100, 0)}, r"hidden=\(100, 0\): each width must be at least 1"),
        ({"dataset": "mnit"}, "dataset='mnit'.*did you mean 'mnist'"),
        ({"n_train": 50_001}, "n_train=50001: mnist has 50000 training images; use at most 50000"),
        ({"likelihood": "gaussian"}, "likelihood='gaussian' does not suit mnist.*bernoulli"),
        (
            {"dataset": "freyface", "likelihood": "bernoulli"},
            "likelihood='bernoulli' does not suit freyface.*gaussian_sigmoid_mean",
        ),
        ({"dataset": "freyface", "binarize": True}, "binarize=True needs likelihood='bernoulli'"),
        ({"algorithm": "wake_sleep", "estimator": "sgvb_a"}, "estimator='sgvb_a' changes nothing"),
        ({"algorithm": "wake_sleep", "n_mc": 5}, "n_mc=5 changes nothing"),
        ({"algorithm": "adam"}, "algorithm"),
        ({"algorithm": ["aevb"]}, "algorithm"),
        ({"latent_dim": [2, 3]}, "latent_dim"),
        ({"dataset": ["mnist"]}, "dataset"),
        ({"semantics": 99}, "semantics=99"),
        ({"split_seed": 2}, "split_seed=2: mnist comes with its own split"),
        ({"hidden": 16}, "hidden"),
        ({"latent_dim": "10"}, "latent_dim"),
        ({"latent_dim": 10.5}, "latent_dim"),
        ({"latent_dim": True}, "latent_dim"),
        ({"step_size": "1e-3"}, "step_size"),
        ({"step_size": math.inf}, "step_size"),
        ({"step_size": math.nan}, "step_size"),
        ({"init_sd": math.inf}, "init_sd"),
        ({"mcem_annealing": math.nan}, "mcem_annealing"),
        ({"n_samples": math.inf}, "n_samples"),
        ({"prior_sd": 1e-13}, "prior_sd=1e-13: its gradient overflows; use at least 1e-09"),
        ({"adagrad_warmup": 10**20}, "adagrad_warmup"),
        ({"prior_sd": -math.inf}, "prior_sd"),
        ({"binarize": 1}, "binarize"),
        ({"seed": 2**32}, "seed"),
        ({"evals_per_decade": 10**400}, "evals_per_decade"),
        ({"latent_dim": 10**9}, r"latent_dim=1000000000, .* would need about 18,276 GiB"),
        ({"hidden": (10**9,)}, r"hidden=\[1000000000\].* GiB"),
        ({"batch_size": 10**8}, "batch_size=100000000.* GiB"),
        ({"n_mc": 10**6}, "n_mc=1000000.* GiB"),
        ({"n_samples": 10**18}, "n_samples=1000000000000000000.* 1,615,744 years"),
        ({"algorithm": "mcem", "mcem_leapfrog": 10**15}, "mcem_leapfrog=1000000000000000.* years"),
        ({"n_samples": 10**400}, "n_samples=1000.* years"),
        ({"hidden": (10**400,)}, r"hidden=\[1000.* GiB"),
        ({"mcem_leapfrog": 7}, "mcem_leapfrog=7 changes nothing with algorithm='aevb'.* gives 10"),
        ({"algorithm": "mcem", "batch_size": 7}, "batch_size=7 changes nothing.* gives 100"),
        ({"algorithm": "mcem", "matmul_precision": "medium"}, "matmul_precision='medium' changes"),
        ({"algorithm": "mcem", "estimator": "sgvb_a"}, "estimator='sgvb_a' changes nothing"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        RunConfig(**fields)


def test_a_home_that_is_not_known_holds_no_file():
    with pytest.raises(DataNotFound, match="there is no such file"):
        RunConfig(dataset="~nobody-of-that-name/x.npz")


def test_defaults_of_the_data_set_are_filled_in():
    mnist, frey = RunConfig(), RunConfig(dataset="freyface", latent_dim=10)
    assert (mnist.n_train, mnist.hidden, mnist.batch_size) == (50_000, (500,), 100)
    assert mnist.likelihood == "bernoulli"
    assert (frey.hidden, frey.batch_size) == ((200,), 500)
    assert frey.likelihood == "gaussian_sigmoid_mean"


def test_none_and_the_default_it_stands_for_are_the_same_run():
    assert RunConfig(n_train=None) == RunConfig(n_train=50_000)
    assert RunConfig(n_train=None).key == RunConfig(n_train=50_000).key


def test_no_prior_can_be_asked_for():
    assert RunConfig(prior_sd=None).prior_sd is None
    assert RunConfig().prior_sd == 1.0


def test_every_field_but_the_length_separates_trajectories():
    base = RunConfig()
    longer, other = RunConfig(n_samples=2 * base.n_samples), RunConfig(seed=1)
    assert longer.key != base.key and longer.trajectory_key == base.trajectory_key
    assert other.key != base.key and other.trajectory_key != base.trajectory_key


@pytest.mark.parametrize(
    "other",
    [
        {"latent_dim": 10.0},
        {"latent_dim": np.int64(10)},
        {"latent_dim": np.float64(10)},
        {"latent_dim": torch.tensor(10)},
        {"latent_dim": 10, "algorithm": None, "estimator": None, "seed": None},
        {"latent_dim": 10, "n_samples": 1e7, "hidden": [500.0]},
        {"latent_dim": 10, "hidden": np.array([500]), "step_size": np.float64(0.02)},
        {"latent_dim": 10, "dataset": None, "init_sd": None},
    ],
)
def test_however_a_setting_is_written_it_is_the_same_run(other):
    assert RunConfig(**other) == RunConfig(latent_dim=10)
    assert RunConfig(**other).key == RunConfig(latent_dim=10).key


def test_an_infinitely_wide_prior_is_none():
    assert RunConfig(prior_sd=math.inf).key == RunConfig(prior_sd=None).key != RunConfig().key


def test_the_prior_is_the_data_sets_unless_given(monkeypatch):
    given = {sd: RunConfig(dataset="freyface", prior_sd=sd) for sd in (1.0, None)}
    for sd in (1.0, None):
        monkeypatch.setitem(DATASETS, "freyface", replace(DATASETS["freyface"], prior_sd=sd))
        assert RunConfig(dataset="freyface") == given[sd]
        assert RunConfig(dataset="freyface", prior_sd=1.0).key == given[1.0].key
        assert RunConfig(dataset="freyface", prior_sd=None).key == given[None].key


def test_the_committed_runs_keep_their_keys():
    folders = [path.parent for path in REFERENCE.glob("*/run.json")]
    assert len(folders) >= 63
    for folder in folders:
        assert (
            RunConfig(**json.loads((folder / "run.json").read_text())["config"]).key == folder.name
        )


def test_other_semantics_are_other_runs(monkeypatch):
    settings = [{}, {"dataset": "digits", "latent_dim": 2}, {"algorithm": "mcem", "prior_sd": None}]
    before = [RunConfig(**fields) for fields in settings]
    monkeypatch.setattr(module, "SEMANTICS", 2)
    for fields, old in zip(settings, before, strict=True):
        new = RunConfig(**fields)
        assert new.key != old.key and new.trajectory_key != old.trajectory_key
        with pytest.raises(ValueError, match="semantics=1: this version of vae_core computes"):
            RunConfig(**old.model_dump())


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_likelihood_that_suits_a_data_set_is_taken(name):
    for likelihood in DATASETS[name].likelihoods:
        assert RunConfig(dataset=name, likelihood=likelihood).likelihood == likelihood


def test_the_key_is_readable():
    key = RunConfig(dataset="digits", algorithm="wake_sleep", latent_dim=2, seed=3).key
    assert key.startswith("digits-wake_sleep-z2-s3-")


def test_a_config_survives_json():
    config = RunConfig(dataset="freyface", latent_dim=5, hidden=(30, 20), prior_sd=None)
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again == config and again.key == config.key


@pytest.mark.parametrize("dataset", ["mnist", "freyface", "digits"])
@pytest.mark.parametrize("hidden", [(), (8,), (8, 6)])
def test_the_number_of_parameters_is_the_models(dataset, hidden):
    config = RunConfig(dataset=dataset, latent_dim=4, hidden=hidden)
    assert config.n_parameters == sum(p.numel() for p in build_model(config).parameters())


def test_the_step_size_is_that_of_the_experiment_unless_given():
    assert (RunConfig(latent_dim=20).step_size, RunConfig(latent_dim=200).step_size) == (0.01, 0.02)
    assert RunConfig(algorithm="wake_sleep").adagrad_warmup == 100
    assert RunConfig(latent_dim=200, step_size=0.1).step_size == 0.1


def test_what_a_step_and_a_run_would_need_is_known_beforehand():
    """Digits, 64-8-2: 1,156 weights and biases; 100 rows of 2 x 2 + 2 x 64 + 2 x 8 numbers."""
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (8,)}
    config = RunConfig(**small, batch_size=100)
    assert config.n_parameters == (64 + 1) * 8 + (8 + 1) * 4 + (2 + 1) * 8 + (8 + 1) * 64 == 1_156
    assert config.memory == 4 * (3 * 1_156 + 2 * 100 * 148)
    with pytest.raises(
        ValueError, match="batch_size=1000000000, n_mc=1 would need about 1,103 GiB"
    ):
        RunConfig(**small, batch_size=10**9)
    with pytest.raises(ValueError, match="would take about .* years"):
        RunConfig(**small, n_samples=10**15)
    assert RunConfig(**small, n_samples=10**10).n_samples == 10**10


def test_a_copy_is_checked_as_if_it_were_made_anew():
    config = RunConfig(dataset="digits", latent_dim=2, hidden=(4,))
    longer = config.model_copy(update={"n_samples": np.int64(300), "hidden": [5]})
    assert longer == RunConfig(dataset="digits", latent_dim=2, hidden=(5,), n_samples=300)
    with pytest.raises(ValueError, match="n_samples"):
        config.model_copy(update={"n_samples": 0})
