import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from vae_book import claims, plots, published
from vae_book.plots import curves, images, paper, style, tables
from vae_core.model import VAE
from vae_core.runs import Run
from vae_core.runs.config import RunConfig


def stored_run(samples, test_bound, *, folder="reference", train_bound=None, **fields):
    config = RunConfig(n_samples=int(samples[-1]), **fields)
    train = np.asarray(test_bound if train_bound is None else train_bound, float)
    curve = {
        "samples": np.asarray(samples, float),
        "train_bound": train,
        "train_bound_minibatch": train,
        "test_bound": np.asarray(test_bound, float),
    }
    made = {"wall_seconds": 3600.0, "source_sha256": "ab" * 32, "versions": {"torch": "2.13.0"}}
    made["threads"] = 1
    return Run(Path("book") / folder / config.key, config, curve, {}, made)


def marginal_run(samples, values, **fields):
    """A run of Figure 3's kind: an estimated log p(x) and, as Monte Carlo EM, no bound."""
    fields = {"latent_dim": 3, "hidden": (100,), "log_marginal": "hmc_density"} | fields
    run = stored_run(samples, np.full(len(samples), np.nan), **fields)
    columns = dict.fromkeys(("train_log_marginal", "test_log_marginal"), np.asarray(values, float))
    run.curve.update(columns)
    return run


def panels_of(figure):
    return [panel for panel in figure.panels if isinstance(panel, plots.Panel)]


def test_the_papers_curve_at_a_vertex_is_the_vertex():
    curve = paper.fig2_curve("mnist", 20, "aevb", "test")
    np.testing.assert_allclose(curve.at(curve.samples), curve.bound, atol=1e-9)


@pytest.mark.parametrize(
    ("key", "samples", "bound"),
    [
        (("mnist", 3, "aevb", "test"), 1e6, -152.9),
        (("mnist", 20, "aevb", "test"), 1e7, -104.8),
        (("mnist", 200, "wake_sleep", "test"), 1e8, -104.6),
        (("freyface", 10, "aevb", "test"), 1e7, 1171.0),
        (("freyface", 10, "wake_sleep", "test"), 1e7, 569.0),
    ],
)
def test_values_read_off_the_complete_drawing_survive_the_thinning(key, samples, bound):
    assert paper.fig2_curve(*key).at(samples) == pytest.approx(bound, abs=0.5)


def test_the_papers_curve_says_nothing_beyond_its_ends_or_in_a_gap():
    aevb = paper.fig2_curve("mnist", 3, "aevb", "test")
    assert np.isnan(aevb.at(aevb.samples[0] / 2)) and np.isnan(aevb.at(2 * aevb.samples[-1]))
    mcem = paper.fig3_curve(50_000, "mcem", "test")
    assert np.isnan(mcem.at(5e6))
    assert mcem.at(0.75e6) == pytest.approx(mcem.bound[0])


def test_there_is_no_paper_curve_for_a_size_that_the_paper_did_not_run():
    assert paper.fig2_curve("mnist", 50, "aevb", "test") is None


def test_the_difference_is_ours_minus_the_papers():
    curve = paper.fig2_curve("mnist", 10, "aevb", "test")
    ours = stored_run(curve.samples[:30], curve.bound[:30] + 1.5, latent_dim=10)
    (comparison,) = plots.compare([ours], at=[1e6])
    assert comparison.difference == pytest.approx(1.5)
    assert plots.mean_abs_difference(ours) == pytest.approx(1.5, abs=1e-6)
    assert "+1.5" in plots.bound_table([ours], at=[1e6])._repr_html_()


def test_seeds_are_averaged_and_their_half_range_is_shown():
    x = [1e5, 1e6, 1e7]
    runs = [
        stored_run(x, [-150, b, -100], latent_dim=10, seed=s) for s, b in enumerate([-121, -119])
    ]
    (comparison,) = plots.compare(runs, at=[1e6])
    assert (comparison.ours, comparison.spread, comparison.n_seeds) == (-120, 1, 2)
    assert plots.bound_table(runs, at=[1e6]).rows[0][:4] == ["MNIST", "10", "AEVB", "0, 1"]


def test_a_seed_that_does_not_reach_a_count_is_left_out_there():
    runs = [stored_run([1e5, 1e7], [-150, -100], latent_dim=10)]
    runs.append(stored_run([1e5, 1e6], [-150, -130], latent_dim=10, seed=1))
    assert [c.n_seeds for c in plots.compare(runs, at=[1e6, 1e7])] == [2, 1]


