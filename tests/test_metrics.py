"""What `vae_core.runs.metrics` refuses before it computes anything."""

from pathlib import Path

import numpy as np
import pytest

from vae_core import RunConfig
from vae_core.runs import Run, metrics


def run_of(algorithm):
    config = RunConfig(dataset="digits", algorithm=algorithm, latent_dim=2, hidden=(8,))
    return Run(Path(config.key), config, {"samples": np.array([1.0])})


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mean_log_marginal", ("test", "foo"), "method='foo': choose one of hmc_density"),
        ("mean_log_marginal", ("tset", "ais"), "split='tset': choose one of train, test"),
        ("mean_log_marginal", ("test", "ais", -290), "n_points=-290"),
        ("known_log_marginal", ("tset", "ais"), "split='tset'"),
        ("known_log_marginal", ("test", "foo"), "method='foo'"),
        ("repeated_log_marginal", ("test", 1), "n_repeats=1: .* at least 2"),
        ("repeated_log_marginal", ("test", 2, 0), "n_points=0"),
        ("bound_variance", (1,), "n_draws=1: .* at least 2"),
        ("appendix_d_bias", (0,), "n_points=0"),
        ("appendix_d_bias", (10, 0), "n_temperatures=0"),
    ],
)
def test_what_cannot_be_meant_is_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(metrics, name)(run_of("aevb"), *arguments)


def test_what_is_no_run_is_refused():
    with pytest.raises(ValueError, match="run='key' is not a Run: find_run"):
        metrics.bound_variance("key")


def test_of_an_algorithm_without_a_bound_there_is_no_variance():
    with pytest.raises(ValueError, match="algorithm='mcem', which has no bound: .*aevb"):
        metrics.bound_variance(run_of("mcem"))
