"""Builds the book: `python -m vae_book.build --params book/params/paper.yaml`.

The sources are copied to `_build/stage`, papermill executes each notebook of the copy with one
parameter file, Jupyter Book turns the copy into `_build/html`, and the result is checked. What has
not changed since the last build is not done again.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from vae_book import published
from vae_book.build import check_site, execute, thin_icons
from vae_book.build.fingerprint import fingerprint
from vae_book.resources import ROOT

BUILD = ROOT / "_build"
HTML = BUILD / "html"
STAGE = BUILD / "stage"
STAMP = BUILD / "book.json"
SOURCES = [
    "book",
    "vae_core",
    "vae_book",
    "benchmarks/results",
    "_config.yml",
    "_toc.yml",
    "requirements.lock",
]


class BuildError(SystemExit):
    """Ends the build with a message and exit status 1."""

    def __init__(self, message):
        super().__init__(f"\nThe book was not built.\n{message}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--params", type=Path, default=ROOT / "book/params/paper.yaml")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default 2)")
    parser.add_argument("--force", action="store_true", help="execute and build everything again")
    args = parser.parse_args(argv)
    if not args.params.is_file():
        raise BuildError(f"There is no parameter file {args.params}")
    try:
        with one_at_a_time():
            build(args)
    except KeyboardInterrupt:
        print("\nInterrupted. The next build goes on with the notebooks that are left.")
        sys.exit(130)


@contextmanager
def one_at_a_time():
    """Waits, with a word, for another build in this clone."""
    BUILD.mkdir(exist_ok=True)
    lock = FileLock(BUILD / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print("Another build in this clone is running; this one waits for it.", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def build(args):
    """Builds the book unless it is current."""
    state = fingerprint([ROOT / s for s in SOURCES] + [args.params.resolve()], ROOT)
    pages = toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    if not args.force and is_current(state, pages):
        print(f"Nothing has changed: {HTML / 'index.html'}")
        return
    STAMP.unlink(missing_ok=True)
    started = time.monotonic()
    sources = page_sources(pages)
    stage()
    notebooks = [source for source in sources if source.suffix == ".ipynb"]
    try:
        execute.execute_all(notebooks, args.params, STAGE, args.jobs, args.force)
    except execute.ExecutionError as error:
        raise BuildError(error) from None
    run_jupyter_book()
    thin_icons.thin(HTML)
    check(pages)
    STAMP.write_text(json.dumps({"fingerprint": state}))
    print(f"Built in {time.monotonic() - started:.0f} s: {HTML / 'index.html'}")


def toc_pages(toc):
    """Every page that the table of contents names, as a path from the top of the repository."""
    pages = [toc["root"]] if "root" in toc else []
    for value in toc.values():
        for entry in value if isinstance(value, list) else []:
            pages += [entry["file"]] if "file" in entry else []
            pages += toc_pages(entry)
    return pages


def page_sources(pages):
    """The source files of the pages, each of which must exist and be named once."""
    repeated = {page for page in pages if pages.count(page) > 1}
    if repeated:
        raise BuildError(f"_toc.yml names these pages twice: {', '.join(sorted(repeated))}")
    sources = []
    for page in pages:
        found = [s for s in (ROOT / f"{page}.md", ROOT / f"{page}.ipynb") if s.is_file()]
        if len(found) != 1:
            raise BuildError(f"_toc.yml names {page}: one .md or .ipynb is needed, found {found}")
        sources += found
    return sources


def is_current(state, pages):
    """Whether the built book is complete and was built from exactly this state of the sources."""
    if not STAMP.is_file() or json.loads(STAMP.read_text())["fingerprint"] != state:
        return False
    return not missing_pages(pages)


def missing_pages(pages):
    built = [HTML / f"{page.removeprefix('book/')}.html" for page in pages]
    return [str(page.relative_to(HTML)) for page in built if not page.is_file()]


def stage():
    """Copies the sources, so that book/ is the top folder of the copy and its pages' relative
    paths (`../../vae_core/model.py`) still lead to the package."""
    shutil.rmtree(STAGE, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".*")
    for folder in ("book", "vae_core", "vae_book"):
        shutil.copytree(ROOT / folder, STAGE / folder, ignore=ignore)
    for name in ("_config.yml", "_toc.yml"):
        content = without_prefix(yaml.safe_load((ROOT / name).read_text()))
        if name == "_config.yml":
            content = with_buttons(content)
        (STAGE / "book" / name).write_text(yaml.safe_dump(content, sort_keys=False))


def without_prefix(value):
    """The settings with `book/` taken off each path in them."""
    if isinstance(value, dict):
        return {key: without_prefix(v) for key, v in value.items()}
    if isinstance(value, list):
        return [without_prefix(v) for v in value]
    return value.removeprefix("book/") if isinstance(value, str) else value


def with_buttons(config):
    """The settings with the published repository, or without the buttons that lead to one."""
    if published.REPOSITORY:
        place = {"url": published.REPOSITORY, "path_to_book": "book", "branch": published.BRANCH}
        return config | {"repository": place}
    shown = {name: value for name, value in config["html"].items() if not name.endswith("_button")}
    return {name: value for name, value in config.items() if name != "launch_buttons"} | {
        "html": shown
    }


def run_jupyter_book():
    """Always from the start: Sphinx does not repeat the warnings of pages that it reuses."""
    for folder in (HTML, BUILD / ".doctrees"):
        shutil.rmtree(folder, ignore_errors=True)
    print("jupyter-book build", end=" ", flush=True)
    started = time.monotonic()
    command = [Path(sys.executable).with_name("jupyter-book"), "build", STAGE / "book"]
    command += ["--path-output", ROOT, "--warningiserror", "--nitpick", "--keep-going"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).replace(f"{STAGE}/", "")
    log = BUILD / "jupyter-book.log"
    log.write_text(output)
    print(f"{time.monotonic() - started:.0f} s")
    if done.returncode:
        lines = output.splitlines()
        warnings = [line for line in lines if "WARNING" in line or "ERROR" in line]
        warnings = list(dict.fromkeys(warnings)) or lines[-30:]
        raise BuildError("\n".join([*warnings, f"The whole log: {log}"]))


def check(pages):
    """What a build that succeeded may still lack: a page, or anything that the crawl finds."""
    problems = [f"{page}: the page is missing" for page in missing_pages(pages)]
    problems += check_site.problems(HTML)
    if problems:
        raise BuildError("\n".join(problems))


if __name__ == "__main__":
    main()
