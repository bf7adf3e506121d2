"""What the last `make mutants` found: nothing of it may live without a reason."""

from functools import cache
from pathlib import Path

from mutations import NAMED, PER_MODULE, SURVIVORS, TESTS, mutants, source_of

RESULTS = [
    line.split("  # ")[0].split(maxsplit=2)
    for line in Path(__file__).with_name("mutants.txt").read_text().splitlines()
]  # digest, killed or ALIVE, name


@cache
def present():
    return [mutant for module in TESTS for mutant in mutants(module, PER_MODULE)]


def test_every_survivor_has_a_reason_and_85_percent_are_killed():
    alive = {name for _, how, name in RESULTS if how == "ALIVE"}
    assert alive <= set(SURVIVORS)
    assert len(alive) < 0.15 * len(RESULTS)


def test_the_results_are_of_the_present_code():
    """A few may be missing between two runs of `make mutants`, which takes an hour."""
    now = {mutant.digest for mutant in present()}
    missing = now - {digest for digest, _, _ in RESULTS}
    assert len(missing) <= 0.05 * len(now), f"run `make mutants`: {len(missing)} were never tried"


def test_no_reason_is_given_for_what_does_not_exist():
    names = {mutant.name for mutant in present()}
    assert set(SURVIVORS) <= names
    assert {f"{module}: {name}" for name, (module, _, _) in NAMED.items()} <= names


def test_a_mutants_lines_are_those_of_its_statement():
    by_name = {mutant.name: mutant for mutant in present() if mutant.module == "model"}
    mutant = by_name["model: 2 * math.pi -> 2 / math.pi"]
    lines = source_of("model").splitlines()
    assert [lines[i - 1] for i in mutant.lines] == ["LOG_2PI = math.log(2 * math.pi)"]
    assert "LOG_2PI = math.log(2 / math.pi)" in mutant.source.splitlines()
