"""The executions of test_executions.py: notebooks with parameters that nobody thought of."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_book.notebooks import output_name


class Row(NamedTuple):
    """An execution: the notebook, its values over SMOKE's, and what is special about it."""

    notebook: str
    values: dict = {}  # data sets of OWN stand for files of that name
    from_book: bool = False  # the committed runs and the notebook's defaults, not an empty store
    is_quick: bool = False  # one of those that every `make test` executes
    needs: str = ""  # a data set that has to be there

    @property
    def name(self) -> str:
        kind = "-committed" if self.from_book else ""
        return output_name(Path(self.notebook), self.values).removesuffix(".ipynb") + kind


def pictures(n_train: int, n_test: int, shape: tuple[int, int], **more) -> dict:
    """Arrays of a data set of one's own: noise, mostly dark."""
    generator = np.random.default_rng(0)
    x = generator.random((n_train + n_test, shape[0] * shape[1]), dtype=np.float32) ** 2
    return dict(train=x[:n_train], test=x[n_train:], image_shape=shape) | more


def labelled() -> dict:
    """Stripes of three kinds, as bytes, with the kind of each."""
    kinds = np.arange(132) % 3
    x = (255 * np.eye(3, dtype=np.uint8)[kinds]).repeat(4, axis=1)  # (132, 12)
    labels = dict(train_labels=kinds[:120], test_labels=kinds[120:])
    return dict(train=x[:120], test=x[120:], image_shape=(3, 4)) | labels


