"""The page "Train it yourself": its mathematics against vae_core, and its behaviour in a browser.

Without Chromium these tests are skipped, or fail where VAE_CORE_REQUIRE_BROWSER is set.
"""

import json
import re
import shutil

import pytest
import torch
from pages import assert_accessible, opened

import vae_core as vc
from vae_book.build import export_digits
from vae_book.plots.style import CLASS_COLORS, COLORS
from vae_core.algorithms import aevb, wake_sleep
from vae_core.estimators import reparameterize
from vae_core.images import Images

ASSETS = export_digits.ASSET.parent
SCRIPTS = ["train_digits", "train_core", "train_worker", "train_views", "train"]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Training</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="train.css">
<body style="margin:1rem"><main><h1>Training</h1><div class="vae-train"></div></main>
{scripts}</body></html>"""
BATCH = 100


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with a page that holds nothing but the instrument."""
    folder = tmp_path_factory.mktemp("site")
    for name in [*(f"{script}.js" for script in SCRIPTS), "train.css"]:
        shutil.copy(ASSETS / name, folder)
    scripts = "".join(f'<script src="{script}.js"></script>' for script in SCRIPTS)
    (folder / "index.html").write_text(PAGE.format(scripts=scripts))
    return folder


@pytest.fixture(scope="module")
def engine(browser):
    """A blank page with the functions of the worker and no instrument."""
    tab = browser.new_page()
    for name in SCRIPTS[:3]:
        tab.add_script_tag(path=ASSETS / f"{name}.js")
    tab.evaluate(
        """() => {
        const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        const { digits } = vaePlay;
        Object.assign(window, vaePlay.core());
        Object.assign(window, vaePlay.worker({ Random, Vae }));
        window.data = { ...digits, train: bytes(digits.train), test: bytes(digits.test) };
        window.newVae = (params) => {
          const vae = new Vae({ pixels: 64, hidden: 100, latent: 2, batch: 100 },
            Float64Array);
          vae.params.set(params);
          return vae;
        };
        window.settings = (more) => ({ algorithms: ["aevb"], estimator: "sgvb_b", withKl: true,
          nMc: 1, stepSize: 0.05, seed: 0, ...more });
        }"""
    )
    yield tab
    tab.close()


@pytest.fixture
def tab(browser, site):
    """The page opened from disk, with its first frame drawn; an error in it fails the test."""
    page, allowed = site / "index.html", ("file:", "blob:")
    with opened(browser, page, ".vt-ready", allowed=allowed) as tab:
        yield tab


# ---- the mathematics ----


@pytest.fixture
def float64():
    """Adagrad divides small gradients by themselves, and float32 cannot tell their signs: what
    compares two computations is done in double precision on both sides."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def flat(tensors):
    """Parameters, or what belongs to them, in the order of the browser's one array."""
    return torch.cat([t.detach().flatten() for t in tensors])


def as_json(value):
    """Tensors as flat lists."""
    if isinstance(value, dict):
        return {key: as_json(v) for key, v in value.items()}
    if isinstance(value, list):
        return [as_json(v) for v in value]
    return value.flatten().tolist() if isinstance(value, torch.Tensor) else value


def as_the_browser_takes_it(draw, images):
    """Minibatch and noise of one step of vae_core."""
    x = images.scaled(draw.rows, torch.get_default_dtype())
    if isinstance(draw, wake_sleep.Draw):
        dream = {"dreamZ": draw.dream_z, "dreamX": draw.dream_x}
        return {"x": x, "epsilons": [draw.wake], **dream}
    return {"x": x, "epsilons": list(draw.epsilon)}


ALGORITHMS_OF_THE_PAGE = {
    "AEVB": (aevb, aevb.Settings(step_size=0.05)),
    "five draws": (aevb, aevb.Settings(step_size=0.05, n_mc=5)),
    "score function": (aevb, aevb.Settings(step_size=0.01, estimator="score_function")),
    "wake-sleep": (wake_sleep, wake_sleep.Settings(step_size=0.05)),
}


