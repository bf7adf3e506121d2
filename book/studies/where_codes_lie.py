"""Where the stored models of Frey Face put their codes, and what the decoder makes of both places.

    python book/studies/where_codes_lie.py

writes `where_codes_lie.json` beside this file. The pages `figures/fig4_manifold` and
`figures/fig5_samples` tell what it means.
"""

import json
from pathlib import Path

import torch

import vae_core as vc
from vae_book.plots.images import fitted_gaussian
from vae_book.plots.strangeness import strangeness


@torch.no_grad()
def measure(run: vc.Run, faces: vc.Dataset) -> dict:
    """Where the mean code lies, the Gaussian of the codes, and how strange draws are by place."""
    model = run.model()
    fitted = fitted_gaussian(model.encoder_params(faces.test)[0])
    found = strangeness(model, faces.train, faces.test, fitted)
    config = run.config
    return {
        "key": run.key,
        "latent_dim": config.latent_dim,
        "n_samples": config.n_samples,
        "step_size": config.step_size,
        "prior_on_weights": config.prior_sd is not None,
        "offset": round(fitted.mean.norm().item(), 2),
        "strangeness": {name: round(value, 2) for name, value in found.items()},
        "mean": rounded(fitted.mean),
        "root": [rounded(row[: i + 1]) for i, row in enumerate(fitted.root)],  # it is triangular
    }


def rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.5g}") for value in values.tolist()]


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for run in vc.all_runs():
        config = run.config
        if (config.dataset, config.algorithm) == ("freyface", "aevb") and run.has_weights:
            rows.append(measure(run, vc.load_dataset("freyface", split_seed=config.split_seed)))
    rows.sort(key=lambda row: (row["latent_dim"], row["n_samples"], row["key"]))
    lines = ",\n".join(map(json.dumps, rows))
    Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
