"""Checks of a stored run that need no training: is it whole, and does it fit its settings?

Each check returns a list of problems, one line each; an empty list means that there are none.
"""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch

from vae_core.algorithms import ALGORITHMS
from vae_core.data import Dataset
from vae_core.marginal_likelihood import log_marginal
from vae_core.model import VAE
from vae_core.runs.config import RunConfig
from vae_core.runs.plan import samples_per_step, schedule
from vae_core.runs.provenance import curve_sha256, weights_sha256
from vae_core.runs.steps import VALUE_EVERY
from vae_core.runs.store import Run
from vae_core.runs.trainer import COLUMNS

SUMS = "SHA256SUMS"  # beside the committed runs, as `sha256sum` writes it


def problems_of(run: Run) -> list[str]:
    """All problems of the stored record itself."""
    found = []
    if run.path.name != run.config.key:
        found.append(f"the folder is named {run.path.name}, its settings say {run.config.key}")
    found += changed_files(run.path)
    found += changed_content(run)
    broken = curve_problems(run)
    return found + (broken or metric_problems(run))


def sha256_sums(folder: Path) -> str:
    """The lines of ``SHA256SUMS`` for all runs in ``folder``."""
    files = sorted(path for path in folder.glob("*/*") if not path.parent.name.startswith("."))
    return "".join(f"{_file_sha256(file)}  {file.relative_to(folder)}\n" for file in files)


def changed_files(path: Path) -> list[str]:
    """Files of a run that differ from ``SHA256SUMS`` beside it, if there is one."""
    sums = path.parent / SUMS
    if not sums.exists():
        return []
    lines = [line.split("  ", 1) for line in sums.read_text().splitlines()]
    listed = {name: digest for digest, name in lines if Path(name).parent.name == path.name}
    found = {f"{path.name}/{file.name}": _file_sha256(file) for file in path.iterdir()}
    names = sorted(listed.keys() | found.keys())
    return [f"{name} is not as in {SUMS}" for name in names if listed.get(name) != found.get(name)]


def _file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changed_content(run: Run) -> list[str]:
    """Whether curve and weights match the hashes stored with them, if there are any."""
    known = run.provenance.get("sha256", {})
    curve = json.loads((run.path / "run.json").read_text())["curve"]
    found = [] if known.get("curve", curve_sha256(curve)) == curve_sha256(curve) else ["curve"]
    if "weights" in known and run.has_weights:
        try:
            same = weights_sha256(run.model().state_dict()) == known["weights"]
        except Exception:  # safetensors' and torch's own kinds; reading them is checked elsewhere
            same = False
        found += [] if same else ["weights"]
    return [f"the {name} is not what was stored" for name in found]


def curve_problems(run: Run) -> list[str]:
    """Columns, rows and gaps of the curve that differ from what the config implies."""
    config, curve = run.config, run.curve
    columns = {*COLUMNS}
    if config.log_marginal:
        columns |= {"train_log_marginal", "test_log_marginal"}
    if curve.keys() != columns or not curve["samples"].size:
        return [f"its curve has the columns {sorted(curve)}, not {sorted(columns)}, or no row"]
    samples, expected = curve["samples"], np.array(list(schedule(config)), dtype=float)
    if not np.array_equal(samples, expected):
        return [f"its {len(samples)} rows are not the {len(expected)} that its settings imply"]
    found = []
    for name, column in curve.items():
        if not np.array_equal(np.isfinite(column), _is_known(name, config, samples)):
            found.append(f"{name} has missing numbers, or numbers where there are none")
    return found


def _is_known(column: str, config: RunConfig, samples: np.ndarray) -> np.ndarray:
    """Which rows of a column must hold a number."""
    algorithm = ALGORITHMS[config.algorithm]
    if "bound" in column and algorithm.bound is None:
        return np.zeros(len(samples), bool)
    if column != "train_bound_minibatch":
        return np.ones(len(samples), bool)
    steps = samples / samples_per_step(config)
    values = np.ceil(steps / VALUE_EVERY)  # how many of them computed their value
    return np.diff(values, prepend=0) > 0