GREY = {"train": np.full((60, 6), 0.5, np.float32), "test": np.full((9, 6), 0.5, np.float32)}
OWN = {  # data sets of one's own, by the names of their files
    "own.npz": pictures(80, 12, (3, 4)),
    "mes données 手.npz": labelled(),
    "one_pixel.npz": pictures(50, 8, (1, 1)),
    "grey.npz": GREY,
    "few.npz": pictures(3, 1, (2, 5)),
    "long.npz": pictures(40, 5, (2, 70)),
}
AEVB = {"algorithms": ["aevb"], "latent_dims": [2]}
FIG2 = [
    Row("fig2_lower_bound", {"latent_dims": [2, 3]}, is_quick=True),
    Row("fig2_lower_bound", {"latent_dims": [7], "seeds": [5]}),
    Row("fig2_lower_bound", {"latent_dims": [1], "algorithms": ["wake_sleep"]}),
    Row("fig2_lower_bound", {"latent_dims": []}),
    Row("fig2_lower_bound", {"algorithms": ["aevb", "wake_sleep", "mcem"]}, is_quick=True),
    Row("fig2_lower_bound", {"algorithms": ["autoencoder", "aevb"], "latent_dims": [3]}),
    Row("fig2_lower_bound", {"latent_dims": [4], "seeds": [0, 1, 2]}),
    Row("fig2_lower_bound", {"latent_dims": [3], "n_samples": 300}),
    Row("fig2_lower_bound", {"latent_dims": [3], "n_samples": 20_000, "hidden": [4]}),
    Row("fig2_lower_bound", {"latent_dims": [3], "hidden": []}),
    Row("fig2_lower_bound", {"latent_dims": [3], "hidden": [8, 6]}),
    Row("fig2_lower_bound", AEVB | {"settings": {"estimator": "score_function"}}),
    Row("fig2_lower_bound", AEVB | {"settings": {"n_train": 150, "n_mc": 2}}),
    Row("fig2_lower_bound", AEVB | {"settings": {"adagrad_warmup": 15, "prior_sd": None}}),
    Row("fig2_lower_bound", {"datasets": ["own.npz"], "latent_dims": [2]}),
    Row("fig2_lower_bound", {"datasets": ["digits", "own.npz"], "latent_dims": [2, 3]}),
    Row(
        "fig2_lower_bound",
        {"datasets": ["mnist"], "latent_dims": [3], "n_samples": 5_000},
        needs="mnist",
    ),
    Row(
        "fig2_lower_bound",
        {"datasets": ["freyface", "digits"], "latent_dims": [2], "n_samples": 4_000},
        needs="freyface",
    ),
    Row("fig2_lower_bound", {"datasets": ["mnist"], "latent_dims": [3, 20]}, from_book=True),
    Row("fig2_lower_bound", AEVB | {"latent_dims": list(range(1, 13)), "n_samples": 500}),
    Row("fig2_lower_bound", AEVB | {"latent_dims": [100, 2], "n_samples": 1_000}),
    Row("fig2_lower_bound", {"latent_dims": [2], "n_samples": 7}),
    Row("fig2_lower_bound", {"latent_dims": [2], "seeds": [4_294_967_295]}),
    Row("fig2_lower_bound", AEVB | {"settings": {"step_size": 0.3, "n_mc": 3}}),
    Row("fig2_lower_bound", AEVB | {"settings": {"binarize": True, "batch_size": 1_000}}),
    Row("fig2_lower_bound", {"datasets": ["mes données 手.npz"], "latent_dims": [2]}),
    Row("fig2_lower_bound", {"datasets": ["one_pixel.npz", "grey.npz"], "latent_dims": [2]}),
    Row("fig2_lower_bound", {"datasets": ["few.npz", "long.npz"], "latent_dims": [1, 3]}),
    Row("fig2_lower_bound", {"datasets": ["grey.npz"], "settings": {"likelihood": "gaussian"}}),
]
FIG3_FEW = {"evals_per_decade": 2, "algorithms": ["aevb"], "latent_dims": [2], "n_trains": [60]}
FIG3 = [
    Row("fig3_marginal_likelihood", {"evals_per_decade": 2, "latent_dims": [2], "n_trains": [50]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"latent_dims": [2, 3]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"n_trains": [1_000, 999]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"latent_dims": [3], "seeds": [1, 4]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"latent_dims": [5]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"latent_dims": [1]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"latent_dims": [], "n_trains": [], "hidden": []}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"evals_per_decade": 13}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"algorithms": ["mcem"]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"settings": {"n_mc": 4, "step_size": 0.1}}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"datasets": ["digits", "own.npz"]}),
    Row(
        "fig3_marginal_likelihood",
        FIG3_FEW | {"datasets": ["mnist"], "n_trains": [200], "latent_dims": [3]},
        needs="mnist",
    ),
    Row("fig3_marginal_likelihood", from_book=True),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"n_points": 1, "n_bracket_points": 1}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"n_points": 100_000, "n_bracket_points": 400}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"bias_latent_dims": [60, 1]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"latent_dims": [24]}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"n_samples": 1}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"settings": {"likelihood": "gaussian"}}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"datasets": ["few.npz"], "n_trains": []}),
    Row("fig3_marginal_likelihood", FIG3_FEW | {"datasets": ["one_pixel.npz"], "n_trains": [20]}),
]
PICTURES = [
    Row("fig4_manifold", {"grid_size": 3}, is_quick=True),
    Row("fig4_manifold", {"grid_size": 1, "seed": 7}),
    Row("fig4_manifold", {"grid_size": 4, "settings": {"likelihood": "gaussian"}}),
    Row("fig4_manifold", {"datasets": ["own.npz"], "grid_size": 4}),
    Row("fig4_manifold", {"datasets": ["digits", "own.npz"], "hidden": []}),
    Row("fig4_manifold", {"datasets": ["freyface"], "grid_size": 5}, needs="freyface"),
    Row("fig5_samples", {"latent_dims": [1]}, is_quick=True),
    Row("fig5_samples", {"latent_dims": [], "n_rows": 1, "n_columns": 1}),
    Row("fig5_samples", {"latent_dims": [2, 7], "n_rows": 2, "pixels": True}),
    Row("fig5_samples", {"datasets": ["own.npz"], "latent_dims": [3], "seed": 3}),
    Row("fig5_samples", {"datasets": ["own.npz", "digits"], "n_rows": 3, "n_columns": 4}),
    Row(
        "fig5_samples",
        {"datasets": ["mnist", "freyface", "digits"], "latent_dims": [2]},
        needs="mnist",
    ),
    Row("fig5_samples", {"datasets": ["freyface"], "latent_dims": [10]}, from_book=True),
    Row("fig4_manifold", from_book=True),
    Row("fig4_manifold", {"datasets": ["mes données 手.npz", "one_pixel.npz"], "grid_size": 2}),
    Row("fig4_manifold", {"datasets": ["grey.npz", "few.npz", "long.npz"], "grid_size": 3}),
    Row("fig4_manifold", {"grid_size": 40, "n_samples": 1}),
    Row("fig5_samples", {"latent_dims": list(range(1, 13)), "n_rows": 2, "n_samples": 300}),
    Row("fig5_samples", {"latent_dims": [100], "n_rows": 30, "n_columns": 2, "pixels": True}),
    Row("fig5_samples", {"datasets": ["grey.npz", "one_pixel.npz", "few.npz"]}),
    Row("fig5_samples", {"datasets": ["mes données 手.npz"], "settings": {"binarize": True}}),
]
TRAINING = [
    Row("live", {"latent_dims": [2], "n_samples": 1_000}, is_quick=True),
    Row("live", {"latent_dims": [1]}),
    Row("live", {"latent_dims": [3], "n_samples": 300, "seed": 2}),
    Row("live", {"latent_dims": [2, 4], "step_size": 0.1}),
    Row("train", {"hidden": [3]}),
    Row("train", {"hidden": [5, 4], "n_samples": 300}),
    Row("train", {"step_size": 0.1, "seed": 3}),
    Row("own_data", {"n_samples": 500}),
    Row("own_data", {"n_samples": 20_000, "seed": 3}),
    Row("live", {"n_samples": 1, "step_size": 0.5}),
    Row("live", {"latent_dims": list(range(1, 13)), "n_samples": 500}),
    Row("live", {"latent_dims": [100]}),
    Row("train", {"n_samples": 1}),
    Row("train", {"hidden": [1], "step_size": 1e-9}),
    Row("own_data", {"n_samples": 1}),
]
METHOD = [
    Row("autoencoder", {"latent_dim": 1}),
    Row("autoencoder", {"latent_dim": 12, "n_samples": 300}),
    Row("autoencoder", {"step_size": 0.1, "seed": 9}),
    Row("estimators", {"n_draws": 10}),
    Row("estimators", {"n_samples": 100, "seed": 2}),
    Row("models", {"shown": [4]}),
    Row("models", {"shown": [0, 1, 2, 3]}),
    Row("models", {"datasets": ["own.npz"], "shown": [0, 1]}),
    Row("rivals", {"n_steps": 3}),
    Row("rivals", {"n_steps": 40, "seed": 5}),
    Row("rivals", {"n_steps": 1}),
    Row("autoencoder", {"latent_dim": 100, "n_samples": 1}),
    Row("estimators", {"n_draws": 2, "n_samples": 1}),
    Row("models", {"datasets": ["freyface"], "shown": [1, 1]}, needs="freyface"),
    Row("models", {"datasets": ["one_pixel.npz"], "shown": [0]}),
    Row("models", {"datasets": ["grey.npz"], "shown": [2, 0], "n_samples": 1}),
]
RECORDS = [
    Row("ambiguities", {"n_samples": 300}),
    Row("ambiguities", {"seed": 1}),
    Row("index"),
    Row("index", from_book=True),
    Row("paper_curves"),
    Row("status"),
    Row("status", from_book=True),
    Row("ambiguities", from_book=True),
    Row("ambiguities", {"datasets": ["own.npz"], "n_samples": 1}),
    Row("estimator"),
    Row("speed"),
]
ROWS = [*FIG2, *FIG3, *PICTURES, *TRAINING, *METHOD, *RECORDS]
