"""How the cost of training and of HMC grows with their sizes, and the exponents of that growth.

make bench, or python benchmarks/growth.py
"""

from _timing import in_turn, one_thread, report, spread

one_thread()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from _images import mnist_like  # noqa: E402

from vae_core import RunConfig, hmc  # noqa: E402
from vae_core.log_joint import log_joint_of  # noqa: E402
from vae_core.model import VAE  # noqa: E402
from vae_core.runs.trainer import Trainer  # noqa: E402

ROUNDS, STEPS, ITERATIONS = 5, 4, 1  # of a size in a round: steps, or iterations of Monte Carlo EM
SIZES = {
    "latent_dim": (2, 5, 20, 50, 200, 500),
    "hidden": (50, 100, 200, 500, 1_000),
    "batch_size": (10, 30, 100, 300, 1_000),
    "n_train": (300, 600, 1_200, 2_500, 5_000),
    "chains": (30, 100, 300, 1_000, 3_000),
}
TITLES = {
    "latent_dim": "an AEVB step against latent dimensions",
    "hidden": "an AEVB step against hidden units",
    "batch_size": "an AEVB step against images in a minibatch",
    "n_train": "a Monte Carlo EM iteration against training images",
    "chains": "an HMC move of four leapfrog steps against chains",
}

torch.set_num_threads(1)
data = mnist_like(10_000)


def aevb_step(**fields):
    fields = {"hidden": (500,), "latent_dim": 20} | fields
    return Trainer(RunConfig(n_samples=1_000, n_train=len(data.train_bytes), **fields), data)


def mcem_iteration(n: int):
    fields = {"algorithm": "mcem", "latent_dim": 3, "hidden": (100,), "n_train": n}
    return Trainer(RunConfig(n_samples=1_000, **fields), mnist_like(n))


def hmc_move(chains: int):
    generator = torch.Generator().manual_seed(0)
    model = VAE(784, 3, (100,), init_sd=0.3, generator=generator)
    x = (torch.rand(chains, 784, generator=generator) < 0.2).float()
    target = log_joint_of(model, x)
    state = hmc.init(torch.randn(chains, 3, generator=generator), target)
    return lambda: hmc.step(state, 0.05, 4, target, generator=generator)


def candidate(name: str, size: int):
    """A function that takes one step of the given size."""
    if name == "chains":
        return hmc_move(size)
    if name == "n_train":
        return mcem_iteration(size).advance
    return aevb_step(**{name: (size,) if name == "hidden" else size}).advance


def exponents(sizes, seconds) -> tuple[float, float]:
    """Of seconds ~ size^exponent: over all sizes, and between the last two."""
    x, y = np.log(sizes), np.log(seconds)
    return round(float(np.polyfit(x, y, 1)[0]), 2), round(
        float((y[-1] - y[-2]) / (x[-1] - x[-2])), 2
    )


def repeated(step, n: int):
    return lambda: [step() for _ in range(n)]


def measured(name: str) -> dict:
    """Seconds of a step at every size, and the exponents of their growth."""
    sizes, n = SIZES[name], ITERATIONS if name == "n_train" else STEPS
    steps = {str(size): repeated(candidate(name, size), n) for size in sizes}
    seconds = {size: [s / n for s in rounds] for size, rounds in in_turn(steps, ROUNDS).items()}
    overall, last = exponents(sizes, [float(np.median(v)) for v in seconds.values()])
    return {
        "title": TITLES[name],
        "seconds": {size: spread(values) for size, values in seconds.items()},
        "exponent": overall,
        "last_exponent": last,
    }


def main() -> None:
    what = "processor seconds, one thread, steps that are not compiled"
    report("growth", {"what": what, "axes": {name: measured(name) for name in SIZES}}, ["torch"])


if __name__ == "__main__":
    main()
