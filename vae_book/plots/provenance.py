"""Where a figure came from, shown under it: runs, command, versions, hardware, time."""

import json
import shlex
from functools import cache
from html import escape
from pathlib import Path

import yaml

from vae_core.data import DATASETS

ROOT = Path(__file__).resolve().parents[2]


@cache
def repository() -> tuple[str, str] | None:
    """URL and branch of the repository as `_config.yml` gives them; None without that file."""
    try:
        entry = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    except (OSError, KeyError):
        return None
    return entry["url"], entry.get("branch", "main")


def execute_command(notebook: str, **parameters) -> str:
    """The command that executes `book/{notebook}.ipynb` with these parameters."""
    options = (f" -p {k} {shlex.quote(json.dumps(v))}" for k, v in parameters.items())
    return f"vae-core execute book/{notebook}.ipynb{''.join(options)}"


class Provenance:
    """The provenance of a figure made from `runs` by `command`, as HTML and as text."""

    def __init__(self, runs, command: str):
        self.runs, self.command = list(runs), command

    def facts(self) -> dict[str, list[str]]:
        """Each kind of fact with its distinct values over the runs."""
        facts: dict[str, dict[str, None]] = {}
        for run in self.runs:
            for name, value in _facts(run):
                facts.setdefault(name, {})[value] = None
        return {name: list(values) for name, values in facts.items()}

    def hours(self) -> float:
        """Wall time of all runs together."""
        return sum(run.provenance.get("wall_seconds") or 0.0 for run in self.runs) / 3600

    def _repr_html_(self) -> str:
        rows = [("Made by", f"<code>{escape(self.command)}</code>")]
        rows += [("Runs", ", ".join(_link(run) for run in self.runs))]
        for name, values in self.facts().items():
            rows.append((name, "; ".join(escape(value) for value in values)))
        items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
        return (
            f'<details class="provenance" style="overflow-wrap:anywhere">'
            f"<summary>{self}</summary><dl>{items}</dl></details>"
        )

    def __repr__(self) -> str:
        n, hours = len(self.runs), self.hours()
        time = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
        return f"Provenance: {n} run{'s' * (n != 1)}, {time} of training on one thread each"


def provenance(runs, command: str) -> Provenance:
    """What a figure was made from and how to make it again; display it under the figure."""
    return Provenance(runs, command)


def _facts(run):
    made = run.provenance
    yield "Settings", _settings(run.config)
    if made.get("source_sha256"):
        commit = f", commit {made['git_commit'][:10]}" if made.get("git_commit") else ""
        yield "Source", f"sha256 {made['source_sha256'][:12]}{commit}"
    if made.get("data_sha256"):
        name = DATASETS[run.config.dataset].title
        yield "Data", f"{name} sha256 {made['data_sha256'][:12]}"
    if made.get("versions"):
        versions = (f"{package} {version}" for package, version in made["versions"].items())
        yield "Versions", ", ".join(versions)
    if made.get("device"):
        yield "Hardware", f"{made['device']}, {made.get('threads', '?')} thread(s)"
    if made.get("date"):
        yield "Date", str(made["date"])


def _settings(config) -> str:
    """The settings that a reader of a figure asks about first."""
    return (
        f"{config.dataset}: {config.n_samples:,} samples, hidden "
        f"{'x'.join(map(str, config.hidden)) or 'none'}, minibatch {config.batch_size}, "
        f"step size {config.step_size:g}, products in {config.matmul_precision} precision"
    )


def _link(run) -> str:
    key = f"<code>{escape(run.key)}</code>"
    is_committed = Path(run.path).parent.name == "reference"
    if not (is_committed and repository()):
        return key
    url, branch = repository()
    return f'<a href="{url}/blob/{branch}/book/reference/{run.key}/run.json">{key}</a>'
