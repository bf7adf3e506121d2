"""An executed notebook as a page that stands by itself."""

import html
import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from vae_book.page import FORMULA, MACROS, mathml, plain, plain_text, write_page

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "book" / "figures"
NOTEBOOKS = [
    ROOT / "book" / f"{name}.ipynb"
    for name in ("index", "figures/fig2_lower_bound", "method/estimators", "method/models")
]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("in {term}`nats <nat>` or {term}`leapfrog`", "in nats or leapfrog"),
        ("$$x$$ (eq-a)\n{eq}`eq-a`, {eq}`eq-b`", "$$x\\tag{1}$$\n(1), an equation of the book"),
        ("in {eq}`eq-elbo`", "in an equation of *The variational lower bound*"),
        ("in {eq}`eq-sgvb-b`", "in an equation of *Estimators and the reparameterisation trick*"),
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
    listing = "```{literalinclude} ../../vae_core/model.py\n:pyobject: VAE.encode\n```"
    code = plain_text(listing, FIGURES, {})
    assert "```python\ndef encode(self, x" in code and code.count("def ") == 1
    figure = "```{figure} ../assets/wake_sleep.svg\n:alt: Two\n\nCaption.\n```"
    assert plain_text(figure, FIGURES, {}).startswith("![Two](data:image/svg+xml;base64,")


def test_the_page_has_outputs_and_captions_but_not_hidden_code(tmp_path):
    figure = {"mystnb": {"figure": {"caption": "A {term}`bound`."}}, "tags": ["remove-input"]}
    output = new_output("stream", text="forty-two")
    hidden = new_code_cell("secret(n)", outputs=[output], metadata=figure)
    cells = [new_markdown_cell("# Title of it"), new_code_cell("n = 42"), hidden]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    page = write_page(tmp_path / "a.ipynb").read_text()
    assert "<title>Title of it</title>" in page and "forty-two" in page
    assert "<em>A bound.</em>" in page and "secret" not in page


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_role_directive_or_broken_link_is_left(notebook, tmp_path):
    copy = tmp_path / notebook.name
    copy.write_bytes(notebook.read_bytes())
    page = write_page(copy, notebook).read_text()
    text = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert not re.findall(r"\{[a-z:]+\}(?:`|<code>)|:::|\(\w+-[\w-]+\)=", text)
    assert not re.findall(r"<a [^>]*href=\"(?!https?:|#)[^\"]*", text)
    assert not re.findall(r"<(?:script|link|img)[^>]* (?:src|href)=\"(?:https?:|//)", page)


def test_macros_are_those_of_the_book():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    macros = config["mathjax3_config"]["tex"]["macros"]
    for name, macro in macros.items():
        text, n_arguments = macro if isinstance(macro, list) else (macro, 0)
        assert MACROS[name] == (text, n_arguments)
    assert MACROS.keys() == macros.keys()


@pytest.mark.parametrize("notebook", sorted((ROOT / "book").rglob("*.ipynb")), ids=lambda p: p.stem)
def test_no_formula_needs_a_script(notebook, tmp_path):
    """Every formula of the text is MathML, well-formed and with nothing left of LaTeX."""
    node = plain(nbformat.read(notebook, as_version=4), notebook.parent)
    text = "\n".join(cell.source for cell in node.cells if cell.cell_type == "markdown")
    for formula in re.findall("<math.*?</math>", text, flags=re.S):
        shown = "".join(ElementTree.fromstring(formula).itertext())
        assert not re.search(r"\\|[&#]", shown), shown
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.S)
    assert "$" not in prose and not re.search(r"\\[a-zA-Z]+", prose)


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"$\log p(x)$", "logp(x)"),
        (r"$\KL{q_{\phi}(z)}{p}$", "DKL(qϕ(z)‖p)"),
        ("$$\\begin{aligned}a&=b\\\\&=c\\end{aligned}\\tag{3}$$", "a=b=c(3)"),
        (r"`$HOME` costs $5$", "`$HOME` costs 5"),
        ("$a^b^c$", "`$a^b^c$`"),
        ("\\$5 and 5$\n\nand 6$", "\\$5 and 5$\n\nand 6$"),
    ],
)
def test_a_formula_is_mathml(latex, shown):
    text = re.sub("<[^>]*>", "", html.unescape(FORMULA.sub(mathml, latex)))
    assert "".join(text.split()) == "".join(shown.split())
