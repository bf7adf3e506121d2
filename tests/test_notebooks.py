"""Parameter files, the parameters of notebooks, and their execution."""

import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from waiting import wait_until

from vae_book._kernel import stop
from vae_book.notebooks import (
    NotebookFailed,
    ParameterError,
    check_params,
    check_values,
    declared_parameters,
    execute,
    find_notebook,
    load_params,
    output_name,
    parameters_for,
)

PARAMETERS = """\
from typing import Literal

datasets = ["mnist", "freyface"]  # which
latent_dims: list[int] = []
step_size = 0.01
n_samples = 10_000_000
seed: int | None = None
binarize = False
precision: Literal["highest", "medium"] = "highest"
label = "run"
n_train = None
settings = {}
"""


PLAN = """\
import vae_core as vc

for dataset in datasets:
    for latent_dim in latent_dims:
        vc.RunConfig(dataset=dataset, latent_dim=latent_dim, n_train=n_train, **settings)
"""


def write(path, *cells, parameters=PARAMETERS, tags=(), plan=()):
    """A notebook of a text cell, a cell of parameters, cells to plan by and other code cells."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters", *tags]})
    code = [new_code_cell(source, metadata={"tags": ["plan"]}) for source in plan]
    code += [new_code_cell(source) for source in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell("Text"), first, *code]), path)
    return path


def printed(path):
    """What the cells of an executed notebook printed."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


@pytest.fixture
def notebook(tmp_path):
    return write(tmp_path / "book" / "figures" / "fig.ipynb", "print(latent_dims)", plan=[PLAN])


@pytest.fixture
def no_kernel(monkeypatch):
    """Fails a test in which a kernel is asked for."""

    def refuse(*args, **kwargs):
        raise AssertionError("a kernel was started")

    monkeypatch.setattr("papermill.execute.execute_notebook", refuse)


# Declared parameters


def test_parameters_are_read_with_their_types(notebook):
    types = {name: parameter.type for name, parameter in declared_parameters(notebook).items()}
    assert types == {
        "datasets": "list[str]",
        "latent_dims": "list[int]",
        "step_size": "float",
        "n_samples": "int",
        "seed": "int | None",
        "binarize": "bool",
        "precision": "Literal['highest', 'medium']",
        "label": "str",
        "n_train": "Any",
        "settings": "dict",
    }


@pytest.mark.parametrize("default", ["__import__('os').mkdir('made')", "10**7", "range(3)", "x"])
def test_only_literals_are_defaults_and_none_is_evaluated(tmp_path, monkeypatch, default):
    monkeypatch.chdir(tmp_path)
    notebook = write(tmp_path / "a.ipynb", parameters=f"n = {default}")
    with pytest.raises(ParameterError, match=r"a.ipynb: .* n = .* is not a literal"):
        declared_parameters(notebook)
    assert os.listdir(tmp_path) == ["a.ipynb"]
    annotated = write(tmp_path / "b.ipynb", parameters=f"n: int = {default}")
    assert declared_parameters(annotated)["n"].value is None


