"""The latent explorer: what is exported, and how it behaves in a browser.

Without Chromium the browser tests are skipped, or fail where VAE_CORE_REQUIRE_BROWSER is set.
"""

import base64
import itertools
import math
import shutil
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pages import assert_accessible, opened

import vae_core as vc
from vae_book import explorer
from vae_core.data import load_dataset
from vae_core.estimators import kl_to_standard_normal, reparameterize
from vae_core.marginal_likelihood.quadrature import quadrature
from vae_core.model import gaussian_log_prob
from vae_core.runs import Run, reference_dir, store_run
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import COLUMNS, build_model

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Explorer</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="explorer.css">
<body style="margin:1rem"><main><h1>Explorer</h1>
<div class="latent-explorer" data-model="{name}"></div></main>{scripts}</body></html>"""
PARTS = ["explorer_core", "explorer_worker", "explorer_views", "explorer_pad", "explorer"]
DATASETS = ["mnist", "freyface"]
N_COMPARED = 3  # images of each committed explorer whose numbers are compared


def page(name, *, with_encoder=True):
    models = [f"explorer_{name}", f"explorer_{name}_encoder"][: 1 + with_encoder]
    scripts = "".join(f'<script src="{script}.js"></script>' for script in [*models, *PARTS])
    return PAGE.format(name=name, scripts=scripts)


def stored_run(folder, dataset="digits", latent_dim=2):
    config = RunConfig(dataset=dataset, latent_dim=latent_dim, n_samples=100, init_sd=0.3)
    model = build_model(config, torch.Generator().manual_seed(3))
    path = folder / config.key
    store_run(path, config, [dict.fromkeys(COLUMNS, 100)], model, {})
    return Run.load(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return stored_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def site(run, tmp_path_factory):
    """A folder with a page that holds nothing but the explorer of `run`."""
    folder = tmp_path_factory.mktemp("site")
    explorer.export(run, folder / "explorer_digits.js")
    for name in [*(f"{part}.js" for part in PARTS), "explorer.css"]:
        shutil.copy(explorer.ASSETS / name, folder)
    for name in ("explorer_mnist.js", "explorer_mnist_encoder.js"):
        shutil.copy(explorer.ASSETS / name, folder)
    for name in ("digits", "mnist"):
        (folder / f"{name}.html").write_text(page(name))
    (folder / "plain.html").write_text(page("digits", with_encoder=False))
    one = '<div class="latent-explorer" data-model="digits"></div>'
    (folder / "two.html").write_text(page("digits").replace(one, one * 2))
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


@pytest.mark.parametrize(
    "labels, rows",
    [(None, [0, 1, 2, 3, 4]), ([7, 7, 2, 7, 2], [2, 0, 4, 1, 3]), ([1] * 5, [0, 1, 2, 3, 4])],
)
def test_a_small_test_set_has_all_its_rows_as_examples(labels, rows):
    labels = None if labels is None else torch.tensor(labels)
    data = SimpleNamespace(test_bytes=torch.zeros(5, 4), test_labels=labels)
    assert explorer.example_rows(data) == rows


def test_only_a_model_with_two_latents_is_exported(tmp_path):
    with pytest.raises(ValueError, match="latent_dim=3: the explorer needs 2"):
        explorer.export(stored_run(tmp_path, latent_dim=3), tmp_path / "x.js")


def own_run(folder, **labels):
    """A stored run on a file of 4 x 3 images of one's own, with pixels that are floats."""
    images = np.random.default_rng(0).random((30, 4, 3), dtype=np.float32)
    np.savez(folder / "own.npz", train=images[:20], test=images[20:], **labels)
    return stored_run(folder, str(folder / "own.npz")), torch.from_numpy(images[20:]).flatten(1)


def test_pixels_that_are_floats_are_exported_to_half_a_level(tmp_path):
    run, images = own_run(tmp_path)
    content = explorer.read(explorer.export(run, tmp_path / "x.js"))
    assert content["levels"] == 255 and content["exampleRows"] == list(range(10))
    assert (content["examples"] / 255 - images).abs().max() <= 0.5001 / 255


@pytest.mark.parametrize("label", [-1, 256])
def test_labels_that_are_no_bytes_are_refused(tmp_path, label):
    labels = np.arange(10)
    labels[3] = label
    run, _ = own_run(tmp_path, test_labels=labels)
    with pytest.raises(ValueError, match=f"test_labels are from .*{label}.*: .* needs 0 to 255"):
        explorer.export(run, tmp_path / "x.js")
    assert not (tmp_path / "x.js").exists()


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


