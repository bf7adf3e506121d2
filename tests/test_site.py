"""The built book in a browser, opened from disk: errors, requests, narrow screens, accessibility.

`make test` builds the book first. Without a built book or without Chromium these tests are skipped,
or fail where VAE_CORE_REQUIRE_BROWSER is set, as in continuous integration.
"""

import os
import re
from base64 import b64encode
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


@pytest.fixture(scope="module")
def known_looks():
    """The looks of text that the pages before had, of this process."""
    return set()


# Colours cost axe nearly all of its time, and are judged alike wherever text, size and all grounds
# behind it are: contrast once for each such look, links once for each in a text of each look. One
# element stands for each that no page before had: it is marked.
MARK_LOOKS = """(known) => {
    const memo = (f, had = new Map()) => (e) => {
        if (!had.has(e)) had.set(e, f(e));
        return had.get(e) };
    const ground = (e) => {
        const { backgroundColor, backgroundImage, opacity } = getComputedStyle(e);
        const own = [backgroundColor, backgroundImage, opacity].join();
        return own === "rgba(0, 0, 0, 0),none,1" ? "" : "|" + own };
    const grounds = memo((e) => (e ? ground(e) + grounds(e.parentElement) : ""));
    const hasText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const look = memo((e) => {
        const { color, fontSize, fontWeight, textShadow } = getComputedStyle(e);
        return [color, fontSize, fontWeight, textShadow].join("|") + grounds(e) });
    const shown = (e) => hasText(e) && e.checkVisibility() && !e.matches("script, style");
    const all = (selector) => [...document.body.querySelectorAll(selector)];
    const around = (e) => {
        do e = e.parentElement; while (getComputedStyle(e).display.startsWith("inline"));
        return e };
    const link = (a) =>
        ["link", look(a), getComputedStyle(a).textDecoration, look(around(a))].join("|");
    // axe asks about links in longer texts: the one in the longest stands for its look
    const length = memo((e) => e.textContent.trim().length);
    const text = (a) => length(around(a)) - 2 * length(a);
    const links = all("a[href]").filter((a) => a.checkVisibility());
    const looks = new Map(all("*").filter(shown).map((element) => [look(element), element]));
    links.sort((a, b) => text(a) - text(b)).forEach((a) => looks.set(link(a), a));
    known.forEach((one) => looks.delete(one));
    all("[data-look]").forEach((e) => e.removeAttribute("data-look"));
    looks.forEach((e) => e.setAttribute("data-look", ""));
    axe.configure({ rules: [
        { id: "color-contrast", selector: "[data-look]" },
        { id: "link-in-text-block", selector: "a[href][data-look]" } ] });
    return [...looks.keys()];
}"""
# A style sheet cannot be fetched from file://
EVERYTHING = "() => axe.run({ resultTypes: ['violations'], preload: false })"
# What another colour scheme changes
COLOURS = """() => axe.run({ resultTypes: ["violations"], preload: false,
    runOnly: ["color-contrast", "link-in-text-block"] })"""


def describe(finding):
    where = [f"{n['target']} {n['html'][:120]}" for n in finding["nodes"][:5]]
    return f"{finding['id']} ({finding['impact']}): {finding['help']}\n  " + "\n  ".join(where)


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

    def severe_findings(self, scheme, check, known):
        """What axe finds; `known` are the looks of earlier pages, and those of this one join."""
        self.tab.emulate_media(color_scheme=scheme)
        self.tab.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
        new = self.tab.evaluate(MARK_LOOKS, sorted(known))
        known.update(new)
        found = self.tab.evaluate(check)["violations"] if new or check != COLOURS else []
        return [describe(f) for f in found if f["impact"] in ("serious", "critical")]

    def overflow(self, fonts=""):
        """How much wider than a telephone the page is."""
        widths = {e: self.tab.evaluate(f"document.{e}.scrollWidth") for e in SCROLLERS}
        return [f"{e} is {width} wide{fonts}" for e, width in widths.items() if width > 375]

    def overflow_in_other_fonts(self, style):
        """The same with each letter as wide as any, whatever this machine's fonts are."""
        tag = self.tab.add_style_tag(content=style)
        self.tab.evaluate("document.fonts.load('16px Other').then((faces) => faces.length)")
        found = self.overflow(" in other fonts")
        tag.evaluate("(style) => style.remove()")
        return found


SCROLLERS = ("documentElement", "body")
OTHER_FONTS = """@font-face { font-family: Other; src: url(data:font/ttf;base64,%s); }
    body, body * { font-family: Other !important; }"""


@pytest.fixture(scope="session")
def other_fonts():
    """A style sheet that sets all text in a font that comes with matplotlib."""
    from matplotlib.font_manager import findfont

    file = Path(findfont("DejaVu Sans Mono", fallback_to_default=False))
    return OTHER_FONTS % b64encode(file.read_bytes()).decode()


