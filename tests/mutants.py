"""Mutation testing: does a test notice when one line of the package is wrong?

    python tests/mutants.py [MODULE ...] [--per-module 8] [--jobs 2] [--list]

Each mutant is one small change of one module, tried in a process of its own with one thread against
the tests that are responsible for that module. Beside those of NAMED, they are evenly spread over a
module and the same every time. The exit status is 1 if fewer than 85% are killed, if one of NAMED
lives, or any other that SURVIVORS does not explain.

A run that was stopped goes on where it was: what it killed stands in ``_build/mutants.txt``. Remove
that file after a change of the tests that may have made them weaker.
"""

import ast
import copy
import hashlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parents[1]
KILLED = ROOT / "_build" / "mutants.txt"
ENOUGH = 0.85
SECONDS = 600  # of a file of tests, at most
FAST = "not compiled and not medium and not sixty and not workers"  # the rest takes no minutes
PROCESSES = multiprocessing.get_context("forkserver")  # forked before anything is computed
PROCESSES.set_forkserver_preload(
    ["torch", "torch._dynamo", "scipy.stats", "sklearn.datasets", "pytest", "arviz"]
)
TESTS = {  # in this order, until one fails: the fast ones first
    "model": "test_model test_numpy_reference",
    "estimators": "test_numpy_reference test_estimators",
    "images": "test_numpy_reference test_golden_runs",
    "algorithms/common": "test_numpy_reference test_golden_runs test_training test_fit",
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
    "marginal_likelihood/chains": "test_marginal_likelihood test_calibration",
    "data/load": "test_data",
    "runs/config": "test_config test_golden_runs",
    "runs/steps": "test_steps test_golden_runs test_training",
    "runs/trainer": "test_golden_runs test_training",
    "runs/store": "test_golden_runs test_runs test_stops",
    "runs/checkpoint": "test_stops test_runs",
    "runs/fit": "test_fit",
}
NAMED = {  # silent errors that were once possible: the module, what it says, what it must not
    "M/N scale of the prior dropped": ("algorithms/common", "share / prior_sd", "1 / prior_sd"),
    "prior off": ("algorithms/common", "if prior_sd is None:", "if True:"),
    "epsilon outside the root": (
        "algorithms/common",
        "grad * torch.rsqrt(sums[name] + epsilon)",
        "grad / (torch.sqrt(sums[name]) + epsilon)",
    ),
    "warm-up off": ("algorithms/common", "steps >= settings.adagrad_warmup", "steps >= 0"),
    "n_mc ignored": ("algorithms/aevb", "(settings.n_mc, ", "(1, "),
    "estimator ignored": ("algorithms/aevb", "ESTIMATORS[settings.estimator]", "sgvb_b"),
    "minibatch bound doubled": (
        "runs/trainer",
        "bound_sum.add_(value)",
        "bound_sum.add_(2 * value)",
    ),
    "minibatch bound without log q": (
        "algorithms/wake_sleep",
        "log_joint - log_q.sum()",
        "log_joint",
    ),
    "binarize ignored": ("runs/store", "binarize=config.binarize", "binarize=False"),
    "split_seed ignored": ("runs/store", "split_seed=config.split_seed", "split_seed=0"),
    "chains start anywhere": (
        "marginal_likelihood/chains",
        "torch.softmax(log_joint_of(model, x).table(candidates).T, dim=-1)",
        "torch.ones(x.shape[0], n_candidates)",
    ),
    "proposal not widened": (
        "marginal_likelihood/importance",
        "widening: float = 1.3",
        "widening: float = 1.0",
    ),
    "another run's config": ("runs/store", "if run and run.config == config and", "if run and"),
}
FREE = ("_ROWS", "BLOCK", "_SECONDS", "_PER_SECOND", "_ABOVE", "in_one_graph")  # speed only
SURVIVORS: dict[str, str] = {}  # a mutant's name -> why it may live
SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: its module, its name, and the module's whole source with it."""

    module: str
    name: str
    source: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.module} {self.source}".encode()).hexdigest()[:16]


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


def source_of(module: str) -> str:
    return (ROOT / "vae_core" / f"{module}.py").read_text()


def mutants(module: str, most: int) -> Iterator[Mutant]:
    """Those of NAMED and up to ``most`` others of a module, evenly spread over its lines."""
    source = source_of(module)
    for name, (where, old, new) in NAMED.items():
        if where == module:
            assert source.count(old) == 1, f"NAMED: {old!r} stands not once in {module}.py"
            yield Mutant(module, name, source.replace(old, new))
    tree = ast.parse(source)
    skipped = {id(node) for root in ast.walk(tree) for node in pointless(root)}
    nodes = [node for node in ast.walk(tree) if id(node) not in skipped]
    found = [(node, new) for node in nodes if (new := changed(node)) is not None]
    found.sort(key=lambda pair: (pair[0].lineno, pair[0].col_offset))
    step = max(1, len(found) / most)
    for old, new in [found[int(i * step)] for i in range(min(most, len(found)))]:
        name = f"{place(tree, module, old)}: {ast.unparse(old)} -> {ast.unparse(new)}"
        whole = ast.parse(source)  # nodes are found again by position: a tree is changed once
        twin = next(n for n, o in zip(ast.walk(whole), ast.walk(tree), strict=True) if o is old)
        replaced = _Replace(twin, new).visit(whole)
        yield Mutant(module, name, ast.unparse(ast.fix_missing_locations(replaced)))


