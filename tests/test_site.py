"""The built book in a browser, opened from disk: errors, requests, narrow screens, accessibility.

`make test` builds the book first. Without a built book or without Chromium these tests are skipped,
or fail where VAE_CORE_REQUIRE_BROWSER is set, as in continuous integration.
"""

import os
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from vae_book.build.check_site import html_pages, problems
from vae_book.build.print_book import assemble

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"

PAGES = [page.relative_to(HTML).as_posix() for page in html_pages(HTML)] if HTML.is_dir() else []
# pages made from the sources of the package repeat one template: one of them stands for all
SHOWN = [p for p in PAGES if not p.startswith("_modules/")]
SHOWN += [p for p in PAGES if p.startswith("_modules/vae_core/")][:1]

pytestmark = pytest.mark.site


def unavailable(reason):
    if os.environ.get("VAE_CORE_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def axe():
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


class Visit:
    """One page opened from disk: what it asked for, what went wrong, how it looks."""

    def __init__(self, browser, page):
        self.requests, self.errors = [], []
        self.tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        self.tab.set_default_timeout(120_000)  # a busy machine is not an error of the page
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", self.on_console)
        self.tab.goto((HTML / page).as_uri(), wait_until="load")
        self.tab.evaluate("window.MathJax?.startup?.promise.then(() => true)")
        self.tab.add_style_tag(content="* { transition: none !important; }")

    def on_console(self, message):
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def severe_findings(self, axe, scheme):
        self.tab.emulate_media(color_scheme=scheme)
        self.tab.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
        if not self.tab.evaluate("'axe' in window"):
            self.tab.evaluate(axe)
        found = self.tab.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        return [describe(f) for f in found if f["impact"] in ("serious", "critical")]


def describe(finding):
    where = [f"{n['target']} {n['html'][:120]}" for n in finding["nodes"][:5]]
    return f"{finding['id']} ({finding['impact']}): {finding['help']}\n  " + "\n  ".join(where)


@pytest.fixture(scope="module", params=SHOWN)
def visit(request, browser):
    visit = Visit(browser, request.param)
    yield visit
    visit.tab.close()


def test_book_was_built():
    if not PAGES:
        unavailable("no built book in _build/html: `make book` builds it")
    assert "index.html" in PAGES
    assert problems(HTML) == []


def test_page_runs_without_errors(visit):
    assert visit.errors == []


def test_page_takes_nothing_from_another_host(visit):
    local = ("file:", "data:", "blob:")
    assert [url for url in visit.requests if not url.startswith(local)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(visit, axe, scheme):
    severe = visit.severe_findings(axe, scheme)
    assert not severe, "\n".join(severe)


def test_page_fits_a_telephone(visit):
    visit.tab.set_viewport_size({"width": 375, "height": 800})
    for wider in (0, 0.08):  # of each letter, in em: other machines have other fonts
        visit.tab.evaluate(f"document.body.style.letterSpacing = '{wider}em'")
        assert visit.tab.evaluate("document.documentElement.scrollWidth") <= 375
        assert visit.tab.evaluate("document.body.scrollWidth") <= 375
    visit.tab.evaluate("document.body.style.letterSpacing = ''")


# What is wider than its place: it scrolls, or (lost) nobody can reach its end
CUT_OFF = """() => {
    const kinds = "article :is(mjx-container[display], pre, table, figure, .vc-figure, img, svg)";
    const right = document.documentElement.clientWidth + 1;
    const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowX);
    const width = (e) => `${e.tagName} ${e.scrollWidth} > ${e.clientWidth}: `;
    const told = (e) => width(e) + e.textContent.trim().slice(0, 60);
    const scroller = (e) => { while (e && !scrolls(e)) e = e.parentElement; return e; };
    const within = (e) => e.closest("mjx-container svg, mjx-assistive-mml, .headerlink, button");
    const out = {scrolled: [], lost: []};
    for (const element of document.querySelectorAll(kinds)) {
        const box = element.getBoundingClientRect();
        if (!box.width || within(element)) continue;
        const region = scroller(element);
        const isWide = element.scrollWidth > element.clientWidth + 1 && scrolls(element);
        if (isWide) out.scrolled.push(told(element));
        if (isWide && element.tabIndex !== 0) out.lost.push("no focus: " + told(element));
        if (box.right > right && (!region || region.tabIndex !== 0)) out.lost.push(told(element));
    }
    return out;
}"""


@pytest.mark.parametrize("width", [375, 768, 992, 1199, 1280, 1920])
def test_nothing_is_cut_off(visit, width):
    """On a desk nothing scrolls sideways; on less, what does can be reached from the keyboard."""
    visit.tab.set_viewport_size({"width": width, "height": 800})
    visit.tab.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    visit.tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    found = visit.tab.evaluate(CUT_OFF)
    assert found["lost"] == []
    if width >= 960:
        assert found["scrolled"] == []


@pytest.mark.parametrize("name", ["architecture", "model", "reparameterisation", "wake_sleep"])
def test_a_diagram_has_room_for_its_text(browser, name):
    tab = browser.new_page()
    tab.goto((ROOT / f"book/assets/{name}.svg").as_uri())
    outside = tab.evaluate("""() => {
        const drawing = document.documentElement;
        const {x, y, width, height} = drawing.viewBox.baseVal;
        return [...drawing.querySelectorAll("text")].filter((text) => {
            const box = text.getBBox();
            const isWithin = box.x >= x && box.x + box.width <= x + width;
            return !isWithin || box.y < y || box.y + box.height > y + height;
        }).map((text) => text.textContent);
    }""")
    tab.close()
    assert outside == []


def test_the_printed_book_holds_every_page_and_its_links_stay_within():
    """What `make pdf` prints: all pages of the table of contents, once, and no dead reference."""
    if not PAGES:
        unavailable("no built book in _build/html: `make book` builds it")
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    whole = assemble(HTML, toc)
    names = [tag["id"] for tag in whole.find_all(id=True) if not tag.find_parent("svg")]
    assert len(names) == len(set(names))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    articles = [tag["id"] for tag in whole.find_all("article")]
    assert articles == [page.removeprefix("book/") for page in [toc["root"], *chapters]]
    links = {a["href"] for a in whole.select("main a[href]") if not a.find_parent("svg")}
    within = {href.removeprefix("#") for href in links if href.startswith("#")}
    assert within <= set(names) and len(within) > len(articles)
    assert all(href.startswith(("#", "https://")) for href in links)
    pictures = [tag["src"] for tag in whole.find_all("img") if not tag["src"].startswith("data:")]
    assert pictures and all((HTML / source).is_file() for source in pictures)
