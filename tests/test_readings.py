"""Which stored runs stand for the paper's experiments, and how often a run is evaluated."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from vae_book import plots, readings
from vae_book.plots import paper, style
from vae_core.runs import Run
from vae_core.runs.config import RunConfig
from vae_core.runs.interpolate import interpolate_log
from vae_core.runs.plan import is_evaluated, samples_per_step
from vae_core.runs.sweep import configs_of


def run_of(config):
    return Run(Path(config.key), config, {})


def test_a_size_of_its_own_goes_before_its_kind():
    assert readings.reading_of("mnist", "aevb", 20).step_size == 0.01
    assert readings.reading_of("mnist", "aevb", 5).step_size == 0.02
    assert readings.reading_of("digits", "aevb", 5) is None


@pytest.mark.parametrize("name", ["paper", "gpu"])
def test_the_sweeps_hold_every_experiment_of_figure_2_by_the_books_reading(name):
    file = Path(__file__).parents[1] / f"book/params/{name}.yaml"
    configs = configs_of(yaml.safe_load(file.read_text())["sweep"])
    read = {readings.experiment_of(c)[:3] for c in configs if readings.is_of_reading(c)}
    wanted = {
        (dataset, dim, algorithm)
        for dataset, dims in plots.paper.FIG2_LATENT_DIMS.items()
        for dim in dims
        for algorithm in ("aevb", "wake_sleep")
    }
    assert wanted <= read
    if name == "gpu":
        assert len(configs) == len(wanted) == 18
        assert {(c.n_samples, c.device) for c in configs} == {(100_000_000, "cuda")}


def test_a_seed_of_frey_face_is_a_split_too():
    assert readings.config_of("freyface", "aevb", 2, seed=3).split_seed == 3
    assert readings.config_of("mnist", "aevb", 2, seed=3).split_seed == 0


def test_settings_go_before_the_reading_and_the_seed():
    config = readings.config_of("mnist", "aevb", 20, 1, {"seed": 5, "step_size": 0.5})
    assert (config.seed, config.step_size, config.adagrad_warmup) == (5, 0.5, 0)
    assert not readings.is_of_reading(config)


def test_a_run_whose_experiment_has_no_reading_here_is_of_none(tmp_path):
    wide = dict(dataset="digits", algorithm="mcem", latent_dim=30)  # Appendix D serves up to 24
    assert not readings.is_of_reading(RunConfig(**wide, log_marginal="importance_sampling"))
    own = tmp_path / "own.npz"
    np.savez(own, train=np.eye(4), test=np.eye(4))
    config = RunConfig(dataset=str(own))
    own.unlink()
    assert not readings.is_of_reading(config)


def test_what_has_no_reading_of_its_own_is_read_by_the_defaults():
    assert readings.config_of("digits", "mcem", 2) == RunConfig(
        dataset="digits", algorithm="mcem", latent_dim=2
    )


def test_the_longest_run_whatever_its_precision():
    short = readings.config_of("mnist", "aevb", 5, settings={"n_samples": 1_000})
    long = short.model_copy(update={"n_samples": 2_000, "matmul_precision": "medium"})
    (found,) = readings.longest(map(run_of, [short, long, short]), lambda run: 0).values()
    assert found.config == long


@pytest.mark.parametrize(
    "fields",
    [
        dict(dataset="digits", n_samples=2_000),
        dict(dataset="digits", n_samples=30_000),
        dict(dataset="mnist", n_samples=20_000),
        dict(dataset="mnist", n_samples=500_000),
        dict(dataset="freyface", n_samples=10_000),
        dict(dataset="digits", n_samples=700),  # seven steps: each is a row
        dict(dataset="digits", algorithm="mcem", n_samples=100_000),
    ],
)
def test_short_runs_have_a_curve(fields):
    config = RunConfig(**fields)
    config = readings.evaluated_densely(config)
    per_step = samples_per_step(config)
    counts = range(per_step, config.n_samples + per_step, per_step)
    rows = sum(is_evaluated(n, per_step, config) for n in counts)
    assert min(12, len(counts)) <= rows <= 60


@pytest.mark.parametrize("dataset", ["mnist", "freyface"])
def test_runs_at_the_papers_scale_keep_their_keys(dataset):
    config = RunConfig(dataset=dataset, n_samples=10_000_000)
    assert readings.evaluated_densely(config).evals_per_decade == config.evals_per_decade == 12


def test_interpolation_is_linear_in_log_samples_and_skips_missing_values():
    values = interpolate_log([0, 1e2, 1e3, 1e4], [5.0, -20.0, np.nan, -10.0], [1e3, 1e5])
    assert values[0] == pytest.approx(-15.0)
    assert np.isnan(values[1])


def test_interpolation_says_nothing_in_a_wide_and_steep_gap():
    curve = [1e2, 1e4, 1e5], [-20.0, -10.0, -9.0]
    at = [1e3, 1e4, 3e4]
    assert np.isnan(interpolate_log(*curve, at, max_gap=(2.0, 5.0))).tolist() == [
        True,
        False,
        False,
    ]


@pytest.fixture
def empty_store(tmp_path, monkeypatch):
    """A store with nothing in it."""
    (tmp_path / "reference").mkdir()
    monkeypatch.setenv("VAE_CORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VAE_CORE_REFERENCE", str(tmp_path / "reference"))
    monkeypatch.delenv("VAE_CORE_TRAIN", raising=False)


def test_stored_seeds_at_their_full_length_or_one_length_for_all(empty_store, monkeypatch):
    def lengths(**options):
        runs = readings.runs_of("digits", "aevb", 2, **options)
        return [(run.config.seed, run.config.n_samples) for run in runs]

    assert lengths(n_samples=300) == [(0, 300)]  # trained now
    assert lengths(n_samples=500, seeds=[0, 1]) == [(0, 500), (1, 500)]
    monkeypatch.setenv("VAE_CORE_TRAIN", "never")
    assert lengths() == [(0, 500), (1, 500)]
    assert lengths(n_samples=300) == [(0, 300)]
    assert lengths(seeds=[1]) == [(1, 500)]
    assert lengths(seeds=[2]) == lengths(settings={"step_size": 0.05}) == []
    with pytest.raises(LookupError, match="not stored"):
        lengths(seeds=[2], n_samples=500)


def face_run(latent_dim, step, offset, seed=0, n_samples=1_000_000):
    """A run on Frey Face whose test curve is the paper's plus an offset in nats."""
    settings = {"step_size": step, "adagrad_warmup": 0, "n_samples": n_samples}
    config = readings.config_of("freyface", "aevb", latent_dim, seed, settings)
    samples = np.geomspace(1e5, n_samples, 30)
    bound = plots.fig2_curve("freyface", latent_dim, "aevb", "test").at(samples) + offset
    return Run(Path(config.key), config, {"samples": samples, "test_bound": bound})


