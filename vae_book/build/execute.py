"""Executes the notebooks of the staged book with one parameter file, reusing what is unchanged."""

import json
import shutil
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime

import nbformat

from vae_book._kernel import fork_kernels, stop
from vae_book.build.fingerprint import fingerprint
from vae_book.resources import ROOT

EXECUTED = ROOT / "_build" / "executed"
TIMES = EXECUTED / "times.json"  # what the status page reads
READS_TIMES = "reproducibility/status"
INPUTS = [
    "vae_core",
    "vae_book",
    "book/reference",
    "book/paper",
    "book/studies",
    "book/params",
    "book/assets",
    "benchmarks/results",
    "requirements.lock",
]
HEARTBEAT = 30  # seconds


class ExecutionError(Exception):
    """A parameter was refused, or notebooks failed."""


def execute_all(notebooks, params_file, stage, jobs, force):
    """Puts the executed copy of each notebook in its place in the staged book.

    Raises:
        ExecutionError: what was wrong with the parameters, or which cells failed and how.
    """
    from vae_book.notebooks import ParameterError, check_params, load_params, parameters_for

    try:
        params = load_params(params_file)
        check_params(params, notebooks)
        values = {notebook: parameters_for(notebook, params) for notebook in notebooks}
    except ParameterError as error:
        raise ExecutionError(str(error)) from None
    fork_kernels()
    last = [notebook for notebook in notebooks if name_of(notebook) == READS_TIMES]
    others = [notebook for notebook in notebooks if notebook not in last]
    inputs = fingerprint([ROOT / path for path in INPUTS], ROOT)
    records = run_batch(others, values, inputs, stage, jobs, force)
    TIMES.parent.mkdir(parents=True, exist_ok=True)
    TIMES.write_text(json.dumps({"params": params_file.name, "notebooks": records}, indent=1))
    run_batch(last, values, inputs + TIMES.read_text(), stage, 1, force)


def name_of(notebook):
    """`figures/fig2_lower_bound` for the notebook of that name in the book."""
    return notebook.relative_to(ROOT / "book").with_suffix("").as_posix()


def run_batch(notebooks, values, inputs, stage, jobs, force):
    """Executes some notebooks, a line for each, and returns their records in the given order."""
    records, failures, started = {}, [], time.monotonic()
    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        tasks = {
            pool.submit(run_one, nb, values[nb], inputs, stage, jobs == 1, force): nb
            for nb in sorted(notebooks, key=expected_seconds, reverse=True)
        }
        try:
            for task in in_order_of_completion(tasks, started):
                error = task.exception()
                if error is None:
                    records[tasks[task]], news = task.result()
                    print(news, flush=True)
                else:
                    failures.append(f"{name_of(tasks[task])}: {error}")
        except KeyboardInterrupt:
            stop(tasks)
            raise
    if failures:
        raise ExecutionError("\n".join(failures))
    return [records[notebook] for notebook in notebooks]


def expected_seconds(notebook):
    """As long as the last time; before any, pages that train are taken for long.

    The longest goes first, so that no process waits at the end for another one's long page.
    """
    record_file = EXECUTED / f"{name_of(notebook)}.json"
    if record_file.is_file():
        return json.loads(record_file.read_text())["seconds"]
    cells = nbformat.read(notebook, as_version=4).cells
    return sum("nbval-ignore-output" in cell.metadata.get("tags", []) for cell in cells)


def in_order_of_completion(tasks, started):
    """The tasks as they end; what is being executed is told where nothing ends for a while."""
    waiting = set(tasks)
    while waiting:
        done, waiting = wait(waiting, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
        yield from done
        if not done:
            running = ", ".join(name_of(tasks[task]) for task in waiting if task.running())
            print(f"  {time.monotonic() - started:4.0f} s, executing {running}", flush=True)


def run_one(notebook, values, inputs, stage, progress, force):
    """Executes one notebook unless that was done before with all the same; its record and news."""
    name = name_of(notebook)
    executed = EXECUTED / f"{name}.ipynb"
    record_file = executed.with_suffix(".json")
    key = fingerprint([notebook], ROOT, values, inputs)
    record = json.loads(record_file.read_text()) if record_file.is_file() else {}
    news = f"{name} is unchanged"
    if force or record.get("key") != key or not executed.is_file():
        record = execute_one(notebook, executed, values, stage, progress) | {"key": key}
        record_file.write_text(json.dumps(record, indent=1))
        news = f"{name} {record['seconds']:.1f} s"
    shutil.copyfile(executed, stage / "book" / f"{name}.ipynb")
    del record["key"]
    return record, news


def execute_one(notebook, executed, values, stage, progress):
    from vae_book.notebooks import execute_checked

    staged = stage / notebook.relative_to(ROOT)
    executed.with_suffix(".json").unlink(missing_ok=True)
    started = time.monotonic()
    execute_checked(staged, executed, values, progress=progress)
    seconds = time.monotonic() - started
    finish(executed)
    return {
        "notebook": name_of(notebook),
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": values,
    }


def finish(executed):
    """Hides papermill's cell from the page and refuses a stored traceback."""
    node = nbformat.read(executed, as_version=4)
    for index, cell in enumerate(node.cells):
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags and "remove-input" not in tags:
            cell.metadata["tags"] = [*tags, "remove-input"]
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise ExecutionError(f"cell {index} stores a traceback: {output.ename}")
    nbformat.write(node, executed)
