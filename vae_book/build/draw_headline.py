"""Draws `book/assets/headline.svg`, the front figure, from the stored runs of Figure 2."""

from pathlib import Path

import vae_core as vc
from vae_book import plots
from vae_book.resources import BOOK, ROOT
from vae_book.verdicts import figure2_runs

HEADLINE = BOOK / "assets/headline.svg"


def draw(path: Path) -> int:
    """Writes the figure; returns the number of its runs."""
    runs = [run for run in figure2_runs(vc.all_runs()) if run.config.dataset == "mnist"]
    if not runs:
        raise SystemExit("book/reference holds none of the MNIST runs of Figure 2")
    plots.lower_bound_figure(runs).save(path)
    return len(runs)


if __name__ == "__main__":
    print(f"{HEADLINE.relative_to(ROOT)}: {draw(HEADLINE)} runs")
