"""The film strip: its frames against the decoders that drew them, its cursor against the curve.

Without Chromium the browser tests are skipped, or fail where VAE_CORE_REQUIRE_BROWSER is set.
"""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from pages import assert_accessible, opened

from vae_book import film, plots
from vae_book.build import export_film
from vae_core.runs import Run, store_run
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import COLUMNS, build_model

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Film</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="film.css">
<body style="margin:1rem"><main><h1>Film</h1>
<div class="film-strip" data-frames="film_mnist.js"></div>
<div class="tag_film-still">still</div></main>
<script src="film.js"></script></body></html>"""
HALF_A_LEVEL = 0.5 / film.LEVELS + 0.5 / 255
FILM = "document.querySelector('.film-strip').film"


# ---- the frames ----


def test_a_packed_picture_comes_back_to_half_a_grey_level():
    picture = torch.rand(30, 40, generator=torch.Generator().manual_seed(0)).numpy()
    assert np.abs(film.unpack(film.pack(picture)) - picture).max() <= HALF_A_LEVEL


def test_the_last_frame_is_what_the_stored_run_decodes():
    """Tile by tile: z1 grows to the right, z2 upwards, at the points of Figure 4."""
    last = film.read()[-1]
    stored = export_film.stored_run()
    assert last.samples == stored.config.n_samples
    tiles = last.picture.reshape(film.GRID, 28, film.GRID, 28)
    probits = torch.special.ndtri((torch.arange(film.GRID) + 0.5) / film.GRID)
    for row, column in [(0, 0), (3, 12), (15, 7)]:
        z = torch.stack([probits[column], probits[film.GRID - 1 - row]])
        with torch.no_grad():
            expected = stored.model().decode(z).mean.view(28, 28).numpy()
        assert np.abs(tiles[row, :, column] - expected).max() <= HALF_A_LEVEL + 1e-3


def test_the_first_frame_is_the_untrained_model():
    """Adagrad's warm-up, a hundred minibatches, moves no weight: every pixel is near one half."""
    first, config = film.read()[0], export_film.stored_run().config
    assert first.samples == config.adagrad_warmup * config.batch_size
    model = build_model(config, torch.Generator().manual_seed(config.seed))
    means = model.decode(plots.unit_square_latents(film.GRID)).mean
    picture = plots.image_grid(means, (28, 28), film.GRID)
    assert np.abs(first.picture - picture).max() <= HALF_A_LEVEL
    assert first.bounds["test"] == pytest.approx(-784 * math.log(2), abs=0.1)


def test_the_frames_are_the_marks_and_the_end_each_with_its_row_of_the_curve():
    stored, frames = export_film.stored_run(), film.read()
    assert [frame.samples for frame in frames] == [*export_film.MARKS, stored.config.n_samples]
    for frame in frames:
        if frame.samples in stored.curve["samples"]:
            # products are rounded otherwise there, and the two runs drift apart a little
            for split, bound in frame.bounds.items():
                assert bound == pytest.approx(stored.at(frame.samples, f"{split}_bound"), abs=0.5)


def finished(folder, n_samples, seed, curve):
    """A stored run of the digits with these rows, (samples, bound) each."""
    config = RunConfig(dataset="digits", latent_dim=2, n_samples=n_samples, init_sd=0.3)
    rows = [dict.fromkeys(COLUMNS, bound) | {"samples": samples} for samples, bound in curve]
    store_run(
        folder / config.key,
        config,
        rows,
        build_model(config, torch.Generator().manual_seed(seed)),
        {},
    )
    return Run.load(folder / config.key)


def test_content_joins_the_curves_and_draws_each_runs_own_plane(tmp_path):
    parts = [
        finished(tmp_path, 100, 1, [(100, -50.0)]),
        finished(tmp_path, 200, 2, [(100, -51.0), (200, -40.0)]),
    ]
    stored = finished(tmp_path, 400, 3, [(100, -52.0), (200, -41.0), (400, -30.0)])
    content = export_film.content(parts, stored)
    assert content["curve"]["samples"] == [100, 200, 400]
    assert content["curve"]["test_bound"] == [-50.0, -40.0, -30.0]
    film.write(content, tmp_path / "film.js")
    for frame, run in zip(film.read(tmp_path / "film.js"), [*parts, stored], strict=True):
        z = plots.unit_square_latents(film.GRID)[:1]
        corner = run.model().decode(z).mean.detach().view(8, 8).numpy()
        assert frame.samples == run.config.n_samples
        assert np.abs(frame.picture[:8, :8] - corner).max() <= HALF_A_LEVEL


