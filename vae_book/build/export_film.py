"""Writes `book/assets/film_mnist.js`, the film strip of Figure 4's plane as it is learned.

    python -m vae_book.build.export_film

trains the run of Figure 4 on MNIST again, from its settings but with all products in float32, and
draws the plane at each of MARKS. A finished part is in the user's cache and is not trained twice.
The last frame is the stored run's own.
"""

from typing import Any

import vae_core as vc
from vae_book import film, plots
from vae_book.explorer import longest_runs

# the plateau, then sixths of a decade, as the curve has rows
MARKS = (10_000, 21_500, 100_000, 215_500, 316_300, 464_200, 681_300)
MARKS += (1_000_000, 1_467_800, 2_154_500, 3_162_300)
COLUMNS = ("samples", "train_bound", "test_bound")


def stored_run() -> vc.Run:
    """The run of Figure 4 on MNIST."""
    return next(run for run in longest_runs() if run.config.dataset == "mnist")


def part(stored: vc.Run, n_samples: int) -> vc.Run:
    """The stored run's beginning, trained anew; each part goes on from the one before."""
    changed = {"matmul_precision": "highest", "n_samples": n_samples}
    return vc.get_or_run(vc.RunConfig(**stored.config.model_dump() | changed), weights=True)


def picture(run) -> Any:
    """The plane as Figure 4 draws it, grey levels in [0, 1]."""
    means = plots.decode_means(run, plots.unit_square_latents(film.GRID))
    return plots.image_grid(means, run.config.spec.image_shape, film.GRID)


def joined_curve(runs) -> list[dict[str, float]]:
    """The rows of all runs by samples; where several have one, that of the shortest run counts."""
    rows: dict[int, dict[str, float]] = {}
    for run in runs:
        for values in zip(*(run.curve[name].tolist() for name in COLUMNS), strict=True):
            row = dict(zip(COLUMNS, values, strict=True)) | {"samples": int(values[0])}
            rows.setdefault(row["samples"], row)
    return [rows[samples] for samples in sorted(rows)]


def content(parts, stored) -> dict:
    """Curve and frames of these runs, shortest first, and of the stored run."""
    first = parts[0].config.n_samples
    rows = [row for row in joined_curve([*parts, stored]) if row["samples"] >= first]
    at = {row["samples"]: i for i, row in enumerate(rows)}
    frames = [
        {"row": at[run.config.n_samples], "picture": film.pack(picture(run))}
        for run in [*parts, stored]
    ]
    curve = {name: [row[name] for row in rows] for name in COLUMNS}
    return {"curve": curve, "frames": frames}


def main() -> None:
    stored = stored_run()
    film.write(content([part(stored, n_samples) for n_samples in MARKS], stored))
    print(f"{film.ASSET.name}: {film.ASSET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
