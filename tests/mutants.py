"""Mutation testing: does a test notice when one line of the package is wrong?

    python tests/mutants.py [MODULE ...] [--per-module 8] [--jobs 2] [--list]

Each mutant is one small change of one module, tried in a fresh process with one thread against the
tests that are responsible for that module. The exit status is 1 if fewer than 85% are killed, or
if a mutant lives that SURVIVORS does not explain. Mutants are evenly spread over a module and the
same every time.
"""

import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parents[1]
ENOUGH = 0.85
SECONDS = 600  # a mutant that hangs is noticed, too
TESTS = {
    "model": "test_model test_numpy_reference",
    "estimators": "test_estimators test_numpy_reference",
    "algorithms/common": "test_numpy_reference test_golden_runs test_training",
    "algorithms/aevb": "test_numpy_reference test_golden_runs",
    "algorithms/wake_sleep": "test_numpy_reference test_golden_runs test_algorithms",
    "algorithms/autoencoder": "test_golden_runs test_algorithms",
    "algorithms/mcem": "test_numpy_reference test_golden_runs test_mcem",
    "hmc": "test_hmc",
    "log_joint": "test_hmc test_marginal_likelihood test_numpy_reference",
    "marginal_likelihood/appendix_d": "test_marginal_likelihood",
    "marginal_likelihood/importance": "test_marginal_likelihood",
    "marginal_likelihood/annealed": "test_marginal_likelihood",
    "marginal_likelihood/quadrature": "test_marginal_likelihood",
    "marginal_likelihood/chains": "test_marginal_likelihood",
    "runs/config": "test_config",
    "runs/trainer": "test_golden_runs test_training",
    "runs/store": "test_runs",
    "runs/checkpoint": "test_training test_runs",
    "runs/fit": "test_fit",
}
FREE = ("_ROWS", "BLOCK", "_SECONDS", "_PER_SECOND", "_EVERY")  # constants that trade speed only
SURVIVORS: dict[str, str] = {}  # "module:line: change" -> why it may live
SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: where it is, what it reads, and the module's whole source with it."""

    name: str
    source: str


def changed(node: ast.AST) -> ast.AST | None:
    """The node with one thing wrong, or None where there is nothing to change."""
    new = copy.deepcopy(node)
    match new:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            new.op = SWAPS[type(op)]()
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            new.ops = [SWAPS[type(op)]()]
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            return new.operand
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int() | float() as value):
            new.value = value * 2 + 1
        case ast.Expr(value=ast.Call()):
            return ast.copy_location(ast.Pass(), node)
        case _:
            return None
    return new


def pointless(node: ast.AST) -> Iterator[ast.AST]:
    """What changes no behaviour that a test could promise: decorators, paths, block sizes."""
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            roots = node.decorator_list
        case ast.keyword(arg="strict"):
            roots = [node.value]
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str()) | ast.JoinedStr()):
            roots = [node]
        case ast.Assign(targets=[ast.Name(id=name)]) if name.endswith(FREE):
            roots = [node.value]
        case _:
            roots = []
    for root in roots:
        yield from ast.walk(root)


class _Replace(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().visit(node)


def mutants(module: str, most: int) -> Iterator[Mutant]:
    """Up to ``most`` mutants of a module, evenly spread over its lines."""
    source = (ROOT / "vae_core" / f"{module}.py").read_text()
    tree = ast.parse(source)
    skipped = {id(node) for root in ast.walk(tree) for node in pointless(root)}
    nodes = [node for node in ast.walk(tree) if id(node) not in skipped]
    found = [(node, new) for node in nodes if (new := changed(node)) is not None]
    found.sort(key=lambda pair: (pair[0].lineno, pair[0].col_offset))
    step = max(1, len(found) / most)
    for old, new in [found[int(i * step)] for i in range(min(most, len(found)))]:
        name = f"{module}:{old.lineno}: {ast.unparse(old)} -> {ast.unparse(new)}"
        whole = ast.parse(source)  # nodes are found again by position: a tree is changed once
        twin = next(n for n, o in zip(ast.walk(whole), ast.walk(tree), strict=True) if o is old)
        replaced = _Replace(twin, new).visit(whole)
        yield Mutant(name, ast.unparse(ast.fix_missing_locations(replaced)))


def is_killed(module: str, mutant: Mutant) -> bool:
    """Whether the module's tests fail with the mutant in its place."""
    with tempfile.TemporaryDirectory() as folder:
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("vae_core", "vae_book", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", folder)
        (Path(folder) / "vae_core" / f"{module}.py").write_text(mutant.source)
        (Path(folder) / "book").symlink_to(ROOT / "book")
        tests = [f"tests/{name}.py" for name in TESTS[module].split()]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            done = subprocess.run(command, cwd=folder, env=environment, timeout=SECONDS, **silent)
        except subprocess.TimeoutExpired:
            return True
        return done.returncode != 0


@click.command()
@click.argument("modules", nargs=-1, type=click.Choice(list(TESTS)), metavar="[MODULE]...")
@click.option("--per-module", default=8, show_default=True, help="Mutants of each module.")
@click.option("--jobs", default=2, show_default=True, help="Processes side by side.")
@click.option("--list", "list_only", is_flag=True, help="List the mutants; try none.")
def main(modules: tuple[str, ...], per_module: int, jobs: int, list_only: bool) -> None:
    """Try mutants of the MODULES of vae_core, by default of all that TESTS names."""
    tasks = [(m, mutant) for m in modules or TESTS for mutant in mutants(m, per_module)]
    if list_only:
        click.echo("\n".join(mutant.name for _, mutant in tasks))
        return
    alive = []
    with ThreadPoolExecutor(jobs) as pool:
        for (_, mutant), killed in zip(
            tasks, pool.map(lambda t: is_killed(*t), tasks), strict=True
        ):
            why = SURVIVORS.get(mutant.name, "")
            click.echo(f"{'killed' if killed else 'ALIVE '}  {mutant.name}  {why}")
            alive += [] if killed else [mutant.name]
    share = 1 - len(alive) / len(tasks)
    unexplained = [name for name in alive if name not in SURVIVORS]
    click.echo(f"{share:.0%} of {len(tasks)} mutants killed, {len(unexplained)} not explained")
    sys.exit(share < ENOUGH or bool(unexplained))


if __name__ == "__main__":
    main()
