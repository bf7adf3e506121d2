"""Stored runs as the command line takes and shows them."""

from collections.abc import Sequence

from vae_book.params import nearest
from vae_core.runs import Run, all_runs


def stored_runs(keys: Sequence[str]) -> list[Run]:
    """The stored runs of these keys, all of them without; ValueError names the nearest key."""
    stored = {run.key: run for run in all_runs()}
    for key in keys:
        if key not in stored:
            raise ValueError(f"no stored run has the key {key!r}; {nearest(key, stored)}")
    return [stored[key] for key in keys or stored]


def summary_of(finished: Run) -> str:
    """One line on a run: key, samples, bounds in nats per datapoint."""
    curve = finished.curve
    weights = "weights" if finished.has_weights else "curve only"
    return (
        f"{finished.key:44} {curve['samples'][-1]:>12,.0f} samples  "
        f"train {curve['train_bound'][-1]:9.2f}  test {curve['test_bound'][-1]:9.2f}  {weights}"
    )
