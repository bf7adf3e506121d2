"""Where a figure came from, shown under it: runs, command, versions, hardware, time."""

import json
import shlex
from html import escape
from pathlib import Path

from vae_book import published
from vae_book.words import counted, in_words


def execute_command(notebook: str, **parameters) -> str:
    """The command that executes `book/{notebook}.ipynb` with these parameters."""
    options = (f" -p {k} {shlex.quote(json.dumps(v))}" for k, v in parameters.items())
    return f"vae-core execute book/{notebook}.ipynb{''.join(options)}"


class Provenance:
    """The provenance of a figure made from `runs` by `command`, as HTML and as text."""

    def __init__(self, runs, command: str):
        self.runs, self.command = list(runs), command

    def facts(self) -> dict[str, list[str]]:
        """What the runs have in common or nearly so: each kind of fact with its distinct values."""
        facts: dict[str, dict[str, None]] = {}
        for run in self.runs:
            for name, value in _facts(run):
                facts.setdefault(name, {})[value] = None
        return {name: list(values) for name, values in facts.items()}

    def seconds(self) -> float:
        """Wall time of all runs together."""
        return sum(map(_seconds, self.runs))

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_link(run)}</td><td>{escape(_settings(run.config))}</td>"
            f"<td>{in_words(_seconds(run))}</td></tr>"
            for run in self.runs
        )
        facts = [("Made by", f"<code>{escape(self.command)}</code>")]
        for name, values in self.facts().items():
            facts.append((name, "; ".join(escape(value) for value in values)))
        items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
        return (
            f'<details class="provenance" style="overflow-wrap:anywhere">'
            f"<summary>{self}</summary><dl>{items}</dl>"
            '<table class="table"><thead><tr><th scope="col">Run</th><th scope="col">Settings</th>'
            f'<th scope="col">Trained in</th></tr></thead><tbody>{rows}</tbody></table></details>'
        )

    def __repr__(self) -> str:
        n = counted(len(self.runs), "run")
        if not self.runs:
            return f"Provenance: {n}"
        threads = {run.provenance.get("threads") for run in self.runs}
        each = " on one thread each" if threads == {1} else ""
        return f"Provenance: {n}, {in_words(self.seconds())} of training{each}"


def provenance(runs, command: str) -> Provenance:
    """What a figure was made from and how to make it again; display it under the figure."""
    return Provenance(runs, command)


def _seconds(run) -> float:
    return run.provenance.get("wall_seconds") or 0.0


def _facts(run):
    made = run.provenance
    if made.get("source_sha256"):
        commit = f", commit {made['git_commit'][:10]}" if made.get("git_commit") else ""
        yield "Source", f"sha256 {made['source_sha256'][:12]}{commit}"
    if made.get("data_sha256"):
        name = run.config.spec.title
        yield "Data", f"{name} sha256 {made['data_sha256'][:12]}"
    if made.get("versions"):
        versions = (f"{package} {version}" for package, version in made["versions"].items())
        yield "Versions", ", ".join(versions)
    if made.get("device"):
        yield "Hardware", f"{made['device']}, {counted(made.get('threads', 1), 'thread')}"
    if made.get("date"):
        yield "Date", str(made["date"])[:10]


def _settings(config) -> str:
    """The settings that a reader of a figure asks about first."""
    hidden = "x".join(map(str, config.hidden)) or "none"
    prior = "none" if config.prior_sd is None else f"sd {config.prior_sd:g}"
    precision = "bfloat16" if config.matmul_precision == "medium" else "float32"
    return (
        f"{config.n_samples:,} samples of {config.n_train:,} images, hidden {hidden}, "
        f"minibatch {config.batch_size}, step {config.step_size:g} after {config.adagrad_warmup} "
        f"accumulating, prior on weights {prior}, {precision} products, seed {config.seed}"
    )


def _link(run) -> str:
    key = f"<code>{escape(run.key)}</code>"
    is_committed = Path(run.path).parent.name == "reference"
    if not (is_committed and published.REPOSITORY):
        return key
    file = f"{published.BRANCH}/book/reference/{run.key}/run.json"
    return f'<a href="{published.REPOSITORY}/blob/{file}">{key}</a>'
