"""What the book says on adding a data set and an algorithm, done in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^( *)```\{code-block\} python\n((?: *:[^\n]*\n)*)(.*?)^ *```$", re.M | re.S)
EXECUTE = "execute fig2_lower_bound -p latent_dims=2 -p n_samples=3000 --quiet -o out.ipynb".split()


def examples():
    """The listings of the page: the description, the reader, the algorithm."""
    text = (ROOT / "book/reexecute.md").read_text()
    return [textwrap.dedent(match[3]) for match in BLOCK.finditer(text)]


def change(file, old, new):
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A copy of the repository with what the page adds."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("vae_core", "vae_book", "book/paper", "book/params", "book/figures"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    description, reader, algorithm = examples()
    core = folder / "vae_core"
    change(core / "data/registry.py", "    for spec in (\n", f"    for spec in (\n{description}")
    (core / "data/readers.py").open("a").write(f"\n\n{reader}")
    (core / "algorithms/iwae.py").write_text(algorithm)
    names = '"autoencoder": autoencoder,\n'
    change(core / "algorithms/__init__.py", names, f'{names}    "iwae": iwae,\n')
    change(core / "algorithms/__init__.py", "import aevb, autoenc", "import iwae, aevb, autoenc")
    change(core / "runs/config.py", '"autoencoder"] = "aevb"', '"autoencoder", "iwae"] = "aevb"')
    (folder / "book/reference").mkdir()
    return folder


def test_figure_2_takes_what_was_added(changed, own_store):
    """The picture has a panel of the data set and curves of the algorithm, and both learn."""
    given = "-p datasets=digits,patches -p algorithms=aevb,iwae".split()
    environment = os.environ | {"PYTHONPATH": str(changed), "OMP_NUM_THREADS": "1"}
    environment |= {"VAE_CORE_CACHE": str(own_store)}
    command = [sys.executable, "-m", "vae_book.cli", *EXECUTE, *given]
    done = subprocess.run(command, cwd=changed, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = [
        output.data["text/plain"]
        for cell in nbformat.read(changed / "out.ipynb", as_version=4).cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    lines = re.findall(r"(.*), Nz = 2: (.*)", outputs[0])
    ends = {
        panel: {
            name: float(end) for name, end in re.findall(r"([\w-]+) -?[\d.]+ / (-?[\d.]+)", line)
        }
        for panel, line in lines
    }
    assert set(ends) == {"Patches", "Digits (8x8)"}
    assert ends["Patches"]["AEVB"] > -58.8  # -32 log 2 pi: of unit variance
    digits = ends["Digits (8x8)"]
    assert min(digits["iwae"], digits["AEVB"]) > -40  # -44.4 = -64 log 2: nothing is learnt