@pytest.mark.parametrize(
    "algorithm,settings", ALGORITHMS_OF_THE_PAGE.values(), ids=ALGORITHMS_OF_THE_PAGE
)
def test_ten_steps_in_the_browser_are_those_of_vae_core(engine, float64, algorithm, settings):
    data, generator = vc.load_dataset("digits"), torch.Generator().manual_seed(3)
    images = Images(data.train_bytes, data.levels)
    model = vc.VAE(64, 2, (100,), generator=generator)
    start = flat(model.parameters())
    draws = [algorithm.draw(model, images, settings, generator) for _ in range(10)]
    js = """([start, method, noises, settings]) => {
      const vae = newVae(start);
      for (const { x, ...noise } of noises) vae[method](x, noise, settings, 100 / 1500);
      return [...vae.params] }"""
    method = "wakeSleepStep" if algorithm is wake_sleep else "aevbStep"
    given = {"stepSize": settings.step_size, "withKl": True}
    given["estimator"] = getattr(settings, "estimator", None)
    noises = [as_the_browser_takes_it(draw, images) for draw in draws]
    browser = torch.tensor(engine.evaluate(js, as_json([start, method, noises, given])))
    state = algorithm.init(model, images, settings)
    for draw in draws:
        algorithm.update(model, state, draw, settings, images)
    expected = flat(state.params.values())
    assert (expected - start).abs().max() > 3 * settings.step_size
    torch.testing.assert_close(browser, expected, atol=1e-7, rtol=0)


def reconstruction(model, x, epsilon):
    mean, log_var = model.encoder_params(x)
    return model.log_likelihood(x, reparameterize(mean, log_var, epsilon)).mean(0)


def reconstruction_by_score_function(model, x, epsilon):
    mean, log_var = model.encoder_params(x)
    z = reparameterize(mean, log_var, epsilon).detach()
    f = model.log_likelihood(x, z)
    return (f + f.detach() * model.log_q(z, x)).mean(0)


OBJECTIVES = {
    "bound": ("sgvb_b", True, lambda m, x, e: vc.sgvb_b(m, x, epsilon=e)),
    "bound, score function": (
        "score_function",
        True,
        lambda m, x, e: vc.score_function_surrogate(m, x, epsilon=e),
    ),
    "without KL": ("sgvb_b", False, reconstruction),
    "without KL, score function": ("score_function", False, reconstruction_by_score_function),
}


