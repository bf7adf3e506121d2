"""Draws `book/assets/headline.svg`, the front figure, from the stored runs of Figure 2."""

import ast
from pathlib import Path

import vae_core as vc
from vae_book import plots
from vae_book.notebooks import declared_parameters

BOOK = Path(__file__).resolve().parents[2] / "book"


def stored_runs():
    """The MNIST runs that the notebook of Figure 2 shows at its default parameters."""
    declared = declared_parameters(BOOK / "figures/fig2_lower_bound.ipynb")
    default = {name: ast.literal_eval(p.default) for name, p in declared.items()}
    configs = [
        vc.RunConfig(
            latent_dim=latent_dim,
            algorithm=algorithm,
            n_samples=default["n_samples"],
            matmul_precision=default["matmul_precision"],
            **default["settings"],
        )
        for latent_dim in plots.paper_latent_dims("mnist")
        for algorithm in default["algorithms"]
    ]
    return [run for run in map(vc.find_run, configs) if run is not None]


def main():
    runs = stored_runs()
    if not runs:
        raise SystemExit("book/reference holds none of the MNIST runs of Figure 2")
    path = BOOK / "assets/headline.svg"
    plots.lower_bound_figure(runs).save(path)
    print(f"{path.relative_to(BOOK.parent)}: {len(runs)} runs")


if __name__ == "__main__":
    main()
