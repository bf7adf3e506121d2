"""An executed notebook as one HTML page, legible outside of the book.

What only the book's builder understands becomes plain Markdown first: roles and empty links become
their text, directives their contents, and equations, numbered within the page, MathML: the page
asks no other host for anything.
"""

import ast
import base64
import re
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nbformat

DIRECTIVE = re.compile(r"^(`{3,})\{([\w:-]+)\}[ \t]*(.*?)\n(.*?)^\1[ \t]*$", re.M | re.S)
OPTION = re.compile(r"^:([\w-]+):[ \t]*(.*)\n", re.M)
EQUATION = re.compile(r"\$\$\s*\(([\w:-]+)\)")
ROLE = re.compile(r"\{([\w:]+)\}`([^`]*)`")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)")
TARGET = re.compile(r"^\([\w-]+\)=\n", re.M)
BROKEN = re.compile(r"""<a [^>]*href="(?!https?:|#)[^"]*"[^>]*>(.*?)</a>""", re.S)  # in outputs
FORMULA = re.compile(  # or code, in which a dollar is a dollar
    r"(?P<code>```.*?```|`[^`]*`)|(?<!\\)\$\$(?P<block>.+?)\$\$"
    r"|(?<!\\)\$(?P<inline>(?:(?!\n\n)[^$])+)\$",
    re.S,
)
OPERATOR = re.compile(r"(<mi>(?:log|ln|tanh)</mi>)")  # it needs room after it
TAG = re.compile(r"\\tag\{(\d+)\}")
BRACED = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
MACROS = {  # as in _config.yml: the text of each, and how many arguments it takes
    "E": (r"\mathbb{E}", 0),
    "KL": (r"D_{\mathrm{KL}}\left(#1\,\middle\|\,#2\right)", 2),
    "Normal": (r"\mathcal{N}", 0),
    "given": (r"\,|\,", 0),
}
# nbconvert's page without the scripts that it would load from elsewhere
TEMPLATE = """{% extends "lab/index.html.j2" %}
{% block html_head_js %}<style>
mtd[columnalign="left"] { text-align: left } mtd[columnalign="right"] { text-align: right }
</style>{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}{% block html_head_js_mermaidjs %}{% endblock %}"""
NAMED = {"fig": "the figure", "tab": "the table", "lst": "the listing", "alg": "the algorithm"}


def write_page(notebook: str | Path, source: str | Path | None = None) -> Path:
    """Writes `<notebook>.html` beside an executed notebook and returns its path.

    Args:
        source: the notebook of the book that was executed; files that its text includes are looked
            for from its folder. Default: the notebook itself.
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    notebook = Path(notebook)
    node = plain(nbformat.read(notebook, as_version=4), Path(source or notebook).parent)
    remove = {
        "enabled": True,
        "remove_cell_tags": ["remove-cell", "hide-cell"],
        "remove_input_tags": ["remove-input"],
    }
    exporter = HTMLExporter(config=Config(TagRemovePreprocessor=remove), raw_template=TEMPLATE)
    exporter.register_preprocessor("nbconvert.preprocessors.TagRemovePreprocessor", enabled=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    title = next(iter(re.findall(r"^# (.+)", node.cells[0].source, flags=re.M)), notebook.stem)
    html, _ = exporter.from_notebook_node(node, {"metadata": {"name": title}})
    page = notebook.with_suffix(".html")
    page.write_text(BROKEN.sub(r"\1", html), encoding="utf-8")
    return page


def plain(node: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """The notebook with plain Markdown, and with the captions of its figures as text."""
    text = [cell.source for cell in node.cells if cell.cell_type == "markdown"]
    numbers = {label: f"({k})" for k, label in enumerate(EQUATION.findall("\n".join(text)), 1)}
    cells = []
    for cell in node.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_text(cell.source, folder, numbers)
        cells.append(cell)
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if "caption" in figure:
            caption = plain_text(figure["caption"], folder, numbers)
            cells.append(nbformat.v4.new_markdown_cell(f"*{caption}*"))
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(mathml, cell.source)
    node.cells = cells
    return node


def mathml(found: re.Match) -> str:
    """A formula as browsers show it without a script; its number stands beside it.

    One that cannot be read stays as it was written.
    """
    from latex2mathml.converter import convert

    if found["code"]:
        return found["code"]
    latex = TAG.sub(r"\\qquad\\text{(\1)}", found["block"] or found["inline"])
    latex = latex.replace("{aligned}", "{split}")  # which it knows
    for name, (text, n_arguments) in MACROS.items():
        pattern = rf"\\{name}(?![A-Za-z])" + BRACED * n_arguments
        latex = re.sub(pattern, partial(_filled, text), latex)
    try:
        formula = convert(latex.strip(), display="block" if found["block"] else "inline")
    except Exception:  # of several kinds that have no name in common
        return f"`{found[0]}`"
    return OPERATOR.sub(r'\1<mspace width="0.17em" />', formula)


def _filled(text: str, call: re.Match) -> str:
    """The text of a macro with its arguments in their places."""
    for place, argument in enumerate(call.groups(), 1):
        text = text.replace(f"#{place}", argument)
    return text


def plain_text(text: str, folder: Path, numbers: dict[str, str]) -> str:
    """Markdown without what only the book's builder understands; `numbers` are of equations."""
    text = DIRECTIVE.sub(lambda match: _contents(match[2], match[3], match[4], folder), text)
    text = EQUATION.sub(lambda match: rf"\tag{{{numbers[match[1]][1:-1]}}}$$", text)
    text = ROLE.sub(lambda match: _role(match[1], match[2], numbers, folder), text)
    text = LINK.sub(lambda match: match[1] or f"*{_title(folder / match[2])}*", text)
    return TARGET.sub("", text)