def test_the_table_shows_a_dash_where_a_run_does_not_reach():
    run = stored_run([1e4, 1e5], [-200, -180], latent_dim=10)
    assert plots.bound_table([run], at=[1e6]).rows[0][5:7] == ["–", "–"]


def both_algorithms(latent_dim=10, dataset="mnist"):
    x = [1e5, 1e6, 1e7]
    return [
        stored_run(x, [-150, -120, -100], dataset=dataset, latent_dim=latent_dim),
        stored_run(
            x, [-160, -140, -120], dataset=dataset, latent_dim=latent_dim, algorithm="wake_sleep"
        ),
    ]


def test_an_algorithm_has_one_colour_everywhere():
    small, large = (
        panels_of(plots.lower_bound_figure(both_algorithms(dim)))[0].markup for dim in (5, 50)
    )
    for algorithm in ("aevb", "wake_sleep"):
        color = plots.COLORS[algorithm].lower()
        assert color in small and color in large


def drawn_for_the_paper(figure):
    """Entries of the legend and panels that hold a curve of the paper's."""
    legend = [label for label, _, _ in figure.legend if label.startswith("the paper")]
    pale = [panel for panel in panels_of(figure) if "stroke-opacity: 0.4" in panel.markup]
    return len(legend), len(pale)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (1, 1)),
        ({"latent_dim": 50}, (0, 0)),
        ({"hidden": (100,)}, (0, 0)),
        ({"n_train": 1_000}, (0, 0)),
        ({"algorithm": "autoencoder"}, (0, 0)),
    ],
)
def test_the_papers_curve_of_figure_2_is_drawn_over_its_own_experiment_alone(changed, expected):
    run = stored_run([1e5, 1e6, 1e7], [-150, -120, -100], **{"latent_dim": 10} | changed)
    assert drawn_for_the_paper(plots.lower_bound_figure([run])) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (1, 1)),
        ({"n_train": 50_000}, (1, 1)),
        ({"latent_dim": 2}, (0, 0)),
        ({"n_train": 2_000}, (0, 0)),
        ({"dataset": "digits"}, (0, 0)),
        ({"hidden": (64,)}, (0, 0)),
    ],
)
def test_the_papers_curve_of_figure_3_is_drawn_over_its_own_experiment_alone(changed, expected):
    run = marginal_run([1e6, 3e7, 6e7], [-190, -150, -140], **{"n_train": 1_000} | changed)
    assert drawn_for_the_paper(plots.marginal_likelihood_figure([run])) == expected


def test_different_experiments_of_figure_3_are_not_pooled_as_seeds():
    samples, values = [1e4, 1e5, 1e6], [-300, -200, -150]
    runs = [marginal_run(samples, values, latent_dim=dim, n_train=1_000) for dim in (2, 7)]
    runs += [marginal_run(samples, values, dataset="digits", seed=seed) for seed in (0, 1)]
    figure = plots.marginal_likelihood_figure(runs)
    assert [style.plain(panel.title) for panel in panels_of(figure)] == [
        "Digits (8x8), Ntrain = 1,500, Nz = 3",
        "MNIST, Ntrain = 1,000, Nz = 2",
        "MNIST, Ntrain = 1,000, Nz = 7",
    ]


def test_a_run_without_a_bound_leaves_its_panel_empty():
    figure = plots.lower_bound_figure([marginal_run([1e4, 1e5, 1e6], [-300, -200, -150])])
    assert figure.legend == []
    assert "nothing drawn" in repr(figure)


def test_no_runs_make_an_empty_figure():
    for draw in (plots.lower_bound_figure, plots.marginal_likelihood_figure):
        assert repr(draw([])) == "Figure of 0 panels"


def test_an_algorithm_of_ones_own_has_a_name_and_a_colour():
    assert plots.name_of("my_iwae") == "my iwae"
    assert plots.color_of("my_iwae") == plots.color_of("my_iwae") not in plots.COLORS.values()