# What is wider than its place: it scrolls, or (lost) nobody can reach its end
CUT_OFF = """() => {
    const kinds = "article :is(mjx-container[display], pre, table, .vc-table, figure, " +
        ".vc-figure, img, svg)";
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
# Font Awesome draws a question mark for an icon that it does not know; an `i` is one not yet drawn
WITHOUT_ICON = """() => [...document.querySelectorAll("svg:has(> .missing), i[class*='fa-']")]
    .map((icon) => icon.outerHTML.slice(0, 80))"""
OPEN_DRAWERS = "document.querySelectorAll('details').forEach((d) => (d.open = true))"
NEXT_FRAME = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))"


def cut_off(visit, width, other_fonts):
    """On a desk nothing scrolls sideways, equations nowhere; elsewhere what does can be reached."""
    visit.tab.set_viewport_size({"width": width, "height": 800})
    if width == WIDTHS[0]:
        narrow = visit.overflow() + visit.overflow_in_other_fonts(other_fonts)
        visit.tab.evaluate(OPEN_DRAWERS)
    else:
        narrow = []
    visit.tab.evaluate(NEXT_FRAME)
    found = visit.tab.evaluate(CUT_OFF)
    anywhere = ("MJX-CONTAINER",) if width < 960 else ("",)
    return narrow + found["lost"] + [t for t in found["scrolled"] if t.startswith(anywhere)]


WIDTHS = [375, 768, 992, 1100, 1199, 1280, 1920]
LOCAL = ("file:", "data:", "blob:")


@pytest.mark.parametrize("page", SHOWN)
def test_page_is_quiet_accessible_and_whole_at_every_width(
    browser, axe, known_looks, other_fonts, page
):
    """One visit: no errors, nothing from another host, axe-core in both schemes, seven widths,
    two sets of fonts."""
    visit = Visit(browser, page)
    visit.tab.evaluate(axe)
    wrong = {
        "light": visit.severe_findings("light", EVERYTHING, known_looks),
        "dark": visit.severe_findings("dark", COLOURS, known_looks),
    }
    visit.tab.emulate_media(color_scheme="light")
    wrong |= {f"{width} pixels": cut_off(visit, width, other_fonts) for width in WIDTHS}
    wrong["icons"] = visit.tab.evaluate(WITHOUT_ICON)
    visit.tab.close()
    wrong["errors"] = visit.errors
    wrong["other hosts"] = [url for url in visit.requests if not url.startswith(LOCAL)]
    assert {what: found for what, found in wrong.items() if found} == {}


def test_a_name_too_long_in_other_fonts_is_found(browser, other_fonts, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<body style='font: 16px sans-serif; margin: 0'><p>{'il' * 25}")
    visit = Visit(browser, page)
    visit.tab.set_viewport_size({"width": 375, "height": 800})
    assert visit.overflow() == []
    assert visit.overflow_in_other_fonts(other_fonts) != []
    assert visit.overflow() == []
    visit.tab.close()


def test_contrast_is_found_wanting_in_each_place_that_looks_its_own(browser, axe):
    """The marked elements are enough to find what axe finds."""
    tab = browser.new_page()
    tab.set_content("""<html lang="en"><body style="background: #fff"><main>
        <p style="color: #000">good</p>
        <p style="color: #bbb">pale</p><p style="color: #bbb">pale</p>
        <div style="background: #222"><p style="color: #444">dark</p></div>
        <div style="opacity: 0.3"><p style="color: #000">faint</p></div>
        <p>Words and <a href="#" style="color: #00c">a line below</a>.</p>
        <p>Words and <a href="#" style="color: #111; text-decoration: none">no line</a>.</p>
        <p><a href="#" style="color: #111; text-decoration: none">alone</a></p>
        </main></body></html>""")
    tab.evaluate(axe)
    looks = tab.evaluate(MARK_LOOKS, [])
    found = {f["id"]: f["nodes"] for f in tab.evaluate(COLOURS)["violations"]}
    assert tab.evaluate(MARK_LOOKS, looks[1:]) == looks[:1]
    tab.close()
    texts = {name: [re.sub("<.*?>", "", n["html"]) for n in found[name]] for name in found}
    assert sorted(texts.pop("color-contrast")) == ["dark", "faint", "pale"]
    assert texts == {"link-in-text-block": ["no line"]}


@pytest.mark.parametrize("page", [p for p in SHOWN if p.startswith("figures/")])
def test_a_figures_chapter_opens_with_its_card_and_figure(browser, page):
    """At 1280 x 800 the card lies above the figure, and enough of the first panel is in sight."""
    visit = Visit(browser, page)
    visit.tab.set_viewport_size({"width": 1280, "height": 800})
    visit.tab.evaluate(NEXT_FRAME)
    place = """selector => {
        const found = [...document.querySelectorAll(selector)].find((e) => e.checkVisibility());
        const { top, bottom } = found.getBoundingClientRect(); return [top, bottom] }"""
    _, card_end = visit.tab.evaluate(place, ".vc-card")
    top, bottom = visit.tab.evaluate(place, "figure :is(.vl-panel, .vc-panel)")
    visit.tab.close()
    assert card_end < top and min(bottom, 800) - top >= min(bottom - top, 300)


def test_book_was_built():
    if not PAGES:
        unavailable("no built book in _build/html: `make book` builds it")
    assert "index.html" in PAGES
    assert problems(HTML) == []


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