def test_off_the_data_begins_at_the_rim_of_the_aggregate_posterior():
    """An encoder that ignores its image: q is the prior, whose 99% lie within sqrt(-2 log 0.01)."""
    model = vc.VAE(3, 2, (), "bernoulli", init_sd=0.0)
    off = explorer.off_the_data(model, torch.rand(5, 3), 6.0)
    axis = 6.0 * ((torch.arange(explorer.OFF_GRID) + 0.5) * 2 / explorer.OFF_GRID - 1)
    radius = torch.hypot(axis, axis[:, None])
    rim = math.sqrt(-2 * math.log(explorer.OFF_SHARE))
    assert (off[radius < rim - 0.7] == 0).all() and (off[radius > rim + 0.7] == 1).all()
    expected = 0.5 + (radius.square() - rim**2) / 4
    torch.testing.assert_close(off, expected.clamp(0, 1), atol=0.2, rtol=0)


def test_off_the_data_is_the_right_way_up():
    """Codes at z = (1, 2): the top right corner is near them, the bottom left is not."""
    model = vc.VAE(3, 2, (), "bernoulli", init_sd=0.0)
    with torch.no_grad():
        model.encoder[0].bias.copy_(torch.tensor([1.0, 2.0, -3.0, -3.0]))
    off = explorer.off_the_data(model, torch.rand(5, 3), 3.0)
    row, column = (off == 0).nonzero().float().mean(0) / explorer.OFF_GRID
    assert column.item() == pytest.approx(4 / 6, abs=0.02)
    assert row.item() == pytest.approx(1 / 6, abs=0.02)


# ---- the numbers: the committed explorers against vae_core ----


@pytest.fixture(scope="module", params=DATASETS)
def compared(browser, request):
    """A stored model, some of its test images in double precision, and the browser's answers."""
    path = explorer.asset_path(request.param)
    content = explorer.read(path)
    tab = browser.new_page()
    for script in (explorer.ASSETS / "explorer_core.js", path, explorer.encoder_path(path)):
        tab.add_script_tag(path=script)
    answers = tab.evaluate(
        """([name, n]) => {
        const { Model, bytes, bound, lattice, posterior, moments } = vaePlay.explorer();
        const packed = latentExplorerModels[name], model = new Model(packed), cells = [];
        model.addEncoder(latentExplorerEncoders[name]);
        for (const share of lattice(model, cells));
        const size = packed.shape[0] * packed.shape[1], all = bytes(packed.examples);
        return Array.from({ length: n }, (_, i) => {
          const image = all.subarray(i * size, (i + 1) * size);
          const x = Float32Array.from(image, (v) => v / packed.levels);
          const q = model.encode(x), statistics = model.statistics(x);
          const exact = posterior(model, statistics, cells);
          return { ...q, ...bound(model, statistics, q), ...exact, moments: moments(exact.leaves),
            decoded: [...model.decode(q.mean)] } }) }""",
        [request.param, N_COMPARED],
    )
    tab.close()
    model = Run.load(reference_dir() / content["key"]).model().double()
    return model, content["examples"][:N_COMPARED].double() / content["levels"], answers


def column(answers, name):
    return torch.tensor([answer[name] for answer in answers], dtype=torch.float64)


