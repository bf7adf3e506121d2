"""Execution of the book's notebooks with other parameters.

papermill only warns about a parameter that a notebook does not declare, and takes a value of any
type. Here both are refused before a kernel starts (see `vae_book.declared`), and so is what gives a
run that there cannot be (`vae_book.planned`).
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import nbformat

from vae_book._kernel import ThisPythonKernelManager, stop, until_started
from vae_book._names import book_of, find_notebook, is_named, output_name, output_path
from vae_book._outputs import strip
from vae_book.declared import Parameter, check_types, declared_parameters
from vae_book.params import (
    ParameterError,
    Params,
    load_params,
    nearest,
    parse_pair,
    parse_yaml,
    shown,
)
from vae_book.planned import missing_runs

__all__ = [
    "NotebookFailed",
    "Parameter",
    "ParameterError",
    "Params",
    "all_values",
    "book_of",
    "check_params",
    "check_values",
    "declared_parameters",
    "execute",
    "execute_checked",
    "find_notebook",
    "load_params",
    "output_name",
    "parameters_for",
    "read_values",
]

_DISPLAY_TAGS = {"hide-input", "remove-input", "hide-cell", "remove-cell"}


class NotebookFailed(RuntimeError):
    """A cell of a notebook raised an error, or its kernel died."""


def parameters_for(notebook: str | Path, params: Params) -> dict[str, Any]:
    """What a parameter file says for one notebook, checked; parameters of others are left out.

    Raises:
        ParameterError: a value of the wrong type, or a name under `notebooks:` for this very
            notebook that it does not declare.
    """
    return check_values(notebook, _chosen(notebook, params))


def check_values(notebook: str | Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with tuples as lists, once the notebook declares them and its runs can be trained.

    The path of a data set is as seen from here; what is returned has it whole, since a kernel works
    in the folder of its notebook.

    Raises:
        ParameterError: names the notebook, the parameter, the value and what would be right.
    """
    values = check_types(notebook, values)
    if "datasets" in values:
        values["datasets"] = list(map(_whole, values["datasets"]))
    declared = declared_parameters(notebook)
    if any(value != declared[name].value for name, value in values.items()):
        missing_runs(notebook, values)
    return values


def _whole(dataset: str) -> str:
    """The name of a data set, or the whole path of one's own."""
    return str(Path(dataset).expanduser().resolve()) if dataset.endswith(".npz") else dataset


def read_values(notebook: str | Path, pairs: Iterable[str]) -> dict[str, Any]:
    """Values of parameters from `name=value` pairs as on the command line; types are not checked.

    Raises:
        ParameterError: no such pair, a value that is not YAML, or a name that is given twice.
    """
    declared, values = declared_parameters(notebook), {}
    for name, text in map(parse_pair, pairs):
        if name not in declared and f"{name}s" in declared:  # seed=1 for seeds=[1]
            name = f"{name}s"
        if name in values:
            raise ParameterError(f"-p {name} is given twice")
        parameter = declared.get(name)
        values[name] = parameter.read(text) if parameter else parse_yaml(text, f"-p {name}")
    return values


def _chosen(notebook: str | Path, params: Params) -> dict[str, Any]:
    """What a parameter file says for one notebook, unchecked."""
    declared = declared_parameters(notebook)
    chosen = {name: value for name, value in params.values.items() if name in declared}
    for key, values in params.notebooks.items():
        if is_named(Path(notebook), key):
            chosen |= values
    return chosen


def check_params(params: Params, notebooks: Iterable[str | Path]) -> None:
    """Refuses names in a parameter file that none of the notebooks declares.

    Raises:
        ParameterError: names the parameter or notebook, and the nearest one that exists.
    """
    paths = [Path(notebook) for notebook in notebooks]
    known = {name for notebook in paths for name in declared_parameters(notebook)}
    for name in params.values:
        if name not in known:
            raise ParameterError(
                f"{params.source}: no notebook declares a parameter {name!r}; "
                f"{nearest(name, known)}"
            )
    for key in params.notebooks:
        if not any(is_named(notebook, key) for notebook in paths):
            names = ["/".join(n.with_suffix("").parts[-2:]) for n in paths]
            raise ParameterError(
                f"{params.source}: notebooks: there is no notebook {key!r}; {nearest(key, names)}"
            )


def all_values(
    notebook: str | Path, parameters: Mapping[str, Any], params_file: str | Path | None
) -> dict[str, Any]:
    """The values that go before those of a parameter file, with them; checked.

    Raises:
        ParameterError: as `check_params` and `check_values`.
    """
    values: dict[str, Any] = {}
    if params_file is not None:
        params = load_params(params_file)
        check_params(params, book_of(Path(notebook).resolve()))
        values = _chosen(notebook, params)
    return check_values(notebook, values | dict(parameters))


