"""The latent explorer: a trained two-dimensional model as a script that a browser can run.

`export` writes two scripts. `book/assets/explorer_<dataset>.js` holds the decoder's weights and the
encoded test set as base64 float16, a few test images, and where the codes of the training set do
not lie; it also gives the figures their test images where the data set itself is not at hand.
`explorer_<dataset>_encoder.js` holds what only q(z|x) and the exact posterior need. The scripts
`book/assets/explorer*.js` draw with them.
"""

import base64
import json
import math
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vae_book.readings import is_of_reading, longest
from vae_book.resources import BOOK
from vae_core.data import load_dataset, status
from vae_core.log_joint import decoder_layers
from vae_core.model import LOG_2PI
from vae_core.runs import all_runs, load_data

ASSETS = BOOK / "assets"
N_EXAMPLES = 20
OFF_GRID = 96  # cells along each side of the map of what lies off the data
OFF_SHARE = 0.01  # of the aggregate posterior's mass that counts as off the data


def asset_path(dataset: str) -> Path:
    """Where the exported model of a data set lies."""
    return ASSETS / f"explorer_{dataset}.js"


def encoder_path(path: Path) -> Path:
    """Where the rest of the model exported to `path` lies."""
    return path.with_name(f"{path.stem}_encoder.js")


def paths_of(runs: list, folder: Path | None) -> list[Path]:
    """Where each run is exported to: into a folder, by default that of the book.

    Raises:
        ValueError: two runs are of data sets with one name, so one would overwrite the other.
    """
    paths: dict[Path, str] = {}
    for run in runs:
        path = asset_path(run.config.spec.name)
        path = path if folder is None else folder / path.name
        if other := paths.get(path):
            raise ValueError(f"{other} and {run.key} would both be written to {path}: export one")
        paths[path] = run.key
    return list(paths)