def metric_problems(run: Run) -> list[str]:
    """Metrics that are not finite, contradict each other, or do not follow from counts."""
    found = []
    for name, value in run.metrics.items():
        numbers = value if isinstance(value, dict) else {"": value}
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers.values()):
            found.append(f"the metric {name} is not finite")
        elif not _is_plausible(run, name, numbers):
            found.append(f"the metric {name} is impossible: {value}")
    return found


def _is_plausible(run: Run, name: str, value: dict[str, float]) -> bool:
    config = run.config
    if name.startswith("mcem_"):
        end = run.curve["samples"][-1]
        passes = (config.mcem_leapfrog + config.mcem_updates) * config.n_train
        counts = {
            "mcem_iterations": end / passes,
            "mcem_plain_samples": end / passes * config.n_train,
            "mcem_weight_updates": end / passes * config.mcem_updates,
        }
        number = value[""]
        if name in counts:
            return number == counts[name]
        return 0 < number < (1 if name == "mcem_acceptance" else math.inf)
    if name.startswith("bound_variance/"):
        # the mean of many draws against the one draw of the curve: four standard deviations
        return 0 < value["variance"] and _is_near(
            value["mean"], run.curve["test_bound"][-1], 4 * value["variance"] ** 0.5
        )
    if name.startswith("repeated_log_marginal/"):
        return 0 < value["sd"] < 5.0
    if name.startswith("appendix_d_bias/"):
        return value["lower"] <= value["upper"] + 1 and _is_near(
            value["importance_sampling"], (value["lower"] + value["upper"]) / 2, 5.0
        )
    return True


def metrics_again(run: Run, data: Dataset) -> list[str]:
    """Metrics that the stored weights do not reproduce, as far as a quick check can tell."""
    found, model = [], run.model()
    known: dict[tuple[str, int], torch.Tensor] = {}  # log p(x) of the first images of a split
    for name, value in run.metrics.items():
        kind, *where = name.split("/")
        if kind == "bound_variance":
            variance = variance_of_mean(run, model, data)
            # of 50 draws, a variance has a standard deviation of 20%: five of them, and more
            apart, allowed = abs(math.log(value["variance"] / variance)), math.log(2.5)
        elif kind in ("log_marginal", "repeated_log_marginal"):
            split, n_points = where[0], where[-2]
            n = min(int(n_points), 100)
            if (split, n) not in known:
                known[split, n] = _log_marginal(model, getattr(data, split)[:n])
            now = known[split, n]
            # chains of Appendix D miss modes; fewer points than the metric's have another mean
            few = 4 * now.std().item() / len(now) ** 0.5 if int(n_points) > 100 else 0.0
            # importance sampling misses modes that quadrature finds: two nats were seen
            missed = 1.5 if "quadrature" in where else 0.0
            apart, allowed = abs(value["mean"] - now.mean().item()), 1.5 + few + missed
        else:
            continue
        if not apart <= allowed:
            found.append(f"the metric {name} is not what its weights give: {value}")
    return found


def variance_of_mean(run: Run, model: VAE, data: Dataset, n_draws: int = 20) -> float:
    """Variance in nats^2 of the mean test bound over epsilon, from at most 1,000 images."""
    generator, x = torch.Generator().manual_seed(1), data.test[:1_000]
    bound = ALGORITHMS[run.config.algorithm].bound
    with torch.no_grad():
        draws = torch.stack([bound(model, x, generator=generator) for _ in range(n_draws)])
    return draws.var(0).mean().item() / len(data.test)  # draws: (n_draws, images)


def _log_marginal(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """log p(x) by importance sampling, (images,), in nats."""
    generator = torch.Generator().manual_seed(1)
    return log_marginal(
        model, x, "importance_sampling", 200, proposal="hmc", generator=generator, progress=False
    )


def _is_near(one: float, other: float, apart: float) -> bool:
    """Whether values differ by ``apart`` at most, plus what half precision may add, in nats."""
    return abs(one - other) <= apart + 0.25
