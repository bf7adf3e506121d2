"""Mutation testing: does a test notice when one line of the package is wrong?

    python tests/mutants.py [MODULE ...] [--per-module 8] [--jobs 2] [--list]

Each mutant (see ``mutations.py``) is tried in a process of its own with one thread. First the tests
that are responsible for a module run on the package as it is: they have to pass, and it is noted
which of them execute which line. A mutant then meets those that execute its line, the quickest
first, until one fails. Beside those of NAMED, mutants are evenly spread over a module and the same
every time. The exit status is 1 if fewer than 85% are killed, if one of NAMED lives, or any other
that SURVIVORS does not explain.

The results are in ``tests/mutants.txt``. A mutant that was killed is not tried again until the code
of its module changes; remove the file after a change of the tests that may have made them weaker.
"""

import importlib
import json
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from mutations import PER_MODULE, ROOT, SURVIVORS, TESTS, Mutant, mutants

RESULTS = Path(__file__).with_suffix(".txt")
LINES = ROOT / "_build" / "mutants"  # of each file of tests, which of them execute which line
ENOUGH = 0.85
SECONDS = 1800  # of one trial, at most, however busy the machine
FAST = "not compiled and not medium and not sixty and not workers"  # the rest takes no minutes
PLAIN = ["-x", "-q", "-o", "addopts=", "--assert=plain", "-p", "no:cacheprovider", "-k", FAST]
PROCESSES = multiprocessing.get_context("forkserver")  # forked before anything is computed
PROCESSES.set_forkserver_preload(
    ["torch", "torch._dynamo", "scipy.stats", "sklearn.datasets", "pytest", "hypothesis"]
    + ["arviz", "pydantic", "safetensors.torch", "coverage", "tqdm.auto", "filelock", "pooch"]
)


class Watch:
    """A plugin of pytest: the processor seconds of each test, and the lines that it executes."""

    def __init__(self, folder: str):
        import coverage

        package = str(Path(folder).resolve() / "vae_core")
        self.measured = coverage.Coverage(data_file=None, config_file=False, source=[package])
        self.seconds: dict[str, float] = {}
        self.measured.start()
        for module in TESTS:  # lazily imported, their constants would belong to one test
            importlib.import_module(f"vae_core.{module.replace('/', '.')}")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.measured.switch_context(nodeid)
        self.seconds[nodeid] = -time.process_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] += time.process_time()

    def write(self, path: Path) -> None:
        self.measured.stop()
        data = self.measured.get_data()
        lines = {
            file.rpartition("/vae_core/")[2][:-3]: data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        path.write_text(json.dumps({"seconds": self.seconds, "lines": lines}))


def run_tests(folder: str, tests: list[str], seen: Path | None, seconds: float) -> None:
    """In a process of its own: tests on the package in ``folder``; ``seen`` is written."""
    import gc

    import pytest

    gc.freeze()  # pytest collects garbage several times; what was loaded before the fork is none
    os.chdir(folder)
    os.environ["PYTHONPATH"] = sys.path[0] = folder
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, resource.RLIM_INFINITY))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1), os.dup2(nowhere, 2)
    watch = Watch(folder) if seen else None
    failed = pytest.main([*PLAIN, *tests], plugins=[watch] if watch else [])
    if watch and not failed:
        watch.write(seen)
    os._exit(failed)


