"""The wheel, installed apart from the repository: command, run, figure, the paper's curves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
import sys
import vae_book, vae_core as vc
assert vae_book.__file__.startswith(sys.argv[1]) and vc.__file__.startswith(sys.argv[1])
from vae_book import plots
from vae_book.plots import paper
run = vc.get_or_run(vc.RunConfig(dataset="digits", latent_dim=2, n_samples=2_000))
assert "</svg>" in plots.lower_bound_figure([run])._repr_html_()
print(paper.fig2_curve("mnist", 20, "aevb", "test").bound.max())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the packages of a wheel that was built from the tracked files alone."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = ["vae_core", "vae_book", "book/paper", "book/reference/SHA256SUMS"]
    listed += ["*.toml", "setup.py", "README.md", "LICENSE"]
    files = subprocess.run(
        ["git", "ls-files", *listed], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in files:
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", *alone, "--no-build-isolation", "-w", folder, folder / "source"]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [*pip, "install", *alone, "--target", folder / "site", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "site"


def output(installed, folder, *arguments):
    """What Python prints that finds the installed packages first, in an empty folder."""
    stores = {f"VAE_CORE_{name}": str(folder / name) for name in ("CACHE", "REFERENCE")}
    environment = os.environ | stores | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_trains_a_run(installed, tmp_path):
    words = ["run", "-p", "dataset=digits", "-p", "n_samples=2000", "--quiet"]
    summary, path = output(installed, tmp_path, "-m", "vae_book.cli", *words).splitlines()
    assert "2,000 samples" in summary and path.startswith(str(tmp_path / "CACHE"))


def test_a_figure_and_the_papers_curves_need_no_repository(installed, tmp_path):
    assert output(installed, tmp_path, "-c", SCRIPT, str(installed)) == "-99.34882\n"
    assert (installed / "vae_book" / "paper" / "fig2.csv").is_file()
