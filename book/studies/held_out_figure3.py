"""What the ends of Figure 3's curves are on validation images, in place of the test images.

    python book/studies/held_out_figure3.py

writes `held_out_figure3.json` beside this file: the mean log p(x) of the first 1,000 test and the
first 1,000 validation images of MNIST by Appendix D, as the curves have it, for the six models of
the figure. Ten minutes on one core. The page `figures/fig3_marginal_likelihood` tells what it
means.
"""

import torch

import vae_core as vc
from vae_book import studies
from vae_book.verdicts.figure3 import figure3_runs
from vae_core.runs.config import LOG_MARGINAL_SAMPLES

N_IMAGES = 1_000
REPEATS = 2  # each with chains of its own


def main() -> None:
    torch.set_num_threads(1)
    data, rows = vc.load_dataset("mnist"), []
    for (n_train, algorithm), run in sorted(figure3_runs(vc.all_runs()).items()):
        row = {"key": run.key, "n_train": n_train, "algorithm": algorithm}
        for split, images in (("test", data.test), ("validation", data.valid)):
            row[split] = [
                round(appendix_d(run.model(), images[:N_IMAGES], seed), 3)
                for seed in range(REPEATS)
            ]
        rows.append(row)
        print(row, flush=True)
    studies.save(__file__, rows)


def appendix_d(model: vc.VAE, x: torch.Tensor, seed: int) -> float:
    """The mean estimate of log p(x) over the rows of x, in nats."""
    generator = torch.Generator().manual_seed(seed)
    return (
        vc.log_marginal(
            model, x, "hmc_density", n_samples=LOG_MARGINAL_SAMPLES, generator=generator
        )
        .mean(dtype=torch.float64)
        .item()
    )


if __name__ == "__main__":
    main()
