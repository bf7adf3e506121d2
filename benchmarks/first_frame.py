"""The first frame of every instrument, in the real pages of a built book, by headless Chromium.

What counts is each instrument's own measure, data-first-frame: milliseconds from the start of its
script (the film strip's, which waits until it is near: of its loading) until its first frame is
drawn, taken up by the browser, and a task later. Each load has a browser context of its own, so
that nothing is cached. These are milliseconds of the clock: other work on the machine counts.

make book, then python benchmarks/first_frame.py [--html FOLDER] [--loads N]
"""

import argparse
import re
from pathlib import Path

from _timing import report, spread
from playwright.sync_api import sync_playwright

from vae_book.browser import ADVICE, find_chromium

HTML = Path(__file__).resolve().parents[1] / "_build" / "html"
FLAGS = ["--no-sandbox", "--disable-gpu"]
WANTED = 300  # milliseconds
INSTRUMENTS = {  # by their scripts: name, and the elements that they take
    "explorer.js": ("latent explorer", ".latent-explorer"),
    "film.js": ("film strip", ".film-strip"),
    "curves.js": ("live figure", ".vc-figure:has(> script[type='application/json'])"),
    "lab.js": ("bound laboratory", ".bound-lab"),
    "train.js": ("training", ".vae-train"),
}
# when the measure was written, on the clock that starts with the navigation
WATCH = """new MutationObserver((changes) => changes.forEach(({ target }) => {
    target.sinceNavigation ??= performance.now();
})).observe(document, { subtree: true, attributeFilter: ["data-first-frame"] });"""


def pages(html: Path) -> dict[str, list[str]]:
    """The pages with instruments, and the scripts of these."""
    script = re.compile(rf'<script[^>]* src="[^"]*_static/({"|".join(INSTRUMENTS)})["?]')
    found = {path: script.findall(path.read_text()) for path in sorted(html.rglob("*.html"))}
    return {path.relative_to(html).as_posix(): names for path, names in found.items() if names}


def loaded(browser, url: str, scripts: list[str]) -> dict[str, tuple[float, float]]:
    """One load: (first frame, the same since the navigation) of each instrument, milliseconds."""
    times = {}
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.add_init_script(WATCH)
    tab.goto(url)
    for name, selector in (INSTRUMENTS[script] for script in scripts):
        roots = tab.locator(selector)
        for i in range(roots.count()):
            root = roots.nth(i)
            root.scroll_into_view_if_needed()  # the film strip waits for it
            tab.wait_for_function("root => root.dataset.firstFrame", arg=root.element_handle())
            label = f"{name} ({root.get_attribute('data-model') or i + 1})"
            times[label if roots.count() > 1 else name] = root.evaluate(
                "root => [+root.dataset.firstFrame, root.sinceNavigation]"
            )
    context.close()
    return times


def measured(html: Path, scripts: dict[str, list[str]], loads: int) -> dict[str, list[dict]]:
    """For each page what each of so many loads gave."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        every = {}
        for page, names in scripts.items():
            url = (html / page).as_uri()
            loaded(browser, url, names)  # fills the disk's cache
            every[page] = [loaded(browser, url, names) for _ in range(loads)]
        browser.close()
    return every


def summary(loads: list[dict]) -> dict[str, dict]:
    """Both times of each instrument of a page, over its loads."""
    return {
        name: {
            "first_frame": spread([times[name][0] for times in loads], 3),
            "longest": max(times[name][0] for times in loads),
            "since_navigation": spread([times[name][1] for times in loads], 3),
        }
        for name in loads[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--html", type=Path, default=HTML, help="a built book (_build/html)")
    parser.add_argument("--loads", type=int, default=11, help="of each page (11)")
    options = parser.parse_args()
    html = options.html.resolve()
    if find_chromium() is None:
        parser.error(f"there is no Chromium: {ADVICE}")
    if not pages(html):
        parser.error(f"no page with an instrument in {html}: `make book` builds the book")
    result = {
        "what": "milliseconds to the first frame of each instrument: from the start of its script, "
        "and since the navigation",
        "wanted": WANTED,
        "loads": options.loads,
        "pages": {
            page: summary(loads)
            for page, loads in measured(html, pages(html), options.loads).items()
        },
    }
    report("first_frame", result, ["playwright"])
    print(f"\n{'first frame, ms':58} median    low   high longest   since navigation")
    for page, instruments in result["pages"].items():
        for name, times in instruments.items():
            values = [*times["first_frame"].values(), times["longest"]]
            columns = "".join(f"{value:7.0f}" for value in values)
            print(f"{page + ': ' + name:57}{columns}{times['since_navigation']['median']:19.0f}")


if __name__ == "__main__":
    main()