def export(run, path: Path | None = None) -> Path:
    """Writes a run's model, its encoded test set and some test images as two scripts.

    Returns the path of the first; :func:`encoder_path` gives that of the second.

    Raises:
        ValueError: the model has other than 2 latent dimensions, or a label is no byte.
        DataNotFound: the data set is not on this machine and cannot be had.
    """
    config = run.config
    if config.latent_dim != 2:
        raise ValueError(f"latent_dim={config.latent_dim}: the explorer needs 2 latent dimensions")
    data = load_data(config)
    _check_labels(data.test_labels)
    model = run.model()
    latents, labels = encode_test(model, data)
    rows = example_rows(data)
    examples, levels = _as_bytes(data, rows)
    reach = math.ceil(2 * latents.abs().quantile(0.995).item()) / 2
    content = {
        "key": run.key,
        "title": config.spec.title,
        "shape": list(data.image_shape),
        "levels": levels,
        "likelihood": config.likelihood,
        "layers": [_layer(w, b) for w, b in _mean_layers(model)],
        "reach": reach,
        "off": _pack(off_the_data(model, data.train, reach) * 255, np.uint8),
        "latents": _pack(latents, np.float16),
        "labels": None if labels is None else _pack(labels, np.uint8),
        "examples": _pack(examples, np.uint8),
        "exampleRows": rows,
    }
    path = path or asset_path(config.spec.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = config.spec.name
    _write(path, "latentExplorerModels", name, content)
    _write(encoder_path(path), "latentExplorerEncoders", name, _encoder_content(model))
    return path


@torch.no_grad()
def off_the_data(model, x: Tensor, reach: float) -> Tensor:
    """How far off the data each cell of the plane [-reach, reach]^2 lies, from 0 to 1.

    Off the data is where the aggregate posterior, the mean of q(z|x) over images x (n, D), is below
    its density at the rim of the smallest region that holds all but OFF_SHARE of its mass. The
    result (OFF_GRID, OFF_GRID) has rows from the top; it goes from 0 to 1 where the density falls
    through that value by a factor of e^2.
    """
    mean, log_var = model.encoder_params(x)  # (n, 2) each
    axis = reach * ((torch.arange(OFF_GRID) + 0.5) * 2 / OFF_GRID - 1)
    standard = (axis[:, None, None] - mean) * torch.exp(-0.5 * log_var)  # (cells, n, 2)
    along = torch.exp(-0.5 * (standard.square() + LOG_2PI + log_var)).double()
    density = along[..., 1].flip(0) @ along[..., 0].T / len(x)  # (z2 downwards, z1)
    ordered = density.flatten().sort(descending=True).values
    share = ordered.cumsum(0) / ordered.sum()
    rim = ordered[(share < 1 - OFF_SHARE).sum()]
    return (0.5 - 0.5 * torch.log(density / rim)).clamp(0, 1).float()


def longest_runs() -> list:
    """The longest stored AEVB run of the book's reading with 2 latent dimensions, each data set."""

    def suits(run) -> bool:
        c = run.config
        kind = c.algorithm, c.latent_dim, c.seed
        is_published = c.data_sha256 is None and bool(c.spec.files)
        return kind == ("aevb", 2, 0) and is_published and run.has_weights

    runs = [run for run in all_runs() if suits(run) and is_of_reading(run.config)]
    return list(longest(runs, lambda run: run.config.dataset).values())


def read(path: Path) -> dict:
    """The content of an exported script, with its arrays as tensors."""
    content = json.loads(path.read_text().split(" = ", 1)[1].rstrip().rstrip(";"))
    n_pixels = math.prod(content["shape"])
    content["latents"] = _unpack(content["latents"], np.float16).float().reshape(-1, 2)
    if content["labels"] is not None:
        content["labels"] = _unpack(content["labels"], np.uint8).long()
    content["examples"] = _unpack(content["examples"], np.uint8).reshape(-1, n_pixels)
    return content


def example_rows(data, n: int = N_EXAMPLES) -> list[int]:
    """Rows of the test set to show: the first of each class, then the second, and so on.

    Without labels the rows are evenly spread over the test set. A smaller set has all its rows.
    """
    n = min(n, len(data.test_bytes))
    if data.test_labels is None:
        return [i * len(data.test_bytes) // n for i in range(n)]
    classes = data.test_labels.unique().tolist()
    rows = [(data.test_labels == label).nonzero().flatten().tolist() for label in classes]
    in_turn = (row for turn in zip_longest(*rows) for row in turn if row is not None)
    return list(islice(in_turn, n))


def example_images(dataset: str) -> Tensor:
    """Some test images, (n, D) in [0, 1]: from the data set, else from the exported script.

    Raises:
        DataNotFound: neither is there.
    """
    if not is_at_hand(dataset) and asset_path(dataset).exists():
        content = read(asset_path(dataset))
        return content["examples"].float() / content["levels"]
    data = load_dataset(dataset)
    return data.test[example_rows(data)]


def encoded_test(run) -> tuple[Tensor, Tensor | None]:
    """Means of q(z|x) over the test set, (n, 2), and labels: computed, else from the export.

    Raises:
        DataNotFound: the data set is missing and the exported script is of another run.
    """
    path = asset_path(run.config.dataset)
    if not is_at_hand(run.config.dataset) and path.exists():
        content = read(path)
        if content["key"] == run.key:
            return content["latents"], content["labels"]
    data = load_dataset(run.config.dataset, split_seed=run.config.split_seed)
    return encode_test(run.model(), data)


@torch.no_grad()
def encode_test(model, data) -> tuple[Tensor, Tensor | None]:
    """Means of q(z|x) over the test set, (n, latent_dim), and labels where there are any."""
    return model.encoder_params(data.test)[0], data.test_labels


def is_at_hand(dataset: str) -> bool:
    """Whether all files of a data set are on this machine, so that nothing need be fetched."""
    return all(s.state in ("ok", "embedded") for s in status() if s.dataset == dataset)


def _check_labels(labels: Tensor | None) -> None:
    if labels is not None and not 0 <= labels.min() <= labels.max() <= 255:
        low, high = labels.min().item(), labels.max().item()
        raise ValueError(f"test_labels are from {low} to {high}: the explorer needs 0 to 255")


def _as_bytes(data, rows: list[int]) -> tuple[Tensor, int]:
    """Rows of the test set, (n, D) of whole numbers, and levels: a pixel is value / levels."""
    pixels = data.test_bytes[rows]
    return ((255 * pixels).round(), 255) if pixels.is_floating_point() else (pixels, data.levels)


def _mean_layers(model) -> list[tuple[Tensor, Tensor]]:
    """The decoder's layers; of a Gaussian head only the half that gives the means."""
    layers = decoder_layers(model)
    weight, bias = layers[-1]
    return [*layers[:-1], (weight[: model.data_dim], bias[: model.data_dim])]


def _encoder_content(model) -> dict:
    """The encoder's layers, and the head of the decoder's log variances where it has one."""
    linear = [layer for layer in model.encoder if isinstance(layer, nn.Linear)]
    weight, bias = decoder_layers(model)[-1]
    has_variance = len(bias) > model.data_dim
    log_var = _layer(weight[model.data_dim :], bias[model.data_dim :]) if has_variance else None
    return {"layers": [_layer(layer.weight, layer.bias) for layer in linear], "logVar": log_var}


def _write(path: Path, collection: str, dataset: str, content: dict) -> None:
    path.write_text(f'(window.{collection} ??= {{}})["{dataset}"] = {json.dumps(content)};\n')


def _layer(weight: Tensor, bias: Tensor) -> dict:
    n_out, n_in = weight.shape
    packed = {"weight": _pack(weight, np.float16), "bias": _pack(bias, np.float16)}
    return {"in": n_in, "out": n_out, **packed}


def _pack(tensor: Tensor, dtype) -> str:
    return base64.b64encode(tensor.detach().numpy().astype(dtype).tobytes()).decode()


def _unpack(text: str, dtype) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype).copy())