@pytest.mark.parametrize("last", [2_000, 60_000, 3e5, 2e6])
def test_the_ticks_of_a_short_run_are_apart_and_differ(last):
    samples = np.geomspace(100, last, 15)
    figure = plots.lower_bound_figure(
        [stored_run(samples, np.linspace(-40, -30, 15), dataset="digits", latent_dim=2)]
    )
    (panel,) = panels_of(figure)
    labels = re.findall(r"<text[^>]*>([^<]+)</text>", panel.markup)
    assert len(labels) == len(set(labels)) >= 5
    assert all(re.fullmatch(r"[−-]?\d+(\.\d+)?[kM]?", label) for label in labels)


def test_two_evaluations_close_together_have_two_ticks():
    run = stored_run([1_000, 2_000], [-44, -43], dataset="digits", latent_dim=2)
    (panel,) = panels_of(plots.lower_bound_figure([run]))
    assert {"1k", "2k"} <= set(re.findall(r"<text[^>]*>([^<]+)</text>", panel.markup))


def test_a_table_without_rows_says_so():
    assert "no such runs here" in plots.contest_table([])._repr_html_()
    assert "no such runs here" not in plots.contest_table(both_algorithms())._repr_html_()


def test_the_text_form_of_a_figure_holds_the_ends_of_its_curves():
    figure = plots.lower_bound_figure(both_algorithms())
    assert repr(figure) == (
        "Figure of 1 panel\nMNIST, Nz = 10: AEVB -100.0 / -100.0, Wake-sleep -120.0 / -120.0"
    )


def test_a_drawing_carries_a_digest_of_itself():
    html = plots.lower_bound_figure(both_algorithms())._repr_html_()
    claimed, inner = re.fullmatch(r'<div class="vc-figure" data-digest="(.*?)">(.*)</div>', html,
                                  flags=re.S).groups()  # fmt: skip
    assert style.digest(inner) == claimed


def test_a_row_for_each_data_set_and_a_panel_for_each_size():
    runs = both_algorithms(5) + both_algorithms(10) + both_algorithms(5, "freyface")
    titles = [style.plain(panel.title) for panel in panels_of(plots.lower_bound_figure(runs))]
    assert titles == ["MNIST, Nz = 5", "MNIST, Nz = 10", "Frey Face, Nz = 5"]


@pytest.mark.parametrize("n_sizes, n_columns", [(1, 1), (4, 4), (5, 5), (6, 3), (12, 4), (13, 5)])
def test_more_panels_than_a_page_is_wide_for_break_over_rows(monkeypatch, n_sizes, n_columns):
    monkeypatch.setattr(curves, "svg_panel", lambda *args, **options: style.Panel("", "", ""))
    runs = [run for dim in range(1, n_sizes + 1) for run in both_algorithms(dim)]
    assert plots.lower_bound_figure(runs).columns == n_columns


def test_every_panel_is_well_formed_and_says_in_words_what_it_shows():
    html = plots.lower_bound_figure(both_algorithms())._repr_html_()
    (svg,) = re.findall(r'<svg role="img".*?</svg>', html, flags=re.S)
    label = ElementTree.fromstring(svg).attrib["aria-label"]
    assert "AEVB goes from -150 at 1.0e+05 to -100 nats at 1.0e+07 samples" in label


def test_a_figure_takes_the_pages_text_colour_and_no_background():
    markup = panels_of(plots.lower_bound_figure(both_algorithms()))[0].markup
    assert "currentColor" in markup
    assert "#ffffff" not in markup and "#010203" not in markup


def test_the_same_runs_give_the_same_drawing():
    first, second = (plots.lower_bound_figure(both_algorithms())._repr_html_() for _ in range(2))
    assert first == second


def test_a_saved_figure_is_one_well_formed_svg(tmp_path):
    plots.lower_bound_figure(both_algorithms()).save(tmp_path / "figure.svg")
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    assert root.tag.endswith("svg") and "MNIST" in root.attrib["aria-label"]


def test_provenance_names_runs_command_and_versions_and_links_what_is_committed(monkeypatch):
    monkeypatch.setattr(published, "REPOSITORY", "https://github.com/someone/vae")
    runs = [*both_algorithms(), stored_run([1e5], [-150], latent_dim=50, folder="runs")]
    html = plots.provenance(runs, "vae-core execute book/x.ipynb")._repr_html_()
    assert "vae-core execute book/x.ipynb" in html and "torch 2.13.0" in html
    assert "3 runs, 3.0 hours of training on one thread each" in html
    assert html.count("<td>60 minutes</td>") == 3  # a row a run, with its own time
    links = re.findall(r'href="[^"]*/book/reference/([^"]*)/run\.json"', html)
    assert links == [run.key for run in runs[:2]]
    monkeypatch.setattr(published, "REPOSITORY", None)
    assert "href" not in plots.provenance(runs, "vae-core execute book/x.ipynb")._repr_html_()


