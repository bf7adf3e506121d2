"""Which half of AEVB overfits on MNIST with 3 latent variables: the decoder, or the encoder.

    python book/studies/who_overfits.py

writes `who_overfits.json` beside this file. For the stored models of that size it evaluates the
bound and, by quadrature, log p(x) on every fiftieth training and every tenth test image. Their
difference is the divergence of the encoder's q(z|x) from the true posterior (paper, Eq. 1): what
grows of it on images held out is the encoder's share of the overfitting, the rest is the
decoder's. Wake-sleep, whose encoder learns from dreams alone, is there for comparison. A
quarter of an hour on one core. The page `reproducibility/ambiguities` tells what it means.
"""

from typing import Any

import torch
from torch import Tensor

import vae_core as vc
from vae_book import studies
from vae_book.readings import is_of_reading
from vae_core.runs import Run

KIND = ("mnist", 3, 50_000)  # quadrature serves three latent variables at most
ALGORITHMS = ("aevb", "wake_sleep")
OF_FIGURE_3 = (100,)  # hidden units; there wake-sleep has a stored model, too
N_IMAGES = 1_000  # of each kind
N_MC = 1_000  # draws of z for each image
N_FIRST = 5  # images whose values are stored one by one, to be compared with


@torch.no_grad()
def divergence(model: vc.VAE, x: Tensor) -> Tensor:
    """KL(q(z|x) || p(z|x)) for each row of x, (N,), in nats."""
    generator = torch.Generator().manual_seed(0)
    bounds = [vc.sgvb_b(model, part, n_mc=N_MC, generator=generator) for part in x.split(10)]
    exact = vc.log_marginal(model, x, method="quadrature", tolerance=0.01, progress=False)
    return exact - torch.cat(bounds)


def measure(run: Run, data: vc.Dataset, n_images: int = N_IMAGES) -> dict[str, Any]:
    """A row of the study for a run: means, standard errors, medians, the worst tenth, in nats."""
    model, row = run.model(), {"key": run.key, "n_images": n_images}
    for split, x in (("train", data.train), ("test", data.test)):
        rows = x[:: len(x) // n_images][:n_images]
        kl = torch.cat([divergence(model, part) for part in rows.split(100)])
        row[split] = {
            "mean": round(kl.mean().item(), 3),
            "stderr": round((kl.std() / n_images**0.5).item(), 3),
            "median": round(kl.median().item(), 3),
            "worst_tenth": round(kl.quantile(0.9).item(), 2),
            "first": [round(value, 2) for value in kl[:N_FIRST].tolist()],
        }
    return row


def main() -> None:
    torch.set_num_threads(1)
    data, rows = vc.load_dataset("mnist"), []
    for run in vc.all_runs():
        config = run.config
        kind = config.dataset, config.latent_dim, config.n_train
        if kind != KIND or config.algorithm not in ALGORITHMS or not run.has_weights:
            continue
        if is_of_reading(config) or config.hidden == OF_FIGURE_3:
            rows.append(measure(run, data))
            print(rows[-1], flush=True)
    rows.sort(key=lambda row: row["key"])
    studies.save(__file__, rows)


if __name__ == "__main__":
    main()
