"""How unlike real images decoded draws are, by the place in latent space they are drawn from."""

import torch
from torch import Tensor

from vae_book.plots.images import fitted_gaussian
from vae_book.plots.tables import Table, nats, power
from vae_core.data import load_dataset

MOST_TEST_IMAGES = 1_000  # of those, the scale of strangeness
PLACES = {
    "prior": "strangeness: the prior",
    "shifted": "moved to the mean code",
    "spread": "with the codes' covariance",
    "codes": "both",
}


def nearest(images: Tensor, frames: Tensor) -> float:
    """Mean over images (n, D) of the squared distance per pixel to the nearest frame (m, D)."""
    return torch.cdist(images, frames).min(1).values.square().mean().item() / images.shape[1]


@torch.no_grad()
def strangeness(model, train: Tensor, test: Tensor, codes: Tensor, n: int = 400) -> dict:
    """The strangeness of the decoder means at n draws from each of PLACES.

    Their mean squared distance to the nearest training image (m, D), over that of test images;
    about one where draws are as much like an image as images are, nan where test images are copies
    of training images. For codes (k, latent_dim) the places are N(0, I), N(m, I), N(0, C) and
    N(m, C), with their mean m and covariance C, all at the same n standard normal draws.
    """
    draws = torch.randn(n, codes.shape[1], generator=torch.Generator().manual_seed(0))
    mean, root = fitted_gaussian(codes)
    spread = draws @ root.T
    places = {"prior": draws, "shifted": mean + draws, "spread": spread, "codes": mean + spread}
    scale = nearest(test[:MOST_TEST_IMAGES], train) or float("nan")
    return {name: nearest(model.decode(z).mean, train) / scale for name, z in places.items()}


def strangeness_table(runs, codes: dict[str, Tensor]) -> Table:
    """One row a run: how far its mean code lies from the origin, and its draws' strangeness.

    `codes` are the means of q(z|x) over the test images, by run key (k, latent_dim).
    """
    rows = []
    for run in runs:
        config = run.config
        data = load_dataset(config.dataset, split_seed=config.split_seed)
        found = strangeness(run.model(), data.train, data.test, codes[run.key])
        offset = codes[run.key].mean(0).norm().item()
        labels = [config.spec.title, str(config.latent_dim), power(run.curve["samples"][-1])]
        rows.append([*labels, f"{offset:.2f}", *(nats(found[place]) for place in PLACES)])
    header = ["Data", "<i>N</i><sub>z</sub>", "samples", "distance of the mean code"]
    return Table(
        [*header, *PLACES.values()],
        rows,
        "The strangeness of draws by their place",
        n_text_columns=3,
    )