def test_the_command_of_a_figure_repeats_its_parameters_for_a_shell():
    command = plots.execute_command("figures/fig2", latent_dims=[2, 50], datasets=["mnist"])
    assert command.startswith("vae-core execute book/figures/fig2.ipynb ")
    assert command.endswith("""-p latent_dims '[2, 50]' -p datasets '["mnist"]'""")


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [(-0.04, True, "0.0"), (-0.04, False, "0.0"), (1.26, True, "+1.3"), (-2, False, "−2.0"),
     (float("nan"), True, "–"), (-1.82e13, False, "−1.8e+13"), (-999_999, False, "−999999.0")],
)  # fmt: skip
def test_numbers_of_nats(value, signed, text):
    assert tables.nats(value, signed) == text


def test_the_samples_needed_to_reach_a_bound():
    run = stored_run([1e4, 1e6], [-200, -100], latent_dim=10)
    curve = run.curve["samples"], run.curve["test_bound"]
    assert claims.crossing(*curve, -150) == pytest.approx(1e5)
    assert claims.crossing(*curve, -90) == float("inf")


def test_a_contest_is_the_lead_at_the_end_and_the_share_of_samples():
    (contest,) = claims.contests(both_algorithms())
    assert contest.lead == pytest.approx(20)
    assert contest.share == pytest.approx(0.1)  # AEVB is at -120 after 1e6 of 1e7 samples


def test_a_contest_is_judged_where_both_runs_reach():
    longer, other = both_algorithms()
    longer = stored_run([1e5, 1e7, 1e8], [-150, -120, 0], latent_dim=10)
    (contest,) = claims.contests([longer, other])
    assert (contest.samples, contest.lead) == (1e7, pytest.approx(0))


def test_an_image_grid_puts_each_pixel_in_its_place():
    tiles = torch.arange(24.0).reshape(4, 6) / 24
    picture = plots.image_grid(tiles, (2, 3), n_columns=2)
    assert picture.shape == (4, 6)
    np.testing.assert_allclose(picture[2:, 3:], tiles[3].reshape(2, 3))
    spaced = plots.image_grid(tiles, (2, 3), n_columns=2, gap=1)
    assert spaced.shape == (5, 7) and (spaced[2] == 0.5).all()


def test_the_manifold_starts_in_the_upper_left_corner_of_the_unit_square():
    z = plots.unit_square_latents(4)
    normal = torch.distributions.Normal(0.0, 1.0)
    np.testing.assert_allclose(normal.cdf(z[0]), [0.125, 0.875], atol=1e-6)
    np.testing.assert_allclose(normal.cdf(z[-1]), [0.875, 0.125], atol=1e-6)


