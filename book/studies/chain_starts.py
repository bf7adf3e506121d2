"""What Appendix D loses to the place where its chains begin, on the overfitted models of Figure 3.

    python book/studies/chain_starts.py

writes `chain_starts.json` beside this file: the estimate less log p(x) by quadrature on the first
100 test images, for the models of AEVB and Monte Carlo EM with 1,000 training images, by how many
draws of the prior a chain's start is chosen from and how many moves it makes before it is used.
Five minutes on one core. The page `reproducibility/estimator` tells what it means.
"""

import torch

import vae_core as vc
from vae_book import studies
from vae_book.verdicts.figure3 import figure3_runs
from vae_core.runs.config import LOG_MARGINAL_SAMPLES

N_IMAGES = 100
ALGORITHMS = ("aevb", "mcem")
STARTS = (  # candidates, moves of burn-in; the first is the package's own
    (1_000, 20),
    (1_000, 300),
    (10_000, 20),
    (100_000, 20),
)
FAR = 3.0  # nats


def errors(model: vc.VAE, x: torch.Tensor, exact: torch.Tensor, **options: int) -> torch.Tensor:
    """The estimate less the truth for each row of x, in nats."""
    generator = torch.Generator().manual_seed(0)
    options |= {"n_samples": LOG_MARGINAL_SAMPLES}
    return vc.log_marginal(model, x, "hmc_density", generator=generator, **options) - exact


def main() -> None:
    torch.set_num_threads(1)
    x, rows = vc.load_dataset("mnist").test[:N_IMAGES], []
    runs = figure3_runs(vc.all_runs())
    for algorithm in ALGORITHMS:
        run = runs[1_000, algorithm]
        model = run.model()
        exact = vc.log_marginal(model, x, "quadrature", tolerance=0.01)
        for n_candidates, n_burnin in STARTS:
            found = errors(model, x, exact, n_candidates=n_candidates, n_burnin=n_burnin)
            rows.append(
                {
                    "key": run.key,
                    "n_candidates": n_candidates,
                    "n_burnin": n_burnin,
                    "mean": round(found.mean().item(), 3),
                    "stderr": round((found.std() / N_IMAGES**0.5).item(), 3),
                    "median": round(found.median().item(), 3),
                    "far": int((found.abs() > FAR).sum()),
                    "worst": round(found.min().item(), 1),
                    "truth": round(exact.mean().item(), 3),
                }
            )
            print(rows[-1], flush=True)
    studies.save(__file__, rows)


if __name__ == "__main__":
    main()
