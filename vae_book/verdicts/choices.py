"""Stored runs compared choice by choice: the tables of the page on ambiguities."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vae_book.claims import AXIS_END
from vae_book.plots import paper
from vae_book.plots.curves import group_runs
from vae_book.plots.style import NZ, data_title, name_of, plain
from vae_book.plots.tables import Table, above_the_paper, labels, mean_and_sd, nats, power
from vae_book.readings import (
    CHOICE_HEAD,
    choice_of,
    choice_words,
    config_of,
    experiment_of,
    is_but_for_choice,
    is_of_reading,
    longest,
    same_but,
)
from vae_book.verdicts.figure2 import CLOSE, figure2_runs, judged_at, tolerance
from vae_book.verdicts.verdict import interval
from vae_core.data import dataset_spec
from vae_core.runs import Run
from vae_core.runs.config import RunConfig

PRODUCTS = {"highest": "float32", "medium": "bfloat16"}
COUNTS = (1e6, 3e6, 1e7)  # samples


def prior_table(
    runs: Iterable[Run],
    dataset: str,
    algorithm: str,
    latent_dim: int,
    step: float,
    until: float = 1e6,
) -> Table | None:
    """One experiment with the prior on the weights and without it, over seeds, else equal.

    Runs with products in float32 and no accumulating minibatches. Distance to the paper's test
    curve over the first `until` samples and the bound there less the paper's, each the mean and
    half the width of its 95% interval over seeds; the last row is with less without, by seed.
    None unless two seeds have both.
    """
    kind = dataset, algorithm, latent_dim, step, 0, "highest"
    mine = [run for run in runs if is_but_for_choice(run) and run.curve["samples"][-1] >= until]
    found = longest(
        [run for run in mine if _experiment(run) + _step_and_products(run) == kind],
        lambda run: (choice_of(run.config), run.config.seed),
    )
    columns: dict[str, dict[int, tuple[float, float]]] = {}
    for (choice, seed), run in found.items():
        numbers = paper.mean_abs_difference(run, until=until), above_the_paper(run, until)
        columns.setdefault(choice_words(choice)[2], {})[seed] = numbers
    both = [seed for seed in columns.get("1", {}) if seed in columns.get("none", {})]
    if len(both) < 2:
        return None
    rows = [[sd, *_intervals([columns[sd][seed] for seed in both])] for sd in ("1", "none")]
    apart = [np.subtract(columns["1"][seed], columns["none"][seed]) for seed in both]
    rows.append(["with less without, by seed", *_intervals(apart, signed=True)])
    header = [f"{_title(*kind[:3])}, step {step:g}: prior's sd", "seeds"]
    header += ["distance to the paper", f"bound less the paper's, {power(until)}"]
    return Table(header, rows, "The prior on the weights, over seeds")


def _intervals(pairs: Sequence, signed: bool = False) -> list[str]:
    """How many seeds, and mean and 95% interval of each of two numbers, the second with a sign."""
    cells = [str(len(pairs))]
    for values, with_sign in zip(zip(*pairs, strict=True), (signed, True), strict=True):
        mean, half = interval(values)
        cells.append(f"{nats(mean, signed=with_sign)} ± {nats(half)}")
    return cells


def twins_table(runs: Iterable[Run]) -> Table | None:
    """Runs of Figure 2's experiments that differ in the precision of their products alone.

    The test bound with operands in bfloat16 less that in float32 where both reach, beside the
    standard deviation over seeds of that choice there. None without such runs.
    """
    mine = [run for run in runs if is_but_for_choice(run) and paper.fig2_of(run)]

    def name(run: Run) -> tuple:
        return *_experiment(run), choice_of(run.config), run.config.seed

    by_precision = longest(mine, lambda run: (*name(run), run.config.matmul_precision))
    by_seed = longest(mine, name)
    rows = []
    for (*experiment, choice, seed, precision), coarse in by_precision.items():
        fine = by_precision.get((*experiment, choice, seed, "highest"))
        if precision != "medium" or fine is None:
            continue
        samples = min(float(run.curve["samples"][-1]) for run in (coarse, fine))
        alike = [run for key, run in by_seed.items() if key[:-1] == (*experiment, choice)]
        values = [run.at(samples) for run in alike if np.isfinite(run.at(samples))]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
        difference = nats(coarse.at(samples) - fine.at(samples), signed=True)
        cells = [*labels(*experiment_of(coarse.config)[:3]), *choice_words(choice), str(seed)]
        rows.append([*cells, power(samples), difference, nats(spread)])
    header = ["Data", NZ, "Algorithm", *CHOICE_HEAD, "seed", "samples"]
    header += ["bfloat16 less float32", "sd over seeds"]
    title = "The test bound with products in bfloat16 and in float32, in nats"
    return Table(header, rows, title, 8, "tight") if rows else None


def rule_table(study: Mapping[str, Any], runs: Iterable[Run], at: float = 1e6) -> Table:
    """What the paper's rule picks among the steps, and the test bound that its choice would give.

    `study` is `book/studies/step_size.json`. The bounds after `at` samples are those of the runs of
    seed 0 with the rule's step from the first minibatch on and with the book's reading.
    """
    runs = [run for run in runs if run.curve["samples"][-1] >= at]
    rows = []
    for row in study["experiments"]:
        experiment = row["dataset"], row["algorithm"], row["latent_dim"]
        by_rule = {"step_size": row["chosen"], "adagrad_warmup": 0}
        reading, rule = config_of(*experiment), config_of(*experiment, settings=by_rule)
        early = [nats(b) if abs(b) < 1e5 else "diverges" for b in row["train_bound"].values()]
        picks = [f"<strong>{row['chosen']:g}</strong>", f"{reading.step_size:g}"]
        if reading.adagrad_warmup:
            picks[1] += f"\N{NO-BREAK SPACE}after\N{NO-BREAK SPACE}{reading.adagrad_warmup}"
        bounds = [_stored_bound(config, runs, at) for config in (rule, reading)]
        bounds.append(_printed(*experiment, at))
        rows.append([*labels(*experiment_of(reading)[:3]), *early, *picks, *map(nats, bounds)])
    header = ["Data", NZ, "Algorithm", *(f"step {step}" for step in row["train_bound"])]
    header += ["the rule", "this book", f"bound at {power(at)}: the rule", "this book", "the paper"]
    title = f"Training bound after {study['n_samples']:,} samples, in nats"
    return Table(header, rows, title, 3, "tight")


def _stored_bound(config: RunConfig, runs: Sequence[Run], samples: float) -> float:
    """The test bound of the longest run with these settings; nan where there is none."""
    alike = [run for run in runs if same_but(run.config, config)]
    return longest(alike, lambda run: 0)[0].at(samples) if alike else np.nan


def _printed(dataset: str, algorithm: str, latent_dim: int, samples: float) -> float:
    """The paper's test bound at a sample count; nan where it has no such curve."""
    curve = paper.fig2_curve(dataset, latent_dim, algorithm, "test")
    return float(curve.at(samples)) if curve else np.nan


