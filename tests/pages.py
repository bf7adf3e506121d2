"""Pages as the tests see them: the prose of the book's, and those with one instrument, opened."""

import json
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

BOOK = Path(__file__).resolve().parents[1] / "book"


def markdown(path):
    """The Markdown of a page: the file, or the cells of a notebook that hold it."""
    if path.suffix == ".md":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def prose(page):
    """The Markdown of a page of the book, each run of white space as one space."""
    return " ".join(markdown(BOOK / page).split())


@contextmanager
def opened(browser, file, ready=None, *, height=800, allowed=("file:",), before="", **options):
    """A page opened from disk on a phone, once the element `ready` is there.

    An error in it, or a request for what does not begin with one of `allowed`, fails at the end.
    `before` is JavaScript to run ahead of the page's own.
    """
    tab = browser.new_page(viewport={"width": 375, "height": height}, **options)
    tab.set_default_timeout(120_000)  # a busy machine is not an error of the page
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda r: r.url.startswith(allowed) or errors.append(r.url))
    tab.add_init_script(before)
    tab.goto(file.as_uri())
    if ready:
        tab.wait_for_selector(ready)
    yield tab
    tab.close()
    assert errors == []


def assert_accessible(tab):
    """axe-core finds nothing serious in the page as it stands."""
    tab.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = tab.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert [f["id"] for f in found if f["impact"] in ("serious", "critical")] == []