def test_seeds_of_a_choice_have_their_mean_and_standard_deviation():
    runs = [face_run(5, 0.02, offset, seed) for seed, offset in enumerate((-1.0, -3.0, -5.0))]
    runs += [face_run(5, 0.02, -4.0, 0, 3_000_000), face_run(5, 0.01, 7.0), face_run(2, 0.02, 7.0)]
    table = plots.seeds_table(runs, "aevb", "freyface", (1e6, 3e6, 1e7))
    assert table.rows == [
        ["0.02", "0", "none", "5", "3", "\N{MINUS SIGN}4.0 ± 1.0", "\N{MINUS SIGN}4.0", "–"]
    ]
    assert plots.seeds_table(runs, "wake_sleep", "freyface") is None


def test_a_count_that_few_experiments_reach_is_worth_no_column():
    ends = {2: 10_000_000, 5: 10_000_000, 10: 3_000_000, 20: 100_000_000}
    runs = [face_run(dim, 0.02, 0.0, n_samples=n) for dim, n in ends.items()]
    assert plots.counts_for([*runs, face_run(2, 0.02, 0.0, 1, 3_000_000)]) == [1e6, 1e7]
    assert plots.counts_for(runs[-1:]) == [1e7, 1e8]
    assert plots.counts_for([face_run(2, 0.02, 0.0, n_samples=200_000)]) == [2e4, 2e5]


def test_one_choice_for_all_sizes_is_set_beside_one_for_each():
    offsets = {0.01: {2: 1, 5: 3, 10: 2, 20: 2}, 0.02: {2: 5, 5: 1}}
    runs = [face_run(dim, step, off) for step, of in offsets.items() for dim, off in of.items()]
    table = plots.choice_table(runs, "aevb", "freyface")
    assert [list(map(style.plain, row[3:])) for row in table.rows] == [
        ["1.0", "3.0", "2.0", "2.0", "2.0"],
        ["5.0", "1.0", "–", "–", "–"],
        ["1.0", "1.0", "2.0", "2.0", "1.5"],
    ]
    assert table.rows[1][4] == "<strong>1.0</strong>"
    assert plots.choice_table(runs, "wake_sleep", "freyface") is None


@pytest.mark.parametrize("names", [("AEVB", "test"), ("aevb", "valid")])
def test_a_curve_of_an_unknown_name_is_refused(names):
    with pytest.raises(ValueError, match="AEVB|valid"):
        plots.fig2_curve("mnist", 20, *names)
    with pytest.raises(ValueError, match="AEVB|valid"):
        paper.fig3_curve(1_000, *names)
