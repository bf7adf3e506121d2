"""The executions of test_executions.py: notebooks with parameters that nobody thought of."""

from pathlib import Path
from typing import NamedTuple

from vae_book.notebooks import output_name


class Row(NamedTuple):
    """An execution: the notebook, its values over SMOKE's, and what is special about it."""

    notebook: str
    values: dict = {}  # "own.npz" stands for a file of 80 pictures with 12 pixels
    from_book: bool = False  # the committed runs and the notebook's defaults, not an empty store
    is_quick: bool = False  # one of those that every `make test` executes
    needs: str = ""  # a data set that has to be there

    @property
    def name(self) -> str:
        kind = "-committed" if self.from_book else ""
        return output_name(Path(self.notebook), self.values).removesuffix(".ipynb") + kind


AEVB = {"algorithms": ["aevb"], "latent_dims": [2]}
FIG2 = [
    Row("fig2_lower_bound", {"latent_dims": [2, 3]}, is_quick=True),
    Row("fig2_lower_bound", {"latent_dims": [7], "seeds": [5]}),
    Row("fig2_lower_bound", {"latent_dims": [1], "algorithms": ["wake_sleep"]}),
    Row("fig2_lower_bound", {"latent_dims": []}),
    Row("fig2_lower_bound", {"algorithms": ["aevb", "wake_sleep", "mcem"]}, is_quick=True),
    Row("fig2_lower_bound", {"algorithms": ["mcem"]}),
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
]
RECORDS = [
    Row("ambiguities", {"n_samples": 300}),
    Row("ambiguities", {"seed": 1}),
    Row("index"),
    Row("index", from_book=True),
    Row("paper_curves"),
    Row("status"),
    Row("status", from_book=True),
]
ROWS = [*FIG2, *FIG3, *PICTURES, *TRAINING, *METHOD, *RECORDS]
