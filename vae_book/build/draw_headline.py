"""Draws `book/assets/headline.svg`, the front figure, from the stored runs of Figure 2."""

import vae_core as vc
from vae_book import plots
from vae_book.resources import BOOK, ROOT
from vae_book.verdicts import figure2_runs


def main():
    runs = [run for run in figure2_runs(vc.all_runs()) if run.config.dataset == "mnist"]
    if not runs:
        raise SystemExit("book/reference holds none of the MNIST runs of Figure 2")
    path = BOOK / "assets/headline.svg"
    plots.lower_bound_figure(runs).save(path)
    print(f"{path.relative_to(ROOT)}: {len(runs)} runs")


if __name__ == "__main__":
    main()