@torch.no_grad()
def test_the_browser_encodes_and_decodes_what_vae_core_does(compared):
    model, x, answers = compared
    mean, log_var = model.encoder_params(x)
    torch.testing.assert_close(column(answers, "mean"), mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(column(answers, "sd"), torch.exp(log_var / 2), atol=1e-5, rtol=1e-4)
    decoded = model.decode(column(answers, "mean")).mean
    torch.testing.assert_close(column(answers, "decoded"), decoded, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_bound_and_the_gap_are_those_of_vae_core(compared):
    """Expectations under q by Gauss and Hermite's rule; the gap as E_q[log q(z|x) - log p(z|x)]."""
    model, x, answers = compared
    nodes, weights = (torch.tensor(a) for a in np.polynomial.hermite_e.hermegauss(24))
    epsilon = torch.cartesian_prod(nodes, nodes)[:, None].expand(-1, len(x), -1)
    weight = torch.cartesian_prod(weights, weights).prod(-1) / (2 * math.pi)
    mean, log_var = model.encoder_params(x)
    z = reparameterize(mean, log_var, epsilon)
    reconstruction = weight @ model.log_likelihood(x, z)
    bound = reconstruction - kl_to_standard_normal(mean, log_var)
    torch.testing.assert_close(column(answers, "bound"), bound, atol=5e-3, rtol=0)
    torch.testing.assert_close(column(answers, "reconstruction"), reconstruction, atol=5e-3, rtol=0)
    log_evidence, _ = quadrature(model, x)
    log_posterior = model.log_joint(x, z) - log_evidence
    kl = weight @ (gaussian_log_prob(z, mean, log_var) - log_posterior)
    gap = column(answers, "logEvidence") - column(answers, "bound")
    torch.testing.assert_close(gap, kl, atol=1e-2, rtol=0)
    assert (gap > 0).all()


@torch.no_grad()
def test_log_evidence_is_that_of_vae_core_and_the_posterior_holds_all_mass(compared):
    model, x, answers = compared
    log_evidence, error = quadrature(model, x)
    assert error.max() < 1e-3
    torch.testing.assert_close(column(answers, "logEvidence"), log_evidence, atol=2e-3, rtol=0)
    for answer in answers:
        mass = sum(math.exp(leaf["logDensity"]) * leaf["width"] ** 2 for leaf in answer["leaves"])
        assert answer["isResolved"] and mass == pytest.approx(1, abs=1e-9)


@torch.no_grad()
def test_the_leaves_are_the_density_of_the_exact_posterior(compared):
    model, x, answers = compared
    log_evidence, _ = quadrature(model, x)
    for i, answer in enumerate(answers):
        leaves = sorted(answer["leaves"], key=lambda leaf: -leaf["logDensity"])[:50]
        z = torch.tensor([leaf["z"] for leaf in leaves], dtype=torch.float64)
        expected = model.log_joint(x[i], z) - log_evidence[i]
        shown = torch.tensor([leaf["logDensity"] for leaf in leaves], dtype=torch.float64)
        torch.testing.assert_close(shown, expected, atol=5e-3, rtol=0)
        share = torch.tensor([math.exp(leaf["logDensity"]) * leaf["width"] ** 2 for leaf in leaves])
        mean = (share.double() @ z) / share.sum()  # of the densest leaves, most of the mass
        sd = torch.tensor(answer["moments"]["sd"], dtype=torch.float64)
        away = (mean - torch.tensor(answer["moments"]["mean"], dtype=torch.float64)).abs()
        assert (away < sd).all()


# ---- a drawing ----


@pytest.fixture(scope="module")
def pad(browser):
    """A blank page with the functions of the drawing pad."""
    tab = browser.new_page()
    for name in ("explorer_core", "explorer_pad"):
        tab.add_script_tag(path=explorer.ASSETS / f"{name}.js")
    yield tab
    tab.close()


SEVEN = [[0.3, 0.2], [0.7, 0.2], [0.45, 0.8]]


def rasterised(pad, strokes):
    js = "strokes => [...vaePlay.Pad.rasterise(strokes)]"
    return torch.tensor(pad.evaluate(js, strokes)).view(28, 28)


def test_a_drawing_is_made_as_mnists_digits_are(pad):
    """Within 20 of 28 pixels, centred by mass, from black to white."""
    image = rasterised(pad, [SEVEN])
    axis = torch.arange(28) + 0.5
    assert (image.sum(0) @ axis / image.sum()).item() == pytest.approx(14, abs=0.1)
    assert (image.sum(1) @ axis / image.sum()).item() == pytest.approx(14, abs=0.1)
    rows = (image.amax(1) > 0.5).nonzero().flatten()
    columns = (image.amax(0) > 0.5).nonzero().flatten()
    assert 19 <= rows[-1] - rows[0] + 1 <= 20 and columns[-1] - columns[0] + 1 <= 20
    assert image.min() == 0 and image.max() > 0.99


def test_a_drawing_does_not_depend_on_where_and_how_large_it_was_drawn(pad):
    small = [[0.1 + x / 2, 0.4 + y / 2] for x, y in SEVEN]
    torch.testing.assert_close(
        rasterised(pad, [small]), rasterised(pad, [SEVEN]), atol=0.03, rtol=0
    )


def test_a_line_goes_where_the_pen_went(pad):
    image = rasterised(pad, [[[0.2, 0.5], [0.8, 0.5]]])  # lies down, so it is 20 pixels wide
    assert (image[14, 5:23] > 0.9).all() and image[10].max() == 0 and image[18].max() == 0


def test_a_dot_stays_a_dot(pad):
    assert 2 < rasterised(pad, [[[0.5, 0.5]]]).sum() < 10


# ---- the instrument ----


@pytest.fixture
def open_page(browser, site):
    """Opens a page from disk, on a phone; an error in it, or a request, fails the test."""
    options = {"height": 700, "allowed": ("file:", "blob:"), "has_touch": True}
    with ExitStack() as pages:

        def open_one(name, **more):
            page = opened(browser, site / f"{name}.html", "[data-first-frame]", **options, **more)
            return pages.enter_context(page)

        yield open_one


@pytest.fixture
def tab(open_page):
    return open_page("digits")


EXPLORER = "document.querySelector('.latent-explorer').explorer"


def drawn(tab):
    """Waits until what was asked for is drawn."""
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def at(tab):
    """The point that is pinned."""
    drawn(tab)
    return tab.evaluate(f"{EXPLORER}.z")


def reach(tab):
    return tab.evaluate(f"{EXPLORER}.reach")


def picture(tab, name="picture"):
    """The grey levels that are drawn, 0 to 255."""
    drawn(tab)
    return tab.evaluate(
        """name => { const c = document.querySelector(`.le-${name}`);
        const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return [...data].filter((_, i) => i % 4 === 0) }""",
        name,
    )


def hover(tab, across, down):
    """Moves the mouse to a place on the plane, in shares of its side."""
    tab.locator(".le-plane").scroll_into_view_if_needed()
    box = tab.locator(".le-plane").bounding_box()
    tab.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])


