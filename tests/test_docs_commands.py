"""Every command of the README and of the book exists, with options and parameters that exist."""

import json
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from pages import markdown

from vae_book import published
from vae_book.cli import cli
from vae_book.notebooks import check_values, find_notebook, read_values
from vae_book.settings import read_settings

ROOT = Path(__file__).resolve().parents[1]
NOTES = ("README.md", ".ipynb_checkpoints")  # for readers of a folder: no pages of the book
PAGES = sorted(
    path
    for path in (ROOT / "book").rglob("*")
    if path.suffix in (".md", ".ipynb") and not set(NOTES) & set(path.parts)
)
README = ROOT / "README.md"
TEXTS = [README, *PAGES]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z]+):", MAKEFILE, flags=re.M)


def blocks(language):
    """(page, text) of the fenced blocks of a language, of the README and the whole book."""
    pattern = rf"^```{language}\n(.*?)^```"
    return [
        (page.relative_to(ROOT).as_posix(), text)
        for page in TEXTS
        for text in re.findall(pattern, markdown(page), flags=re.S | re.M)
    ]


def commands(program):
    """The arguments of every call of a program."""
    lines = [line for _, text in blocks("bash") for line in text.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and line[0] == program]


@pytest.fixture
def with_own_data(tmp_path):
    """Words of a command with a file where a page names one that its example has written."""
    images = np.random.default_rng(0).random((200, 64), dtype=np.float32)
    np.savez(tmp_path / "own.npz", train=images[:150], test=images[150:])
    return lambda args: [re.sub(r"\w+\.npz", str(tmp_path / "own.npz"), word) for word in args]


@pytest.fixture(autouse=True)
def at_the_top(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_only_known_programs_are_called():
    known = {"git", "cd", "make", "source", "vae-core", "papermill", "python"}
    lines = [line for _, text in blocks("bash") for line in text.replace("\\\n", " ").splitlines()]
    assert {shlex.split(line)[0] for line in lines if line.strip()} <= known


@pytest.mark.parametrize("args", commands("vae-core"), ids=" ".join)
def test_vae_core_command_parses(args, with_own_data):
    command, words = cli, with_own_data(args)
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    context = command.make_context(command.name, words)
    if command.name == "run":
        read_settings(context.params["pairs"])


@pytest.mark.parametrize("args", commands("vae-core"), ids=" ".join)
def test_vae_core_parameters_are_declared(args, with_own_data):
    if args[0] == "execute":
        context = cli.commands["execute"].make_context("execute", with_own_data(args[1:]))
        notebook = find_notebook(context.params["notebook"])
        values = read_values(notebook, context.params["pairs"])
        assert check_values(notebook, values) == values


@pytest.mark.parametrize("args", commands("papermill"), ids=" ".join)
def test_papermill_parameters_are_declared(args):
    assert "--log-output" in args
    values = yaml.safe_load(args[args.index("-y") + 1])
    assert check_values(ROOT / args[0], values) == values


@pytest.mark.parametrize("args", commands("make"), ids=" ".join)
def test_make_target_exists(args):
    assert args[0] in TARGETS
    for assignment in args[1:]:
        name, value = assignment.split("=")
        assert f"{name} ?=" in MAKEFILE and (ROOT / value).is_file()


def test_the_workflow_makes_targets_that_exist():
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    checks = jobs["nightly"]["strategy"]["matrix"]["check"]
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    made = [words.split()[1] for words in [*checks, *steps] if words.startswith("make ")]
    assert "nightly" in made and set(made) - {".venv/.installed"} <= set(TARGETS)


def test_the_readme_begins_with_the_two_commands():
    assert [args[0] for args in commands("make")[:2]] == ["book", "test"]


def test_no_page_names_a_repository_but_the_published_one():
    named = re.findall(r"https://github.com/[\w.-]+/[\w.-]+", "".join(map(markdown, TEXTS)))
    assert set(named) <= {published.REPOSITORY}


@pytest.mark.parametrize("target", re.findall(r"\]\(((?!https?:)[^)#]+)\)", markdown(README)))
def test_linked_file_exists(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_named_files_exist(page):
    """But for those that the page adds."""
    names = re.findall(r"`((?:book|tests|vae_core|vae_book|benchmarks)/[\w/.]*)`", markdown(page))
    assert [n for n in names if not (ROOT / n).exists()] in ([], ["vae_core/algorithms/iwae.py"])


@pytest.mark.parametrize("page, code", blocks("python"), ids=lambda value: value[:30])
def test_python_example_runs(page, code, own_store):
    """Each example runs as it stands, but for the length of the training."""
    code = re.sub(r"n_samples=[\d_]+", "n_samples=400", code)
    exec(compile(code, page, "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_a_title_and_a_description(page):
    text = markdown(page)
    assert re.search(r"^# \S", text, flags=re.M)
    if page.suffix == ".md":
        front = yaml.safe_load(text.split("---")[1])
    else:
        front = json.loads(page.read_text())["metadata"]
    description = front["myst"]["html_meta"]["description"]
    assert 40 < len(description) < 240
