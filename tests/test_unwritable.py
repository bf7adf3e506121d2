"""A store that cannot be written to: finished work is handed over all the same."""

import pytest
from click.testing import CliRunner

from vae_book.cli import cli
from vae_core import RunConfig, get_or_run
from vae_core._atomic import StoreError
from vae_core.runs import cache_dir, metrics, reference_dir

SETTINGS = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 1_000}


@pytest.fixture
def stored(empty_reference, monkeypatch):
    """A stored run, as of the book."""
    monkeypatch.setenv("VAE_CORE_CACHE", str(empty_reference.parent / "writable"))
    run = get_or_run(RunConfig(**SETTINGS), progress=False)
    return run.path.rename(empty_reference / run.key)


@pytest.fixture
def unwritable(stored, tmp_path, monkeypatch):
    """A cache below a file: not even root can write there."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VAE_CORE_CACHE", str(tmp_path / "file" / "cache"))


def test_training_is_refused_before_it_starts(unwritable):
    with pytest.raises(StoreError, match="file/cache.*VAE_CORE_CACHE names another folder"):
        get_or_run(RunConfig(**SETTINGS, seed=1), progress=False)


def test_a_metric_is_given_though_it_cannot_be_kept(unwritable, stored):
    run = get_or_run(RunConfig(**SETTINGS))
    with pytest.warns(UserWarning, match="bound_variance/test/3 is not kept.*VAE_CORE_CACHE"):
        assert metrics.bound_variance(run, 3)["variance"] > 0


def test_a_verdict_is_given_though_it_cannot_be_noted(unwritable, stored):
    with pytest.warns(UserWarning, match="an interruption would begin anew.*VAE_CORE_CACHE"):
        result = CliRunner().invoke(cli, ["verify", "--quick", "--quiet", stored.name])
    assert result.exit_code == 0 and f"{stored.name}: follows" in result.output, result.output


@pytest.mark.parametrize(
    ("variable", "folder"), [("VAE_CORE_CACHE", cache_dir), ("VAE_CORE_REFERENCE", reference_dir)]
)
def test_a_folder_is_named_as_that_of_the_data_is(variable, folder, monkeypatch, tmp_path):
    monkeypatch.delenv(variable, raising=False)
    default = folder()
    monkeypatch.setenv(variable, "")
    assert folder() == default and folder().is_absolute()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "~/runs")
    assert folder() == tmp_path / "runs"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "runs")
    assert folder() == tmp_path / "runs"
