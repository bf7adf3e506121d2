"""Where the stored models of Frey Face put their codes, and what the decoder makes of both places.

    python book/studies/where_codes_lie.py

writes `where_codes_lie.json` beside this file. The page `figures/fig4_manifold` tells what it
means.
"""

import json
from pathlib import Path

import torch

import vae_core as vc
from vae_book.plots.images import fitted_gaussian
from vae_book.plots.strangeness import nearest

N_DRAWS = 400


@torch.no_grad()
def measure(run: vc.Run, faces: vc.Dataset) -> dict:
    """Distance of the mean code from the origin, and the strangeness of draws from two places.

    Strangeness: mean squared distance of decoded draws to the nearest training frame, over that of
    test frames. The places are the prior and the Gaussian fitted to the codes.
    """
    model = run.model()
    codes = model.encoder_params(faces.test)[0]  # (n, latent_dim)
    draws = torch.randn(N_DRAWS, codes.shape[1], generator=torch.Generator().manual_seed(0))
    mean, root = fitted_gaussian(codes)
    scale = nearest(faces.test, faces.train)
    places = {"prior": draws, "codes": mean + draws @ root.T}
    strangeness = {k: nearest(model.decode(z).mean, faces.train) / scale for k, z in places.items()}
    config = run.config
    return {
        "key": run.key,
        "latent_dim": config.latent_dim,
        "n_samples": config.n_samples,
        "step_size": config.step_size,
        "prior_on_weights": config.prior_sd is not None,
        "offset": round(mean.norm().item(), 2),
        "strangeness": {name: round(value, 2) for name, value in strangeness.items()},
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for run in vc.all_runs():
        config = run.config
        if (config.dataset, config.algorithm) == ("freyface", "aevb") and run.has_weights:
            rows.append(measure(run, vc.load_dataset("freyface", split_seed=config.split_seed)))
    rows.sort(key=lambda row: (row["latent_dim"], row["n_samples"], row["key"]))
    Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
