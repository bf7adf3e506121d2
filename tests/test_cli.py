"""The command line, run as a user does; what it trains is tiny."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook

from vae_book.cli import cli
from vae_book.params import ParameterError, parse_yaml
from vae_book.settings import read_settings

TINY = ["--dataset", "digits", "--latent-dim", "2", "--hidden", "8", "--n-samples", "3_000"]


@pytest.fixture(autouse=True)
def empty_store(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_CORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VAE_CORE_REFERENCE", str(tmp_path / "reference"))
    monkeypatch.setenv("VAE_CORE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("VAE_CORE_TRAIN", raising=False)


def call(*arguments, status=0):
    """The output of a command that is to end with this exit status, and with no traceback."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.output


def write_notebook(path):
    parameters = new_code_cell("n = 1\nstep = 0.5", metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[parameters, new_code_cell("print(n, step)")]), path)
    return path


def test_help_does_not_wait_for_torch():
    script = (
        "import sys; from vae_book.cli import cli\n"
        "try: cli(['run', '--help'])\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "-p" in done.stdout and done.stderr == "False\n"


def test_version_is_the_packages():
    import vae_core

    assert call("--version") == f"vae-core {vae_core.__version__}\n"


def test_run_lists_every_setting_with_its_default():
    from vae_core.runs.config import RunConfig

    lines = {line.split()[0]: line for line in call("run", "--list").splitlines()}
    assert lines["algorithm"].endswith("aevb | wake_sleep | mcem | autoencoder")
    assert lines["log_marginal"].endswith("hmc_density | importance_sampling | quadrature")
    assert [*lines, "semantics"] == list(RunConfig.model_fields)
    assert lines["latent_dim"].split() == ["latent_dim", "20"]
    assert "none" in lines["log_marginal"] and "the data set's" in lines["hidden"]


@pytest.mark.parametrize(
    "words",
    [
        "-p latent_dim=2 -p hidden=8,4 -p prior_sd=none -p n_samples=3e3",
        "-p latent_dim 2 -p hidden [8,4] -p prior_sd ~ -p n_samples 3000",
        "--latent-dim 2 --hidden 8,4 --prior-sd=null --n-samples 3_000",
    ],
)
def test_settings_may_be_written_in_three_ways(monkeypatch, words):
    from vae_core.runs.config import RunConfig

    asked = []
    monkeypatch.setattr("vae_core.runs.find_run", lambda config, **_: asked.append(config) or True)
    monkeypatch.setattr("vae_core.runs.get_or_run", lambda config, **_: 1 / 0)
    result = CliRunner().invoke(cli, ["run", "-p", "dataset=digits", "--binarize", *words.split()])
    assert isinstance(result.exception, ZeroDivisionError)
    fields = dict(latent_dim=2, hidden=(8, 4), prior_sd=None, n_samples=3000, binarize=True)
    assert asked == [RunConfig(dataset="digits", **fields)]


def test_long_training_is_not_begun_unasked():
    output = call("run", "-p", "n_samples=10_000_000", status=2)
    assert "mnist-aevb-z20-s0-" in output and "takes about 15 minutes: use --train" in output


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.2, "1 second"),
        (89, "89 seconds"),
        (150, "2 minutes"),
        (5_374, "90 minutes"),
        (6_840, "1.9 hours"),
        (2e5, "55.6 hours"),
    ],
)
def test_durations_in_words(seconds, words):
    from vae_book.words import in_words

    assert in_words(seconds) == words


def test_a_run_is_trained_once_then_found(tmp_path):
    output = call("run", *TINY, "--prior-sd", "none", "--batch-size", 50, "--quiet")
    *_, summary, path = output.splitlines()
    stored = json.loads(
        (tmp_path / "cache" / "runs" / path.split("/")[-1] / "run.json").read_text()
    )
    given = {"dataset": "digits", "latent_dim": 2, "hidden": [8], "n_samples": 3000}
    assert given | {"prior_sd": None, "batch_size": 50} == {
        name: stored["config"][name] for name in [*given, "prior_sd", "batch_size"]
    }
    assert f"test {stored['curve']['test_bound'][-1]:9.2f}" in summary
    date = os.stat(path).st_mtime_ns
    again = call("run", *TINY, "--prior-sd", "none", "--batch-size", 50, "--quiet")
    assert again.splitlines()[-2:] == [summary, path]
    assert os.stat(path).st_mtime_ns == date
    assert call("runs") == call("runs", summary.split()[0]) == summary + "\n"
    key = path.split("/")[-1]
    assert f"{key}: follows from this code" in call("verify", key, "--fraction", 1, "--quiet")
    assert "differ by at most 0.0000 nats" in call("verify", key, "--quiet")


