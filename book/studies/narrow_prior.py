"""What a narrower prior on the weights leaves of AEVB's overfitting on MNIST, and whose it is.

    python book/studies/narrow_prior.py

writes `narrow_prior.json` beside this file, for the runs with a standard deviation of 0.1 that go
on to a hundred million samples: the mean bound on the 10,000 validation and the 10,000 test images,
and, with three latent variables, how far the encoder's q(z|x) is from the posterior on training and
on test images. Their weights are not stored in the book: `vae-core sweep book/params/paper.yaml`
trains them into the user's cache. A quarter of an hour on one core. The page
`reproducibility/ambiguities` tells what it means.
"""

import torch
from held_out import FAR, mean_bound
from who_overfits import KIND, measure

import vae_core as vc
from vae_book import studies
from vae_book.readings import config_of

SETTINGS = {"prior_sd": 0.1, "n_samples": FAR, "matmul_precision": "medium"}
LATENT_DIMS = (3, 5)


def main() -> None:
    torch.set_num_threads(1)
    data, rows = vc.load_dataset("mnist"), []
    for latent_dim in LATENT_DIMS:
        config = config_of("mnist", "aevb", latent_dim, settings=SETTINGS)
        run = vc.find_run(config, weights=True)
        if run is None:
            raise SystemExit(f"{config.key} is not stored with weights: vae-core sweep trains it")
        model = run.model()
        row = measure(run, data) if latent_dim == KIND[1] else {"key": run.key}
        row["validation_bound"] = round(mean_bound(model, data.valid), 3)
        row["test_bound"] = round(mean_bound(model, data.test), 3)
        print(row, flush=True)
        rows.append(row)
    studies.save(__file__, rows)


if __name__ == "__main__":
    main()
