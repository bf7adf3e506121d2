"""The latent explorer: what is exported, and how it behaves in a browser.

Without Chromium the browser tests are skipped, or fail where VAE_CORE_REQUIRE_BROWSER is set.
"""

import shutil

import pytest
import torch

from vae_book import explorer
from vae_core.data import load_dataset
from vae_core.runs import Run, store_run
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import COLUMNS, build_model

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Explorer</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="explorer.css">
<body style="margin:1rem"><div class="latent-explorer" data-model="digits"></div>
<script src="explorer_digits.js"></script><script src="explorer.js"></script></body></html>"""


def stored_digits_run(folder, likelihood="bernoulli", latent_dim=2):
    config = RunConfig(dataset="digits", latent_dim=latent_dim, n_samples=100, init_sd=0.3)
    model = build_model(config, torch.Generator().manual_seed(3))
    path = folder / config.key
    store_run(path, config, [dict.fromkeys(COLUMNS, 100)], model, {})
    return Run.load(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return stored_digits_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def site(run, tmp_path_factory):
    """A folder with a page that holds nothing but the explorer of `run`."""
    folder = tmp_path_factory.mktemp("site")
    explorer.export(run, folder / "explorer_digits.js")
    for name in ("explorer.js", "explorer.css"):
        shutil.copy(explorer.ASSETS / name, folder)
    (folder / "index.html").write_text(PAGE)
    return folder


def test_the_export_holds_the_encoded_test_set_and_real_test_images(run, site):
    content = explorer.read(site / "explorer_digits.js")
    digits = load_dataset("digits")
    latents = run.model().encoder_params(digits.test)[0]
    assert content["key"] == run.key
    torch.testing.assert_close(content["latents"], latents, atol=5e-3, rtol=1e-3)
    assert torch.equal(content["labels"], digits.test_labels)
    assert torch.equal(content["examples"], digits.test_bytes[content["exampleRows"]])


def test_examples_are_the_first_image_of_each_class_then_the_second():
    digits = load_dataset("digits")
    rows = explorer.example_rows(digits)
    assert digits.test_labels[rows].tolist() == [*range(10), *range(10)]
    assert rows[10] > rows[0]


def test_only_a_model_with_two_latents_is_exported(tmp_path):
    with pytest.raises(ValueError, match="latent_dim=3: the explorer needs 2"):
        explorer.export(stored_digits_run(tmp_path, latent_dim=3), tmp_path / "x.js")


def test_without_the_data_set_the_figures_use_the_export(run, site, monkeypatch):
    monkeypatch.setattr(explorer, "is_at_hand", lambda dataset: False)
    monkeypatch.setattr(explorer, "asset_path", lambda dataset: site / "explorer_digits.js")
    monkeypatch.setattr(explorer, "load_dataset", None)  # must not be asked for
    latents, labels = explorer.encoded_test(run)
    assert len(latents) == len(labels) == 297
    assert explorer.example_images("digits").shape == (20, 64)


def test_a_gaussian_head_is_exported_as_its_means_alone():
    config = RunConfig(dataset="freyface", latent_dim=2, n_samples=500, hidden=(5,))
    weight, bias = explorer._mean_layers(build_model(config))[-1]
    assert weight.shape == (560, 5) and bias.shape == (560,)


@pytest.fixture
def tab(browser, site):
    """The page opened from disk, on a phone; an error in it fails the test."""
    tab = browser.new_page(viewport={"width": 375, "height": 700}, has_touch=True)
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda r: r.url.startswith("file:") or errors.append(r.url))
    tab.goto((site / "index.html").as_uri())
    tab.wait_for_selector(".le-picture")
    yield tab
    tab.close()
    assert errors == []


def at(tab):
    """The point where the explorer is, once it has drawn it."""
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return tab.evaluate("document.querySelector('.latent-explorer').explorer.z")


def reach(tab):
    return tab.evaluate("document.querySelector('.latent-explorer').explorer.reach")


def picture(tab):
    """The grey levels that are drawn, 0 to 255."""
    return tab.evaluate(
        """() => { const c = document.querySelector('.le-picture');
        const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return [...data].filter((_, i) => i % 4 === 0) }"""
    )


def decoded(tab, z):
    """Pixel means of the decoder in the browser."""
    js = "z => [...document.querySelector('.latent-explorer').explorer.decoder.decode(z)]"
    return torch.tensor(tab.evaluate(js, z))


def test_the_browser_decodes_what_pytorch_decodes(tab, run):
    points = torch.tensor([[0.0, 0.0], [1.5, -0.7], [-3.0, 3.0], [0.01, 2.2]])
    expected = run.model().decode(points).mean
    browser = torch.stack([decoded(tab, z) for z in points.tolist()])
    torch.testing.assert_close(browser, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("dataset", ["mnist", "freyface"])
def test_the_committed_explorers_decode_what_their_runs_decode(browser, tmp_path, dataset):
    asset = explorer.asset_path(dataset)
    if not asset.exists():
        pytest.skip(f"no {asset.name}: `vae-core explorer` writes it")
    from vae_core.runs import reference_dir

    stored = Run.load(reference_dir() / explorer.read(asset)["key"])
    (tmp_path / "index.html").write_text(
        PAGE.replace("digits", dataset).replace('src="', f'src="{explorer.ASSETS.as_uri()}/')
    )
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    points = 3 * torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    expected = stored.model().decode(points).mean
    browser_means = torch.stack([decoded(tab, z) for z in points.tolist()])
    torch.testing.assert_close(browser_means, expected, atol=1e-3, rtol=0)
    milliseconds = tab.evaluate(
        """() => { const e = document.querySelector('.latent-explorer').explorer, t = [];
        for (let i = 0; i < 41; i++) { const s = performance.now(); e.draw();
        t.push(performance.now() - s) } return t.sort((a, b) => a - b)[20] }"""
    )
    tab.close()
    assert milliseconds < 16


def test_a_mouse_moves_the_point_and_redraws_the_picture(tab):
    before = picture(tab)
    box = tab.locator(".le-plane").bounding_box()
    tab.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    assert at(tab) == pytest.approx([reach(tab) / 2, reach(tab) / 2], abs=0.05)
    assert picture(tab) != before


def test_a_finger_moves_the_point(tab):
    box = tab.locator(".le-plane").bounding_box()
    tab.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
    assert at(tab) == pytest.approx([-reach(tab) / 2, -reach(tab) / 2], abs=0.05)


def test_the_keyboard_moves_the_point_and_stops_at_the_edge(tab):
    tab.locator(".le-plane").focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Shift+ArrowUp")
    assert at(tab) == pytest.approx([0.1, 1.0])
    for _ in range(20):
        tab.keyboard.press("Shift+ArrowUp")
    assert at(tab) == pytest.approx([0.1, reach(tab)])
    tab.keyboard.press("Home")
    assert at(tab) == [0, 0]


def test_a_test_image_moves_the_point_to_its_code(tab, site):
    tab.locator(".le-examples button").nth(3).click()
    content = explorer.read(site / "explorer_digits.js")
    code = content["latents"][content["exampleRows"][3]].tolist()
    assert at(tab) == pytest.approx(code, abs=1e-3)


def test_the_picture_is_told_in_words(tab):
    tab.locator(".le-plane").focus()
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_function("document.querySelector('.le-text').textContent.includes('−0.10')")
    assert "of the 15 nearest test images" in tab.locator(".le-text").inner_text()
    assert tab.locator(".le-plane").get_attribute("aria-label").startswith("Latent plane")


def test_nothing_overflows_on_a_phone_and_focus_is_visible(tab):
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "le-plane"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