def test_the_gaussian_fitted_to_codes_has_their_mean_and_covariance():
    generator = torch.Generator().manual_seed(0)
    root = torch.tensor([[2.0, 0.0], [1.0, 0.5]])
    codes = torch.tensor([3.0, -1.0]) + torch.randn(200_000, 2, generator=generator) @ root.T
    mean, found = images.fitted_gaussian(codes)
    torch.testing.assert_close(mean, torch.tensor([3.0, -1.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(found, root, atol=0.02, rtol=0)


@pytest.mark.parametrize("shape", [(1, 3), (5, 1), (1, 1)])
def test_few_codes_have_a_gaussian_too(shape):
    codes = torch.arange(float(np.prod(shape))).reshape(shape)
    mean, root = images.fitted_gaussian(codes)
    assert torch.equal(mean, codes.mean(0)) and root.shape == (shape[1], shape[1])
    spread = codes.var(0).sum() if len(codes) > 1 else 0.0
    assert (root @ root.T).trace() == pytest.approx(float(spread), abs=1e-5)


@pytest.mark.parametrize(("n", "dim", "sd"), [(5, 20, 3.0), (400, 2, 10.0)])
def test_codes_on_a_line_or_fewer_than_dimensions_have_a_gaussian_too(n, dim, sd):
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        codes = sd * torch.randn(n, dim, generator=generator)
        codes = codes[:, :1].expand(n, dim) if dim == 2 else codes
        _, root = images.fitted_gaussian(codes)
        expected = torch.cov(codes.T) + 1e-6 * torch.eye(dim)
        torch.testing.assert_close(root @ root.T, expected, rtol=1e-5, atol=1e-4)


def test_samples_from_the_codes_are_the_decoders_at_draws_of_their_gaussian():
    model = VAE(30, 2, (8,), init_sd=1.0, generator=torch.Generator().manual_seed(1))
    run = SimpleNamespace(model=lambda: model)
    codes = torch.tensor([[5.0, 1.0], [5.2, 1.0], [5.0, 1.2], [5.2, 1.2]])
    from_codes = plots.draw_samples(run, 400, codes=codes)
    z = codes.mean(0) + 0.2 / 3**0.5 * torch.randn(
        400, 2, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(from_codes, plots.decode_means(run, z), atol=1e-4, rtol=0)
    from_prior = plots.draw_samples(run, 400)
    assert (from_codes - from_prior).abs().max() > 1e-3
    pixels = plots.draw_samples(run, 400, pixels=True)
    assert set(pixels.unique().tolist()) == {0.0, 1.0}
    spread = (from_prior * (1 - from_prior)).mean() / pixels.numel()
    assert abs(pixels.mean() - from_prior.mean()) < 5 * spread**0.5


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 1, 1])])
def test_codes_within_two_standard_deviations_are_counted(labels):
    run = stored_run([1e5], [-150], latent_dim=2)
    codes = torch.tensor([[0.0, 0.0], [1.9, 0.0], [3.0, 0.0]])
    figure = plots.scatter_figure(run, codes, labels)
    assert "67% of 3 codes within two standard deviations of the prior" in repr(figure)


def labelled_scatter(labels):
    """The latent plane of codes along a line, as markup, one code for each label."""
    run = stored_run([1e5], [-150], latent_dim=2)
    codes = torch.linspace(-2, 2, len(labels))[:, None].expand(-1, 2)
    figure = plots.scatter_figure(run, codes, torch.tensor(labels))
    return panels_of(figure)[0].markup


def class_colors_in(markup):
    """The colours of classes in the order of drawing."""
    known = {color.lower() for color in style.CLASS_COLORS}
    return [c for c in dict.fromkeys(re.findall(r"fill: (#\w+)", markup)) if c in known]


@pytest.mark.parametrize("labels", [list(range(10)), [3, 13, 23], [-5, 0, 5]])
def test_the_classes_of_a_plane_have_colours_of_their_own(labels):
    expected = [color.lower() for color in style.CLASS_COLORS[: len(labels)]]
    assert class_colors_in(labelled_scatter(labels)) == expected


@pytest.mark.parametrize(
    ("labels", "told"),
    [([3, 13], True), ([-1, 1], True), (list(range(11)), False), ([0, 100], False)],
)
def test_labels_stand_in_the_plane_where_they_are_few_and_short(labels, told):
    found = re.findall(r"font-weight: 700[^>]*>([^<]+)</text>", labelled_scatter(labels))
    assert found == (list(map(str, labels)) if told else [])


@pytest.mark.parametrize(
    ("shape", "width"), [((80, 60), None), ((90, 60), None), ((800, 60), 11.2), ((30, 3), 15.0)]
)
def test_a_tall_picture_is_no_taller_than_one_and_a_half_columns(shape, width):
    markup = plots.png_panel("", np.zeros(shape), "").markup
    found = re.search(r"max-width:([\d.]+)%", markup)
    assert (found and float(found[1])) == width


def test_the_lone_points_of_a_single_evaluation_are_filled_and_hollow():
    run = stored_run([1e5], [-150], latent_dim=2, train_bound=[-140])
    markup = panels_of(plots.lower_bound_figure([run]))[0].markup
    color = style.COLORS["aevb"].lower()
    points = re.findall(rf'<use [^>]*style="([^"]*stroke: {color}[^"]*)"', markup)
    assert ["fill-opacity: 0" in point for point in points] == [False, True]


@pytest.mark.parametrize(("n_panels", "columns"), [(0, 1), (1, 1), (2, 2), (3, 3), (4, 2), (5, 3)])
def test_no_panel_is_alone_in_its_row(n_panels, columns):
    assert images._columns(n_panels) == columns


def test_a_manifold_needs_two_latents():
    with pytest.raises(ValueError, match="latent_dim=10: a manifold needs 2"):
        plots.manifold_figure([stored_run([1e5], [-150], latent_dim=10)])