def _role(name: str, content: str, numbers: dict[str, str], folder: Path) -> str:
    """The text that a role stands for."""
    shown, _, target = content.partition("<")
    if target:
        return shown.strip()
    kind = name.split(":")[0]
    if kind == "cite":
        names = ", ".join(re.findall(r"[a-z]+\d{4}", content)).title()
        names = re.sub(r"(\d{4})", r" \1", names)
        return f"({names})" if name == "cite:p" else names
    if kind in ("eq", "numref", "prf", "ref"):
        if kind == "eq" and content not in numbers:
            return _equation_elsewhere(content, folder)
        return numbers.get(content, NAMED.get(content.split("-")[0], "elsewhere in the book"))
    if kind in ("func", "class", "mod", "meth", "data"):
        return f"`{content.rsplit('.', 1)[-1] if content.startswith('~') else content}`"
    return content


def _equation_elsewhere(label: str, folder: Path) -> str:
    """The page with an equation that this one names; pages of the book lie around the folder."""
    book = next((path for path in [folder, *folder.parents] if path.name == "book"), folder)
    for file in sorted(file for kind in _READ for file in book.rglob(f"*{kind}")):
        if label in EQUATION.findall(file.read_text(encoding="utf-8")):
            return f"an equation of *{_title(file)}*"
    return "an equation of the book"


def _contents(name: str, argument: str, body: str, folder: Path) -> str:
    """What a directive shows: an image, a listing, or its text."""
    options, body = dict(OPTION.findall(body)), OPTION.sub("", body).strip()
    if name == "figure":
        return f"{_image(folder / argument, options.get('alt', ''))}\n\n{body}"
    if name == "literalinclude":
        code = _listing(folder / argument, options.get("pyobject"))
        return f"{options.get('caption', '')}\n\n```python\n{code}\n```"
    return f"**{argument}**\n\n{body}" if argument else body


def _image(file: Path, alt: str) -> str:
    """An image within the page itself."""
    if not file.is_file():
        return f"*{alt}*"
    kind = {".svg": "svg+xml"}.get(file.suffix, file.suffix[1:])
    return f"![{alt}](data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()})"


def _listing(file: Path, name: str | None) -> str:
    """A file of code, or the one function or method of it."""
    if not file.is_file():
        return f"# {file.name}"
    code = file.read_text(encoding="utf-8")
    part: ast.AST = ast.parse(code)
    for inner in name.split(".") if name else ():
        part = next(p for p in getattr(part, "body", ()) if getattr(p, "name", None) == inner)
    found = ast.get_source_segment(code, part, padded=True) if name else code
    return textwrap.dedent(found or code)


_READ: dict[str, Callable[[Path], str]] = {
    ".md": lambda file: file.read_text(encoding="utf-8"),
    ".ipynb": lambda file: nbformat.read(file, as_version=4).cells[0].source,
}


def _title(file: Path) -> str:
    """The title of a page that is linked to, or its name where the page is not there."""
    if file.suffix in _READ and file.is_file():
        return next(iter(re.findall(r"^# (.+)", _READ[file.suffix](file), flags=re.M)), file.stem)
    return file.stem.replace("_", " ")
