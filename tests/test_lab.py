"""The bound laboratory: its numbers against quadrature and autograd, and its use in a browser.

Without Chromium these tests are skipped, or fail where VAE_CORE_REQUIRE_BROWSER is set.
"""

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import assert_accessible, opened
from scipy.integrate import quad

from vae_core.estimators import kl_to_standard_normal, reparameterize
from vae_core.model import gaussian_log_prob, standard_normal_log_prob

BOOK = Path(__file__).resolve().parents[1] / "book"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Laboratory</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="lab.css">
<body style="margin:1rem"><main><h1>Laboratory</h1><div class="bound-lab"></div></main>
<script src="lab_core.js"></script><script src="lab.js"></script></body></html>"""
NOISE_SD = 0.5
SETTINGS = [(0.5, -0.5, 0.8), (-0.5, 0.0, 1.0), (1.0, -2.0, 0.2), (3.0, 3.5, 2.0), (2.0, 1.1, 0.1)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with a page that holds nothing but the laboratory."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("lab_core.js", "lab.js", "lab.css"):
        shutil.copy(BOOK / "assets" / name, folder)
    (folder / "index.html").write_text(PAGE)
    return folder


@pytest.fixture
def tab(browser, site):
    """The laboratory opened from disk; an error in it, or a request, fails the test."""
    with opened(browser, site / "index.html") as tab:
        yield tab


@pytest.fixture(scope="module")
def engine(browser):
    """A blank page with the functions and no instrument."""
    tab = browser.new_page()
    tab.add_script_tag(path=BOOK / "assets/lab_core.js")
    yield tab
    tab.close()


def state(tab):
    return tab.evaluate("(({x, mean, sd, terms}) => ({x, mean, sd, terms}))"
                        "(document.querySelector('.bound-lab').boundLab)")  # fmt: skip


# ---- the numbers ----


def log_likelihood(x, z):
    """log N(x; z + z^2 / 2, NOISE_SD^2), (...)."""
    log_var = torch.tensor(2 * math.log(NOISE_SD), dtype=torch.float64)
    x = torch.tensor([x], dtype=torch.float64)
    return gaussian_log_prob(x, (z + z * z / 2)[..., None], log_var)


def log_joint(x, z):
    return standard_normal_log_prob(z[..., None]) + log_likelihood(x, z)


@pytest.mark.parametrize("x", [-0.5, 0.5, 1.0, 3.0])
def test_the_evidence_is_that_of_adaptive_quadrature(engine, x):
    def density(z):
        return log_joint(x, torch.tensor(z, dtype=torch.float64)).exp().item()

    modes = [-1 - math.sqrt(1 + 2 * max(x, 0)), -1, -1 + math.sqrt(1 + 2 * max(x, 0))]
    expected, _ = quad(density, -9, 7, points=modes, limit=200, epsabs=1e-13)
    assert engine.evaluate("x => vaePlay.lab.evidence(x)", x) == pytest.approx(
        math.log(expected), abs=1e-8
    )


@pytest.mark.parametrize("x,mean,sd", SETTINGS)
def test_the_bars_add_up(engine, x, mean, sd):
    """Each is an integral of its own; the expected square has a closed form in q's moments."""
    terms = engine.evaluate("([x, mean, sd]) => vaePlay.lab.terms(x, mean, sd)", [x, mean, sd])
    assert terms["bound"] == pytest.approx(terms["evidence"] - terms["gap"], abs=1e-8)
    assert terms["bound"] == pytest.approx(terms["reconstruction"] - terms["kl"], abs=1e-8)
    assert terms["gap"] >= 0 and terms["kl"] >= 0
    moments = torch.tensor([mean, 2 * math.log(sd)], dtype=torch.float64)
    kl = kl_to_standard_normal(moments[:1], moments[1:])
    assert terms["kl"] == pytest.approx(kl.item(), abs=1e-8)
    error, slope = x - mean - (mean**2 + sd**2) / 2, 1 + mean
    square = error**2 + slope**2 * sd**2 + sd**4 / 2  # E (x - g(z))^2 under q
    expected = -0.5 * (math.log(2 * math.pi * NOISE_SD**2) + square / NOISE_SD**2)
    assert terms["reconstruction"] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("rest", [0.0, -25.0])
@pytest.mark.parametrize("x,mean,sd", SETTINGS)
def test_both_estimates_of_the_gradient_are_those_of_autograd(engine, x, mean, sd, rest):
    epsilon = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    js = "([x, mean, sd, noise, rest]) => vaePlay.lab.estimate(x, mean, sd, noise, rest)"
    estimate = engine.evaluate(js, [x, mean, sd, epsilon.tolist(), rest])
    values = torch.tensor([mean, math.log(sd)], dtype=torch.float64, requires_grad=True)
    m, log_var = values[:1], 2 * values[1:]
    z = reparameterize(m, log_var, epsilon)
    bound = log_likelihood(x, z).mean() - kl_to_standard_normal(m, log_var)
    path = torch.autograd.grad(bound, values, retain_graph=True)[0]
    assert estimate["path"] == pytest.approx(path.tolist(), rel=1e-9, abs=1e-9)
    z = z.detach()
    log_q = gaussian_log_prob(z[:, None], m, log_var)
    f = (log_joint(x, z) + rest - log_q).detach()
    score = torch.autograd.grad((f * log_q).mean(), values)[0]
    assert estimate["score"] == pytest.approx(score.tolist(), rel=1e-9, abs=1e-9)