def execute(
    notebook: str | Path,
    output: str | Path | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    params_file: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Executes a notebook with parameters, in the Python that runs this, and returns the output.

    Args:
        notebook: the notebook; its folder is the working directory of its kernel.
        output: where the executed notebook goes, whole or not at all; may be the notebook itself.
            Default: `output_name` in the current directory.
        parameters: values by name; they go before those of the file.
        params_file: a parameter file of the whole book (see `vae_book.params`).
        progress: shows a bar over the cells, and what the cells write to stderr.

    Raises:
        ParameterError: an unknown name, a wrong type or a wrong output; no kernel was started.
        NotebookFailed: a cell failed. What was executed is left in `<output>.failed.ipynb`.
    """
    values = all_values(Path(notebook).resolve(), parameters or {}, params_file)
    return execute_checked(notebook, output, values, progress=progress)


def execute_checked(
    notebook: str | Path, output: str | Path | None, values: dict[str, Any], *, progress: bool
) -> Path:
    """As `execute`, with all values as `all_values` returned them."""
    notebook = Path(notebook).resolve()
    output = output_path(output or output_name(notebook, values))
    with tempfile.TemporaryDirectory(prefix=".execute-", dir=output.parent) as folder:
        temporary = Path(folder) / output.name
        failed = output.with_suffix(".failed.ipynb")
        try:
            _run_in_thread(notebook, temporary, values, progress)
        except NotebookFailed as error:
            os.replace(temporary, failed)
            raise NotebookFailed(f"{error}\nWhat was executed is in {failed}") from error.__cause__
        strip(temporary, values)
        os.replace(temporary, output)
    if failed != notebook:
        failed.unlink(missing_ok=True)
    return output


def _run_in_thread(*arguments: Any) -> None:
    """`_run`, while this thread is free to hear of Ctrl-C and to end the kernel then."""
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(_run, *arguments)
        try:
            task.result()
        except KeyboardInterrupt:
            stop([task])
            raise


def _run(notebook: Path, output: Path, values: dict[str, Any], progress: bool) -> None:
    """Executes by papermill; the output is written even where a cell fails."""
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook
    from papermill.iorw import load_notebook_node

    node = _inject(load_notebook_node(str(notebook)), values)
    _tell(node, notebook, values)
    nbformat.write(node, output)
    start = partial(
        execute_notebook,
        node,
        str(output),
        kernel_name="python3",
        language="python",
        kernel_manager_class=ThisPythonKernelManager,
        progress_bar=progress,
        stderr_file=sys.stderr if progress else None,
        # papermill's own `cwd` changes the directory of this process, for every thread of it
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    try:
        until_started(start)
    except PapermillExecutionError as error:
        own = [not _is_injected(cell) for cell in node.cells]
        raise NotebookFailed(
            f"{notebook}: cell {sum(own[: error.cell_index + 1])} of {sum(own)} failed, "
            f"the one that begins `{error.source.strip().splitlines()[0]}`\n"
            f"{error.ename}: {error.evalue}"
        ) from error
    except RuntimeError as error:  # nbclient's DeadKernelError, or no answer from a kernel
        raise NotebookFailed(f"{notebook}: {error}") from error


def _inject(node: nbformat.NotebookNode, values: dict[str, Any]) -> nbformat.NotebookNode:
    """The notebook with papermill's cell of values, shown or hidden as the parameters are.

    The cell of an earlier execution is dropped: what is not given has its default.
    """
    from papermill.parameterize import parameterize_notebook

    node.cells = [cell for cell in node.cells if not _is_injected(cell)]
    if not values:
        return node
    tags = [
        tag
        for cell in node.cells
        if "parameters" in cell.metadata.get("tags", [])
        for tag in cell.metadata.tags
        if tag in _DISPLAY_TAGS
    ]
    node = parameterize_notebook(node, values, kernel_name="python3", language="python")
    for cell in node.cells:
        if _is_injected(cell):
            cell.metadata["tags"] += tags
    return node


def _tell(node: nbformat.NotebookNode, notebook: Path, values: dict[str, Any]) -> None:
    """Says below the title with which values other than the defaults a notebook was executed."""
    declared = declared_parameters(notebook)
    changed = [f"`{n} = {shown(v)}`" for n, v in values.items() if v != declared[n].value]
    if not (changed and node.cells[0].cell_type == "markdown"):
        return
    text = (
        f"> **Executed with {', '.join(changed)}.** Figures, tables and printed lines are those of "
        "this execution; what the text says of results, it says of the book's own."
    )
    told = nbformat.v4.new_markdown_cell(text, id="executed-with")
    told.metadata["tags"] = ["injected-parameters"]
    node.cells.insert(1, told)


def _is_injected(cell: nbformat.NotebookNode) -> bool:
    return "injected-parameters" in cell.metadata.get("tags", [])
