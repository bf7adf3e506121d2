"""Crawls the built book: `python -m vae_book.build.check_site [_build/html]`.

Each internal link, image and anchor leads somewhere; no page takes anything from another host; each
page has a language, a title and a description; each image has an alternative text; a page with all
that it loads is small, and the whole is small enough to be copied about.
"""

import re
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

MAX_MEGABYTES = 40
MAX_PAGE_MEGABYTES = 3  # with all that a browser fetches by itself, but for the explorer's weights
# what a browser fetches by itself; an `a` leads away only when it is followed
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
FETCHED |= {"audio": "src", "object": "data", "embed": "src", "track": "src", "link": "href"}
NOT_FETCHED_LINKS = {"canonical", "author", "license", "prev", "next", "search", "index"}


def problems(site):
    """What is wrong with the site below a folder, one line for each."""
    site = Path(site).resolve()
    if not (site / "index.html").is_file():
        return [f"{site}: there is no index.html"]
    found = [
        f"{page.relative_to(site)}: {problem}"
        for page in html_pages(site)
        for problem in page_problems(page, site)
    ]
    found += style_problems(site)
    megabytes = sum(f.stat().st_size for f in site.rglob("*") if f.is_file()) / 1e6
    if megabytes > MAX_MEGABYTES:
        found.append(f"the site is {megabytes:.0f} MB, more than {MAX_MEGABYTES}")
    return found


def html_pages(site):
    """The pages of the book; `_static` holds templates of the theme."""
    return [p for p in sorted(site.rglob("*.html")) if "_static" not in p.relative_to(site).parts]


@cache
def parse(page):
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(page):
    soup = parse(page)
    return {t["id"] for t in soup.find_all(id=True)} | {
        t["name"] for t in soup.find_all("a", attrs={"name": True})
    }


def page_problems(page, site):
    soup = parse(page)
    yield from head_problems(soup)
    if (megabytes := weight(page) / 1e6) > MAX_PAGE_MEGABYTES:
        yield f"{megabytes:.1f} MB with all that it loads, more than {MAX_PAGE_MEGABYTES}"
    for tag in soup.find_all("img"):
        alt = tag.get("alt", "").strip()
        decorative = tag.get("role") == "presentation" or tag.get("aria-hidden") == "true"
        if not decorative and (not alt or re.search(r"\.(svg|png|jpe?g)$", alt)):
            yield f"image {tag.get('src', '')[:60]} has no alternative text"
    for tag in soup.select("article svg"):
        named = tag.get("aria-label") or tag.get("aria-labelledby") or tag.find("title")
        if not named and not tag.find_parent(attrs={"aria-hidden": "true"}):
            if tag.get("aria-hidden") != "true":
                yield f"a drawing (<svg class={tag.get('class')}>) has no aria-label or title"
    for tag in soup.find_all(FETCHED):
        target = tag.get(FETCHED[tag.name], "")
        is_link = tag.name == "link" and NOT_FETCHED_LINKS & set(tag.get("rel", []))
        if is_external(target) and not is_link:
            yield f"<{tag.name}> takes {target} from another host"
        yield from link_problems(target, page, site)
    for tag in soup.find_all("a", href=True):
        yield from link_problems(tag["href"], page, site)


def weight(page):
    """Bytes of a page, its scripts, style sheets and pictures, each file once."""
    tags = parse(page).find_all(["script", "img", "object", "link"])
    loaded = {"stylesheet", "preload"}
    tags = [t for t in tags if t.name != "link" or loaded & set(t.get("rel", []))]
    targets = [urlsplit(t.get(FETCHED[t.name], "")) for t in tags]
    paths = {unquote(t.path) for t in targets if t.path and not (t.scheme or t.netloc)}
    files = {(page.parent / path).resolve() for path in paths}
    files = {f for f in files if f.is_file() and not f.name.startswith("explorer_")}
    return sum(f.stat().st_size for f in {page, *files})


def head_problems(soup):
    if not (soup.html and soup.html.get("lang")):
        yield "no language"
    if not (soup.title and soup.title.get_text(strip=True)):
        yield "no title"
    description = soup.find("meta", attrs={"name": "description"})
    if description is None or not description.get("content", "").strip():
        yield "no description: `myst: html_meta: description:` in its front matter gives one"


def is_external(target):
    return target.startswith("//") or urlsplit(target).scheme in ("http", "https")


def link_problems(target, page, site):
    """Whether a link within the site leads to a file, and its fragment to an element."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
        return
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if file.is_dir():
        file = file / "index.html"
    if not file.is_relative_to(site):
        yield f"link {target} leads out of the site"
    elif not file.is_file():
        yield f"link {target} leads nowhere"
    elif file.suffix == ".html" and parts.fragment and "_static" not in file.parts:
        if unquote(parts.fragment) not in anchors(file):
            yield f"link {target} leads to an anchor that is not there"


def style_problems(site):
    """Style sheets that take a font, an image or another sheet from another host."""
    pattern = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
    for sheet in sorted(site.rglob("*.css")):
        for target in pattern.findall(sheet.read_text(encoding="utf-8", errors="replace")):
            yield f"{sheet.relative_to(site)}: takes {target} from another host"


def main():
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html")
    found = problems(site)
    print("\n".join(found) or f"{site}: {len(html_pages(site.resolve()))} pages, nothing wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
