"""pyproject.toml, requirements.lock and environment.yml describe one environment."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from lowest import lowest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def locked_versions():
    requirements = [Requirement(line) for line in LOCK.splitlines() if line.strip()]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in requirements}


def direct_requirements():
    extras = PROJECT["optional-dependencies"]
    return [Requirement(r) for r in PROJECT["dependencies"] + extras["book"] + extras["test"]]


def conda_parts():
    pip_part = next(part["pip"] for part in CONDA["dependencies"] if isinstance(part, dict))
    return [part for part in CONDA["dependencies"] if isinstance(part, str)], pip_part


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda r: r.name)
def test_lock_satisfies_pyproject(requirement):
    locked = locked_versions()
    name = canonicalize_name(requirement.name)
    assert name in locked, f"{name} is not in requirements.lock: run `make lock`"
    assert requirement.specifier.contains(locked[name], prereleases=True)


def test_every_requirement_has_a_lowest_version_that_it_allows():
    pins = [Requirement(line) for line in lowest((ROOT / "pyproject.toml").read_text())]
    requirements = [Requirement(r) for r in PROJECT["dependencies"]]
    assert [pin.name for pin in pins] == [requirement.name for requirement in requirements]
    for pin, requirement in zip(pins, requirements, strict=True):
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="))


def test_lock_pins_exact_public_versions():
    for line in LOCK.splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line
        assert not line.startswith(("nvidia-", "triton")), f"{line}: of a PyTorch for CUDA"


def test_lock_is_what_is_installed():
    from importlib.metadata import version

    for name in ("torch", "torchvision", "jupyter-book", "papermill", "sphinx"):
        assert Version(version(name)).public == locked_versions()[name]


def test_conda_installs_the_lock_and_the_same_extras():
    _, pip_part = conda_parts()
    index = "https://download.pytorch.org/whl/cpu"
    assert pip_part == [f"--extra-index-url {index}", "-r requirements.lock", "-e .[book,test]"]
    assert f"TORCH_INDEX ?= {index}\n" in (ROOT / "Makefile").read_text()
    assert "-r requirements.lock -e '.[book,test]'" in (ROOT / "Makefile").read_text()


def test_conda_python_is_one_that_pyproject_allows():
    conda_part, _ = conda_parts()
    python = next(part.split("=")[-1] for part in conda_part if part.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)


def test_conda_pins_no_version_of_its_own():
    conda_part, _ = conda_parts()
    assert [part for part in conda_part if "=" in part] == ["python=3.11"]


def test_license_and_citation_agree_with_pyproject():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert citation["version"] == PROJECT["version"]
    assert citation["authors"][0]["name"] == PROJECT["authors"][0]["name"]
    assert PROJECT["authors"][0]["name"] in (ROOT / "LICENSE").read_text()
