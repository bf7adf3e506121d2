"""What an executed notebook keeps of its execution."""

from pathlib import Path
from typing import Any

import nbformat


def strip(output: Path, values: dict[str, Any]) -> None:
    """Leaves no times, progress bars and paths of this machine in an executed notebook."""
    node = nbformat.read(output, as_version=4)
    node.metadata["papermill"] = {"parameters": values}
    for cell in node.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell.outputs = _without_bars(cell.outputs)
    nbformat.write(node, output)


def _without_bars(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs, before them what a terminal shows of stderr in the end, if there is any.

    A progress bar over what is quick leaves nothing there, but all its states in a notebook.
    """
    stderr = "".join(out.text for out in outputs if out.get("name") == "stderr")
    others = [out for out in outputs if out.get("name") != "stderr"]
    left = "\n".join(map(_overwritten, stderr.split("\n")))
    if not left.strip():
        return others
    return [nbformat.v4.new_output("stream", name="stderr", text=left), *others]


def _overwritten(line: str) -> str:
    """What is left of a line in which each carriage return goes back to its beginning."""
    seen = ""
    for part in line.split("\r"):
        seen = part + seen[len(part) :]
    return seen.rstrip()
