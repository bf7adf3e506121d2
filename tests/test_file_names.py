"""A data set of one's own may be called anything: its name is text in every figure and table."""

from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from test_plots import marginal_run, stored_run

from vae_book import plots
from vae_book.plots import marginal, strangeness
from vae_book.plots.images import fitted_gaussian
from vae_book.verdicts import choices, evidence
from vae_book.verdicts.card import bound_card
from vae_core.model import VAE
from vae_core.runs import Run

NAME = 'my <b>& "data" $x'
CODES = torch.tensor([[0.1, 0.2], [0.3, -0.4], [1.0, 0.5]])


class Trained(Run):
    """A run with a model of 12 pixels and two latent variables."""

    has_weights = True

    def model(self):
        return VAE(12, 2, (4,), generator=torch.Generator().manual_seed(0))


def trained(run, **metrics):
    return Trained(run.path, run.config, run.curve, metrics, run.provenance)


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / f"{NAME}.npz"
    x = np.random.default_rng(0).random((60, 12), dtype=np.float32)
    np.savez(path, train=x[:50], test=x[50:], image_shape=(3, 4))
    return str(path)


def pictures(dataset):
    run = trained(stored_run([1e2, 1e3], [-9, -8], dataset=dataset, latent_dim=2))
    images = torch.rand(4, 12, generator=torch.Generator().manual_seed(0))
    where = strangeness.Where(fitted_gaussian(CODES), dict.fromkeys(strangeness.PLACES, 1.0))
    return [
        plots.manifold_figure([run], 2),
        plots.samples_figure([run], 2, 2),
        plots.reconstruction_figure([run], images),
        plots.walk_figure([run], images),
        plots.traversal_figure([run]),
        plots.scatter_figure(run, CODES, torch.tensor([0, 1, 1])),
        strangeness.strangeness_table([run], {run.key: where}),
        bound_card([run]),
    ]


def curves(dataset):
    x, y = [1e2, 1e3, 1e4], [-9, -8, -7]
    kinds = [("aevb", 0), ("aevb", 1), ("wake_sleep", 0)]
    runs = [
        stored_run(x, y, dataset=dataset, latent_dim=2, algorithm=algorithm, seed=seed)
        for algorithm, seed in kinds
    ]
    known = [trained(run, **{"bound_variance/test/50": {"variance": 0.1}}) for run in runs]
    return [
        plots.lower_bound_figure(runs),
        plots.live_lower_bound(runs, runs),
        plots.bound_table(runs, at=plots.counts_for(runs)),
        plots.contest_table(runs),
        evidence.size_table(runs),
        evidence.variance_table(known),
        evidence.scatter_note(runs, at=[1e3]),
    ]


def log_marginals(dataset):
    truth = {"log_marginal/train/quadrature/1000/tolerance=0.002": {"mean": -7.0}}
    run = marginal_run([1e2, 1e3], [-9, -8], dataset=dataset)
    run = trained(run, **truth)
    return [
        plots.marginal_likelihood_figure([run]),
        plots.live_marginal_likelihood([run], []),
        evidence.order_table([run]),
        marginal.along_table([run], []),
    ]


@pytest.mark.parametrize("kind", [pictures, curves, log_marginals])
def test_the_name_of_a_file_is_no_markup(kind, dataset):
    for shown in kind(dataset):
        html = shown._repr_html_()
        page = BeautifulSoup(html.split("<script", 1)[0], "html.parser")
        assert not page.find("b"), html
        assert NAME in page.get_text(), html
        assert "<b>" not in html.partition("<script")[2]  # which a script writes into the page
        if not isinstance(shown, plots.Figure) or any(p.numbers for p in shown.panels[-1:]):
            assert NAME in repr(shown)


def test_the_name_of_a_file_is_text_in_a_saved_figure(dataset, tmp_path):
    run = stored_run([1e2, 1e3], [-9, -8], dataset=dataset, latent_dim=2)
    plots.lower_bound_figure([run]).save(tmp_path / "figure.svg")
    page = ElementTree.parse(tmp_path / "figure.svg")
    texts = [text.text for text in page.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{NAME}, Nz = 2" in texts


def test_the_tables_of_choices_name_a_data_set_as_text(dataset):
    assert choices._title(dataset, "aevb", 2).startswith(
        "AEVB on my &lt;b&gt;&amp; &quot;data&quot;"
    )
