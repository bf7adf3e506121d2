"""Figures 2 and 3 live: their numbers against the store and the tables, and their use in a browser.

Without Chromium these tests are skipped, or fail where VAE_CORE_REQUIRE_BROWSER is set.
"""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from pages import assert_accessible, opened

import vae_core as vc
from vae_book import plots, readings
from vae_book.plots import curves, live, marginal, paper
from vae_book.verdicts import figure2
from vae_book.verdicts.card import bound_card, card
from vae_core import RunConfig
from vae_core.runs import Run
from vae_core.runs.interpolate import interpolate_log

BOOK = Path(__file__).resolve().parents[1] / "book"
FIGURES = ["fig2_lower_bound", "fig3_marginal_likelihood"]
ASSETS = ["curves_core.js", "curves.js", "curves.css"]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Figure</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="curves.css">
<body style="margin:1rem"><main><h1>Figure</h1>{figure}</main>
<script src="curves_core.js"></script><script src="curves.js"></script></body></html>"""


def committed(name):
    """The HTML of a figure as its notebook holds it."""
    node = nbformat.read(BOOK / f"figures/{name}.ipynb", as_version=4)
    for cell in node.cells:
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            if "application/json" in html:
                return html
    raise LookupError(f"{name} holds no live figure")


def data_of(html):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with a page for each figure and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    for name in ASSETS:
        shutil.copy(BOOK / "assets" / name, folder)
    for name in FIGURES:
        (folder / f"{name}.html").write_text(PAGE.format(figure=committed(name)))
    return folder


@pytest.fixture(params=FIGURES)
def tab(request, browser, site):
    """A figure opened from disk on a phone; an error in it, or a request, fails the test."""
    with opened(browser, site / f"{request.param}.html", ".vl-on", has_touch=True) as tab:
        yield tab


@pytest.fixture
def figure_2(browser, site):
    with opened(browser, site / f"{FIGURES[0]}.html", ".vl-on", has_touch=True) as tab:
        yield tab


def lines(tab, panel=0):
    return tab.locator(".vl-panel").nth(panel).locator("polyline").count()


def set_box(tab, name, value, checked):
    box = tab.locator(f"input[name={name}][value='{value}']")
    box.evaluate("box => box.scrollIntoView({ block: 'start' })")  # not under the table
    box.set_checked(checked)


def reading(tab):
    """The table under the panels: {name: [paper, ours, difference]} as text."""
    rows = tab.locator(".vl-reading tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in rows}


# ---- the numbers ----


@pytest.mark.parametrize("name", FIGURES)
def test_every_curve_of_ours_is_a_stored_run(name):
    columns = {
        FIGURES[0]: {"train": "train_bound_minibatch", "test": "test_bound"},
        FIGURES[1]: {"train": "train_log_marginal", "test": "test_log_marginal"},
    }[name]
    stored = {}
    for run in vc.all_runs():
        for split, column in columns.items():
            values = np.asarray(run.curve.get(column, []), float)
            keep = np.isfinite(values)
            samples = np.asarray(run.curve["samples"])[keep] if len(values) else []
            config = run.config
            key = config.algorithm, split, config.seed, tuple(int(x) for x in samples)
            stored.setdefault(key, []).append(values[keep])
    panels = data_of(committed(name))["panels"]
    ours = [c for panel in panels for c in panel["curves"] if not c.get("paper")]
    assert len(ours) >= 12
    for curve in ours:
        key = curve["algorithm"], curve["split"], curve["seed"], tuple(curve["samples"])
        assert any(np.abs(v - curve["values"]).max() <= 6e-4 for v in stored[key])


def test_every_truth_is_the_quadrature_of_a_stored_model():
    metric = "log_marginal/{}/quadrature/1000/tolerance=0.002"
    stored = set()
    for run in vc.all_runs():
        for split in ("train", "test"):
            who = run.config.algorithm, split
            if metric.format(split) in run.metrics:
                end, value = run.curve["samples"][-1], run.metrics[metric.format(split)]["mean"]
                stored.add((*who, int(end), round(value, 3)))
            if run.config.log_marginal == "quadrature":
                column = run.curve[f"{split}_log_marginal"]
                rows = zip(run.curve["samples"], column, strict=True)
                stored |= {(*who, int(samples), round(value, 3)) for samples, value in rows}
    truths = [t for panel in data_of(committed(FIGURES[1]))["panels"] for t in panel["truths"]]
    assert len(truths) >= 4
    drawn = {(t["algorithm"], t["split"], t["samples"], t["value"]) for t in truths}
    assert drawn <= stored
    assert not any(panel["truths"] for panel in data_of(committed(FIGURES[0]))["panels"])


def test_the_truth_along_a_curve_is_of_the_same_run_evaluated_by_quadrature():
    fields = dict(dataset="digits", latent_dim=2, hidden=(3,), n_samples=400, n_train=100)
    samples, values = np.array([100.0, 400.0]), np.array([-40.0, -30.0])

    def made(**changed):
        columns = {f"{split}_log_marginal": values - i for i, split in enumerate(("train", "test"))}
        return Run(Path(), RunConfig(**(fields | changed)), {"samples": samples} | columns)

    run = made(log_marginal="hmc_density")
    twin = made(log_marginal="quadrature", evals_per_decade=1)
    others = [
        run,
        made(log_marginal="quadrature", step_size=0.3),
        made(log_marginal="quadrature", seed=1),
        made(log_marginal="quadrature", matmul_precision="medium"),
        made(log_marginal="importance_sampling"),
    ]
    expected = [("train", 100, -40), ("train", 400, -30), ("test", 100, -41), ("test", 400, -31)]
    assert curves.truths_along(run, [*others, twin]) == expected
    assert curves.truths_along(run, others) == []
    shown = marginal.along_table([run], [twin]).rows
    assert [row[-3:] for row in shown] == [["train", "0.00", "0.00"], ["test", "0.00", "0.00"]]


@pytest.mark.parametrize("name", FIGURES)
def test_every_curve_of_the_papers_is_that_of_its_drawing(name):
    for panel in data_of(committed(name))["panels"]:
        for curve in (c for c in panel["curves"] if c.get("paper")):
            who = curve["algorithm"], curve["split"]
            size = int(panel["size"].replace(",", ""))
            drawn = paper.fig3_curve(size, *who)
            if name == FIGURES[0]:
                dataset = {"MNIST": "mnist", "Frey Face": "freyface"}[panel["row"]]
                drawn = paper.fig2_curve(dataset, size, *who)
            np.testing.assert_allclose(curve["samples"], drawn.samples, atol=0.5)
            np.testing.assert_allclose(curve["values"], drawn.bound, atol=6e-4)


def test_the_browser_interpolates_as_the_package_does(browser):
    tab = browser.new_page()
    tab.add_script_tag(path=BOOK / "assets/curves_core.js")
    drawn = paper.fig3_curve(50_000, "mcem", "test")  # with a gap
    at = [0, 5e5, 7.5e5, 7.6e5, 5e6, 29.25e6, 3e7, *drawn.samples[-3:], 1e9]
    curve = {"samples": drawn.samples.tolist(), "values": drawn.bound.tolist()}
    js = "([c, at, gap]) => at.map((x) => vaePlay.curves.valueAt(c, x, gap) ?? null)"
    shown = tab.evaluate(js, [curve, at[1:], list(map(float, paper.MAX_GAP))])
    tab.close()
    expected = interpolate_log(drawn.samples, drawn.bound, at[1:], max_gap=paper.MAX_GAP)
    np.testing.assert_allclose(np.array(shown, float), expected, atol=1e-9)


def test_a_run_too_short_for_the_print_has_axes_of_its_own(browser):
    config = readings.config_of("mnist", "aevb", 10, settings={"n_samples": 20_000})
    samples = np.array([10_000.0, 20_000.0])
    columns = dict.fromkeys(("test_bound", "train_bound_minibatch"), np.array([-200.0, -180.0]))
    run = Run(Path(config.key), config, {"samples": samples} | columns)
    (panel,) = json.loads(live.live_lower_bound([run], []).data)["panels"]
    assert panel["axes"] is None and any(curve.get("paper") for curve in panel["curves"])
    tab = browser.new_page()
    tab.add_script_tag(path=BOOK / "assets/curves_core.js")
    (x, y) = tab.evaluate("(p) => Object.values(vaePlay.curves.limits(p, true, false))", panel)
    told = tab.evaluate("() => vaePlay.curves.ticks([-24.45, -23.62], 5).map(String)")
    tab.close()
    assert x[0] < samples[0] < x[1] == samples[1] and y[0] < -200 < -180 < y[1]
    assert told == ["-24.4", "-24.2", "-24", "-23.8"]


def test_the_table_under_the_panels_reads_what_the_comparison_says(figure_2):
    """Every panel of Figure 2 after a million samples, on test."""
    read = """at => document.querySelector('.vc-figure').liveFigure.panels.map((panel) =>
      vaePlay.curves.read(panel.curves.filter((c) => !c.step), at, [Math.log(8), 5])
        .filter((r) => r.split === 'test').map((r) => [panel.title.replace(/<.*?>/g, ''),
          r.algorithm, r.paper, r.ours, r.spread, r.all.length]))"""
    titles = {"MNIST": "mnist", "Frey Face": "freyface"}
    shown = {}
    for title, algorithm, *values in sum(figure_2.evaluate(read, 1e6), []):
        dataset, size = title.split(", Nz = ")
        shown[titles[dataset], int(size), algorithm] = values
    runs = [
        run
        for dataset in titles.values()
        for size in plots.paper_latent_dims(dataset)
        for algorithm in ("aevb", "wake_sleep")
        for run in readings.runs_of(dataset, algorithm, size)
    ]
    compared = plots.compare(runs, at=[1e6])
    assert len(compared) == len(shown) == 18
    for c in compared:
        expected = [c.paper, c.ours, c.spread, c.n_seeds]
        assert shown[c.dataset, c.latent_dim, c.algorithm] == pytest.approx(expected, abs=1e-3)


def test_other_steps_are_the_longest_of_each_choice_that_the_figure_did_not_make():
    runs = readings.runs_of("mnist", "aevb", 20)
    others = live.other_steps(runs, vc.all_runs())
    choices = [(r.config.step_size, r.config.adagrad_warmup, r.config.prior_sd) for r in others]
    assert len(set(choices)) == len(choices) >= 3
    own = runs[0].config
    assert (own.step_size, own.adagrad_warmup, own.prior_sd) not in choices
    assert {(r.config.dataset, r.config.latent_dim) for r in others} == {("mnist", 20)}
    assert live.other_steps([], vc.all_runs()) == []


# ---- the cards ----


def test_a_card_holds_what_the_verdicts_say():
    rows = [row for row in figure2.judge_curves(figure2.figure2_runs(vc.all_runs())) if row.passed]
    shown = card(rows, "Test bound")
    for row, cells in zip(rows, shown.rows, strict=True):
        assert cells[:3] == [
            row.short.replace(" ", "\xa0"),
            row.paper.removesuffix(" nats"),
            row.ours.removesuffix(" nats"),
        ]
        assert f"{sum(row.passed)} of {len(row.passed)}" in cells[-1]
        assert cells[-1].endswith(row.limit) and row.limit in row.claim
    assert {"MNIST, AEVB", "MNIST, AEVB at 10⁸"} <= {row.short for row in rows}
    (absent,) = card([replace(rows[0], missing=2)], "Test bound").rows
    assert " (2 not run) within 1.5 nats" in absent[-1]
    assert card([replace(rows[0], limit="")], "Test bound") is None
    assert card([], "Test bound") is None and bound_card([]) is None


def test_the_card_of_a_figures_models_compares_where_their_runs_end():
    (run,) = [r for r in readings.runs_of("mnist", "aevb", 10) if r.config.seed == 0]
    end = float(run.curve["samples"][-1])
    (found,) = plots.compare([run], at=[end])
    ((_, theirs, ours, off, _),) = bound_card([run]).rows
    values = [float(text.replace("−", "-")) for text in (theirs, ours, off)]
    assert values == pytest.approx([found.paper, found.ours, found.difference], abs=0.05)


# ---- the figure in use ----


def test_pointing_reads_the_curves_there(tab):
    svg = tab.locator(".vl-panel svg").nth(1)
    svg.evaluate("svg => svg.scrollIntoView({ block: 'start' })")
    box = svg.bounding_box()
    tab.touchscreen.tap(box["x"] + box["width"] * 0.6, box["y"] + 40)
    title = tab.locator(".vl-panel .vc-title").nth(1).inner_text()
    caption = tab.inner_text(".vl-reading caption")
    assert caption.startswith(title) and "million samples" in caption
    for values in reading(tab).values():
        theirs, ours, off = (float(re.split(r"\s±", v)[0].replace("−", "-")) for v in values)
        assert off == pytest.approx(ours - theirs, abs=0.11)  # each is rounded to a tenth
    assert len(reading(tab)) >= 4


def test_the_cursor_moves_by_keyboard_and_tells_its_reading(tab):
    svg = tab.locator(".vl-panel svg").first
    svg.focus()
    before = int(svg.get_attribute("aria-valuenow"))
    tab.keyboard.press("PageDown")
    after = int(svg.get_attribute("aria-valuenow"))
    assert after < before
    tab.keyboard.press("End")
    assert svg.get_attribute("aria-valuenow") == svg.get_attribute("aria-valuemax")
    words = svg.get_attribute("aria-valuetext")
    assert "samples; AEVB (train): paper −" in words and "difference" in words


def test_boxes_draw_more_and_fewer_curves(tab):
    all_lines = lines(tab)
    set_box(tab, "algorithm", "wake_sleep", False)
    without = lines(tab)
    set_box(tab, "split", "train", False)
    assert 0 < lines(tab) == without / 2 < all_lines
    assert all("AEVB" in name or "Monte" in name for name in reading(tab))
    set_box(tab, "paper", "on", False)
    assert lines(tab) < without / 2


def test_sizes_seeds_and_steps_of_figure_2(figure_2):
    for size in ("2", "3", "5", "10", "200"):
        set_box(figure_2, "size", size, False)
    shown = [i for i in range(9) if figure_2.locator(".vl-panel").nth(i).is_visible()]
    titles = [figure_2.locator(".vc-title >> visible=true").nth(i).inner_text() for i in (0, 1)]
    assert len(shown) == 2 and all("= 20" in title for title in titles)
    panel = shown[0]
    before = lines(figure_2, panel)
    for step in ("0.01", "0.02", "0.1"):
        set_box(figure_2, "step", step, True)
    with_steps = lines(figure_2, panel)
    assert with_steps >= before + 6  # three choices at least, train and test
    assert not any("step" in name for name in reading(figure_2))  # none goes to the end
    figure_2.locator(".vl-panel svg").nth(panel).focus()
    for _ in range(4):  # to some four million samples
        figure_2.keyboard.press("PageDown")
    assert any("step 0.02 after 100" in name for name in reading(figure_2))
    set_box(figure_2, "seed", "1", False)
    assert lines(figure_2, panel) < with_steps


def test_the_papers_curve_goes_on_past_the_print(figure_2):
    face = figure_2.locator(".vl-panel").nth(6)
    maximum = "svg => +svg.getAttribute('aria-valuemax')"
    assert face.locator("svg").evaluate(maximum) == 1e8
    set_box(figure_2, "beyond", "on", True)
    assert face.locator("svg").evaluate(maximum) == 519_094_000  # its last vertex
    assert face.locator(".vl-beyond").count() == 1


def test_it_fits_a_telephone_and_is_accessible(tab):
    for width in (375, 1280):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(tab)


def test_print_and_pages_without_javascript_show_the_still_drawing(browser, site, tab):
    tab.emulate_media(media="print")
    assert not tab.is_visible(".vl-live") and tab.locator(".vc-panels svg").first.is_visible()
    context = browser.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(tab.url)
    assert still.locator(".vc-panels svg").first.is_visible()
    context.close()
