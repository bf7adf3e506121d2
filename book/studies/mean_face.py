"""Why wake-sleep never leaves the mean face: trainings on Frey Face that differ in one thing.

    python book/studies/mean_face.py

writes `mean_face.json` beside this file. The page `method/rivals` tells what it means.
"""

import json
import math
from pathlib import Path

import torch

import vae_core as vc
from vae_core.algorithms import ALGORITHMS
from vae_core.images import Images
from vae_core.runs.plan import settings_of

N_SAMPLES, LATENT_DIM, SEEDS = 500_000, 10, (0, 1)
STEPS = dict(step_size=0.01, adagrad_warmup=0)
VARIANTS = {
    "wake_sleep": dict(algorithm="wake_sleep"),
    "wake_sleep_warmup": dict(algorithm="wake_sleep", adagrad_warmup=100),
    "wake_sleep_centred": dict(algorithm="wake_sleep"),
    "reading": dict(algorithm="wake_sleep", step_size=0.02, prior_sd=None),  # as in Figure 2
    "reading_centred": dict(algorithm="wake_sleep", step_size=0.02, prior_sd=None),
    "aevb": dict(algorithm="aevb"),
    "aevb_centred": dict(algorithm="aevb"),
}


class CentredVAE(vc.VAE):
    """A VAE whose encoder sees x minus a fixed picture; nothing else differs."""

    def __init__(self, *args, centre, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("centre", centre)

    def encoder_params(self, x):
        return super().encoder_params(x - self.centre)


@torch.no_grad()
def measure(model: CentredVAE, x) -> dict[str, float]:
    """The bound, how alive the encoder's hidden units are, and how much its code says about x."""
    hidden = model.encoder[1](model.encoder[0](x - model.centre))  # (n, hidden), after tanh
    generator = torch.Generator().manual_seed(0)
    return {
        "test_bound": vc.sgvb_b(model, x, generator=generator).mean().item(),
        "slope": (1 - hidden.square()).mean().item(),  # of tanh: 1 at rest, 0 when saturated
        "code_sd": model.encoder_params(x)[0].std(0).mean().item(),  # over faces
    }


def train(config: vc.RunConfig, data: vc.Dataset, centre) -> dict[str, list[float]]:
    """Trains one variant; columns of measurements at sample counts evenly spaced in logarithm."""
    generator = torch.Generator().manual_seed(config.seed)
    shape = config.data_dim, config.latent_dim, config.hidden, config.likelihood
    model = CentredVAE(*shape, centre=centre, init_sd=config.init_sd, generator=generator)
    algorithm, settings = ALGORITHMS[config.algorithm], settings_of(config)
    images = Images(data.train_bytes, data.levels)
    state = algorithm.init(model, images, settings, generator)
    n_steps = config.n_samples // config.batch_size
    marks = {round(10 ** (k / 6)) for k in range(1 + round(6 * math.log10(n_steps)))} | {n_steps}
    columns: dict[str, list[float]] = {"samples": []}
    for i in range(1, n_steps + 1):
        draw = algorithm.draw(model, images, settings, generator)
        algorithm.update(model, state, draw, settings, images)
        if i in marks:
            columns["samples"].append(i * config.batch_size)
            for name, value in measure(model, data.test).items():
                columns.setdefault(name, []).append(float(f"{value:.5g}"))
    return columns


def describe(faces: vc.Dataset) -> dict[str, float]:
    """Brightness (sum of the mean image) of both data sets; leading and mean pixel variance."""
    covariance = torch.cov(faces.train.T)
    return {
        "brightness": faces.train.mean(0).sum().item(),
        "brightness_mnist": vc.load_dataset("mnist").train.mean(0).sum().item(),
        "leading_variance": torch.linalg.eigvalsh(covariance)[-1].item(),
        "pixel_variance": covariance.diagonal().mean().item(),
    }


def main() -> None:
    torch.set_num_threads(1)
    data = vc.load_dataset("freyface")
    mean_face = data.train.mean(0)
    results = {"latent_dim": LATENT_DIM, "curves": {}} | describe(data)
    for name, settings in VARIANTS.items():
        centre = mean_face if name.endswith("centred") else torch.zeros_like(mean_face)
        for seed in SEEDS:
            fixed = STEPS | dict(latent_dim=LATENT_DIM, n_samples=N_SAMPLES, seed=seed)
            config = vc.RunConfig(dataset="freyface", **fixed | settings)
            curve = train(config, data, centre)
            results["curves"].setdefault(name, []).append(curve)
            print(f"{name:20} seed {seed}: test bound {curve['test_bound'][-1]:.0f}", flush=True)
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
