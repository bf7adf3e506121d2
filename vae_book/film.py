"""The film strip: the plane of Figure 4 at several points of its training.

`vae_book.build.export_film` writes `book/assets/film_mnist.js`, and `book/assets/film.js` shows it
on a slider. Here the same frames become the still strip of print and of pages without JavaScript.
"""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vae_book.explorer import ASSETS
from vae_book.plots import Figure, png_panel

ASSET = ASSETS / "film_mnist.js"
GRID = 16  # pictures along each side of a frame
LEVELS = 63  # of grey above black; more than these no eye tells apart here
_PREFIX = "(globalThis.vaePlay ??= {}).film = "


@dataclass(frozen=True)
class Frame:
    """The plane after so many training samples.

    Attributes:
        picture: grey levels in [0, 1], (GRID height, GRID width), rows from the top.
        bounds: train and test bound in nats.
    """

    samples: int
    bounds: dict[str, float]
    picture: np.ndarray


def pack(picture: np.ndarray) -> str:
    """Grey levels in [0, 1], (height, width), as the address of a lossless picture."""
    levels = np.round(np.clip(picture, 0, 1) * LEVELS) * (255 / LEVELS)
    buffer = io.BytesIO()
    Image.fromarray(np.round(levels).astype(np.uint8), mode="L").save(
        buffer, format="WEBP", lossless=True, quality=100, method=6
    )
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def unpack(address: str) -> np.ndarray:
    """The grey levels in [0, 1] of a picture that :func:`pack` made."""
    data = base64.b64decode(address.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")) / 255


def write(content: dict, path: Path = ASSET) -> None:
    """Writes what the page shows: `curve`, columns, and `frames`, each {row, picture}."""
    path.write_text(f"{_PREFIX}{json.dumps(content)};\n")


def read(path: Path = ASSET) -> list[Frame]:
    """The frames, in the order of training."""
    content = json.loads(path.read_text().removeprefix(_PREFIX).rstrip().rstrip(";"))
    curve = content["curve"]
    return [
        Frame(
            curve["samples"][frame["row"]],
            {split: curve[f"{split}_bound"][frame["row"]] for split in ("train", "test")},
            unpack(frame["picture"]),
        )
        for frame in content["frames"]
    ]


def every_second(picture: np.ndarray) -> np.ndarray:
    """A frame with every second row and column of its pictures."""
    height, width = picture.shape[0] // GRID, picture.shape[1] // GRID
    kept = picture.reshape(GRID, height, GRID, width)[::2, :, ::2]
    return kept.reshape(kept.shape[0] * height, -1)


def still(n: int = 6) -> Figure:
    """n frames, evenly spaced from the first to the last, as a figure."""
    frames = read()
    shown = [frames[round(i * (len(frames) - 1) / (n - 1))] for i in range(n)]
    panels = [
        png_panel(
            f"{frame.samples:,} samples, test bound {frame.bounds['test']:.1f}".replace("-", "−"),
            every_second(frame.picture),
            f"The plane after {frame.samples:,} training samples.",
        )
        for frame in shown
    ]
    return Figure([*panels], 3)
