"""Every command of the README is one that exists, with options and parameters that exist."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from vae_book.cli import cli
from vae_book.notebooks import check_values, find_notebook, read_values

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.S)


def commands(program):
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line and line[0] == program]


def parse(args):
    """The innermost command that the words call, once its options are parsed; runs nothing."""
    command, words = cli, list(args)
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    return command.make_context(command.name, words).command


@pytest.mark.parametrize("args", commands("vae-core"), ids=" ".join)
def test_vae_core_command_parses(args, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert parse(args).name in args


@pytest.mark.parametrize("args", commands("vae-core"), ids=" ".join)
def test_parameters_are_those_of_the_notebook(args):
    if args[0] == "execute":
        context = cli.commands["execute"].make_context("execute", list(args[1:]))
        notebook = find_notebook(context.params["notebook"])
        values = read_values(notebook, context.params["pairs"])
        assert check_values(notebook, values) == values


@pytest.mark.parametrize("args", commands("make"), ids=" ".join)
def test_make_target_exists(args):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    assert args[0] in targets
    for assignment in args[1:]:
        name, value = assignment.split("=")
        assert f"{name} ?=" in (ROOT / "Makefile").read_text()
        assert (ROOT / value).is_file()


def test_python_example_is_python_and_its_names_exist():
    import vae_core as vc

    (code,) = blocks("python")
    used = {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "vc"
    }
    assert used == {"get_or_run", "RunConfig"}
    assert all(hasattr(vc, name) for name in used)


@pytest.mark.parametrize("target", re.findall(r"\]\(((?!https?:)[^)#]+)\)", TEXT))
def test_linked_file_exists(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize(
    "path", re.findall(r"`((?:book|tests|vae_core|vae_book|benchmarks)/[^`*]*)`", TEXT)
)
def test_named_path_exists(path):
    assert (ROOT / path.split()[0]).exists()


def test_the_two_commands_are_there():
    assert "make book" in TEXT and "make test" in TEXT
