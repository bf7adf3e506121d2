"""What a machine has: a browser, another installation, Conda; and where this is published."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from waiting import wait_until

from vae_book import browser, published
from vae_book.build import __main__ as build
from vae_book.build.install_cells import install_cell, put
from vae_book.notebooks import book_of

ROOT = Path(__file__).resolve().parents[1]
WAITS = "Another installation in this clone is running; this one waits for it."


def program(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho $0 $@ >> calls\nwhile [ -e hold ]; do sleep 0.1; done\n")
    path.chmod(0o755)
    return path


# A browser


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without any browser."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(browser, "MAC", str(tmp_path / "none"))
    monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", browser.NAMES)
def test_chromium_is_found_by_any_of_its_names(bare, name):
    assert browser.find_chromium() is None
    program(bare / "bin" / name)
    assert browser.find_chromium() == str(bare / "bin" / name)


@pytest.mark.parametrize(
    "place",
    [
        ".cache/ms-playwright/chromium-1187/chrome-linux64/chrome",
        ".cache/ms-playwright/chromium-1187/chrome-linux/chrome",
        "Library/Caches/ms-playwright/chromium-1187/chrome-mac/Chromium.app/Contents/MacOS/Chromium",
    ],
)
def test_playwrights_own_is_found(bare, place, monkeypatch):
    found = program(bare / place)
    assert browser.find_chromium() == str(found)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(bare / "elsewhere"))
    assert browser.find_chromium() is None
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(found.parents[len(Path(place).parts) - 4]))


def test_the_script_needs_nothing_installed_and_says_what_is_missing(bare):
    done = subprocess.run([sys.executable, "-I", browser.__file__], capture_output=True, text=True)
    assert done.returncode == 1 and "apt-get install chromium" in done.stderr and not done.stdout


# Installation


@pytest.fixture
def clone(tmp_path):
    """What `make` needs to install, and an environment whose programs write down their calls."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "vae_book/build/locked.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("python", "ruff", "codespell"):
        program(tmp_path / "environment" / "bin" / name)
    return tmp_path


def make(clone, **environment):
    of_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of the one that runs these tests
    clean = {name: value for name, value in os.environ.items() if name not in of_make}
    environment = clean | {"TORCH_INDEX": ""} | environment
    command = ["make", "lint", f"PYTHON={sys.executable}"]
    how = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return subprocess.Popen(command, cwd=clone, env=environment, **how)


def test_a_second_installation_waits_for_the_first_and_then_does_nothing(clone):
    """In the Conda environment that is active."""
    active = {"CONDA_DEFAULT_ENV": "vae_core", "CONDA_PREFIX": str(clone / "environment")}
    (clone / "hold").touch()
    first = make(clone, **active)
    wait_until((clone / "calls").exists)
    second = make(clone, **active)
    assert second.stdout.readline() == f"{WAITS}\n"
    (clone / "hold").unlink()
    assert "is up to date" in second.communicate(timeout=60)[0]
    assert first.wait(timeout=60) == second.returncode == 0
    calls = (clone / "calls").read_text().splitlines()
    assert sum("-m pip install" in call for call in calls) == 1
    assert sum("ruff check" in call for call in calls) == 2
    assert all(str(clone / "environment") in call for call in calls)


@pytest.mark.parametrize("name", ["base", "work"])
def test_another_conda_environment_is_left_alone(name, clone):
    shutil.copytree(clone / "environment", clone / ".venv")
    other = {"CONDA_DEFAULT_ENV": name, "CONDA_PREFIX": str(clone / "environment")}
    assert make(clone, **other).wait(timeout=60) == 0
    assert "environment/" not in (clone / "calls").read_text()


# Where it is published


def test_without_a_repository_the_book_has_no_buttons_that_lead_to_one(monkeypatch):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["launch_buttons"] and "repository" not in config
    monkeypatch.setattr(published, "REPOSITORY", None)
    bare = build.with_buttons(config)
    assert "launch_buttons" not in bare and "repository" not in bare
    assert not [name for name in bare["html"] if "button" in name] and bare["html"]["favicon"]
    monkeypatch.setattr(published, "REPOSITORY", "https://github.com/someone/vae")
    full = build.with_buttons(config)
    assert full["repository"]["url"] == "https://github.com/someone/vae"
    assert full["launch_buttons"] == config["launch_buttons"] and full["html"] == config["html"]


def test_the_repository_is_named_nowhere_else():
    """Addresses of this project on a forge, but for that of the module that names it."""
    tracked = subprocess.run(
        ["git", "ls-files", "*.md", "*.yml", "*.toml", "*.cff", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.split()
    text = "".join((ROOT / name).read_text() for name in tracked if "tests/" not in name)
    assert not re.findall(r"github\.com/(?!OWNER/NAME)[\w-]+/vae[\w-]*", text)
    assert "git clone" not in text.replace("!git clone", "")


def test_an_install_cell_comes_from_the_published_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "REPOSITORY", "https://github.com/someone/vae")
    notebook = tmp_path / "live.ipynb"
    shutil.copy(ROOT / "book/live.ipynb", notebook)
    put(notebook)
    put(notebook)
    source = install_cell(notebook).source
    assert "--branch main https://github.com/someone/vae\n    %pip install" in source
    assert "--editable vae\n" in source and notebook.read_text().count("!git clone") == 1


def test_actions_are_pinned_to_commits():
    for workflow in (ROOT / ".github/workflows").glob("*.yml"):
        used = re.findall(r"uses: (\S+)( # v[\d.]+)?\n", workflow.read_text())
        assert used and all(re.search(r"@[0-9a-f]{40}$", one) and tag for one, tag in used)


@pytest.mark.parametrize("notebook", book_of(ROOT / "book/index.ipynb"), ids=lambda p: p.stem)
def test_each_notebook_begins_with_its_install_cell(notebook):
    """Written by `python -m vae_book.build.install_cells`; it prints nothing."""
    cells = nbformat.read(notebook, as_version=4).cells
    first = next(cell for cell in cells if cell.cell_type == "code")
    assert first.source == install_cell(notebook).source and first.outputs == []
    assert first.metadata.tags == ["remove-cell"] and cells.index(first) == 1