def missed(runs: Iterable[Run]) -> dict[tuple[str, str, int], float]:
    """The experiments of Figure 2 whose mean over seeds misses the limit of the verdicts.

    By data set, algorithm and size: the last of the judged sample counts where it does.
    """
    found, runs = {}, figure2_runs(runs)
    for dataset, limit in CLOSE.items():
        mine = [run for run in runs if run.config.dataset == dataset]
        counts = sorted({judged_at(mine), AXIS_END}) if mine else []
        for experiment, group in group_runs(mine, _experiment).items():
            for samples in counts:
                off = [above_the_paper(run, samples) for run in group]
                off = [value for value in off if np.isfinite(value)]
                theirs = _printed(*_experiment(group[0]), samples)
                if off and abs(np.mean(off)) > tolerance(limit, theirs):
                    found[experiment] = samples
    return found


def trial_tables(runs: Iterable[Run], counts: Sequence[float] = COUNTS) -> list[Table]:
    """For each experiment that is among the `missed`, every stored choice beside the paper's curve.

    One row a choice of step, warm-up, prior and precision: how many seeds, how far the longest run
    goes, and the test bound less the paper's at `counts` and where that run ends, the mean and, of
    several, the standard deviation over seeds. A dagger marks the book's reading.
    """
    runs = list(runs)
    tables = []
    for experiment in missed(runs):
        mine = [r for r in runs if is_but_for_choice(r) and _experiment(r) == experiment]
        by_seed = longest(mine, lambda run: (*_choice(run), run.config.seed))
        rows = [
            _trial_row(group, counts) for group in group_runs(by_seed.values(), _choice).values()
        ]
        name = _title(*experiment)
        header = [f"{name}: {CHOICE_HEAD[0]}", *CHOICE_HEAD[1:], "products", "seeds"]
        header += [*map(power, counts), "ends at", "there"]
        title = f"{plain(name)}: the test bound less the paper's by choice, in nats"
        tables.append(Table(header, rows, title, 4, "tight"))
    return tables


def _trial_row(group: Sequence[Run], counts: Sequence[float]) -> list[str]:
    """Runs of one choice, one a seed, as a row of `trial_tables`."""
    config = group[0].config
    step, *rest = choice_words(choice_of(config))
    cells = [step + " †" * is_of_reading(config), *rest, PRODUCTS[config.matmul_precision]]
    end = min(AXIS_END, max(float(run.curve["samples"][-1]) for run in group))
    off = [mean_and_sd([above_the_paper(run, n) for run in group]) for n in (*counts, end)]
    return [*cells, str(len(group)), *off[:-1], power(end), off[-1]]


def _choice(run: Run) -> tuple:
    return choice_of(run.config), run.config.matmul_precision


def _experiment(run: Run) -> tuple[str, str, int]:
    return run.config.dataset, run.config.algorithm, run.config.latent_dim


def _step_and_products(run: Run) -> tuple[float, int, str]:
    return run.config.step_size, run.config.adagrad_warmup, run.config.matmul_precision


def _title(dataset: str, algorithm: str, latent_dim: int) -> str:
    return f"{name_of(algorithm)} on {data_title(dataset_spec(dataset))}, {NZ} = {latent_dim}"
