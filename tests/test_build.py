"""What the build does around Jupyter Book: order of execution, icons, weights, mended pages."""

import json
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup

from vae_book.build import check_site, draw_headline, execute, thin_icons, thin_paper_curves
from vae_book.plots import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book/_ext"))
import book_pages


def notebook(path, *tags):
    cells = [nbformat.v4.new_code_cell("1", metadata={"tags": list(tags)})]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_the_longest_notebook_begins_first_and_before_any_record_those_that_train(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(execute, "EXECUTED", tmp_path)
    monkeypatch.setattr(execute, "name_of", lambda path: path.stem)
    begun = []

    def run_one(notebook, *_):
        begun.append(notebook.stem)
        return {"notebook": notebook.stem}, ""

    monkeypatch.setattr(execute, "run_one", run_one)
    notebooks = [notebook(tmp_path / f"{name}.ipynb") for name in "ab"]
    notebooks.append(notebook(tmp_path / "c.ipynb", "nbval-ignore-output"))
    values = dict.fromkeys(notebooks, {})
    execute.run_batch(notebooks, values, "", tmp_path, 1, False)
    assert begun == ["c", "a", "b"]
    begun.clear()
    (tmp_path / "b.json").write_text(json.dumps({"seconds": 12.5}))
    records = execute.run_batch(notebooks, values, "", tmp_path, 1, False)
    assert begun == ["b", "c", "a"]
    assert [record["notebook"] for record in records] == ["a", "b", "c"]


def test_the_front_figure_is_that_of_the_stored_runs(tmp_path):
    draw_headline.draw(tmp_path / "headline.svg")
    drawn, committed = (p.read_text() for p in (tmp_path / "headline.svg", draw_headline.HEADLINE))
    is_as_committed = drawn == committed  # a line of 75 kB, whose differences nobody reads
    assert is_as_committed, "draw it again: python -m vae_book.build.draw_headline"


def test_a_thinned_curve_is_read_at_powers_of_ten_as_the_complete_one_is():
    x = np.append(1e-4, np.geomspace(0.02, 300, 999))
    y = np.sin(7 * np.log(x)) + 1e-3 * x
    y[777] = 5  # the highest
    in_axes = np.where((x > 0.05) & (x < 120), 1, 0)
    edges = [int(i) for i in np.flatnonzero(np.diff(in_axes))]
    kept = thin_paper_curves.thin(x, y, in_axes)
    assert kept == sorted(set(kept)) and 55 <= len(kept) <= 60 + 4 + 2 * 3 + 2 * 2
    assert {0, 777, 999, *edges, *(i + 1 for i in edges)} <= set(kept)
    at = [1, 10, 100]
    np.testing.assert_array_equal(np.interp(at, x[kept], y[kept]), np.interp(at, x, y))
    gaps = np.diff(np.log(x[kept][1:]))  # the vertex at 1e-4 is none of those that are spread
    assert gaps.max() < 1.5 * np.log(300 / 0.02) / 59


def test_rows_of_a_thinned_file_are_copied_as_they_stand():
    rows = [
        [curve, f"{10 ** (i / 200):.4f}", f"-{i}.50", "1"] for curve in "ab" for i in range(500)
    ]
    kept = thin_paper_curves.thin_rows(rows, 1)
    assert kept == [row for row in rows if row in kept]
    assert [row for row in kept if row[0] == "a"][-1] == rows[499]
    assert 100 < len(kept) < 160


ICONS = (
    'var p={"arrow-up":[384,512,[8593],"f062","M1"],bars:[448,512,["navicon"],"f0c9","M2"],'
    'moon:[384,512,[127769,9214],"f186",["M3","M4"]]};'
)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "_static/scripts").mkdir(parents=True)
    (tmp_path / thin_icons.SCRIPT).write_text(ICONS)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ('<i class="fas fa-arrow-up"></i>', '"arrow-up":[384,512,[8593],"f062","M1"],'),
        ('<i class="fas fa-navicon"></i>', 'bars:[448,512,["navicon"],"f0c9","M2"],'),
        ('<i class="fas fa-moon"></i>', 'moon:[384,512,[127769,9214],"f186",["M3","M4"]]'),
        ("<p>No icon, not even a sofa-moon</p>", ""),
    ],
)
def test_icons_that_a_site_shows_are_kept_under_each_of_their_names(site, page, kept):
    (site / "index.html").write_text(page)
    thin_icons.thin(site)
    assert (site / thin_icons.SCRIPT).read_text() == f"var p={{{kept}}};"


def test_an_icon_that_only_a_script_shows_is_kept(site):
    (site / "_static/theme.js").write_text('add("<i class=fa-bars></i>")')
    thin_icons.thin(site)
    assert "bars:[" in (site / thin_icons.SCRIPT).read_text()


def test_a_page_weighs_what_it_loads_once_and_without_the_explorers_weights(site):
    for name, size in [("a.js", 1000), ("b.css", 200), ("c.png", 30), ("explorer_x.js", 5000)]:
        (site / "_static" / name).write_bytes(b"x" * size)
    page = site / "page.html"
    page.write_text(
        """<link rel="preload" href="_static/a.js?digest=1"><script src="_static/a.js"></script>
        <script src="_static/explorer_x.js"></script><link rel="stylesheet" href="_static/b.css">
        <link rel="next" href="_static/scripts/fontawesome.js"><img src="_static/c.png">
        <img src="data:image/png;base64,AAAA"><a href="_static/a.js">a</a>"""
    )
    assert check_site.weight(page) == page.stat().st_size + 1230


def test_cells_of_tables_are_named_without_javascript():
    """Of results and of sentences, which a telephone shows as cards or paragraphs."""
    table = Table(["Data", "<i>N</i><sub>z</sub>"], [["MNIST &lt; all", "2"], ["Frey", "5"]], "x")
    head = "<thead><tr><th>Method</th><th><p>\\(q\\) used</p></th></tr></thead>"
    row = "<tbody><tr><td>EM</td><td>exact</td></tr></tbody>"
    other = "<table><tr><td>another</td></tr></table>"
    stacked = f'<table class="stacked table">{head}{row}</table>'
    context = {"body": table._repr_html_() + other + stacked}
    book_pages.name_cells(None, "page", None, context, None)
    first, second, third = BeautifulSoup(context["body"], "html.parser").select("table")
    cells = [(cell["data-head"], cell.get_text()) for cell in first.find_all("td")]
    assert cells == [("Data", "MNIST < all"), ("Nz", "2"), ("Data", "Frey"), ("Nz", "5")]
    assert not second.td.attrs
    assert [cell["data-head"] for cell in third.select("td")] == ["Method", "q used"]


@pytest.mark.parametrize(
    ("after", "bound"), [(". And", "."), ("), and", "),"), (" and", None), ("-th", None)]
)
def test_no_line_begins_with_the_full_stop_after_a_formula(after, bound):
    formula = '<span class="math notranslate nohighlight">\\(a &lt; b\\)</span>'
    context = {"body": f"<p>at {formula}{after}</p>"}
    book_pages.bound_punctuation(None, "page", None, context, None)
    found = BeautifulSoup(context["body"], "html.parser").select_one(".unbroken")
    assert (found and found.get_text()) == (bound and f"\\(a < b\\){bound}")