def test_verify_exits_1_where_a_curve_does_not_follow(tmp_path):
    path = call("run", *TINY, "--quiet").splitlines()[-1]
    stored = json.loads(open(f"{path}/run.json").read())
    stored["curve"]["test_bound"] = [value + 1 for value in stored["curve"]["test_bound"]]
    with open(f"{path}/run.json", "w") as file:
        json.dump(stored, file)
    assert "DOES NOT FOLLOW" in call("verify", path.split("/")[-1], "--quiet", status=1)


def test_a_run_that_diverges_is_told_in_one_line_and_not_stored():
    said = call("run", *TINY, "--step-size", 1e6, "--quiet", status=1)
    assert "step_size=1000000.0 is too large; try a smaller one" in said.splitlines()[-1]
    assert call("runs").splitlines() == ["no runs are stored yet"]


def test_retrain_makes_the_weights_of_a_stored_curve(tmp_path):
    path = call("run", *TINY, "--quiet").splitlines()[-1]
    os.makedirs(tmp_path / "reference")
    key = path.split("/")[-1]
    reference = tmp_path / "reference" / key
    os.rename(path, reference)
    os.remove(reference / "model.safetensors")
    assert "curve only" in call("runs")
    assert call("run", "--retrain", key, "--quiet").splitlines()[-1] == path
    assert os.path.exists(f"{path}/model.safetensors")


def test_two_runs_on_one_data_set_are_not_exported_to_one_file(tmp_path):
    paths = [call("run", *TINY, "--seed", i, "--quiet").splitlines()[-1] for i in range(2)]
    keys = [path.split("/")[-1] for path in paths]
    said = call("explorer", *keys, "-o", tmp_path / "out", status=2)
    assert f"{keys[0]} and {keys[1]} would both be written to" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latent-dim", "0"], "latent_dim=0: "),
        (["-p", "latent_dim", "2.5"], "latent_dim=2.5: Input should be a valid integer"),
        (["--step-size", "fast"], "step_size='fast': Input should be a valid number"),
        (["--hidden", "500;200"], "hidden.0='500;200': Input should be a valid integer"),
        (["--hidden", "0"], "hidden=(0,)"),
        (["--n-train", "1e9"], "n_train=1000000000"),
        (["--n-samples", "-5"], "n_samples=-5"),
        (["--algorithm", "aveb"], "algorithm='aveb': Input should be 'aevb'"),
        (["-p", "latentdim=3"], "unknown field 'latentdim'; did you mean 'latent_dim'?"),
        (["-p", "seed=1", "-p", "seed", "2"], "-p seed is given twice"),
        (["-p", "seed"], "write -p NAME VALUE or -p NAME=VALUE"),
        (["-p", "seed=[1"], "-p seed: not valid YAML: line 1"),
        (["--dataset", "minst"], "did you mean 'mnist'?"),
        (["--dataset", "mnist", "--likelihood", "gaussian"], "does not suit mnist"),
        (["--latent-dims", "3"], "No such option"),
        (["--retrain", "no-such-key"], "no stored run has the key 'no-such-key'"),
        (["--retrain", "no-such-key", "--seed", "1"], "give no others"),
    ],
)
def test_bad_settings_of_a_run_are_refused(tmp_path, arguments, message):
    assert message in call("run", *arguments, status=2)
    assert not (tmp_path / "cache").exists()


def test_a_run_without_its_data_says_what_is_missing(monkeypatch):
    from dataclasses import replace

    from vae_core.data import DATASETS

    spec = DATASETS["freyface"]
    file = replace(spec.files[0], urls=("http://127.0.0.1:9/frey_rawface.mat",))
    monkeypatch.setitem(DATASETS, "freyface", replace(spec, files=(file,)))
    monkeypatch.setenv("NO_PROXY", "*")
    output = call("run", "--dataset", "freyface", "--quiet", status=2)
    assert "FreyFace/frey_rawface.mat" in output and "'digits'" in output
    assert "missing" in call("data", "status")


