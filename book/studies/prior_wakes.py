"""What pulls a saturated encoder back: wake-sleep on Frey Face, with the prior and without.

    python book/studies/prior_wakes.py

writes `prior_wakes.json` beside this file: a quarter of an hour on one core with nothing else to
do. The page `method/rivals` tells what it means.
"""

import json
import math
from pathlib import Path

import torch
from torch import Tensor

import vae_core as vc
from vae_core.algorithms.common import adagrad_, add_map_prior_
from vae_core.runs.trainer import Trainer

LATENT_DIM, FIRST = 20, "encoder.0.weight"
# step size, the prior's standard deviation, samples: until it leaves the mean face or long enough
TRAININGS = [
    (0.01, 1.0, 3_000_000),
    (0.01, None, 3_000_000),
    (0.02, 1.0, 10_000_000),
    (0.02, None, 3_000_000),
]
ALONE_FROM = 107_500  # samples: the first plateau has been reached, nothing has left it


def mean_slope(inputs: Tensor) -> float:
    """Of tanh over units and faces, from the units' inputs (faces, hidden): 0 when saturated."""
    return (1 - inputs.tanh().square()).mean().item()


@torch.no_grad()
def measure(trainer: Trainer, mean_face: Tensor) -> dict[str, float]:
    """The bound on test faces and the state of the encoder's hidden units.

    gain: largest eigenvalue of A diag(s^2) A^T, s the slopes of the units and A their weights in
    the mean of the code, by which the sleep phase is slower while the first layer learns.
    shift: root mean square over units of what the mean face adds to their input.
    """
    model, x = trainer.model, trainer.data.test
    inputs = model.encoder[0](x)  # (faces, hidden)
    slopes = 1 - inputs.tanh().square()
    outward = model.encoder[2].weight[: model.latent_dim]  # (latent, hidden)
    generator = torch.Generator().manual_seed(0)
    return {
        "test_bound": vc.sgvb_b(model, x, generator=generator).mean().item(),
        "slope": mean_slope(inputs),
        "gain": torch.linalg.eigvalsh(outward * slopes.square().mean(0) @ outward.T)[-1].item(),
        "shift": (model.encoder[0].weight @ mean_face).square().mean().sqrt().item(),
    }


class PriorAlone:
    """The first layer from here on if the prior's gradient were the only one, under Adagrad.

    root: median over weights of the root of the sum of squared gradients, by which Adagrad divides.
    """

    def __init__(self, trainer: Trainer):
        self.settings, self.x = trainer.settings, trainer.data.test
        self.share = trainer.settings.batch_size / trainer.images.n
        params, sums = trainer.state.params, trainer.state.sums
        self.weight, self.squares = params[FIRST].clone(), sums[FIRST].clone()
        self.bias = params["encoder.0.bias"].clone()

    def advance(self) -> None:
        params, grads = {FIRST: self.weight}, {FIRST: torch.zeros_like(self.weight)}
        add_map_prior_(grads, params, 1.0, self.share)
        step = torch.tensor(self.settings.step_size)
        adagrad_(params, grads, {FIRST: self.squares}, step, self.settings.adagrad_epsilon)

    def measure(self, mean_face: Tensor) -> dict[str, float]:
        return {
            "slope": mean_slope(self.x @ self.weight.T + self.bias),
            "shift": (self.weight @ mean_face).square().mean().sqrt().item(),
            "root": self.squares.sqrt().median().item(),
        }


def append(columns: dict[str, list], samples: int, values: dict[str, float]) -> None:
    for name, value in ({"samples": samples} | values).items():
        columns.setdefault(name, []).append(float(f"{value:.5g}") if name != "samples" else value)


def train(config: vc.RunConfig, data: vc.Dataset) -> tuple[dict[str, list], dict[str, list]]:
    """One training, and what the prior alone does to its first layer from ALONE_FROM on.

    Columns of measurements at sample counts evenly spaced in logarithm.
    """
    trainer, mean_face = Trainer(config, data), data.train.mean(0)
    n_steps = config.n_samples // config.batch_size
    marks = {round(10 ** (k / 6)) for k in range(1 + round(6 * math.log10(n_steps)))} | {n_steps}
    columns: dict[str, list] = {}
    alone_columns: dict[str, list] = {}
    alone = None
    for i in range(1, n_steps + 1):
        trainer.advance()
        if alone:
            alone.advance()
        elif trainer.samples == ALONE_FROM:
            alone = PriorAlone(trainer)
        if i in marks:
            append(columns, trainer.samples, measure(trainer, mean_face))
            if alone:
                append(alone_columns, trainer.samples, alone.measure(mean_face))
    return columns, alone_columns


def main() -> None:
    torch.set_num_threads(1)
    data, results = vc.load_dataset("freyface"), []
    fixed = dict(dataset="freyface", algorithm="wake_sleep", latent_dim=LATENT_DIM)
    for step_size, prior_sd, n_samples in TRAININGS:
        varied = dict(step_size=step_size, prior_sd=prior_sd, n_samples=n_samples)
        config = vc.RunConfig(**fixed, **varied, matmul_precision="medium")
        curve, alone = train(config, data)
        results.append(varied | dict(curve=curve, prior_alone=alone))
        print(varied, {column: values[-1] for column, values in curve.items()}, flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
