"""The latent explorer: a trained two-dimensional model as a script that a browser can run.

`export` writes `book/assets/explorer_<dataset>.js`: the decoder's weights and the encoded test set
as base64 float16, and a few test images. `book/assets/explorer.js` draws with them. The same file
gives the figures their test images where the data set itself is not at hand.
"""

import base64
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vae_book.readings import is_of_reading, longest
from vae_core.data import load_dataset, status
from vae_core.log_joint import decoder_layers
from vae_core.runs import all_runs

ASSETS = Path(__file__).resolve().parents[1] / "book" / "assets"
N_EXAMPLES = 20
_PREFIX = "(window.latentExplorerModels ??= {})"


def asset_path(dataset: str) -> Path:
    """Where the exported model of a data set lies."""
    return ASSETS / f"explorer_{dataset}.js"


def export(run, path: Path | None = None) -> Path:
    """Writes a run's decoder, its encoded test set and some test images as a script.

    Raises:
        ValueError: the model has other than 2 latent dimensions.
        DataNotFound: the data set is not on this machine and cannot be had.
    """
    config = run.config
    if config.latent_dim != 2:
        raise ValueError(f"latent_dim={config.latent_dim}: the explorer needs 2 latent dimensions")
    data = load_dataset(config.dataset, split_seed=config.split_seed)
    latents, labels = encode_test(run.model(), data)
    examples = example_rows(data)
    content = {
        "key": run.key,
        "title": config.spec.title,
        "shape": list(data.image_shape),
        "levels": data.levels,
        "output": "linear" if config.likelihood == "gaussian" else "sigmoid",
        "layers": [_layer(w, b) for w, b in _mean_layers(run.model())],
        "reach": math.ceil(2 * latents.abs().quantile(0.995).item()) / 2,
        "latents": _pack(latents, np.float16),
        "labels": None if labels is None else _pack(labels, np.uint8),
        "examples": _pack(data.test_bytes[examples], np.uint8),
        "exampleRows": examples,
    }
    path = path or asset_path(config.dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{_PREFIX}["{config.dataset}"] = {json.dumps(content)};\n')
    return path


def longest_runs() -> list:
    """The longest stored AEVB run of the book's reading with 2 latent dimensions, each data set."""

    def suits(run) -> bool:
        c = run.config
        kind = c.algorithm, c.latent_dim, c.seed
        return kind == ("aevb", 2, 0) and bool(c.spec.files) and run.has_weights

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

    Without labels the rows are evenly spread over the test set.
    """
    if data.test_labels is None:
        return [i * len(data.test_bytes) // n for i in range(n)]
    classes = data.test_labels.unique().tolist()
    rows = [(data.test_labels == label).nonzero().flatten().tolist() for label in classes]
    return [rows[i % len(classes)][i // len(classes)] for i in range(n)]


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


def _mean_layers(model) -> list[tuple[Tensor, Tensor]]:
    """The decoder's layers; of a Gaussian head only the half that gives the means."""
    layers = decoder_layers(model)
    weight, bias = layers[-1]
    return [*layers[:-1], (weight[: model.data_dim], bias[: model.data_dim])]


def _layer(weight: Tensor, bias: Tensor) -> dict:
    n_out, n_in = weight.shape
    packed = {"weight": _pack(weight, np.float16), "bias": _pack(bias, np.float16)}
    return {"in": n_in, "out": n_out, **packed}


def _pack(tensor: Tensor, dtype) -> str:
    return base64.b64encode(tensor.detach().numpy().astype(dtype).tobytes()).decode()


def _unpack(text: str, dtype) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype).copy())