@pytest.mark.parametrize("estimator,with_kl,objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_gradients_are_those_of_autograd(engine, float64, estimator, with_kl, objective):
    generator = torch.Generator().manual_seed(7)
    model = vc.VAE(64, 2, (100,), init_sd=0.3, generator=generator)
    x = vc.load_dataset("digits").train[:BATCH].double()
    epsilon = torch.randn(3, BATCH, 2, generator=generator)
    js = """([params, x, epsilons, settings]) =>
      [...newVae(params).aevbGradients(x, epsilons, settings)]"""
    settings = {"estimator": estimator, "withKl": with_kl}
    start = flat(model.parameters())
    browser = torch.tensor(engine.evaluate(js, as_json([start, x, list(epsilon), settings])))
    loss = -objective(model, x, epsilon).sum()
    expected = flat(torch.autograd.grad(loss, list(model.parameters())))
    torch.testing.assert_close(browser, expected, atol=1e-7, rtol=1e-7)


def test_the_browser_evaluates_the_bound_that_vae_core_evaluates(engine):
    js = """() => {
      const trainer = new Trainer(data, settings());
      for (let i = 0; i < 30; i++) trainer.step();
      const noise = trainer.evaluationNoise.test;
      return [[...trainer.models.aevb.params], [...noise], trainer.evaluate().aevb.test] }"""
    params, noise, means = engine.evaluate(js)
    model, x = vc.VAE(64, 2, (100,)), vc.load_dataset("digits").test
    torch.nn.utils.vector_to_parameters(torch.tensor(params), model.parameters())
    with torch.no_grad():
        bound = vc.sgvb_b(model, x, epsilon=torch.tensor(noise).reshape(1, -1, 2)).mean()
    assert means["bound"] == pytest.approx(bound.item(), abs=1e-4)
    assert means["bound"] == pytest.approx(means["reconstruction"] - means["kl"])


def test_the_browsers_noise_is_normal_and_its_seeds_differ(engine):
    draws = "seed => [...new Random(seed).normals(40000)]"
    first, again, other = (torch.tensor(engine.evaluate(draws, seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    bound = 4 / 40_000**0.5  # four standard errors
    assert abs(first.mean()) < bound
    assert abs(first.var() - 1) < 2**0.5 * bound
    assert abs((first**4).mean() - 3) < 96**0.5 * bound
    assert abs((first * other).mean()) < bound
    assert abs((first[1:] * first[:-1]).mean()) < bound


def test_wake_sleep_starts_from_the_same_weights_and_leaves_aevb_as_it_was(engine):
    js = """algorithms => {
      const trainer = new Trainer(data, settings({ algorithms }));
      const codes = trainer.pictures();
      for (let i = 0; i < 3; i++) trainer.step();
      return { start: Object.values(codes).map((p) => [...p.codes]),
        aevb: [...trainer.models.aevb.params] } }"""
    alone, beside = engine.evaluate(js, ["aevb"]), engine.evaluate(js, ["aevb", "wake_sleep"])
    assert beside["start"] == alone["start"] * 2
    assert beside["aevb"] == alone["aevb"]


def test_the_bound_rises_in_the_browser_as_it_did_in_the_stored_run(engine):
    """Within half a nat of it at the same number of samples, about a quarter of its length."""
    stored = engine.evaluate("vaePlay.digits.stored")
    row = min(i for i, n in enumerate(stored["samples"]) if n >= 80_000)
    js = """samples => {
      const trainer = new Trainer(data, settings());
      while (trainer.samples < samples) trainer.step();
      return trainer.evaluate().aevb }"""
    reached = engine.evaluate(js, stored["samples"][row])
    for split in ("train", "test"):
        assert reached[split]["bound"] == pytest.approx(stored[f"{split}_bound"][row], abs=0.5)


# ---- the asset ----


def test_the_asset_holds_the_split_of_vae_core_and_the_stored_curve():
    again = "python -m vae_book.build.export_digits writes it anew"
    assert export_digits.ASSET.read_text() == export_digits.script(), again
    content = json.loads(export_digits.script().split(" = ", 1)[1].rstrip(";\n"))
    assert content["stored"]["samples"][-1] == export_digits.stored_run().config.n_samples


def test_colours_are_those_of_the_plots():
    script = (ASSETS / "train_views.js").read_text()
    for name in ("aevb", "wake_sleep"):
        assert f'{name}: "{COLORS[name]}"' in script
    block = re.search(r"CLASS_COLORS = \[(.*?)\]", script, re.S)[1]
    assert re.findall(r"#\w+", block) == list(CLASS_COLORS)


def test_the_page_is_small():
    names = [*(f"{script}.js" for script in SCRIPTS), "train.css"]
    assert sum((ASSETS / name).stat().st_size for name in names) < 300_000


# ---- the page ----


def samples(tab):
    return int(tab.inner_text(".vt-samples-now").split()[0].replace(",", ""))


def wait_for_samples(tab, condition):
    read = "+document.querySelector('.vt-samples-now').textContent.replace(/\\D/g, '')"
    tab.wait_for_function(f"{read} {condition}")


def pixels(tab, kind):
    return tab.evaluate(f"document.querySelector('.vt-{kind}').toDataURL()")


def test_a_step_moves_curves_values_and_pictures_together(tab):
    kinds = ("manifold", "codes", "samples")
    before = {kind: pixels(tab, kind) for kind in kinds}
    assert samples(tab) == 0
    tab.click("[name=step]")
    wait_for_samples(tab, "== 100")
    assert "Paused at 100 samples" in tab.inner_text(".vt-status")
    assert re.search(r"AEVB\s+−\d+\.\d\d", tab.inner_text(".vt-values"))
    assert all(pixels(tab, kind) != before[kind] for kind in kinds)
    assert tab.get_attribute(".vt-curves", "aria-label").count("100 samples") == 1


def test_start_pause_and_reset_by_keyboard(tab):
    tab.focus("[name=run]")
    tab.keyboard.press("Enter")
    wait_for_samples(tab, "> 300")
    assert tab.inner_text("[name=run]") == "Pause"
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('.vt-status').textContent.startsWith('Paused')")
    paused = samples(tab)
    tab.focus("[name=reset]")
    tab.keyboard.press("Enter")
    wait_for_samples(tab, "== 0")
    assert paused > 300 and tab.inner_text("[name=run]") == "Start"
    faint = tab.locator(".vt-curves polyline[stroke-opacity]")
    assert faint.count() == 2  # the curves before the reset


def test_a_speed_is_kept_and_a_seed_starts_again(tab):
    before = pixels(tab, "samples")
    tab.select_option("[name=speed]", "60")
    tab.click("[name=run]")
    wait_for_samples(tab, "> 400")
    tab.fill("[name=seed]", "7")
    tab.keyboard.press("Tab")
    wait_for_samples(tab, "== 0")
    assert pixels(tab, "samples") != before


def test_a_seed_chosen_before_the_first_frame_begins_anew(tab):
    tab.evaluate("""() => {
      const { reset, run, seed } = document.querySelector(".vt-live form").elements;
      reset.click();
      run.click();
      seed.value = 5;
      seed.dispatchEvent(new Event("change", { bubbles: true }));
    }""")
    wait_for_samples(tab, "== 0")
    tab.click("[name=step]")
    wait_for_samples(tab, "== 100")
    assert tab.get_attribute(".vt-curves", "aria-label").count("100 samples") == 1


def test_without_the_kl_term_the_codes_fly_apart(tab):
    last = "document.querySelector('.vae-train').trainPage.rows.aevb.at(-1)?.test.kl ?? 0"
    tab.uncheck("[name=withKl]")
    tab.click("[name=run]")
    tab.wait_for_function(f"{last} > 8")  # with the term it stays near 2


def test_wake_sleep_runs_beside_aevb(tab):
    tab.select_option("[name=algorithms]", "aevb,wake_sleep")
    tab.wait_for_selector(".vt-model[data-algorithm=wake_sleep]")
    tab.click("[name=step]")
    wait_for_samples(tab, "== 100")
    assert re.search(r"Wake-sleep\s+−\d+", tab.inner_text(".vt-values"))
    assert tab.locator(f".vt-curves polyline[stroke='{COLORS['wake_sleep']}']").count() == 2


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_overflows(tab, width):
    tab.set_viewport_size({"width": width, "height": 800})
    tab.click("[name=step]")
    wait_for_samples(tab, "== 100")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    table = "document.querySelector('.vt-scroll')"
    assert tab.evaluate(f"{table}.scrollWidth <= {table}.clientWidth")


def test_the_instrument_is_accessible(tab):
    tab.click("[name=step]")
    wait_for_samples(tab, "== 100")
    assert_accessible(tab)


def test_print_and_reduced_motion(browser, site):
    tab = browser.new_page(reduced_motion="reduce")
    tab.goto((site / "index.html").as_uri())
    tab.wait_for_selector(".vt-ready")
    assert tab.evaluate("document.querySelector('.vae-train').trainPage.calm.matches")
    tab.emulate_media(media="print")
    assert not tab.is_visible(".vae-train")
    tab.close()
