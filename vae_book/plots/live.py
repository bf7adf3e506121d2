"""Figures 2 and 3 with the numbers behind them, by which `book/assets/curves.js` makes them live.

The still figure stays in the page, for print and for readers without JavaScript; its numbers stand
beside it as JSON, so that nothing has to be fetched.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from vae_book.plots import curves, paper
from vae_book.plots.style import Figure, color_of, data_title, name_of
from vae_book.readings import FREE_FIELDS, choice_of, longest, same_but
from vae_core.runs import Run
from vae_core.runs.config import RunConfig

CHOSEN = {"step_size", "adagrad_warmup", "prior_sd"}
NOT_THE_EXPERIMENT = FREE_FIELDS | CHOSEN | {"seed", "split_seed"}


@dataclass(frozen=True)
class Kind:
    """What tells one of the two figures from the other."""

    label: str  # of the vertical axis
    columns: dict[str, str]  # split -> column of a run's curve
    size: str  # the field of RunConfig that has one panel for each of its values
    size_name: str
    is_log: bool  # the samples' axis
    paper_of: Callable[[Run, str], paper.PaperCurve | None]
    axes_of: Callable[[RunConfig], tuple | None]  # the printed axes, ((x, x), (y, y))


def live_lower_bound(runs: Iterable[Run], stored: Iterable[Run]) -> Figure:
    """Figure 2 of `runs`, live; `stored` runs of the same experiments with other steps are offered.

    See `lower_bound_figure`.
    """
    kind = Kind(
        label="Lower bound" + curves.AGAINST,
        columns={"train": curves.MINIBATCH, "test": "test_bound"},
        size="latent_dim",
        size_name="Latent variables",
        is_log=True,
        paper_of=paper.fig2_of,
        axes_of=lambda config: paper.FIG2_AXES.get(config.dataset),
    )
    still = curves.lower_bound_figure(runs)
    return replace(still, data=_json(kind, list(runs), stored))


def live_marginal_likelihood(runs: Iterable[Run], stored: Iterable[Run]) -> Figure:
    """Figure 3 of `runs`, live, as `live_lower_bound` is."""
    kind = Kind(
        label="Estimated log p(x)" + curves.AGAINST,
        columns=curves.LOG_MARGINAL,
        size="n_train",
        size_name="Training images",
        is_log=False,
        paper_of=paper.fig3_of,
        axes_of=lambda config: paper.FIG3_AXES.get(config.n_train),
    )
    stored = list(stored)
    still = curves.marginal_likelihood_figure(runs, stored)
    return replace(still, data=_json(kind, list(runs), stored))


def _json(kind: Kind, runs: list[Run], stored: Iterable[Run]) -> str:
    panels = curves.group_runs(
        runs, lambda run: (run.config.dataset, run.config.latent_dim, run.config.n_train)
    )
    stored = list(stored)
    algorithms = dict.fromkeys(run.config.algorithm for run in runs)
    content = {
        "label": kind.label,
        "sizeName": kind.size_name,
        "isLog": kind.is_log,
        "maxGap": [round(float(limit), 6) for limit in paper.MAX_GAP],  # of the paper's curves
        "algorithms": {name: [name_of(name), color_of(name)] for name in algorithms},
        "panels": [_panel(kind, group, stored) for group in panels.values()],
    }
    return json.dumps(content, separators=(",", ":")).replace("</", "<\\/")


def _panel(kind: Kind, runs: list[Run], stored: Iterable[Run]) -> dict:
    """One panel: its place among the sizes, the printed axes where it has any, its curves."""
    config = runs[0].config
    printed = _printed(kind, runs)
    ours = [_curve(run, kind.columns[split], split) for run in runs for split in kind.columns]
    others = [
        _curve(run, kind.columns[split], split) | {"step": _step(run.config)}
        for run in other_steps(runs, stored)
        for split in kind.columns
    ]
    return {
        "title": curves.panel_title(config, with_points=kind.size == "n_train"),
        "row": data_title(config.spec),
        "size": f"{getattr(config, kind.size):,}",
        "axes": kind.axes_of(config) if printed and curves.enter_the_print(runs) else None,
        "curves": printed + [curve for curve in ours + others if curve["samples"]],
        "truths": [truth for run in runs for truth in _truths(kind, run, stored)],
    }


def _truths(kind: Kind, run: Run, stored: Iterable[Run]) -> list[dict]:
    """What the model is worth by quadrature along its curve, for a figure of log p(x)."""
    found = curves.truths_along(run, stored) if kind.columns == curves.LOG_MARGINAL else []
    who = {"algorithm": run.config.algorithm, "seed": run.config.seed}
    return [
        who | {"split": split, "samples": samples, "value": round(value, 3)}
        for split, samples, value in found
    ]


def _printed(kind: Kind, runs: list[Run]) -> list[dict]:
    found = curves.paper_curves_of(runs, kind.columns, kind.paper_of)
    return [
        {"paper": True, "algorithm": algorithm, "split": split} | _numbers(c.samples, c.bound)
        for algorithm, split, c in found
    ]


def _curve(run: Run, column: str, split: str) -> dict:
    x, y = curves.known(run, column)
    who = {"algorithm": run.config.algorithm, "split": split, "seed": run.config.seed}
    return who | _numbers(x, y)


def _numbers(samples: np.ndarray, values: np.ndarray) -> dict:
    """Sample counts, and values in nats to a thousandth."""
    return {
        "samples": np.asarray(samples).round().astype(int).tolist(),
        "values": np.asarray(values).round(3).tolist(),
    }


def other_steps(runs: Iterable[Run], stored: Iterable[Run]) -> list[Run]:
    """The longest stored run of each choice of step, warm-up and prior that `runs` do not make.

    All else is equal to one of `runs`, but for the seed and the free fields.
    """
    runs = list(runs)
    made = {_choice(run) for run in runs}
    found = (
        other
        for other in stored
        if _choice(other) not in made
        and any(same_but(other.config, run.config, NOT_THE_EXPERIMENT) for run in runs)
    )
    return list(longest(found, _choice).values())


def _choice(run: Run) -> tuple[str, float, int, float]:
    return run.config.algorithm, *choice_of(run.config)


def _step(config: RunConfig) -> dict:
    """How a choice is shown: its size, and with it what else was chosen."""
    words = f"step {config.step_size:g}"
    words += f" after {config.adagrad_warmup}" if config.adagrad_warmup else ""
    words += ", no prior" if config.prior_sd is None else ", prior on weights"
    return {"size": f"{config.step_size:g}", "words": words}
