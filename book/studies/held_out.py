"""How much harder the validation images of MNIST are than the test images, for each model.

    python book/studies/held_out.py

writes `held_out.json` beside this file: the mean bound on the 10,000 images of either kind, by the
stored models of AEVB and by wake-sleep, whose weights are not stored, after its first two million
training samples: a quarter of an hour on one core. Models of wake-sleep that were trained to a
hundred million into the user's cache are evaluated, too. The page `reproducibility/paper_curves`
tells what it means.
"""

import torch
from torch import Tensor

import vae_core as vc
from vae_book import studies
from vae_book.plots.paper import FIG2_LATENT_DIMS
from vae_book.readings import config_of, is_of_reading
from vae_core.runs.trainer import Trainer

LATENT_DIMS = FIG2_LATENT_DIMS["mnist"]
N_MC = 10  # draws of z for each image: they move a mean by 0.02 nats or less
WAKE_SLEEP = 2_000_000  # training samples
FAR = 100_000_000
SETTINGS = {"n_samples": 10_000_000, "matmul_precision": "medium"}


@torch.no_grad()
def mean_bound(model: vc.VAE, x: Tensor) -> float:
    """Of the rows of x, (N, D), in nats."""
    generator = torch.Generator().manual_seed(0)
    bounds = [vc.sgvb_b(model, rows, n_mc=N_MC, generator=generator) for rows in x.split(500)]
    return torch.cat(bounds).mean().item()


def main() -> None:
    torch.set_num_threads(1)
    data = vc.load_dataset("mnist")
    models = {
        (run.config.algorithm, run.config.latent_dim, int(run.curve["samples"][-1])): run.model()
        for run in vc.all_runs()
        if run.config.dataset == "mnist" and run.config.latent_dim in LATENT_DIMS
        if run.config.n_samples >= SETTINGS["n_samples"] and run.config.seed == 0
        if run.has_weights and is_of_reading(run.config)
    }
    for latent_dim in LATENT_DIMS:
        trainer = Trainer(config_of("mnist", "wake_sleep", latent_dim, settings=SETTINGS), data)
        trainer.run(until=WAKE_SLEEP)
        models["wake_sleep", latent_dim, trainer.samples] = trainer.model.eval()
        far = config_of("mnist", "wake_sleep", latent_dim, settings=SETTINGS | {"n_samples": FAR})
        if (run := vc.find_run(far, weights=True)) is not None:
            models["wake_sleep", latent_dim, FAR] = run.model()
    rows = []
    for (algorithm, latent_dim, samples), model in sorted(models.items()):
        rows.append(
            dict(
                algorithm=algorithm,
                latent_dim=latent_dim,
                samples=samples,
                validation_bound=round(mean_bound(model, data.valid), 3),
                test_bound=round(mean_bound(model, data.test), 3),
            )
        )
        print(rows[-1], flush=True)
    studies.save(__file__, rows)


if __name__ == "__main__":
    main()
