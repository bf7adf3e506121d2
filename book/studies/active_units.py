"""How many latent variables a trained model uses, by what each of them tells of the images.

    python book/studies/active_units.py

writes `active_units.json` beside this file. For the longest stored models of AEVB on either data
set: the divergence of each latent variable's q(z|x) from its prior, in nats, a mean over test
images, the largest first; and how many of the latter exceed the threshold, the model's *active
units*. Seconds on one core. The page `figures/fig2_lower_bound` tells what it means.
"""

from typing import Any

import torch

import vae_core as vc
from vae_book import studies
from vae_book.plots.paper import FIG2_LATENT_DIMS
from vae_book.readings import is_of_reading
from vae_book.verdicts import figure2_runs

ACTIVE = 0.1  # nats
N_IMAGES = 1_000  # the first test images; Frey Face has fewer


@torch.no_grad()
def divergences(model: vc.VAE, x: torch.Tensor) -> torch.Tensor:
    """KL(q(z_j|x) || p(z_j)) for each j, (latent_dim,), in nats; a mean over the rows of x."""
    mean, log_var = model.encoder_params(x)
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).mean(0)


def measure(run: vc.Run, data: vc.Dataset) -> dict[str, Any]:
    """The row of a run."""
    found, _ = divergences(run.model(), data.test[:N_IMAGES]).sort(descending=True)
    active = found[found > ACTIVE]
    return {
        "key": run.key,
        "dataset": run.config.dataset,
        "latent_dim": run.config.latent_dim,
        "samples": int(run.curve["samples"][-1]),
        "active": len(active),
        "least_active": round(active[-1].item(), 3),
        "total": round(found.sum().item(), 3),
        "rest": round(found[len(active) :].sum().item(), 3),
        "first": [round(value, 3) for value in found[:5].tolist()],
    }


def main() -> None:
    rows = []
    for dataset in FIG2_LATENT_DIMS:
        data = vc.load_dataset(dataset)
        stored = [run for run in figure2_runs(vc.all_runs()) if run.config.dataset == dataset]
        longest = max(run.curve["samples"][-1] for run in stored)
        for run in stored:
            if run.config.algorithm == "aevb" and run.has_weights and is_of_reading(run.config):
                if run.curve["samples"][-1] >= min(longest, 1e8):
                    rows.append(measure(run, data))
                    print(rows[-1], flush=True)
    rows.sort(key=lambda row: (row["dataset"], row["latent_dim"]))
    studies.save(__file__, rows)


if __name__ == "__main__":
    main()
