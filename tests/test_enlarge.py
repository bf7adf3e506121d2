"""A picture of pixels fills the window when it is pressed, and goes away again.

Without Chromium the test is skipped, or fails where VAE_CORE_REQUIRE_BROWSER is set.
"""

import shutil

import numpy as np
from pages import assert_accessible

from vae_book.explorer import ASSETS
from vae_book.plots import Figure, png_panel

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Pixels</title>
<link rel="stylesheet" href="book.css"><script src="book.js"></script>
<body><main><h1>Pixels</h1>{}</main></body></html>"""
LARGE = "dialog.vc-large img"


def test_a_picture_of_pixels_fills_the_window_when_it_is_pressed(browser, tmp_path):
    for name in ("book.css", "book.js"):
        shutil.copy(ASSETS / name, tmp_path)
    figure = Figure([png_panel("", np.eye(28), "A line", zoom=2)], 4)
    (tmp_path / "index.html").write_text(PAGE.format(figure._repr_html_()))
    tab = browser.new_page(viewport={"width": 900, "height": 600})
    tab.set_default_timeout(120_000)  # a busy machine is not an error of the page
    tab.goto((tmp_path / "index.html").as_uri())
    small = tab.locator(".vc-pixels").bounding_box()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    large = tab.locator(LARGE).bounding_box()
    assert large["height"] > 0.9 * 600 and large["width"] > 3 * small["width"]
    assert large["x"] >= 0 and large["x"] + large["width"] <= 900
    assert_accessible(tab)
    theme = "addEventListener('keydown', (e) => e.key === 'Escape' && e.preventDefault())"
    tab.evaluate(f"document.{theme}")  # as the search of the built pages does
    tab.keyboard.press("Escape")
    tab.wait_for_selector(LARGE, state="detached")
    assert tab.evaluate("document.activeElement.className") == "vc-enlarge"
    tab.click(".vc-enlarge")
    tab.mouse.click(10, 300)
    tab.wait_for_selector(LARGE, state="detached")
    tab.close()