@pytest.mark.parametrize(("told", "threads"), [({}, 1), ({"OMP_NUM_THREADS": "2"}, 2)])
def test_a_run_has_one_thread_unless_told(own_store, told, threads):
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | told
    command = [sys.executable, "-m", "vae_book.cli", "run", *TINY, "--quiet"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    (stored,) = own_store.glob("runs/*/run.json")
    assert json.loads(stored.read_text())["provenance"]["threads"] == threads


def test_training_can_be_forbidden(monkeypatch):
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    assert "is not stored and VAE_CORE_TRAIN=never" in call("run", *TINY, status=2)


def test_an_error_of_the_program_itself_is_not_hidden(monkeypatch):
    def broken(*args, **kwargs):
        raise KeyError("a bug")

    monkeypatch.setattr("vae_core.runs.get_or_run", broken)
    result = CliRunner().invoke(cli, ["run", *TINY])
    assert isinstance(result.exception, KeyError)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_exits_130_and_leaves_a_checkpoint(how, tmp_path):
    command = [sys.executable, "-m", "vae_book.cli", "run", *TINY[:-1], "1e8", "--train"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, bufsize=1)
    while (seen := process.stderr.read(1)) and seen != "%":  # the progress bar is there
        pass
    time.sleep(0.5)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors and "The same command goes on" in errors
    assert list((tmp_path / "cache" / "checkpoints").glob("*.safetensors"))


# Sweeps


def test_a_scheduler_that_stops_a_sweep_waits_for_its_checkpoint(tmp_path):
    """SIGTERM goes to one process alone; the command ends only after its worker."""
    entry = "{dataset: digits, hidden: [8], n_samples: 100_000_000, evals_per_decade: 1}"
    file = sweep_file(tmp_path, f"sweep:\n- {entry}\n")
    command = [sys.executable, "-m", "vae_book.cli", "sweep", file]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, bufsize=1)
    while (seen := process.stderr.read(1)) and seen != "%":  # its run is being trained
        pass
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "The same command goes on" in errors and "leaked" not in errors
    assert list((tmp_path / "cache" / "checkpoints").glob("*.safetensors"))


def sweep_file(tmp_path, text):
    (tmp_path / "sweep.yaml").write_text(text)
    return tmp_path / "sweep.yaml"


def test_a_sweep_trains_every_combination(tmp_path):
    grid = "{dataset: digits, latent_dim: [2, 3], hidden: [8], n_samples: [1_000]}"
    file = sweep_file(tmp_path, f"sweep:\n- {grid}\n- {grid}\n")
    listed = call("sweep", file, "--dry-run").splitlines()
    assert [line.split()[1:] for line in listed] == [["to", "train"]] * 2
    trained = call("sweep", file, "--jobs", 2, "--quiet").splitlines()
    assert {line.split()[0] for line in trained} == {line.split()[0] for line in listed}
    listed = call("sweep", file, "--dry-run").splitlines()
    assert [line.split()[1] for line in listed] == ["stored"] * 2


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("n_samples: 3", [], "has no runs under `sweep:`"),
        ("sweep: [{dataset: digits, latentdim: 3}]", [], "did you mean 'latent_dim'?"),
        ("sweep: [{dataset: digits, latent_dim: [3, 0]}]", [], "latent_dim=0"),
        ("sweep: [{dataset: digits}]", ["--jobs", "0"], "'--jobs'"),
        ("sweep: [", [], "not valid YAML"),
    ],
)
def test_a_bad_sweep_is_refused_before_any_run(tmp_path, text, arguments, message):
    assert message in call("sweep", sweep_file(tmp_path, text), *arguments, status=2)
    assert not (tmp_path / "cache").exists()


# Notebooks