def place(tree: ast.Module, module: str, node: ast.AST) -> str:
    """Module, class and function of a node: names last longer than numbers of lines."""
    around = [
        outer.name
        for outer in ast.walk(tree)  # from the outside in
        if isinstance(outer, ast.ClassDef | ast.FunctionDef)
        and outer.lineno <= node.lineno <= outer.end_lineno
    ]
    return ".".join([module, *around])


def is_killed(mutant: Mutant, limit: float = SECONDS) -> bool:
    """Whether the module's tests fail, or hang, with the mutant in its place."""
    return fails(TESTS[mutant.module].split(), {mutant.module: mutant.source}, limit)


def fails(names: list[str], sources: dict[str, str], limit: float = SECONDS) -> bool:
    """Whether tests fail, or hang, with other sources in the places of some modules."""
    with tempfile.TemporaryDirectory() as folder:
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("vae_core", "vae_book", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for module, source in sources.items():
            (Path(folder) / "vae_core" / f"{module}.py").write_text(source)
        (Path(folder) / "book").symlink_to(ROOT / "book")
        process = PROCESSES.Process(target=run_tests, args=(folder, names))
        process.start()
        process.join(limit)
        process.kill()
        process.join()
        return process.exitcode != 0


def run_tests(folder: str, names: list[str]) -> None:
    """In a process of its own: the tests on the package that lies in ``folder``."""
    import pytest

    os.chdir(folder)
    os.environ["PYTHONPATH"] = sys.path[0] = folder
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1), os.dup2(nowhere, 2)
    tests = [f"tests/{name}.py" for name in names]
    sys.exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-k", FAST, *tests]))


def killed_before() -> set[str]:
    """The digests of the mutants that earlier runs have killed."""
    return (
        {line.split()[0] for line in KILLED.read_text().splitlines()} if KILLED.exists() else set()
    )


def tried(mutant: Mutant, limit: float) -> bool:
    """:func:`is_killed`, told on a line and, if so, noted for later runs."""
    killed = is_killed(mutant, limit)
    if killed:
        with KILLED.open("a") as file:
            file.write(f"{mutant.digest} {mutant.name}\n")
    click.echo(
        f"{'killed' if killed else 'ALIVE '}  {mutant.name}  {SURVIVORS.get(mutant.name, '')}"
    )
    return killed


def seconds(name: str) -> float:
    """How long a file of tests takes without a mutant; it has to pass then."""
    started = time.monotonic()
    if fails([name], {}):
        raise click.ClickException(f"tests/{name}.py fails without any mutant")
    return time.monotonic() - started


@click.command()
@click.argument("modules", nargs=-1, type=click.Choice(list(TESTS)), metavar="[MODULE]...")
@click.option("--per-module", default=8, show_default=True, help="Mutants of each module.")
@click.option("--jobs", default=2, show_default=True, help="Processes side by side.")
@click.option("--passed", is_flag=True, help="The tests have just passed: do not run them first.")
@click.option("--list", "list_only", is_flag=True, help="List the mutants; try none.")
def main(
    modules: tuple[str, ...], per_module: int, jobs: int, passed: bool, list_only: bool
) -> None:
    """Try mutants of the MODULES of vae_core, by default of all that TESTS names."""
    everything = [mutant for module in modules or TESTS for mutant in mutants(module, per_module)]
    if list_only:
        click.echo("\n".join(mutant.name for mutant in everything))
        return
    KILLED.parent.mkdir(exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    before = killed_before()
    tasks = [mutant for mutant in everything if mutant.digest not in before]
    with ThreadPoolExecutor(jobs) as pool:
        names = sorted({name for mutant in tasks for name in TESTS[mutant.module].split()})
        usual = {} if passed else dict(zip(names, pool.map(seconds, names), strict=True))
        times = [sum(usual.get(n, SECONDS) for n in TESTS[m.module].split()) for m in tasks]
        dead = pool.map(tried, tasks, [10 * usually for usually in times])
        alive = [mutant.name for mutant, killed in zip(tasks, dead, strict=True) if not killed]
    share = 1 - len(alive) / len(everything)
    unexplained = [name for name in alive if name not in SURVIVORS]
    click.echo(f"{share:.0%} of {len(everything)} mutants killed, {len(unexplained)} not explained")
    sys.exit(share < ENOUGH or bool(unexplained))


if __name__ == "__main__":
    main()
