"""How much of the gap between training and test bound is the encoder's, on MNIST, by size.

    python book/studies/encoders_share.py

writes `encoders_share.json` beside this file. For the longest stored models of AEVB: log p(x) by
importance sampling less the bound, which is the divergence of q(z|x) from the posterior (paper,
Eq. 1), on every hundredth training and every twentieth test image. Importance sampling errs low
where its proposal misses part of the posterior, so the divergences are least values. Half an
hour on one core. The page `reproducibility/ambiguities` tells what it means; for 3 latent
variables `who_overfits.py` has quadrature in its place.
"""

from typing import Any

import torch
from torch import Tensor

import vae_core as vc
from vae_book import studies
from vae_book.readings import is_of_reading
from vae_book.verdicts import figure2_runs

LATENT_DIMS = (5, 10, 20, 200)
LENGTH = 1e8  # training samples
N_IMAGES = 500  # of each kind
N_DRAWS = 500  # of z for each image, for either quantity


@torch.no_grad()
def divergence(model: vc.VAE, x: Tensor) -> Tensor:
    """KL(q(z|x) || p(z|x)) for each row of x, (N,), in nats."""
    generator = torch.Generator().manual_seed(0)
    options = {"generator": generator, "progress": False}
    evidence = vc.log_marginal(model, x, "importance_sampling", n_samples=N_DRAWS, **options)
    bounds = [vc.sgvb_b(model, part, n_mc=N_DRAWS, generator=generator) for part in x.split(10)]
    return evidence - torch.cat(bounds)


def measure(run: vc.Run, data: vc.Dataset, n_images: int = N_IMAGES) -> dict[str, Any]:
    """The row of a run: means and standard errors of the divergence, in nats."""
    model = run.model()
    row: dict[str, Any] = {"key": run.key, "latent_dim": run.config.latent_dim}
    for split, x in (("train", data.train), ("test", data.test)):
        rows = x[:: len(x) // n_images][:n_images]
        kl = torch.cat([divergence(model, part) for part in rows.split(50)])
        row[split] = {
            "mean": round(kl.mean().item(), 3),
            "stderr": round((kl.std() / n_images**0.5).item(), 3),
        }
    return row


def main() -> None:
    torch.set_num_threads(1)
    data, rows = vc.load_dataset("mnist"), []
    for run in figure2_runs(vc.all_runs()):
        config = run.config
        if (config.dataset, config.algorithm) != ("mnist", "aevb") or not run.has_weights:
            continue
        is_long = run.curve["samples"][-1] >= LENGTH
        if config.latent_dim in LATENT_DIMS and is_long and is_of_reading(config):
            rows.append(measure(run, data))
            print(rows[-1], flush=True)
    rows.sort(key=lambda row: row["latent_dim"])
    studies.save(__file__, rows)


if __name__ == "__main__":
    main()