def fails(
    tests: list[str],
    sources: dict[str, str],
    *,
    seen: Path | None = None,
    seconds: float = SECONDS,
) -> bool:
    """Whether tests fail, or take too long, with other sources in the places of some modules."""
    with tempfile.TemporaryDirectory() as folder:
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("vae_core", "vae_book", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for module, source in sources.items():
            (Path(folder) / "vae_core" / f"{module}.py").write_text(source)
        (Path(folder) / "book").symlink_to(ROOT / "book")
        process = PROCESSES.Process(target=run_tests, args=(folder, tests, seen, seconds))
        process.start()
        process.join(SECONDS)
        process.kill()
        process.join()
        return process.exitcode != 0


def watch(name: str) -> None:
    """Run a file of tests without a mutant: it has to pass, and its lines are noted."""
    if fails([f"tests/{name}.py"], {}, seen=LINES / f"{name}.json"):
        raise click.ClickException(f"tests/{name}.py fails without any mutant")


def responsible(mutant: Mutant) -> dict[str, float]:
    """The tests that execute a mutant's statement, the quickest first, with their seconds."""
    tests: dict[str, float] = {}
    for name in TESTS[mutant.module].split():
        seen = json.loads((LINES / f"{name}.json").read_text())
        lines = seen["lines"].get(mutant.module, {})
        ids = {test for line in mutant.lines for test in lines.get(str(line), [])}
        while_imported = ids == {""}  # a constant or a default: it may matter to any of them
        tests |= seen["seconds"] if while_imported else {i: seen["seconds"][i] for i in ids - {""}}
    return dict(sorted(tests.items(), key=lambda item: item[1]))


def tried(mutant: Mutant) -> bool:
    """Whether a test notices the mutant; told on a line, and noted for later runs."""
    tests = {} if mutant.name in SURVIVORS else responsible(mutant)
    limit = 60 + 10 * sum(tests.values())
    killed = bool(tests) and fails(list(tests), {mutant.module: mutant.source}, seconds=limit)
    with RESULTS.open("a") as file:
        file.write(line(mutant, killed))
    click.echo(line(mutant, killed), nl=False)
    return killed


def line(mutant: Mutant, killed: bool) -> str:
    """What is told of a mutant."""
    why = "" if killed else f"  # {SURVIVORS.get(mutant.name, 'not explained')}"
    return f"{mutant.digest} {'killed' if killed else 'ALIVE '} {mutant.name}{why}\n"


def module_of(text: str) -> str:
    """The module of a line of the results."""
    return re.split("[.:]", text.split(maxsplit=2)[2])[0]


def killed_before() -> set[str]:
    """The digests of the mutants that earlier runs have killed."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {digest for digest, how, *_ in map(str.split, lines) if how == "killed"}


def write(killed: dict[Mutant, bool]) -> None:
    """The results anew, in order; those of modules that were not asked for stay."""
    asked = {mutant.module for mutant in killed}
    lines = RESULTS.read_text().splitlines(keepends=True) if RESULTS.exists() else []
    others = [text for text in lines if module_of(text) in set(TESTS) - asked]
    order, texts = list(TESTS), others + [line(mutant, dead) for mutant, dead in killed.items()]
    RESULTS.write_text("".join(sorted(texts, key=lambda text: order.index(module_of(text)))))


@click.command()
@click.argument("modules", nargs=-1, type=click.Choice(list(TESTS)), metavar="[MODULE]...")
@click.option("--per-module", default=PER_MODULE, show_default=True, help="Mutants of each module.")
@click.option("--jobs", default=2, show_default=True, help="Processes side by side.")
@click.option("--passed", is_flag=True, help="Use the notes of an earlier run of the tests.")
@click.option("--list", "list_only", is_flag=True, help="List the mutants; try none.")
def main(
    modules: tuple[str, ...], per_module: int, jobs: int, passed: bool, list_only: bool
) -> None:
    """Try mutants of the MODULES of vae_core, by default of all that TESTS names."""
    everything = [mutant for module in modules or TESTS for mutant in mutants(module, per_module)]
    if list_only:
        click.echo("\n".join(mutant.name for mutant in everything))
        return
    LINES.mkdir(exist_ok=True, parents=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    before = killed_before()
    tasks = [mutant for mutant in everything if mutant.digest not in before]
    names = dict.fromkeys(name for mutant in tasks for name in TESTS[mutant.module].split())
    stale = [name for name in names if not (passed and (LINES / f"{name}.json").exists())]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(watch, stale))
        dead = dict(zip(tasks, pool.map(tried, tasks), strict=True))
    write({mutant: dead.get(mutant, True) for mutant in everything})
    alive = [mutant.name for mutant, killed in dead.items() if not killed]
    share = 1 - len(alive) / len(everything)
    unexplained = [name for name in alive if name not in SURVIVORS]
    click.echo(f"{share:.0%} of {len(everything)} mutants killed, {len(unexplained)} not explained")
    sys.exit(share < ENOUGH or bool(unexplained))


if __name__ == "__main__":
    main()