def test_the_exact_gradient_is_the_slope_of_the_bound(engine):
    js = """([x, mean, sd]) => {
      const h = 1e-4, at = (m, s) => vaePlay.lab.terms(x, m, s).bound;
      return [vaePlay.lab.gradient(x, mean, sd), [
        (at(mean + h, sd) - at(mean - h, sd)) / (2 * h),
        (at(mean, sd * Math.exp(h)) - at(mean, sd * Math.exp(-h))) / (2 * h)]] }"""
    exact, difference = engine.evaluate(js, [0.5, -0.5, 0.8])
    assert exact == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize("x,mean,sd", SETTINGS)
def test_the_scatter_is_that_of_the_estimates(engine, x, mean, sd):
    """The estimates are polynomials in the noise: Gauss and Hermite's rule averages exactly."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    js = "([x, mean, sd, n]) => n.map((e) => vaePlay.lab.estimate(x, mean, sd, [e], -25))"
    estimates = engine.evaluate(js, [x, mean, sd, nodes.tolist()])
    shown = engine.evaluate("s => vaePlay.lab.scatter(...s, 4, -25)", [x, mean, sd])
    for name in ("path", "score"):
        values = np.array([estimate[name] for estimate in estimates])  # (nodes, 2)
        average = weights @ values / weights.sum()
        variance = weights @ (values - average) ** 2 / weights.sum()
        assert shown[name] == pytest.approx(np.sqrt(variance / 4).tolist(), rel=1e-6)


# ---- the instrument ----


def test_what_is_shown_adds_up_to_the_last_digit(tab):
    for value in ("-1.55", "0.35", "2.8"):
        tab.evaluate(
            """value => { const slider = document.querySelector('[name=mean]');
            slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})) }""",
            value,
        )
        words = tab.get_attribute(".bl-bars", "aria-label").replace("−", "-")
        bound, evidence, gap, reconstruction, kl = map(float, re.findall(r"-?\d+\.\d\d", words))
        assert bound == pytest.approx(evidence - gap, abs=1e-9)
        assert bound == pytest.approx(reconstruction - kl, abs=1e-9)


def test_the_pictures_of_the_bars_end_at_the_same_place(tab):
    rectangles = tab.evaluate(
        """() => [...document.querySelectorAll('.bl-bars rect')].map((r) =>
        ['x', 'width'].map((name) => +r.getAttribute(name)))"""
    )
    (bound, _), (evidence, _), (gap, wide), (reconstruction, _), (kl, broad) = rectangles
    assert gap == kl == bound
    assert gap + wide == pytest.approx(evidence) and kl + broad == pytest.approx(reconstruction)


def test_q_is_dragged_by_its_top_and_by_its_flank(tab):
    box = tab.locator(".bl-plane").bounding_box()

    def at(z):
        return box["x"] + box["width"] * (z / 4.5 + 1) / 2

    for start, end in [(-0.5, 1.0), (1.8, 1.4)]:
        tab.mouse.move(at(start), box["y"] + 80)
        tab.mouse.down()
        tab.mouse.move(at(end), box["y"] + 80, steps=3)
        tab.mouse.up()
    assert state(tab)["mean"] == pytest.approx(1.0, abs=0.03)
    assert state(tab)["sd"] == pytest.approx(0.4, abs=0.03)


def test_q_is_moved_by_keyboard_and_told_in_words(tab):
    tab.focus("[name=mean]")
    tab.keyboard.press("ArrowRight")
    assert state(tab)["mean"] == pytest.approx(-0.45)
    assert tab.inner_text("[name=meanText]") == "−0.45"
    tab.wait_for_function("document.querySelector('.bl-text').textContent.startsWith('Bound')")


def test_climbing_closes_the_gap_as_far_as_a_gaussian_can(tab):
    before = state(tab)["terms"]
    tab.click("[name=climb]")
    after = state(tab)
    assert after["terms"]["evidence"] == before["evidence"]
    assert 0.01 < after["terms"]["gap"] < before["gap"]
    gradient = tab.evaluate(
        "([x, mean, sd]) => vaePlay.lab.gradient(x, mean, sd)",
        [after["x"], after["mean"], after["sd"]],
    )
    assert gradient == pytest.approx([0, 0], abs=1e-3)


def test_without_javascript_the_chapter_tells_the_opening_state(tab):
    chapter = (BOOK / "method/bound.md").read_text()
    told = re.search(r"<noscript>(.*?)</noscript>", chapter, re.S)[1]
    shown = tab.get_attribute(".bl-bars", "aria-label")
    assert set(re.findall(r"\d\.\d\d", told)) == set(re.findall(r"\d\.\d\d", shown))


def test_it_fits_a_telephone_and_is_accessible(tab):
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    assert_accessible(tab)