def test_a_notebook_without_such_a_cell_declares_nothing(tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell("n = 1")]), tmp_path / "n.ipynb")
    assert declared_parameters(tmp_path / "n.ipynb") == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latent_dim": [2]}, "declares no parameter 'latent_dim'; did you mean 'latent_dims'"),
        ({"zzz": 1}, "declares no parameter 'zzz'; known: binarize, datasets"),
        ({"latent_dims": 2}, r"latent_dims=2 is not of type list\[int\] \(default \[\]\)"),
        ({"latent_dims": [2, "x"]}, r"latent_dims=\[2, 'x'\] is not of type"),
        ({"latent_dims": [2.5]}, r"latent_dims=\[2.5\] is not of type"),
        ({"datasets": "mnist"}, r"datasets='mnist' is not of type list\[str\]"),
        ({"step_size": "1e-3"}, "YAML reads 1e-3 as text, write 1.0e-3"),
        ({"n_samples": "1e6"}, "n_samples='1e6' is not of type int .*; write 1000000$"),
        ({"n_samples": 1e6}, "n_samples=1000000.0 is not of type int .*; write 1000000$"),
        ({"n_samples": True}, "n_samples=True is not of type int"),
        ({"step_size": False}, "step_size=False is not of type float"),
        ({"binarize": 1}, "binarize=1 is not of type bool"),
        ({"binarize": "false"}, "binarize='false' is not of type bool"),
        ({"seed": "none"}, "seed='none' is not of type int | None"),
        ({"precision": "high"}, "precision='high' is not of type Literal"),
        ({"label": None}, "label=None is not of type str"),
        ({"label": 3}, "label=3 is not of type str"),
        ({"latent_dims": [5.0]}, r"latent_dims=\[5.0\] is not of type list\[int\].*; write 5$"),
        ({"latent_dims": ["2"]}, r"latent_dims=\['2'\] is not of type list\[int\]"),
        ({"latent_dims": [True]}, r"latent_dims=\[True\] is not of type list\[int\]"),
        ({"step_size": float("inf")}, "step_size=inf is not of type float"),
        ({"step_size": -1}, r"step_size=-1 must be above 0 \(default 0.01\)"),
        ({"datasets": []}, r"datasets=\[\] is empty; name at least one"),
        # what no run can have
        ({"datasets": ["cifar10"], "latent_dims": [2]}, "fig.ipynb: datasets='cifar10'"),
        (
            {"datasets": ["no.npz"], "latent_dims": [2]},
            "fig.ipynb: datasets=.*give the path of one",
        ),
        ({"latent_dims": [None]}, r"latent_dims=\[None\] has an empty element: leave .* out"),
        ({"latent_dims": [2, 0]}, "fig.ipynb: latent_dims=0: .* greater than or equal to 1"),
        (
            {"datasets": ["digits"], "latent_dims": [2], "n_train": 1501},
            "digits has 1500 training images",
        ),
        (
            {"latent_dims": [2], "settings": {"stepsize": 0.1}},
            "unknown field 'stepsize'.*'step_size'",
        ),
        ({"settings": {"latent_dim": 2}}, "set latent_dim by its own parameter, latent_dims"),
        (
            {"latent_dims": [2], "settings": {"n_mc": "2"}},
            "n_mc='2': Input should be a valid integer",
        ),
        ({"latent_dims": list(range(1, 3000))}, "5,998 runs are asked for, more than 2,000"),
    ],
)
def test_a_bad_parameter_is_refused_before_a_kernel_starts(notebook, values, message, no_kernel):
    with pytest.raises(ParameterError, match=message):
        execute(notebook, notebook.parent / "out.ipynb", values)
    assert sorted(os.listdir(notebook.parent)) == ["fig.ipynb"]


# Parameter files


def params_file(folder, text):
    (folder / "params.yaml").write_text(text)
    return folder / "params.yaml"