def test_the_still_strip_shows_six_frames_from_the_first_to_the_last():
    figure, frames = film.still(), film.read()
    assert len(figure.panels) == 6
    for panel, frame in [(figure.panels[0], frames[0]), (figure.panels[-1], frames[-1])]:
        assert f"{frame.samples:,} samples" in panel.title
        assert f"{frame.bounds['test']:.1f}".replace("-", "−") in panel.title


def test_the_still_strip_shows_every_second_picture_of_a_frame():
    picture = film.read()[-1].picture
    tile = picture.shape[0] // film.GRID
    thinned = film.every_second(picture)
    assert thinned.shape == (picture.shape[0] // 2, picture.shape[1] // 2)
    for row, column in [(0, 0), (3, 5), (7, 2)]:
        at = [slice(tile * k, tile * (k + 1)) for k in (row, column, 2 * row, 2 * column)]
        assert np.array_equal(thinned[at[0], at[1]], picture[at[2], at[3]])


# ---- the instrument ----


@pytest.fixture
def tab(browser, tmp_path):
    """The strip opened from disk, on a phone; an error in it, or a request, fails the test."""
    for name in ("film_mnist.js", "film.js", "film.css"):
        shutil.copy(film.ASSET.parent / name, tmp_path)
    (tmp_path / "index.html").write_text(PAGE)
    page, allowed = tmp_path / "index.html", ("file:", "data:")
    with opened(browser, page, ".fs-ready", allowed=allowed) as tab:
        yield tab


def reading(tab):
    return tab.evaluate(f"{FILM}.reading()")


def test_it_opens_on_the_last_frame_and_the_slider_goes_back_by_keyboard(tab):
    frames = film.read()
    assert reading(tab) == {"samples": frames[-1].samples, **frames[-1].bounds}
    tab.focus("[name=frame]")
    tab.keyboard.press("ArrowLeft")
    assert reading(tab) == {"samples": frames[-2].samples, **frames[-2].bounds}
    tab.keyboard.press("Home")
    assert reading(tab)["samples"] == frames[0].samples
    assert f"After {frames[0].samples:,} samples" in tab.inner_text(".fs-text")
    value = tab.get_attribute("[name=frame]", "aria-valuetext")
    assert value == f"{frames[0].samples:,} samples"


def test_each_frame_shows_its_own_picture_with_the_cursor_on_its_row(tab):
    content = json.loads(film.ASSET.read_text().split(" = ", 1)[1].rstrip().rstrip(";"))
    for i, frame in enumerate(content["frames"]):
        shown = tab.evaluate(
            f"""i => {{ const film = {FILM}; film.show(i);
            const svg = document.querySelector('.fs-curve');
            const dot = svg.querySelector('.fs-dot').transform.baseVal[0].matrix;
            const point = svg.querySelector('polyline.fs-test').points[film.frames[i].row];
            const {{ src }} = document.querySelector('.fs-plane');
            return [src, dot.e - point.x, dot.f - point.y] }}""",
            i,
        )
        assert shown[0] == frame["picture"]
        assert shown[1] == pytest.approx(0, abs=0.1)
        if content["curve"]["test_bound"][frame["row"]] > -190:  # else it waits at the bottom
            assert shown[2] == pytest.approx(0, abs=0.1)


def test_dragging_along_the_curve_goes_to_the_nearest_frame(tab):
    frames = film.read()
    for i in (0, 4, len(frames) - 1):
        x = tab.evaluate(f"{FILM}.x({frames[i].samples})")
        box = tab.locator(".fs-curve").bounding_box()
        tab.mouse.move(box["x"] + (x + 1) / 320 * box["width"], box["y"] + 30)
        tab.mouse.down()
        tab.mouse.up()
        assert reading(tab)["samples"] == frames[i].samples


def test_play_runs_from_the_first_frame_to_the_last_and_stops(tab):
    tab.clock.install(time=0)
    tab.clock.pause_at(3600)  # it would go on by itself, and a busy machine come late
    tab.click("[name=play]")
    assert reading(tab)["samples"] == film.read()[0].samples
    assert tab.inner_text("[name=play]") == "Pause"
    tab.clock.run_for(60_000)
    assert reading(tab)["samples"] == film.read()[-1].samples
    assert tab.inner_text("[name=play]") == "Play"


def test_still_strip_in_print_and_no_play_where_motion_is_unwanted(tab):
    def is_shown(selector):
        return tab.locator(selector).is_visible()

    assert is_shown(".fs-live") and not is_shown(".tag_film-still")
    tab.emulate_media(media="print")
    assert is_shown(".tag_film-still") and not is_shown(".fs-live")
    tab.emulate_media(media="screen", reduced_motion="reduce")
    assert not is_shown("[name=play]") and is_shown("[name=frame]")


def test_it_fits_a_telephone_and_is_accessible(tab):
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    assert_accessible(tab)