def first_code(site, i=0):
    content = explorer.read(site / "explorer_digits.js")
    return content["latents"][content["exampleRows"][i]].tolist()


def test_it_starts_on_the_code_of_a_test_image(tab, site, run):
    assert at(tab) == pytest.approx(first_code(site), abs=5e-3)
    pressed = "[...document.querySelectorAll('.le-examples button')].map(b => b.ariaPressed)"
    assert tab.evaluate(pressed) == ["true", *["false"] * 9]
    digits = load_dataset("digits")
    image = digits.test[explorer.example_rows(digits)[0]]
    assert picture(tab, "original") == pytest.approx((255 * image).tolist(), abs=1)
    again = 255 * run.model().decode(torch.tensor(at(tab))).mean
    assert picture(tab) == pytest.approx(again.tolist(), abs=2)
    assert tab.inner_text(".le-what") == "reconstruction"


def test_the_mouse_previews_and_a_press_pins(tab):
    pinned, before = at(tab), picture(tab)
    hover(tab, 0.75, 0.25)
    assert picture(tab) != before and at(tab) == pinned
    hover(tab, 1.01, 0.25)
    assert picture(tab) == before
    hover(tab, 0.75, 0.25)
    tab.mouse.down()
    tab.mouse.up()
    assert at(tab) == pytest.approx([reach(tab) / 2, reach(tab) / 2], abs=0.05)


def test_a_finger_pins_and_can_scroll_past(tab):
    box = tab.locator(".le-plane").bounding_box()
    tab.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"])
    assert at(tab) == pytest.approx([-reach(tab) / 2, -reach(tab) / 2], abs=0.05)
    touch = "getComputedStyle(document.querySelector('.le-plane')).touchAction"
    assert tab.evaluate(touch) == "pan-y"


def test_the_keyboard_moves_the_point_and_stops_at_the_edge(tab, site):
    tab.focus(".le-plane")
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Shift+ArrowUp")
    assert at(tab) == pytest.approx([0.1, 1.0])
    for _ in range(20):
        tab.keyboard.press("Shift+ArrowUp")
    assert at(tab) == pytest.approx([0.1, reach(tab)])
    tab.keyboard.press("End")
    assert at(tab) == pytest.approx(first_code(site), abs=5e-3)


def test_a_test_image_is_encoded(tab, site):
    tab.locator(".le-examples button").nth(3).click()
    assert at(tab) == pytest.approx(first_code(site, 3), abs=5e-3)
    tab.wait_for_selector(".le-numbers dd")
    numbers = [
        t.replace("−", "-").split()[0] for t in tab.locator(".le-numbers dd").all_inner_texts()
    ]
    evidence, bound, gap = map(float, numbers)
    assert evidence - bound == pytest.approx(gap, abs=1e-9) and gap >= 0
    assert "ellipses" in tab.get_attribute(".le-window", "aria-label")
    assert tab.inner_text(".le-told").startswith("q has its mean at (")


def test_only_the_last_of_several_images_is_answered(tab):
    for i in (1, 2, 3):
        tab.locator(".le-examples button").nth(i).click()
    tab.wait_for_function(f"{EXPLORER}.answer")
    q, answered = tab.evaluate(f"[{EXPLORER}.q, {EXPLORER}.answer.q]")
    assert q == answered


