"""Appendix D as the authors may have run it: chains that begin at the prior and live on through
the training of Figure 3's models, beside chains that begin anew and the truth by quadrature.

    python book/studies/persisting_chains.py [KEY ...]

trains stored runs of Figure 3 again, moves every variant's chains at each of the paper's
evaluations, and writes `persisting_chains.json` beside this file: an hour or more on one core, most
of it for the one that goes on to the end of the paper's curves. The page
`reproducibility/estimator` tells what it means.
"""

import itertools
import json
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

import vae_core as vc
from vae_core import hmc
from vae_core.estimators import log_mean_exp
from vae_core.log_joint import log_joint_of
from vae_core.marginal_likelihood import hmc_density, quadrature
from vae_core.marginal_likelihood.appendix_d import density_ratio
from vae_core.runs.trainer import Trainer

OUTPUT = Path(__file__).with_suffix(".json")
RUNS = {  # until so many training samples; the one that ends farthest from the paper's, to its end
    "mnist-aevb-z3-s0-b700732a": 6_000_000,
    "mnist-mcem-z3-s0-cc01261b": 6_000_000,
    "mnist-wake_sleep-z3-s0-044c9272": 6_000_000,
    "mnist-aevb-z3-s0-6048f25c": 68_250_000,
}
EVERY = {1_000: 140_000, 50_000: 750_000}  # the paper's evaluations, by size of the training set
REPORTED = (750_000, 1_500_000, 3_000_000, 6_000_000, 15_000_000, 30_000_000)  # and the last
N_POINTS = 100  # of train and of test
N_LEAPFROG, N_TUNING, TARGET = 4, 20, 0.9


class Variant(NamedTuple):
    """One way to run Appendix D's chains."""

    n_samples: int  # in all: half of them to fit, half to estimate
    shared_step: bool

    def __str__(self) -> str:
        half, step = self.n_samples // 2, "one step" if self.shared_step else "a step each"
        return f"{half} + {half}, {step}"


VARIANTS = [Variant(*pair) for pair in itertools.product((100, 50), (False, True))]


class Chains:
    """The posterior chains of one split under one variant; they are never started again."""

    def __init__(self, variant: Variant, n_chains: int, latent_dim: int, seed: int):
        self.variant = variant
        self.generator = torch.Generator().manual_seed(seed)
        self.position = torch.randn(n_chains, latent_dim, generator=self.generator)
        self.step_size: torch.Tensor | None = None

    def move(self, model: vc.VAE, x: torch.Tensor) -> dict[str, float]:
        """Moves on under the model as it is now; mean estimates by density, in nats."""
        samples, info = hmc.sample(
            None, self.position, self.variant.n_samples, N_TUNING, N_LEAPFROG, TARGET,
            generator=self.generator, log_prob_and_grad=log_joint_of(model, x),
            step_size=self.step_size, shared_step=self.variant.shared_step,
        )  # fmt: skip
        self.position, self.step_size = samples[-1], info.step_size
        half = self.variant.n_samples // 2
        return {
            density: -log_mean_exp(density_ratio(samples, info.log_prob, half, density))
            .mean().item()
            for density in ("gaussian", "kde")
        }  # fmt: skip


def anew(model: vc.VAE, x: torch.Tensor) -> dict[str, float]:
    """Mean log p(x) by chains that begin now, and by quadrature."""
    made = {
        f"begun now, {start}": hmc_density(
            model, x, 50, start=start, generator=torch.Generator().manual_seed(0)
        )[0]
        for start in ("prior", "resampled", "encoder")
    }
    made["quadrature"] = quadrature(model, x, tolerance=0.01)[0]
    return {name: values.mean().item() for name, values in made.items()}


def study(run: vc.Run) -> list[dict]:
    """A row for each split and reported count: the mean log p(x) by every way, in nats."""
    config = vc.RunConfig(**run.config.model_dump() | {"matmul_precision": "highest"})
    data = vc.load_dataset(config.dataset, n_train=config.n_train)
    trainer = Trainer(config, data)
    points = {"train": data.train[:N_POINTS], "test": data.test[:N_POINTS]}
    chains = {
        (split, variant): Chains(variant, N_POINTS, config.latent_dim, seed)
        for seed, (split, variant) in enumerate(itertools.product(points, VARIANTS))
    }
    every, until, rows = EVERY[config.n_train], RUNS[run.key], []
    remaining = [n for n in REPORTED if n < until] + [until]
    with tqdm(total=until, unit=" samples", unit_scale=True, desc=run.key) as bar:
        while remaining:
            before = trainer.samples
            while trainer.samples // every == before // every and trainer.samples < until:
                trainer.advance()
            bar.update(trainer.samples - before)
            found = {key: c.move(trainer.model, points[key[0]]) for key, c in chains.items()}
            if trainer.samples >= remaining[0]:
                remaining = [n for n in remaining if n > trainer.samples]
                rows += [report(trainer, split, points[split], found) for split in points]
    return rows


def report(trainer: Trainer, split: str, x: torch.Tensor, found: dict) -> dict:
    """One row of the study."""
    persisting = {
        f"persisting, {variant}, {density}": value
        for (s, variant), by_density in found.items()
        if s == split
        for density, value in by_density.items()
    }
    ways = anew(trainer.model, x) | persisting
    return {
        "samples": trainer.samples,
        "split": split,
        **{name: round(value, 3) for name, value in ways.items()},
    }


def main(keys: list[str]) -> None:
    torch.set_num_threads(1)
    runs = {run.key: run for run in vc.all_runs()}
    for key in keys or RUNS:
        rows = study(runs[key])
        kept = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
        OUTPUT.write_text(json.dumps(kept | {key: rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
