"""Writes `book/assets/train_digits.js`, on which the page "Train it yourself" trains.

It holds the digits in the split of `vae_core` and the curve of the stored run of that page's
notebook, which the page is compared with.
"""

import ast
import base64
import json

import vae_core as vc
from vae_book import plots
from vae_book.notebooks import declared_parameters
from vae_book.resources import BOOK, ROOT

ASSET = BOOK / "assets/train_digits.js"
GRID = 12  # pictures along each side of the manifold


def stored_run():
    """The run of `book/train.ipynb` at its default parameters.

    Raises:
        LookupError: it is not stored.
    """
    declared = declared_parameters(BOOK / "train.ipynb")
    default = {name: ast.literal_eval(p.default) for name, p in declared.items()}
    config = vc.RunConfig(dataset="digits", latent_dim=2, **default)
    run = vc.find_run(config)
    if run is None:
        raise LookupError(f"{config.key} is not stored: `vae-core run` trains it")
    return run


def content(run) -> dict:
    """What the page needs: images as base64 bytes (n, 64) from 0 to `levels`, labels, the
    coordinates of the manifold's grid, and the run's curve in nats."""
    data = vc.load_dataset("digits")
    parts = {"train": data.train_bytes, "test": data.test_bytes, "labels": data.test_labels.byte()}
    z1 = plots.unit_square_latents(GRID)[:GRID, 0]
    columns = ("samples", "train_bound", "test_bound")
    return {
        **{name: base64.b64encode(part.numpy().tobytes()).decode() for name, part in parts.items()},
        "levels": data.levels,
        "probits": [round(z, 6) for z in z1.tolist()],
        "stored": {"key": run.key} | {name: run.curve[name].tolist() for name in columns},
    }


def script() -> str:
    """The asset's text."""
    return f"(globalThis.vaePlay ??= {{}}).digits = {json.dumps(content(stored_run()))};\n"


if __name__ == "__main__":
    ASSET.write_text(script())
    print(f"{ASSET.relative_to(ROOT)}: {ASSET.stat().st_size / 1e3:.0f} kB")