def test_the_picture_is_told_in_words(tab):
    tab.focus(".le-plane")
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_function("document.querySelector('.le-text').textContent.includes('−0.10')")
    assert "of the 15 nearest test images" in tab.inner_text(".le-text")
    assert tab.get_attribute(".le-plane", "aria-label").startswith("Latent plane")


def test_what_lies_off_the_data_is_told_and_shaded(tab, site):
    content = explorer.read(site / "explorer_digits.js")
    off = np.frombuffer(explorer.base64.b64decode(content["off"]), np.uint8)
    off = off.reshape(explorer.OFF_GRID, explorer.OFF_GRID)
    cells = itertools.product((5, 48, 90), repeat=2)
    for row, column in cells:
        z = [
            content["reach"] * (2 * (column + 0.5) / explorer.OFF_GRID - 1),
            content["reach"] * (1 - 2 * (row + 0.5) / explorer.OFF_GRID),
        ]
        assert tab.evaluate(f"z => {EXPLORER}.isOff(z)", z) == bool(off[row, column] >= 128)
    assert "off the data" in tab.inner_text(".le-legend")


def test_layers_can_be_hidden(tab):
    tab.wait_for_function(f"{EXPLORER}.layers.ground")

    def inked():
        return tab.evaluate(
            f"""() => {{ const c = {EXPLORER}.base;
            const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            return data.reduce((sum, v, i) => sum + (i % 4 === 3 ? v : 0), 0) }}"""
        )

    amounts = [inked()]
    for name in ("codes", "ground"):
        tab.uncheck(f"[name={name}]")
        amounts.append(inked())
    assert amounts[0] > amounts[1] > amounts[2] > 0


def test_without_its_encoder_an_explorer_only_decodes(open_page, site):
    tab = open_page("plain")
    assert at(tab) == pytest.approx(first_code(site), abs=1e-3)
    assert tab.locator(".le-encoding").count() == 0 and tab.locator(".le-pad").count() == 0


def test_of_two_both_are_drawn_before_either_unpacks_its_encoder(open_page):
    watch = """window.told = [];
        const tell = ({ target: { dataset, explorer: { worker, model } } }) =>
            told.push([dataset.model, !!worker, !!model.encoder]);
        new MutationObserver((changes) => changes.forEach(tell))
            .observe(document, { subtree: true, attributeFilter: ["data-first-frame"] });"""
    tab = open_page("two", before=watch)
    tab.wait_for_function("told.length === 2")
    assert tab.evaluate("told") == [["digits", False, False]] * 2


def test_every_finite_half_precision_number_is_unpacked_exactly(tab):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    packed = base64.b64encode(halves.tobytes()).decode()
    unpacked = tab.evaluate("packed => [...vaePlay.explorer().floats(packed)]", packed)
    assert np.array_equal(np.float32(unpacked), halves.astype(np.float32))


@torch.no_grad()
def test_a_digit_that_is_drawn_is_encoded(open_page):
    """By mouse, then by keyboard; clearing the pad goes back to the first test image."""
    tab = open_page("mnist")
    tab.locator(".le-pad").scroll_into_view_if_needed()
    box = tab.locator(".le-pad").bounding_box()
    for i, (x, y) in enumerate(SEVEN):
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        if i == 0:
            tab.mouse.down()
    tab.mouse.up()
    drawn(tab)
    x, q = tab.evaluate(f"[[...{EXPLORER}.x], {EXPLORER}.q]")
    content = explorer.read(explorer.asset_path("mnist"))
    model = Run.load(reference_dir() / content["key"]).model()
    mean, log_var = model.encoder_params(torch.tensor(x))
    assert q["mean"] == pytest.approx(mean.tolist(), abs=1e-4)
    assert q["sd"] == pytest.approx(torch.exp(log_var / 2).tolist(), abs=1e-4)
    tab.wait_for_function("document.querySelector('.le-text').textContent.includes('show a 7')")
    tab.focus(".le-pad")
    for key in (" ", "ArrowUp", "ArrowUp", " ", "ArrowUp"):
        tab.keyboard.press(key)
    assert tab.evaluate(f"{EXPLORER}.pad.strokes.map(s => s.length)")[1:] == [3]
    tab.click(".le-drawing button")
    assert at(tab) == pytest.approx(tab.evaluate(f"{EXPLORER}.code")) != q["mean"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone_and_is_accessible(open_page, scheme):
    tab = open_page("digits", color_scheme=scheme)
    tab.wait_for_function(f"{EXPLORER}.answer")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "le-plane"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    assert_accessible(tab)
