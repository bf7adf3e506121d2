"""An executed notebook as a page that stands by itself."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from vae_book.page import plain_text, write_page

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "book" / "figures"
NOTEBOOKS = [
    ROOT / "book" / f"{name}.ipynb"
    for name in ("index", "figures/fig2_lower_bound", "method/estimators", "method/rivals")
]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("in {term}`nats <nat>` or {term}`leapfrog`", "in nats or leapfrog"),
        ("$$x$$ (eq-a)\n{eq}`eq-a`, {eq}`eq-b`", "$$x\\tag{1}$$\n(1), an equation of the book"),
        ("{cite:t}`hinton1995`, {cite:p}`a2014,b2012`", "Hinton 1995, (A 2014, B 2012)"),
        ("see {numref}`fig-a` and {numref}`lst-b`", "see the figure and the listing"),
        ("{func}`~vae_core.estimators.sgvb_b`", "`sgvb_b`"),
        ("[](../reexecute.md), [](no_such.md)", "*How to re-execute*, *no such*"),
        ("[text](../live.ipynb), [out](https://x.org)", "text, [out](https://x.org)"),
        ("(label)=\n## Title", "## Title"),
        ("```{note}\n:class: tip\nWords.\n```", "Words."),
        ("```{prf:algorithm} EM\n:label: a\n1. Step\n```", "**EM**\n\n1. Step"),
        ("```python\nx = {a}\n```", "```python\nx = {a}\n```"),
    ],
)
def test_what_only_the_book_understands_becomes_plain(text, plain):
    assert plain_text(text, FIGURES, {"eq-a": "(1)"}) == plain


def test_a_listing_is_the_function_and_a_figure_the_image():
    listing = "```{literalinclude} ../../vae_core/estimators.py\n:pyobject: sgvb_a\n```"
    assert "```python\ndef sgvb_a(" in plain_text(listing, FIGURES, {})
    figure = "```{figure} ../assets/wake_sleep.svg\n:alt: Two\n\nCaption.\n```"
    assert plain_text(figure, FIGURES, {}).startswith("![Two](data:image/svg+xml;base64,")


def test_the_page_has_outputs_and_captions_but_not_hidden_code(tmp_path):
    figure = {"mystnb": {"figure": {"caption": "A {term}`bound`."}}, "tags": ["remove-input"]}
    output = new_output("stream", text="forty-two")
    hidden = new_code_cell("secret(n)", outputs=[output], metadata=figure)
    cells = [new_markdown_cell("# Title of it"), new_code_cell("n = 42"), hidden]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    html = write_page(tmp_path / "a.ipynb").read_text()
    assert "<title>Title of it</title>" in html and "forty-two" in html
    assert "<em>A bound.</em>" in html and "secret" not in html


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_role_directive_or_broken_link_is_left(notebook, tmp_path):
    copy = tmp_path / notebook.name
    copy.write_bytes(notebook.read_bytes())
    html = write_page(copy, notebook).read_text()
    text = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.S)
    assert not re.findall(r"\{[a-z:]+\}(?:`|<code>)|:::|\(\w+-[\w-]+\)=", text)
    assert not re.findall(r"<a [^>]*href=\"(?!https?:|#)[^\"]*", text)
