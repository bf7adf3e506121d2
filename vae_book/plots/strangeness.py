"""How unlike real images decoded draws are, by the place in latent space they are drawn from."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vae_book.explorer import encoded_test
from vae_book.plots.images import Fitted, fitted_gaussian
from vae_book.plots.style import NZ, data_title
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
    exact = "donot_use_mm_for_euclid_dist"  # by products, copies are some 1e-4 apart
    distance = torch.cdist(images, frames, compute_mode=exact).min(1).values
    return distance.square().mean().item() / images.shape[1]


@torch.no_grad()
def strangeness(model, train: Tensor, test: Tensor, fitted: Fitted, n: int = 400) -> dict:
    """The strangeness of the decoder means at n draws from each of PLACES.

    Their mean squared distance to the nearest training image (m, D), over that of test images;
    about one where draws are as much like an image as images are, nan where test images are copies
    of training images. For N(m, C) fitted to the codes the places are N(0, I), N(m, I), N(0, C)
    and N(m, C), all at the same n standard normal draws.
    """
    mean, root = fitted
    draws = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(0))
    spread = draws @ root.T
    places = {"prior": draws, "shifted": mean + draws, "spread": spread, "codes": mean + spread}
    scale = nearest(test[:MOST_TEST_IMAGES], train) or float("nan")
    return {name: nearest(model.decode(z).mean, train) / scale for name, z in places.items()}


class Where(NamedTuple):
    """What is known of the codes of a run's test images, and of draws about them."""

    fitted: Fitted  #: to the means of q(z|x)
    strangeness: dict[str, float]  #: by PLACES


def load(study: Iterable[Mapping[str, Any]]) -> dict[str, Where]:
    """`book/studies/where_codes_lie.json`, by run key."""

    def where(row: Mapping[str, Any]) -> Where:
        root = torch.zeros(len(row["mean"]), len(row["mean"]))
        for i, line in enumerate(row["root"]):
            root[i, : len(line)] = torch.tensor(line)
        return Where(Fitted(torch.tensor(row["mean"]), root), row["strangeness"])

    return {row["key"]: where(row) for row in study}


def where_codes_lie(run, study: dict[str, Where]) -> Where:
    """What the study says of a stored run; of another one it is measured now, with its data set.

    Raises:
        DataNotFound: that is missing.
    """
    if run.key in study:
        return study[run.key]
    data = load_dataset(run.config.dataset, split_seed=run.config.split_seed)
    fitted = fitted_gaussian(encoded_test(run)[0])
    return Where(fitted, strangeness(run.model(), data.train, data.test, fitted))


def strangeness_table(runs, found: dict[str, Where]) -> Table:
    """One row a run: how far its mean code lies from the origin, and its draws' strangeness."""
    rows = []
    for run in runs:
        config, (fitted, by_place) = run.config, found[run.key]
        samples = power(run.curve["samples"][-1])
        labels = [data_title(config.spec), str(config.latent_dim), samples]
        offset = f"{fitted.mean.norm().item():.2f}"
        rows.append([*labels, offset, *(nats(by_place[place]) for place in PLACES)])
    header = ["Data", NZ, "samples", "distance of the mean code"]
    header += PLACES.values()
    return Table(header, rows, "The strangeness of draws by their place", n_text_columns=3)
