"""The built book in a browser, opened from disk: errors, requests, narrow screens, accessibility.

`make test` builds the book first. Without a built book or without Chromium these tests are skipped,
or fail where VAE_CORE_REQUIRE_BROWSER is set, as in continuous integration.
"""

import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()

sys.path.insert(0, str(ROOT / "tools"))
from check_site import html_pages, problems  # noqa: E402

PAGES = [page.relative_to(HTML).as_posix() for page in html_pages(HTML)] if HTML.is_dir() else []
# pages made from the sources of the package repeat one template: one of them stands for all
SHOWN = [p for p in PAGES if not p.startswith("_modules/")]
SHOWN += [p for p in PAGES if p.startswith("_modules/vae_core/")][:1]

pytestmark = pytest.mark.site
each_page = pytest.mark.parametrize("page", SHOWN)


def unavailable(reason):
    if os.environ.get("VAE_CORE_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        unavailable("no chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe():
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


class Visit:
    """A page opened from disk, with what it asked for and what went wrong."""

    def __init__(self, browser, page, *, scheme="light", width=1280):
        self.requests, self.errors = [], []
        size = {"width": width, "height": 900}
        self.tab = browser.new_page(color_scheme=scheme, viewport=size)
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", self.on_console)
        self.tab.goto((HTML / page).as_uri(), wait_until="load")
        self.tab.wait_for_function(
            "() => !window.MathJax || !document.querySelector('.math') ||"
            " document.querySelector('mjx-container')"
        )

    def on_console(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tab.close()


def test_book_was_built():
    if not PAGES:
        unavailable("no built book in _build/html: `make book` builds it")
    assert "index.html" in PAGES
    assert len(PAGES) > 5


def test_crawl_finds_nothing_wrong():
    if not PAGES:
        unavailable("no built book in _build/html: `make book` builds it")
    assert problems(HTML) == []


@each_page
def test_page_runs_without_errors_and_takes_nothing_from_elsewhere(browser, page):
    with Visit(browser, page) as visit:
        assert visit.errors == []
        assert [
            url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))
        ] == []


@each_page
def test_page_fits_a_telephone(browser, page):
    with Visit(browser, page, width=375) as visit:
        tab = visit.tab
        assert tab.evaluate("document.documentElement.scrollWidth") <= 375
        assert tab.evaluate("document.body.scrollWidth") <= 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
@each_page
def test_page_is_accessible(browser, axe, page, scheme):
    with Visit(browser, page, scheme=scheme) as visit:
        visit.tab.evaluate(axe)
        found = visit.tab.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    severe = [f for f in found if f["impact"] in ("serious", "critical")]
    assert not severe, "\n".join(describe(finding) for finding in severe)


def describe(finding):
    where = [f"{n['target']} {n['html'][:120]}" for n in finding["nodes"][:5]]
    return f"{finding['id']} ({finding['impact']}): {finding['help']}\n  " + "\n  ".join(where)
