"""How strange draws of a decoder are, by the place that they are drawn from."""

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch

import vae_core as vc
from vae_book import studies
from vae_book.plots import strangeness as module
from vae_book.plots.images import fitted_gaussian
from vae_book.plots.strangeness import nearest, strangeness

ROOT = Path(__file__).resolve().parents[1]


class Shown:
    """A decoder whose means are the latent variables themselves."""

    def decode(self, z):
        return SimpleNamespace(mean=z)


def test_the_nearest_frame_is_taken_and_its_distance_is_per_pixel():
    frames = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    images = torch.tensor([[0.0, 0.5], [1.0, 3.0]])
    assert nearest(images, frames) == pytest.approx((0.25 / 2 + 4 / 2) / 2)


def test_draws_are_as_strange_as_their_place_is_far_from_the_images():
    """All images lie at (3, 3), spread by 0.01; so do the codes."""
    generator = torch.Generator().manual_seed(1)
    train, test, codes = (3 + 0.01 * torch.randn(300, 2, generator=generator) for _ in range(3))
    found = strangeness(Shown(), train, test, fitted_gaussian(codes), 2_000)
    scale = nearest(test, train)
    assert found["codes"] == pytest.approx(1.0, abs=0.5)
    # beyond the cloud the nearest image is about its centre: half of |z - centre|^2
    assert found["shifted"] * scale == pytest.approx(1.0, rel=0.1)
    assert found["prior"] * scale == pytest.approx(1.0 + 9.0, rel=0.1)
    assert found["spread"] * scale == pytest.approx(9.0, rel=0.1)


def test_without_a_scale_nothing_is_strange():
    images = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    fitted = fitted_gaussian(images)
    assert all(value != value for value in strangeness(Shown(), images, images, fitted).values())


@pytest.fixture
def run():
    spec = SimpleNamespace(title="Squares")
    config = SimpleNamespace(dataset="squares", split_seed=0, latent_dim=2, spec=spec)
    return SimpleNamespace(key="k", config=config, model=Shown, curve={"samples": [10.0, 1e6]})


CODES = torch.tensor([[3.0, 0.0], [3.0, 8.0]])


def test_what_the_study_does_not_have_is_measured(run, monkeypatch):
    images = torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
    data = SimpleNamespace(train=images, test=images[:5] + 0.1)
    monkeypatch.setattr(module, "load_dataset", lambda name, split_seed: data)
    monkeypatch.setattr(module, "encoded_test", lambda run: (CODES, None))
    found = module.where_codes_lie(run, {})
    expected = strangeness(Shown(), data.train, data.test, fitted_gaussian(CODES))
    assert found.strangeness == expected
    (row,) = module.strangeness_table([run], {"k": found}).rows
    assert row[:4] == ["Squares", "2", "10<sup>6</sup>", "5.00"]
    assert row[4:] == [f"{value:.1f}" for value in expected.values()]


def test_what_the_study_has_needs_no_data(run, monkeypatch):
    monkeypatch.setattr(module, "load_dataset", None)
    strange = dict.fromkeys(module.PLACES, 2.0)
    row = {"key": "k", "strangeness": strange, "mean": [3.0, 4.0], "root": [[1.0], [0.5, 2.0]]}
    found = module.where_codes_lie(run, module.load([row]))
    assert found.strangeness == strange and found.fitted.mean.tolist() == [3.0, 4.0]
    assert found.fitted.root.tolist() == [[1.0, 0.0], [0.5, 2.0]]


def test_the_study_has_every_model_of_faces_that_the_book_draws_from():
    study = module.load(studies.load("where_codes_lie"))
    for run in vc.all_runs():
        if (run.config.dataset, run.config.algorithm) == ("freyface", "aevb") and run.has_weights:
            assert study[run.key].fitted.root.shape == 2 * (run.config.latent_dim,)


def test_what_the_page_says_of_the_places_is_what_its_table_shows():
    page = nbformat.read(ROOT / "book/figures/fig5_samples.ipynb", as_version=4)
    cells = {cell.id: cell for cell in page.cells}
    text = " ".join(cells["samples-places-answer"].source.split())
    _, *lines = cells["samples-places"].outputs[0].data["text/plain"].splitlines()
    rows = {int(words[2]): list(map(float, words[4:])) for words in map(str.split, lines)}
    assert list(rows) == [2, 5, 10, 20]
    priors = [prior for _, prior, *_ in rows.values()]
    assert priors == sorted(priors)  # "the more so the more latent variables there are"
    for dim, (_, prior, shifted, spread, both) in rows.items():
        assert shifted <= both + 0.11  # "about as well as the fitted Gaussian does"
        assert (spread < prior) == (dim == 20)  # "gains nothing with fewer"
    for dim, told in ((20, "{1} in place of {0} with 20"), (10, "{1} in place of {0} with 10")):
        assert told.format(*rows[dim][1:]) in text
    assert f"takes {rows[20][1]} to {rows[20][3]} with 20" in text
    assert rows[20][0] < rows[10][0] and 2 < rows[20][1] / rows[10][1] < 2.5  # "twice as strange"
