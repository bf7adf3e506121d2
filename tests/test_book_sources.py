"""What every page and notebook of the book must be, before anything is built."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from vae_book.build.execute import INPUTS

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
NOTEBOOKS = sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
NOT_PAGES = {"paper", "params", "reference", "assets"}

each_notebook = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=lambda p: p.relative_to(BOOK).as_posix()
)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def listed(toc):
    found = [toc[key] for key in ("root", "file") if key in toc]
    for value in toc.values():
        for entry in value if isinstance(value, list) else []:
            found += listed(entry)
    return found


def test_table_of_contents_lists_each_page_once_and_all_of_them():
    pages = listed(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    sources = [p for p in BOOK.rglob("*") if p.suffix in (".md", ".ipynb")]
    written = {
        source.relative_to(ROOT).with_suffix("").as_posix()
        for source in sources
        if source.relative_to(BOOK).parts[0] not in NOT_PAGES
        and ".ipynb_checkpoints" not in source.parts
    }
    assert sorted(pages) == sorted(written)


@each_notebook
def test_notebook_is_valid_and_runs_on_the_python3_kernel(path):
    node = read(path)
    nbformat.validate(node)
    assert node.metadata.kernelspec.name == "python3"


@each_notebook
def test_notebook_declares_its_parameters_in_at_most_one_cell(path):
    assert sum("parameters" in tags(cell) for cell in code_cells(path)) <= 1


@each_notebook
def test_notebook_is_committed_as_it_was_executed_in_order(path):
    counts = [cell.execution_count for cell in code_cells(path) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)), "execute it afresh with its defaults"


@each_notebook
def test_notebook_stores_no_traceback_and_no_injected_cell(path):
    for cell in code_cells(path):
        assert not [o for o in cell.outputs if o.output_type == "error"]
        assert "injected-parameters" not in tags(cell)


@each_notebook
def test_notebook_stores_no_execution_times(path):
    node = read(path)
    assert "papermill" not in node.metadata
    for cell in node.cells:
        assert not {"execution", "papermill", "ExecuteTime"} & set(cell.metadata)


@each_notebook
def test_cells_are_short(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 20, cell.source


@each_notebook
def test_every_figure_has_a_caption_and_a_name(path):
    for cell in code_cells(path):
        html = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
        if "vc-figure" in html:
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            assert figure.get("caption") and figure.get("name", "").startswith("fig-"), cell.source


def drawings(path):
    """The HTML of every figure that a committed notebook holds."""
    for cell in code_cells(path):
        for output in cell.outputs:
            html = "".join(output.get("data", {}).get("text/html", ""))
            if html.startswith('<div class="vc-figure"'):
                yield html


@each_notebook
def test_every_drawing_is_stored_whole(path):
    from vae_book.plots.style import digest

    for html in drawings(path):
        opening, _, rest = html.partition(">")
        assert f'data-digest="{digest(rest.removesuffix("</div>"))}"' in opening


# What is trained or timed while a page is made differs from one machine to the next.
MAY_DIFFER = {"live", "train", "method/autoencoder", "method/estimators", "method/rivals"}
MAY_DIFFER |= {"reproducibility/status", "figures/fig3_marginal_likelihood"}


def test_few_cells_are_left_out_of_the_comparison():
    ignored = [
        path.relative_to(BOOK).with_suffix("").as_posix()
        for path in NOTEBOOKS
        for cell in code_cells(path)
        if "nbval-ignore-output" in tags(cell)
    ]
    assert len(ignored) <= 20
    assert set(ignored) <= MAY_DIFFER


@each_notebook
def test_committed_notebook_is_small(path):
    assert path.stat().st_size < 3_000_000


def test_paper_parameters_are_the_defaults_of_the_notebooks():
    """`make book` shows what the committed notebooks show."""
    from vae_book.notebooks import declared_parameters, load_params, parameters_for

    params = load_params(BOOK / "params/paper.yaml")
    for path in NOTEBOOKS:
        declared = declared_parameters(path)
        for name, value in parameters_for(path, params).items():
            default = ast.literal_eval(declared[name].default)
            assert list_of(value) == list_of(default), f"{path.name}: {name}"


def list_of(value):
    return [list_of(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", ["paper", "smoke"])
def test_parameter_files_fit_the_notebooks(name):
    from vae_book.notebooks import check_params, load_params, parameters_for

    params = load_params(BOOK / f"params/{name}.yaml")
    check_params(params, NOTEBOOKS)
    for path in NOTEBOOKS:
        parameters_for(path, params)


PAGES = sorted(
    page
    for page in [*BOOK.rglob("*.md"), *NOTEBOOKS]
    if page.relative_to(BOOK).parts[0] not in NOT_PAGES
)
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(BOOK).as_posix())


def prose(path):
    """The Markdown of a page: the file, or each Markdown cell of a notebook."""
    if path.suffix == ".md":
        return [re.sub(r"\A---\n.*?\n---\n", "", path.read_text(), flags=re.S)]
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def tokens(text):
    """The tokens of a page as Markdown is read, within directives as well."""
    for token in MarkdownIt().use(dollarmath_plugin).parse(text):
        yield token
        if token.type == "fence" and re.match(r"\{(?!literalinclude|raw|math)", token.info):
            yield from tokens(token.content)


def accidental_lists(text):
    """First lines of numbered lists that nobody meant: one item alone, or not from 1."""
    opened, found = [], []
    for token in tokens(text):
        if token.type == "ordered_list_open":
            opened.append([0, token.attrGet("start"), token.map])
        elif token.type == "list_item_open" and token.info:
            opened[-1][0] += 1
        elif token.type == "ordered_list_close":
            n_items, start, lines = opened.pop()
            if n_items < 2 or start not in (None, 1):
                found.append(
                    f"line {lines[0] + 1} of its block: {n_items} item(s) from {start or 1}"
                )
    return found


def doubled_backslashes(text):
    """Inline mathematics in which a command has a backslash too many and prints as its name."""
    inline = (child for token in tokens(text) for child in token.children or [])
    return [
        child.content
        for child in inline
        if child.type == "math_inline" and re.search(r"\\\\[a-z]", child.content)
    ]


def doubled_parentheses(text):
    """References to equations inside parentheses; the reference brings its own."""
    return re.findall(r"\(\{eq\}`[^`]*`\)", text)


@each_page
@pytest.mark.parametrize(
    "lint", [accidental_lists, doubled_backslashes, doubled_parentheses], ids=lambda f: f.__name__
)
def test_prose_reads_as_it_was_meant(path, lint):
    assert [found for text in prose(path) for found in lint(text)] == []


@pytest.mark.parametrize(
    ("lint", "text", "n_found"),
    [
        (accidental_lists, "their variance was below\n1. Here is ours.", 1),
        (accidental_lists, "* - `batch_size`\n  - 500. All counts are multiples.", 1),
        (accidental_lists, "```{list-table}\n* - a\n  - 500. All.\n```", 1),
        (accidental_lists, "1. one\n2. two\n\n   1. a\n   2. b", 0),
        (doubled_backslashes, r"one fresh $\\epsilon$ for each", 1),
        (doubled_backslashes, r"one fresh $\epsilon$ for each", 0),
        (doubled_parentheses, "the bound ({eq}`eq-elbo`) is", 1),
        (doubled_parentheses, "the bound {eq}`eq-elbo` is", 0),
    ],
)
def test_the_lints_find_what_they_are_for(lint, text, n_found):
    assert len(lint(text)) == n_found


def should_show(source):
    """Whether a cell prints, or ends with a value: not where it only sets something."""
    last = ast.parse(source).body[-1]
    called = getattr(getattr(last, "value", None), "func", None)
    sets = {"clear_output", "set_num_threads"} & {getattr(called, k, "") for k in ("id", "attr")}
    return "print(" in source or (isinstance(last, ast.Expr) and not sets)


@each_notebook
def test_a_cell_that_should_show_something_does(path):
    """A loop over runs that finds none prints nothing, and nobody misses it."""
    silent = [
        cell.source
        for cell in code_cells(path)
        if not {"remove-cell", "parameters"} & set(tags(cell))
        and not cell.outputs
        and should_show(cell.source)
        and "no run is stored" not in cell.source  # a warning
    ]
    assert silent == []


@each_notebook
def test_results_are_printed_as_sentences(path):
    """No bare truth values and no shouting: what a cell found is said in words or in a table."""
    printed = [
        output.get("text", "")
        for cell in code_cells(path)
        for output in cell.outputs
        if output.output_type == "stream"
    ]
    assert re.findall(r"\b(?:True|False|NOT)\b", "\n".join(printed)) == []


@pytest.mark.parametrize("name", ["VAE_CORE_DATA", "VAE_CORE_REFERENCE", "VAE_CORE_CACHE"])
def test_another_store_is_another_book(name, monkeypatch, tmp_path):
    from vae_book.build.fingerprint import fingerprint

    monkeypatch.setenv(name, "here")
    here = fingerprint([], tmp_path)
    monkeypatch.setenv(name, "elsewhere")
    assert fingerprint([], tmp_path) != here


def test_a_run_or_a_data_file_more_is_another_book(monkeypatch, tmp_path):
    from vae_book.build.fingerprint import fingerprint

    monkeypatch.setenv("VAE_CORE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VAE_CORE_CACHE", str(tmp_path / "cache"))
    seen = [fingerprint([], tmp_path)]
    for file in ("cache/runs/mnist-aevb-z2-s0-00000000/run.json", "data/frey_rawface.mat"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("{}")
        seen.append(fingerprint([], tmp_path))
    assert len({*seen, fingerprint([], tmp_path)}) == 3


def test_all_that_notebooks_read_beside_their_code_executes_them_again():
    read = set()
    for path in NOTEBOOKS:
        code = "\n".join(cell.source for cell in code_cells(path))
        folders = r"\b(studies|params|assets|paper|reference|results)(?:[/\"]|\.load)"
        read |= set(re.findall(folders, code))
    covered = {Path(name).name for name in INPUTS}
    assert {"studies", "params"} <= read <= covered
