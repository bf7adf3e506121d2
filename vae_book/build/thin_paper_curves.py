"""Thins the curves of the paper's vector figures: `... -m vae_book.build.thin_paper_curves FOLDER`.

FOLDER holds the complete `fig2.csv` and `fig3.csv`; some 60 vertices a curve are kept in
`book/paper/`. Every kept row is copied as it stands: nothing is interpolated or rounded. The two
vertices around each power of ten and each printed axis are always kept, so that values read there
are those of the complete curve, and so is each curve's highest vertex.
"""

import csv
import sys
from itertools import groupby
from pathlib import Path

import numpy as np

from vae_book.resources import BOOK

TARGET = BOOK / "paper"
CURVE_FIELDS = {"fig2.csv": 4, "fig3.csv": 3}  # leading columns that name a curve; x comes next
N_VERTICES = 60


def log_spaced(x):
    """Indices of about `N_VERTICES` of the increasing positions `x`, evenly spread in log x."""
    wanted = np.linspace(np.log(x[0]), np.log(x[-1]), N_VERTICES)
    return {int(np.abs(np.log(x) - position).argmin()) for position in wanted}


def around(x, positions):
    """Indices of the vertices on either side of each position that lies within `x`."""
    right = [int(np.searchsorted(x, p)) for p in positions if x[0] < p < x[-1]]
    return {i - step for i in right for step in (0, 1)}


def thin(x, y, in_axes):
    """Sorted indices of the vertices (x, y) of a curve to keep."""
    # Fig. 3 starts at one minibatch, 1e-4 million samples: spread the rest in log x without it
    start = int(x[0] < 1e-3)
    kept = {0, len(x) - 1, int(y.argmax())} | {i + start for i in log_spaced(x[start:])}
    kept |= around(x, 10.0 ** np.arange(10))
    edges = np.flatnonzero(in_axes[1:] != in_axes[:-1])
    return sorted(kept | set(edges.tolist()) | set((edges + 1).tolist()))


def thin_rows(rows, n_fields):
    """Rows of a CSV file whose first `n_fields` columns name the curve, each curve thinned."""
    kept = []
    for _, group in groupby(rows, key=lambda row: row[:n_fields]):
        curve = list(group)
        x = np.array([float(row[n_fields]) for row in curve])
        y = np.array([float(row[n_fields + 1]) for row in curve])
        in_axes = np.array([int(row[-1]) for row in curve])
        kept += [curve[i] for i in thin(x, y, in_axes)]
    return kept


def main(source):
    for name, n_fields in CURVE_FIELDS.items():
        with open(Path(source) / name, newline="") as file:
            header, *rows = csv.reader(file)
        kept = thin_rows(rows, n_fields)
        with open(TARGET / name, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *kept])
        print(f"{name}: kept {len(kept)} of {len(rows)} vertices")


if __name__ == "__main__":
    main(*sys.argv[1:])
