"""Notebooks executed with parameters that nobody thought of, each checked for its numbers.

`python tests/test_executions.py [PART_OF_NAMES]` writes `executions.json` anew, what each execution
prints and the numbers behind its figures, from the code as it is; look at the difference before
committing it. A row that is not in there is held against the runs that it has trained.
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from execution_rows import OWN, ROWS, Row
from tqdm import tqdm

from vae_book._kernel import fork_kernels
from vae_book.notebooks import execute, find_notebook
from vae_core.runs import all_runs

SMOKE = Path(__file__).resolve().parents[1] / "book/params/smoke.yaml"  # what a row does not say
FILE = Path(__file__).with_name("executions.json")
FONT, CHARACTER = 6.8, 0.62  # points; the width of a digit of DejaVu Sans, in those
# figures beside the paper's curves at their defaults
WITH_PAPER = ("fig2_lower_bound", "fig3_marginal_likelihood", "index", "ambiguities")


def own_data(folder: Path, name: str) -> str:
    """A data set's name or, of one of one's own, the path of its file."""
    if name not in OWN:
        return name
    np.savez(folder / name, **OWN[name])
    return str(folder / name)


def executed(row: Row, folder: Path) -> nbformat.NotebookNode:
    """The executed notebook of a row; stores are those of the environment."""
    values = row.values | {}
    if "datasets" in values:
        values["datasets"] = [own_data(folder, name) for name in values["datasets"]]
    params = None if row.from_book else SMOKE
    out = folder / f"{row.name}.ipynb"
    execute(find_notebook(row.notebook), out, values, params_file=params, progress=False)
    return nbformat.read(out, as_version=4)


def outputs_of(node: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in node.cells if cell.cell_type == "code" for o in cell.outputs]


def lines_of(node: nbformat.NotebookNode) -> list[str]:
    """What the cells print, and the lines that stand for figures and tables; no times."""
    texts = [
        o.text if o.output_type == "stream" else o.get("data", {}).get("text/plain", "")
        for o in outputs_of(node)
        if o.get("name") != "stderr"
    ]
    lines = "\n".join(texts).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("Provenance")]


def html_of(node: nbformat.NotebookNode) -> BeautifulSoup:
    shown = (o.get("data", {}).get("text/html", "") for o in outputs_of(node))
    return BeautifulSoup("".join(shown), "html.parser")


NUMBER = re.compile(r"[-−+]?\d[\d,]*\.?\d*")


def assert_alike(lines: list[str], pinned: list[str]) -> None:
    """The same words, and numbers within 2% and two of their last digit.

    Training is reproduced to rounding; on another processor rounding is amplified by its steps.
    """
    assert [NUMBER.sub("#", line) for line in lines] == [NUMBER.sub("#", line) for line in pinned]
    for line, expected in zip(lines, pinned, strict=True):
        for ours, theirs in zip(NUMBER.findall(line), NUMBER.findall(expected), strict=True):
            value, wanted = (float(n.replace("−", "-").replace(",", "")) for n in (ours, theirs))
            digits = len(theirs.partition(".")[2])
            assert abs(value - wanted) <= 0.02 * abs(wanted) + 2 * 10**-digits, (line, expected)


COLUMNS = [
    ("train_bound_minibatch", "test_bound"),
    ("train_bound", "test_bound"),
    ("train_log_marginal", "test_log_marginal"),
]


def assert_ends_are_the_runs(lines: list[str]) -> None:
    """Each "AEVB -41.6 / -36.9" behind a figure is where a stored run ends."""
    ends = set()
    for run in all_runs():
        last = {name: column[np.isfinite(column)][-1:] for name, column in run.curve.items()}
        for train, test in COLUMNS:
            shown = [f"{value:.1f}" for name in (train, test) for value in last.get(name, ())]
            ends.add(" / ".join(shown))
    curves = [line.partition("by quadrature")[0] for line in lines]  # the truth is no curve's end
    told = {end for line in curves for end in re.findall(r"-?[\d.]+ / -?[\d.]+", line)}
    assert told <= ends


def labels_of(svg) -> list[tuple[str, str, float, float]]:
    """The numbers that stand along the axes of a drawing: text, anchor, place."""
    found = []
    for text in svg.find_all("text"):
        anchor = re.search(rf"font-size: {FONT}px.*text-anchor: (\w+)", text.get("style", ""))
        if anchor and re.fullmatch(r"[−\d.]+[kMG]?", text.get_text()):
            found.append((text.get_text(), anchor[1], float(text["x"]), float(text["y"])))
    return found


def assert_labels_are_apart(svg) -> None:
    """Numbers along one axis differ, and none overlaps the next."""
    axes: dict[tuple, list] = {}
    for text, anchor, x, y in labels_of(svg):
        is_below = anchor == "middle"
        place, size = (x, CHARACTER * len(text)) if is_below else (y, 1)
        axes.setdefault((anchor, y if is_below else x), []).append((place, size, text))
    for labels in axes.values():
        labels.sort()
        assert len({text for *_, text in labels}) == len(labels), labels
        for (place, size, _), (other, next_size, _) in zip(labels, labels[1:], strict=False):
            assert other - place > FONT * (size + next_size) / 2, labels


def assert_is_sound(row: Row, node: nbformat.NotebookNode) -> None:
    """What holds of every execution, whatever its parameters."""
    code = [c for c in node.cells if c.cell_type == "code" and c.source.strip()]
    assert all(cell.execution_count for cell in code)
    assert not [o for o in outputs_of(node) if o.output_type == "error"]
    page, lines = html_of(node), lines_of(node)
    for text in [*lines, page.get_text("\n")]:
        assert not re.search(r"\b(nan|inf|None)\b|[-−]0\.0+\b", text), text
        assert not re.search(r"(?<!of )\b1 (panels|runs|minutes|latent \w+s)\b", text), text
    counts = re.findall(r"Figure of (\d+) panel", "\n".join(lines))
    assert len(page.select(".vc-panel")) == sum(map(int, counts))
    for svg in page.select(".vc-panel > svg"):
        assert_labels_are_apart(svg)
    legends = " ".join(legend.get_text() for legend in page.select(".vc-legend"))
    assert ("the paper" in legends) == (row.from_book and row.notebook in WITH_PAPER)
    if row.notebook != "live":  # which trains in a store of its own
        assert_ends_are_the_runs(lines)
    if row.notebook in ("fig2_lower_bound", "train") and not row.from_book:
        for run in all_runs():
            steps = -(-run.config.n_samples // run.config.batch_size)
            assert len(run.curve["samples"]) >= min(12, steps)


MARKS = {True: pytest.mark.notebooks, False: pytest.mark.nightly}


def parameter(row: Row):
    needs = [pytest.mark.data(row.needs)] if row.needs else []
    return pytest.param(row, id=row.name, marks=[MARKS[row.is_quick], *needs])


@pytest.mark.usefixtures("forked_kernels")
@pytest.mark.parametrize("row", [parameter(row) for row in ROWS])
def test_execution(row, own_store, tmp_path, monkeypatch):
    if not row.from_book:
        (tmp_path / "reference").mkdir()
        monkeypatch.setenv("VAE_CORE_REFERENCE", str(tmp_path / "reference"))
    monkeypatch.setenv("VAE_CORE_TRAIN", "never" if row.from_book else "always")
    node = executed(row, tmp_path)
    assert_is_sound(row, node)
    if row.name in (pinned := json.loads(FILE.read_text())):
        assert_alike(lines_of(node), pinned[row.name])


def may_be_pinned(row: Row) -> bool:
    """Not the records of builds and benchmarks, nor what follows from runs committed later."""
    return not (row.from_book or row.notebook in ("status", "speed", "estimator"))


def test_what_is_pinned_is_executed():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) > 60
    assert set(json.loads(FILE.read_text())) <= {row.name for row in ROWS if may_be_pinned(row)}


def pin(part: str) -> None:
    """Writes what the executions print whose name has this part; one that is not sound is not."""
    fork_kernels()
    os.environ["VAE_CORE_TRAIN"] = "always"
    pinned = json.loads(FILE.read_text())
    for row in tqdm([row for row in ROWS if part in row.name and may_be_pinned(row)]):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["VAE_CORE_CACHE"] = f"{folder}/cache"
            os.environ["VAE_CORE_REFERENCE"] = f"{folder}/reference"
            node = executed(row, Path(folder))
            assert_is_sound(row, node)
            pinned[row.name] = lines_of(node)
        FILE.write_text(json.dumps(pinned, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    pin(sys.argv[1] if sys.argv[1:] else "")