def test_execute_takes_values_as_yaml_over_those_of_a_file(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb")
    (tmp_path / "params.yaml").write_text("n: 2\nstep: 0.25\n")
    out = tmp_path / "out.ipynb"
    output = call(
        "execute", notebook, "-p", "n", "3", "-y", tmp_path / "params.yaml", "-o", out, "--quiet"
    )
    assert output == f"{out}\n"
    assert nbformat.read(out, as_version=4).cells[2].outputs[0].text == "3 0.25\n"


def test_execute_names_its_output_after_the_values(tmp_path, monkeypatch):
    source = "n = 1\nnames = ['x']\nseeds = [0]"
    cells = [new_code_cell(source, metadata={"tags": ["parameters"]}), new_code_cell("n, names")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    monkeypatch.chdir(tmp_path)
    pairs = ["-p", "n=1e3", "-p", "names", "a/b,c", "-p", "seed=2"]
    output = call("execute", "a.ipynb", *pairs, "--quiet", "--html")
    stem = tmp_path / "a-n=1000-names=a_b,c-seeds=2"
    assert output == f"{stem}.ipynb\n{stem}.html\n"
    assert "(1000, ['a/b', 'c'])" in (tmp_path / f"{stem}.html").read_text().replace("&#39;", "'")


@pytest.mark.parametrize("name", ["fig2_lower_bound", "figures/fig2_lower_bound", "fig2"])
def test_execute_knows_the_notebooks_of_the_book(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert call("execute", name, "--list").startswith("datasets: list[str] = ['mnist',")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fig2_lower_bund", "there is no notebook 'fig2_lower_bund'.*mean 'fig2_lower_bound'"),
        ("fig", "'fig' begins the name of more than one notebook: fig2_lower_bound, fig3_"),
        ("", "there is no notebook ''"),
    ],
)
def test_execute_hints_at_the_nearest_notebook(name, message):
    assert re.search(message, call("execute", name, status=2))


def test_execute_lists_the_parameters(tmp_path):
    output = call("execute", write_notebook(tmp_path / "a.ipynb"), "--list")
    assert output == "n: int = 1\nstep: float = 0.5\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "m", "3"], "declares no parameter 'm'"),
        (["-p", "step", "'1e-3'"], "write 1.0e-3"),
        (["-p", "n", "1,2"], "n='1,2' is not of type int"),
        (["-p", "n=0"], "n=0 must be above 0"),
        (["-p", "n=1", "-p", "n=2"], "-p n is given twice"),
        (["-p", "n", "[1"], "-p n: not valid YAML"),
        (["-y", "none.yaml"], "'none.yaml' does not exist"),
    ],
)
def test_execute_refuses_bad_parameters(tmp_path, arguments, message):
    output = tmp_path / "out.ipynb"
    notebook = write_notebook(tmp_path / "a.ipynb")
    assert message in call("execute", notebook, *arguments, "-o", output, status=2)
    assert not output.exists()


def test_a_failing_notebook_exits_1(tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), tmp_path / "a.ipynb")
    output = call("execute", tmp_path / "a.ipynb", "-o", tmp_path / "b.ipynb", "--quiet", status=1)
    assert "cell 1 of 1 failed" in output and "ZeroDivisionError: division by zero" in output


# Data


def test_data_status_and_fetch(tmp_path):
    lines = call("data", "status").splitlines()
    assert lines[0] == f"data folder: {tmp_path / 'data'}"
    assert [line.split()[:2] for line in lines[1:]] == [
        *[["mnist", "missing"]] * 4,
        ["freyface", "missing"],
        ["digits", "embedded"],
    ]
    assert call("data", "fetch", "digits").startswith("0 files verified")
    assert "did you mean 'mnist'?" in call("data", "fetch", "minst", status=2)


def test_numbers_are_decimal_however_they_are_padded():
    """Job arrays pad their numbers; YAML 1.1 would read 012 as 10 and 1:30 as 90."""
    assert [parse_yaml(text, "") for text in ("012", "008", "+7", "1_000")] == [12, 8, 7, 1000]
    assert [parse_yaml(text, "") for text in ("1:30", "0x10")] == ["1:30", "0x10"]
    assert [parse_yaml(text, "") for text in ("0.5", ".5", "1.5e-3")] == [0.5, 0.5, 1.5e-3]
    assert read_settings(["dataset=digits", "seed=012"]).seed == 12


@pytest.mark.parametrize("pair", ["latent_dim=", "latent_dim= "])
def test_an_empty_value_is_no_default(pair):
    """What a shell makes of a variable that is not set."""
    with pytest.raises(ParameterError, match="latent_dim: the value is empty; leave it out"):
        read_settings(["dataset=digits", pair])


def test_a_reader_that_leaves_the_pipe_is_no_error():
    command = [sys.executable, "-m", "vae_book.cli", "run", "--list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
