import pytest

from vae_core import RunConfig
from vae_core.runs.trainer import build_model


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
        ({"algorithm": "wake_sleep", "estimator": "sgvb_a"}, "estimator='sgvb_a'.*'aevb'"),
        ({"algorithm": "wake_sleep", "n_mc": 5}, "n_mc=5.*'aevb'"),
        ({"algorithm": "adam"}, "algorithm"),
        ({"algorithm": ["aevb"]}, "algorithm"),
        ({"latent_dim": [2, 3]}, "latent_dim"),
        ({"dataset": ["mnist"]}, "dataset"),
        ({"semantics": 99}, "semantics=99"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        RunConfig(**fields)


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
