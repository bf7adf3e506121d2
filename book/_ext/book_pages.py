"""Gives each page a `<meta name="description">`, each notebook's parameters a drawer and each cell
of a result the name of its column, and mends what Sphinx's own pages lack.

A page names its own in its front matter (`myst: html_meta:`), a notebook in its
metadata (`myst.html_meta`); any other page is described by its first paragraph.
"""

import html
import re
import textwrap
from itertools import takewhile

from bs4 import BeautifulSoup
from docutils import nodes

_WITHOUT_TEXT = {
    "search": "Search the text of the book.",
    "genindex": "Index of the functions and classes that the book documents.",
    "py-modindex": "Index of the modules of the package.",
    "prf-prf": "Index of the algorithms and statements of the book.",
}


def first_paragraph(doctree):
    """The text of the first paragraph of prose, without the outputs of code cells."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = paragraph.astext().strip()
        if isinstance(paragraph.parent, nodes.section) and len(text) > 40:
            return re.sub(r"\s+", " ", text)
    return ""


def plain_citations(app, pagename, templatename, context, doctree):
    """Sphinx gives a bibliography the role of a list, but its entries not that of items."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', "<div>"
        )


def bound_punctuation(app, pagename, templatename, context, doctree):
    """MathJax sets a formula as a box: no line may begin with the full stop after it."""
    if "body" in context:
        context["body"] = re.sub(
            r'(<span class="math [^>]*>[^<]*</span>[.,;:!?)’”]+)',
            r'<span class="unbroken">\1</span>',
            context["body"],
        )


def live_back_links(app, pagename, templatename, context, doctree):
    """A page of source code leads back to the reference only for what the reference documents."""
    if pagename.startswith("_modules/"):
        documented = app.env.domaindata["py"]["objects"]
        context["body"] = re.sub(
            r'<a class="viewcode-back" href="[^"#]*#([^"]+)">.*?</a>',
            lambda link: link[0] if link[1] in documented else "",
            context["body"],
        )


def change_it(app, doctree, docname):
    """A notebook's parameters go into a drawer, with the command that changes them and with the
    hidden code around them."""
    cells = [c for c in doctree.findall(nodes.container) if "tag_parameters" in c["classes"]]
    provenance = (raw.astext() for raw in doctree.findall(nodes.raw))
    made_by = re.search(r"Made by</dt><dd>(<code>.*?</code>)", " ".join(provenance))
    for cell in cells:
        guide = app.builder.get_relative_uri(docname, "reexecute")
        text = (
            f'These are the parameters of the page, and <a href="{guide}">one command</a> '
            "executes it with others"
        )
        text += f". With the values below it is:</p><p>{made_by[1]}</p>" if made_by else ".</p>"
        opening = f'<details class="change-it"><summary>Change it</summary><p>{text}'
        inside = with_hidden_code(cell)
        start = cell.parent.index(cell)
        drawer = [nodes.raw("", opening, format="html"), *inside]
        drawer.append(nodes.raw("", "</details>", format="html"))
        cell.parent[start : start + len(inside)] = drawer


def name_cells(app, pagename, templatename, context, doctree):
    """Where a telephone shows the rows of a table as cards or paragraphs, the cells are named."""
    if "body" in context:
        context["body"] = re.sub(
            r'<table class="[^"]*\btable\b.*?</table>',
            lambda table: with_names(table[0]),
            context["body"],
            flags=re.S,
        )


def with_names(html_table):
    soup = BeautifulSoup(html_table, "html.parser")
    heads = [re.sub(r"\\[()]", "", head.get_text().strip()) for head in soup.select("thead th")]
    for row in soup.select("tbody tr"):
        for cell, head in zip(row.find_all("td"), heads, strict=False):
            cell["data-head"] = head
    return str(soup)


def with_hidden_code(cell):
    """A cell and those right after it whose code is hidden and which show nothing."""
    hidden = {"tag_hide-input", "tag_injected-parameters"}
    following = cell.parent[cell.parent.index(cell) + 1 :]
    return [cell, *takewhile(lambda node: hidden & classes(node) and not shows(node), following)]


def classes(node):
    return set(node["classes"]) if isinstance(node, nodes.container) else set()


def shows(cell):
    return any("cell_output" in classes(part) for part in cell.findall(nodes.container))


def bare_fields(app, what, name, obj, options, lines):
    """A field of a named tuple says what the comment after it says, or nothing."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()


def describe(app, pagename, templatename, context, doctree):
    metatags = context.get("metatags") or ""
    if 'name="description"' in metatags:
        return
    if doctree is not None:
        text = first_paragraph(doctree)
    elif pagename.startswith("_modules/"):
        text = f"Source code of {pagename.removeprefix('_modules/').replace('/', '.')}."
    else:
        text = _WITHOUT_TEXT.get(pagename, "")
    if text:
        text = html.escape(textwrap.shorten(text, 160, placeholder=" …"))
        context["metatags"] = f'{metatags}\n<meta name="description" content="{text}" />'


def without_thebe(app):
    """The book offers Binder and Colab but no live cells; Jupyter Book loads Thebe all the same,
    twice, which is an error in the browser."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if not is_thebe(one.handler)]


def is_thebe(handler):
    """Its static path stays, for the style sheet that it has added already."""
    return handler.__module__ == "sphinx_thebe" and handler.__name__ != "st_static_path"


def setup(app):
    without_thebe(app)
    app.connect("doctree-resolved", change_it)
    app.connect("autodoc-process-docstring", bare_fields)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", plain_citations)
    app.connect("html-page-context", bound_punctuation)
    app.connect("html-page-context", live_back_links)
    app.connect("html-page-context", name_cells)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
