"""The whole book as one PDF: `python -m vae_book.build.print_book` makes `_build/book.pdf`.

The built pages are put behind one another in the order of `_toc.yml`, links between them become
links within the document, and Chromium prints the result with bookmarks and page numbers.
"""

import posixpath
import sys
import time
from copy import copy
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from vae_book.browser import ADVICE, find_chromium
from vae_book.resources import ROOT
from vae_core._atomic import replacing

HTML = ROOT / "_build/html"
PDF = ROOT / "_build/book.pdf"
WHOLE = "_whole.html"  # written into the site, so that its style sheets and pictures are found
FOOTER = """<div style="width: 100%; font: 8pt sans-serif; color: #666; text-align: center">
<span class="pageNumber"></span></div>"""
# buttons, and code that a page hides
SCREEN_ONLY = "script, .headerlink, .copybtn, details.above-input"


def main():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    if not (HTML / "index.html").is_file():
        sys.exit(f"There is no built book in {HTML}: `make book` builds it.")
    chromium = find_chromium()
    if chromium is None:
        sys.exit(f"Printing needs Chromium: {ADVICE}.")
    started = time.monotonic()
    whole = HTML / WHOLE
    whole.write_text(str(assemble(HTML, toc)), encoding="utf-8")
    try:
        print_pdf(chromium, whole, PDF)
    finally:
        whole.unlink()
    size = PDF.stat().st_size / 1e6
    print(f"Printed in {time.monotonic() - started:.0f} s ({size:.0f} MB): {PDF}")


def assemble(site, toc):
    """One document with every page of the book: a title, the contents, then the articles."""
    chapters = [(None, toc["root"])] + [
        (part.get("caption"), chapter["file"])
        for part in toc.get("parts", [])
        for chapter in part["chapters"]
    ]
    pages = [page.removeprefix("book/") for _, page in chapters]
    document = parse(site / "index.html")
    contents, body = document.new_tag("ul"), document.new_tag("main")
    last = None
    for (part, _), page in zip(chapters, pages, strict=True):
        article = embedded(parse(site / f"{page}.html").article, page, pages)
        if part != last:
            contents.append(item(document, part, "vc-part"))
            last = part
        if part:
            contents.append(item(document, link_to(document, page, article.h1)))
        body.append(article)
    contents["class"] = "vc-contents"
    body.article.insert_after(contents)
    document.body.clear()
    document.body.append(body)
    document.body["class"] = "vc-whole"
    for script in document.head.find_all("script"):
        if "mathjax" not in str(script).lower():
            script.decompose()
    return document


def parse(page):
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def item(document, content, *classes):
    tag = document.new_tag("li", attrs={"class": list(classes)})
    tag.append(content)
    return tag


def link_to(document, page, heading):
    link = document.new_tag("a", href=f"#{anchor(page)}")
    for child in heading.contents:
        link.append(copy(child))
    return link


def anchor(page, fragment=""):
    return f"{page}--{fragment}" if fragment else page


def embedded(article, page, pages):
    """The article with names and paths that hold in the one document at the top of the site."""
    for tag in article.select(SCREEN_ONLY):
        tag.decompose()
    for tag in article.select("details"):
        tag["open"] = ""
    for tag in article.select("noscript"):
        tag.unwrap()  # paper has no JavaScript
    for tag in article.find_all(True):
        if tag.find_parent("svg"):
            continue  # a drawing's names are its own
        if tag.get("id"):
            tag["id"] = anchor(page, tag["id"])
        if tag.name == "a" and tag.get("href"):
            tag["href"] = link_within(tag["href"], page, pages)
        if tag.name in ("img", "object"):
            name = "src" if tag.name == "img" else "data"
            if not urlsplit(tag.get(name, "")).scheme:
                tag[name] = from_top(tag[name], page)
    article["id"] = anchor(page)
    return article


def from_top(path, page):
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def link_within(href, page, pages):
    """``href`` as it reads in the whole document; a file that is not in it is only named."""
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return href
    target = from_top(unquote(parts.path), page).removesuffix(".html") if parts.path else page
    if target not in pages:
        return f"#{anchor(page)}"
    return "#" + anchor(target, unquote(parts.fragment))


def print_pdf(chromium, page, pdf):
    """Prints the page; an interrupted run leaves the last PDF as it was."""
    with sync_playwright() as playwright, replacing(pdf) as temporary:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        tab = browser.new_page(color_scheme="light")
        tab.set_default_timeout(0)  # a busy machine is no error
        tab.goto(page.as_uri(), wait_until="load")
        tab.evaluate("window.MathJax.startup.promise.then(() => true)")
        tab.pdf(
            path=temporary,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            print_background=True,
            outline=True,
            tagged=True,
        )
        browser.close()


if __name__ == "__main__":
    main()
