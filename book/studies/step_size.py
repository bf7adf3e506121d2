"""What the paper's own rule picks: the step size with the best training bound early on.

    python book/studies/step_size.py

applies `vae_core.runs.step_size.choose_step_size` to every experiment of Figure 2, on the first
100,000 training samples and without accumulating minibatches, and writes `step_size.json` beside
this file: about ten minutes on one core. The page `reproducibility/ambiguities` shows the result.
"""

import torch

import vae_core as vc
from vae_book import studies
from vae_book.plots.paper import FIG2_LATENT_DIMS
from vae_core.runs.step_size import choose_step_size

N_SAMPLES = 100_000
PRIOR_SD = {"mnist": 1.0, "freyface": None}  # as in the book's Figure 2


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for dataset, latent_dims in FIG2_LATENT_DIMS.items():
        for latent_dim in latent_dims:
            for algorithm in ("aevb", "wake_sleep"):
                experiment = dict(dataset=dataset, latent_dim=latent_dim, algorithm=algorithm)
                fixed = dict(adagrad_warmup=0, prior_sd=PRIOR_SD[dataset])
                config = vc.RunConfig(**experiment, **fixed)
                chosen, bounds = choose_step_size(config, n_samples=N_SAMPLES, progress=False)
                bounds = {str(step): round(bound, 2) for step, bound in bounds.items()}
                rows.append(experiment | {"chosen": chosen, "train_bound": bounds})
                print(rows[-1], flush=True)
    studies.save(__file__, {"n_samples": N_SAMPLES, "experiments": rows})


if __name__ == "__main__":
    main()