def test_a_file_gives_each_notebook_its_own(notebook, tmp_path):
    other = write(tmp_path / "book" / "live.ipynb", parameters="n_samples = 5\nepochs = 1")
    params = load_params(
        params_file(
            tmp_path,
            "n_samples: 1_000\nstep_size: 1.0e-3\nepochs: 2\n"
            "notebooks: {figures/fig: {n_samples: 2_000, seed: null}}\n"
            "sweep: [{dataset: digits, latent_dim: [2, 3]}]",
        )
    )
    check_params(params, [notebook, other])
    expected = {"n_samples": 2000, "step_size": 0.001, "seed": None}
    assert parameters_for(notebook, params) == expected
    assert parameters_for(other, params) == {"n_samples": 1000, "epochs": 2}
    assert params.sweep == [{"dataset": "digits", "latent_dim": [2, 3]}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_sample: 3", "no notebook declares a parameter 'n_sample'; did you mean 'n_samples'"),
        ("notebooks: {figures/fgi: {seed: 1}}", "no notebook 'figures/fgi'.*'figures/fig'"),
        ("notebooks: {figures/fig: {sed: 1}}", "no parameter 'sed'; did you mean 'seed'"),
        ("n_samples: 1e-6", "n_samples=1e-06 is not of type int"),
        ("n_samples: 1\nn_samples: 2", "line 2, column 1: 'n_samples' is given twice"),
        ("latent_dims: &a [*a]", "line 1, column 14: a value that contains itself"),
        ("latent_dims: " + "[" * 1000, "lists nested more than 20 deep"),
        ("seed: !!python/name:os.system", "line 1, column 7: could not determine a constructor"),
        ("- 1", r"expected `name: value` lines, found \[1\]"),
        ("notebooks: [a]", "notebooks: expected `name: value` lines"),
        ("notebooks: {figures/fig: 3}", "notebooks: figures/fig: expected `name: value` lines"),
        ("sweep: {dataset: mnist}", "sweep: expected a list of grids"),
        ("sweep: [mnist]", "sweep: entry 1: expected `name: value` lines"),
        ("a: [1", "params.yaml: not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_before_a_kernel_starts(notebook, tmp_path, text, message, no_kernel):
    with pytest.raises(ParameterError, match=message):
        execute(notebook, tmp_path / "out.ipynb", params_file=params_file(tmp_path, text))


def test_an_empty_file_changes_nothing(notebook, tmp_path):
    params = load_params(params_file(tmp_path, "# nothing\n"))
    check_params(params, [notebook])
    assert parameters_for(notebook, params) == {}


# Execution


def test_values_arrive_as_given_in_this_python(tmp_path):
    notebook = write(
        tmp_path / "a.ipynb",
        "import os, sys",
        "print([datasets, latent_dims, step_size, n_samples, seed, sys.executable, os.getcwd()])",
        tags=["hide-input"],
    )
    file = params_file(tmp_path, "seed: 3\nn_samples: 7")
    output = tmp_path / "deep" / "out.ipynb"
    values = {"latent_dims": (2, 50), "step_size": 1, "n_samples": 8}
    assert execute(notebook, output, values, params_file=file, progress=False) == output
    expected = [["mnist", "freyface"], [2, 50], 1, 8, 3, sys.executable, str(tmp_path)]
    assert printed(output) == f"{expected}\n"
    assert [path.name for path in output.parent.iterdir()] == ["out.ipynb"]
    node = nbformat.read(output, as_version=4)
    assert node.cells[3].metadata.tags == ["injected-parameters", "hide-input"]
    assert node.metadata.papermill == {
        "parameters": {"latent_dims": [2, 50], "step_size": 1, "n_samples": 8, "seed": 3}
    }
    assert all(set(cell.metadata) <= {"tags"} for cell in node.cells)  # no times, no paths

    again = execute(output, output, progress=False)  # what is not given has its default
    assert printed(again).startswith("[['mnist', 'freyface'], [], 0.01, 10000000, None,")


def test_a_progress_bar_leaves_no_box_and_a_warning_does(tmp_path):
    """As in a terminal: of a line that is written over, what stands there in the end."""
    bars = """
import sys, warnings
from tqdm import tqdm
_ = list(tqdm(range(3), "quick", leave=False, mininterval=0))
print("between")
_ = list(tqdm(range(2), "inner", leave=False, mininterval=0))
"""
    warning = "warnings.warn('of an estimate')"
    notebook = write(tmp_path / "page.ipynb", bars, bars + warning)
    done = nbformat.read(execute(notebook, tmp_path / "out.ipynb", progress=False), as_version=4)
    *_, quiet, warned = done.cells
    assert [(out.name, out.text) for out in quiet.outputs] == [("stdout", "between\n")]
    stderr, stdout = warned.outputs
    assert stderr.name == "stderr" and "UserWarning: of an estimate" in stderr.text
    assert "|" not in stderr.text and "\r" not in stderr.text and stdout.text == "between\n"


def test_a_failing_cell_is_named_and_leaves_the_output_alone(tmp_path):
    notebook = write(tmp_path / "a.ipynb", "x = 1", "# why\nraise ValueError(f'bad {seed}')", "2")
    output = tmp_path / "out.ipynb"
    output.write_text("before")
    with pytest.raises(NotebookFailed) as error:
        execute(notebook, output, {"seed": 3}, progress=False)
    first, second, third = str(error.value).splitlines()
    assert first.endswith("a.ipynb: cell 4 of 5 failed, the one that begins `# why`")
    assert second == "ValueError: bad 3"
    assert third.endswith("out.failed.ipynb")
    assert output.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["a.ipynb", "out.failed.ipynb", "out.ipynb"]
    assert "Traceback" in (tmp_path / "out.failed.ipynb").read_text()


def test_a_failed_notebook_that_is_executed_again_stays(tmp_path):
    notebook = write(tmp_path / "out.failed.ipynb", "x = 1", "x + 1")
    execute(notebook, tmp_path / "out.ipynb", progress=False)
    assert sorted(os.listdir(tmp_path)) == ["out.failed.ipynb", "out.ipynb"]


@pytest.mark.parametrize("name", ["page.html", "folder.ipynb"])
def test_an_output_that_is_no_notebook_is_refused_before_a_kernel_starts(name, tmp_path, no_kernel):
    notebook = write(tmp_path / "a.ipynb", "x = 1", "x + 1")
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(ParameterError, match=f"{name}'.* name ends in .ipynb"):
        execute(notebook, tmp_path / name)


def test_an_output_where_no_folder_can_be_is_refused_before_a_kernel_starts(tmp_path, no_kernel):
    notebook = write(tmp_path / "a.ipynb", "x = 1")
    with pytest.raises(ParameterError, match=r"output=.*a.ipynb cannot be made.*with -o"):
        execute(notebook, notebook / "out.ipynb")


@pytest.mark.parametrize(
    "name, values, words",
    [
        ("fig3_marginal_likelihood", {"settings": {"log_marginal": None}}, "log_marginal"),
        ("fig3_marginal_likelihood", {"latent_dims": [25]}, "must be 1 to 24"),
        ("fig4_manifold", {"settings": {"latent_dim": 3}}, "latent_dim"),
        ("fig4_manifold", {"grid_size": 1_000}, "must be 1 to 100"),
        ("fig5_samples", {"n_columns": 101}, "must be 1 to 100"),
        ("models", {"shown": [20]}, "must be 0 to 19"),
        ("estimators", {"n_draws": 1}, "must be 2 to 100,000"),
        ("fig2_lower_bound", {"latent_dims": [2, 2]}, "names 2 twice"),
        ("fig2_lower_bound", {"algorithms": ["mcem"]}, "no bound.*fig3_marginal_likelihood"),
    ],
)
def test_a_notebook_of_the_book_refuses_what_it_cannot_show(name, values, words):
    with pytest.raises(ParameterError, match=words):
        check_values(find_notebook(name), values)


def test_the_path_of_a_data_set_is_as_seen_from_here(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", train=np.zeros((3, 4), np.uint8), test=np.zeros((2, 4), np.uint8))
    values = check_values(notebook, {"datasets": ["own.npz", "digits"]})
    assert values == {"datasets": [str(tmp_path / "own.npz"), "digits"]}
    assert output_name(notebook, values) == "fig-datasets=own.npz,digits.ipynb"


def test_an_execution_tells_its_values_below_the_title(notebook, tmp_path):
    values = {"latent_dims": [3], "label": "run"}
    once = execute(notebook, tmp_path / "once.ipynb", values, progress=False)
    told = nbformat.read(once, as_version=4).cells[1]
    assert told.cell_type == "markdown" and "`latent_dims = [3]`" in told.source
    assert "label" not in told.source  # it has its default
    again = execute(once, tmp_path / "again.ipynb", progress=False)
    assert "Executed with" not in again.read_text()


def test_a_killed_kernel_is_an_error(tmp_path):
    notebook = write(tmp_path / "a.ipynb", "import os; os._exit(9)")
    with pytest.raises(NotebookFailed, match="a.ipynb: Kernel died"):
        execute(notebook, tmp_path / "out.ipynb", progress=False)
    assert not (tmp_path / "out.ipynb").exists()


def test_another_registered_kernel_of_that_name_is_not_used(tmp_path):
    """A user's own "python3" may be another Python; it goes before every other in Jupyter."""
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    spec.joinpath("kernel.json").write_text(
        '{"argv": ["/bin/false"], "display_name": "other", "language": "python"}'
    )
    notebook = write(tmp_path / "a.ipynb", "print(6 * 7)")
    script = f"from vae_book.notebooks import execute; execute({str(notebook)!r}, progress=True)"
    environment = os.environ | {"JUPYTER_PATH": str(tmp_path / "jupyter")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert printed(tmp_path / "a-executed.ipynb") == "42\n"
    assert "Executing" in done.stderr and "3/3" in done.stderr  # the progress bar


FORKED = """
import os
from vae_book import _forked, _kernel
from vae_book.notebooks import NotebookFailed, execute
_forked.IMPORTED = ["wave"]
_kernel.fork_kernels()
os.environ["COLOUR"] = "red"
execute("book/a.ipynb", "a-out.ipynb", progress=False)
os.environ["COLOUR"] = "blue"
execute("book/a.ipynb", "b-out.ipynb", progress=False)
try:
    execute("c.ipynb", progress=False)
except NotebookFailed as error:
    print(str(error).splitlines()[0])
"""


def test_a_forked_kernel_has_its_own_group_folder_and_environment_and_may_die(tmp_path):
    tells = "import os, sys; print(os.getpgrp() == os.getpid(), os.environ['COLOUR'], os.getcwd())"
    (tmp_path / "book").mkdir()
    write(tmp_path / "book/a.ipynb", tells, "print('wave' in sys.modules)")
    write(tmp_path / "c.ipynb", "import os; os._exit(9)")
    done = subprocess.run(
        [sys.executable, "-c", FORKED], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.endswith("c.ipynb: Kernel died\n"), done
    for name, colour in [("a", "red"), ("b", "blue")]:
        told = printed(tmp_path / f"{name}-out.ipynb")
        assert told == f"True {colour} {tmp_path / 'book'}\nTrue\n"


@pytest.mark.parametrize(("failures", "is_executed"), [(0, True), (2, True), (3, False)])
def test_a_kernel_whose_port_was_taken_is_started_again(tmp_path, failures, is_executed):
    write(tmp_path / "a.ipynb", "print(6 * 7)")
    script = f"""
import papermill.execute
from vae_book.notebooks import NotebookFailed, execute
papermill_executes, starts = papermill.execute.execute_notebook, []
def may_fail(*arguments, **options):
    starts.append(1)
    if len(starts) <= {failures}:
        raise RuntimeError("Kernel died before replying to kernel_info")
    return papermill_executes(*arguments, **options)
papermill.execute.execute_notebook = may_fail
try:
    execute("a.ipynb", "out.ipynb", progress=False)
except NotebookFailed as error:
    print(len(starts), str(error).splitlines()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done
    told = "" if is_executed else f"3 {tmp_path / 'a.ipynb'}: Kernel died before replying to"
    assert done.stdout.startswith(told) and bool(done.stdout) != is_executed
    assert (tmp_path / "out.ipynb").exists() == is_executed


# Interruption

WAITS = """
import atexit, logging, os, pathlib, time
atexit.register(logging.getLogger("tornado.general").error, "a socket is closed")
pathlib.Path("started").open("a").write(f"{os.getpid()}\\n")
time.sleep(600)
"""


def interrupted(script, folder, how=signal.SIGINT):
    """Status and output of a script that hears Ctrl-C, as it alone, once a notebook waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # heard even where the tests run in the background of a shell, which ignores it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    started = folder / "started"
    wait_until(lambda: process.poll() is not None or (started.exists() and started.read_text()))
    process.send_signal(how)
    output, _ = process.communicate(timeout=60)
    kernels = [int(pid) for pid in started.read_text().split()]
    assert not [pid for pid in kernels if os.path.exists(f"/proc/{pid}")]
    return process.returncode, output, len(kernels)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_execution_ends_with_its_kernel_and_writes_nothing(how, tmp_path):
    write(tmp_path / "a.ipynb", WAITS)
    script = "from vae_book.cli import main; main()"
    script = f"import sys; sys.argv[1:] = ['execute', 'a.ipynb', '--quiet']; {script}"
    status, output, _ = interrupted(script, tmp_path, how)
    assert status == 130 and output.strip().startswith("Interrupted") and "\n" not in output.strip()
    assert sorted(os.listdir(tmp_path)) == ["a.ipynb", "started"]


def test_a_forked_kernel_ends_with_whoever_started_it(tmp_path):
    write(tmp_path / "a.ipynb", WAITS)
    script = """
from vae_book import _forked, _kernel
from vae_book.notebooks import execute
_forked.IMPORTED = []
_kernel.fork_kernels()
execute("a.ipynb", progress=False)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    started = tmp_path / "started"
    wait_until(lambda: process.poll() is not None or (started.exists() and started.read_text()))
    process.kill()
    process.wait()
    kernel = Path("/proc", started.read_text().strip())
    wait_until(lambda: not kernel.exists())


def test_nobody_tells_that_a_kernel_died_of_being_stopped():
    log = logging.getLogger("papermill")
    with ThreadPoolExecutor() as pool:
        task = pool.submit(wait_until, lambda: log.disabled)
        wait_until(task.running)
        stop([task])
    assert task.exception() is None and not log.disabled


def test_an_interrupted_build_executes_no_notebook_that_waits(tmp_path):
    notebooks = [str(write(tmp_path / f"{name}.ipynb", WAITS)) for name in "abc"]
    script = f"""
from pathlib import Path
from vae_book.build import execute
from vae_book.notebooks import execute as execute_notebook
execute.name_of = str
execute.run_one = lambda notebook, *_: execute_notebook(notebook, progress=False)
notebooks = {notebooks}
try:
    execute.run_batch(notebooks, dict.fromkeys(notebooks), "", None, jobs=2, force=False)
except KeyboardInterrupt:
    print("interrupted")
"""
    assert interrupted(script, tmp_path)[1:] in [("interrupted\n", 1), ("interrupted\n", 2)]
