"""Why Figure 4's plane of faces is not faces throughout: two trainings that differ in one thing.

    python book/studies/face_plane.py

trains AEVB with two latent variables on Frey Face, on the frames as they are and with the mean face
subtracted from what the encoder sees, and writes where the codes lie as training goes on to
`face_plane.json` beside this file. The page `figures/fig4_manifold` tells what it means.
"""

import json
from pathlib import Path

import torch
from mean_face import CentredVAE

import vae_core as vc
from vae_book.plots import unit_square_latents
from vae_book.plots.strangeness import nearest
from vae_book.readings import config_of
from vae_core.runs.trainer import Trainer

N_SAMPLES, SEEDS = 1_000_000, (0, 1)
MARKS = (500, 5_000, 50_000, 200_000, 500_000, N_SAMPLES)


@torch.no_grad()
def measure(model: CentredVAE, data: vc.Dataset) -> dict[str, float]:
    """The bound, where the codes of the test set lie, and how strange the plane's pictures are.

    offset: distance from the origin to the mean code. inside: share of codes within two standard
    deviations of the prior. spread: the codes' smaller standard deviation over the larger, 0 on a
    line. strangeness: mean squared distance of the plane's pictures to the nearest training frame,
    over that of test frames.
    """
    mean = model.encoder_params(data.test)[0]  # (n, 2)
    axes = torch.linalg.eigvalsh(torch.cov(mean.T)).clamp(min=0).sqrt()
    plane = model.decode(unit_square_latents(20)).mean
    generator = torch.Generator().manual_seed(0)
    return {
        "test_bound": vc.sgvb_b(model, data.test, generator=generator).mean().item(),
        "offset": mean.mean(0).norm().item(),
        "inside": (mean.norm(dim=1) < 2).float().mean().item(),
        "spread": (axes[0] / axes[1]).item(),
        "strangeness": nearest(plane, data.train) / nearest(data.test, data.train),
    }


def train(seed: int, is_centred: bool) -> dict[str, list[float]]:
    """One training; columns of measurements at MARKS."""
    config = config_of("freyface", "aevb", 2, seed, {"n_samples": N_SAMPLES})
    data = vc.load_dataset("freyface", split_seed=config.split_seed)
    centre = data.train.mean(0) * is_centred
    generator = torch.Generator().manual_seed(seed)
    shape = config.data_dim, config.latent_dim, config.hidden, config.likelihood
    model = CentredVAE(*shape, centre=centre, init_sd=config.init_sd, generator=generator)
    trainer = Trainer(config, data, model)
    columns: dict[str, list[float]] = {"samples": []}
    while trainer.samples < N_SAMPLES:
        trainer.advance()
        if trainer.samples in MARKS:
            columns["samples"].append(trainer.samples)
            for name, value in measure(model, data).items():
                columns.setdefault(name, []).append(float(f"{value:.4g}"))
    return columns


def main() -> None:
    torch.set_num_threads(1)
    curves: dict[str, list] = {}
    for name, is_centred in (("as_they_are", False), ("centred", True)):
        for seed in SEEDS:
            columns = train(seed, is_centred)
            curves.setdefault(name, []).append(columns)
            print(name, seed, columns, flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(curves) + "\n")


if __name__ == "__main__":
    main()
