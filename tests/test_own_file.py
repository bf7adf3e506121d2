"""Runs on a file of one's own: it may be moved and renamed, but not become another one."""

import json
import os
import warnings
from concurrent.futures import Executor, Future

import numpy as np
import pytest

from vae_core import RunConfig, all_runs, find_run, get_or_run
from vae_core.data import DataCorrupt
from vae_core.runs import Run, cache_dir, load_data
from vae_core.runs.sweep import SweepError, sweep

pytestmark = pytest.mark.usefixtures("empty_reference")  # no committed run is found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "own.npz"


def write(path, share):
    """Rows of 16 pixels, of which a share is white; another share, another size of the file."""
    n_rows = 40 + int(10 * share)
    rows = (np.random.default_rng(0).random((n_rows, 16)) < share).astype(np.uint8)
    np.savez(path, train=rows, test=rows)


def config(path):
    return RunConfig(dataset=str(path), latent_dim=1, hidden=(4,), n_samples=2_000)


def quiet(config):
    return get_or_run(config, progress=False)


def test_a_file_that_changed_since_its_settings_were_made_is_not_trained_on(path):
    write(path, 0.2)
    made = config(path)
    write(path, 0.9)
    with pytest.raises(DataCorrupt, match="has changed.*bring that file back") as refused:
        quiet(made)
    assert made.data_sha256 in str(refused.value)
    assert not list(cache_dir().glob("checkpoints/*.safetensors"))
    write(path, 0.2)
    assert find_run(made) is None
    assert quiet(made).curve["test_bound"].size


class OtherMachine(Executor):
    """With a store of its own and another file under the same name."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def submit(self, function, config):
        here, done = os.environ["VAE_CORE_CACHE"], Future()
        os.environ["VAE_CORE_CACHE"] = str(self.folder)
        write(self.path, 0.9)
        try:
            done.set_result(function(config))
        except Exception as error:
            done.set_exception(error)
        write(self.path, 0.2)
        os.environ["VAE_CORE_CACHE"] = here
        return done


def test_another_file_on_another_machine_is_not_trained_on(path, tmp_path):
    write(path, 0.2)
    elsewhere = OtherMachine(path, tmp_path / "elsewhere")
    with pytest.raises(SweepError, match="is another file on this machine"):
        list(sweep([config(path)], executor=elsewhere))
    assert find_run(config(path)) is None


def test_a_copy_of_a_config_may_name_another_file(path, tmp_path):
    other = tmp_path / "other.npz"
    write(path, 0.2)
    write(other, 0.25)  # as many rows
    one = config(path)
    copied = one.model_copy(update={"dataset": str(other)})
    assert copied == config(other) and copied.data_sha256 != one.data_sha256
    digits = one.model_copy(update={"dataset": "digits", "n_train": None})
    assert digits.data_sha256 is None
    with pytest.raises(ValueError, match="the file has changed"):
        one.model_copy(update={"dataset": str(other), "data_sha256": one.data_sha256})


def test_a_run_of_other_data_is_not_found(path):
    """As an earlier version stored it, when the file had changed before it was read."""
    write(path, 0.2)
    run = quiet(config(path))
    stored = json.loads((run.path / "run.json").read_text())
    write(path, 0.9)
    stored["provenance"]["data_sha256"] = load_data(config(path)).sha256
    write(path, 0.2)
    (run.path / "run.json").write_text(json.dumps(stored))
    with pytest.warns(UserWarning, match="trained on other data"):
        assert find_run(config(path)) is None
    with pytest.warns(UserWarning, match="trained on other data"):
        again = quiet(config(path))
    assert again.provenance["data_sha256"] == load_data(config(path)).sha256


def test_a_run_is_found_by_what_its_file_holds(path, tmp_path):
    write(path, 0.2)
    run = quiet(config(path))
    moved = tmp_path / "elsewhere" / "renamed.npz"
    moved.parent.mkdir()
    path.rename(moved)
    found = find_run(config(moved))
    assert found.path == run.path and found.config.dataset == str(moved)
    assert found.model().data_dim == 16
    assert [one.path for one in sweep([config(moved)])] == [run.path]
    write(path, 0.9)  # another file under the old name
    assert find_run(config(path)) is None


@pytest.mark.parametrize("lost", ["gone", "another file", "no data set"])
def test_a_run_whose_file_is_lost_has_its_curve(lost, path):
    write(path, 0.2)
    run = quiet(config(path))
    match lost:
        case "gone":
            path.unlink()
        case "another file":
            write(path, 0.9)
        case _:
            path.write_text("text")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (listed,) = all_runs()
    assert listed.key == run.key and listed.config.hidden == (4,)
    assert np.array_equal(listed.curve["test_bound"], run.curve["test_bound"])


def test_a_lost_file_excuses_no_other_semantics(path):
    write(path, 0.2)
    run = quiet(config(path))
    path.unlink()
    stored = json.loads((run.path / "run.json").read_text())
    stored["config"]["semantics"] = 99
    (run.path / "run.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="is not a finished run"):
        Run.load(run.path)


def test_what_is_no_config_is_refused():
    with pytest.raises(ValueError, match="config=3 is not a RunConfig"):
        find_run(3)
