"""Training on an array of one's own, by the trainer of the stored runs, without the store."""

import hashlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from vae_core.data import Dataset
from vae_core.data.registry import ARRAYS, DatasetSpec
from vae_core.model import VAE
from vae_core.runs.config import RunConfig
from vae_core.runs.hardware import check_hardware
from vae_core.runs.trainer import Trainer

EVERY_LIKELIHOOD = ("bernoulli", "gaussian_sigmoid_mean", "gaussian")


@dataclass(frozen=True)
class Fit:
    """A model trained on an array; like a :class:`~vae_core.runs.store.Run`, but not stored.

    Attributes:
        config: the settings, defaults resolved.
        curve: columns of equal length, as of a Run; without test data, no column of the test set.
    """

    config: RunConfig
    curve: dict[str, np.ndarray]
    trained: nn.Module

    def model(self) -> nn.Module:
        """The trained model."""
        return self.trained


def fit(
    x_train: Any,
    x_test: Any = None,
    *,
    n_samples: int,
    algorithm: str = "aevb",
    latent_dim: int | None = None,
    likelihood: str = "bernoulli",
    seed: int = 0,
    model: nn.Module | None = None,
    progress: bool = True,
    **settings: Any,
) -> Fit:
    """Trains a VAE on the rows of an array (Algorithm 1, or another ``algorithm``).

    Args:
        x_train, x_test: (N, D) arrays or tensors, values in [0, 1]; any real values with
            likelihood="gaussian".
        n_samples: training samples to evaluate, as on the axis of Figure 2.
        latent_dim: dimension of z; default 2, or that of ``model``.
        model: one's own, with the methods of a :class:`~vae_core.model.VAE` that the algorithm
            uses; subclass VAE and replace the decoder, say. It is trained in place.
        settings: any other field of RunConfig, such as hidden=(200,) or step_size=0.02.

    Returns:
        The model and its curve, with bounds in nats per datapoint against ``samples``.

    Raises:
        ValueError: names the argument, its value and the remedy, before any training.
        FloatingPointError: training diverged; names the step and the settings to try.
    """
    train = _rows("x_train", x_train, likelihood)
    test = train[:0] if x_test is None else _rows("x_test", x_test, likelihood)
    if test.shape[1] != train.shape[1]:
        raise ValueError(f"x_test has {test.shape[1]} columns, x_train {train.shape[1]}")
    if "dataset" in settings:
        raise ValueError(f"dataset={settings['dataset']!r}: the data are x_train; leave it out")
    if model is not None:
        _check_model(model, algorithm, train.shape[1], latent_dim, likelihood)
        settings = _settled(model, settings)
        latent_dim = cast(Any, model).latent_dim
    name = _described(train, test)
    settings |= {"dataset": name, "algorithm": algorithm, "likelihood": likelihood, "seed": seed}
    settings["latent_dim"] = 2 if latent_dim is None else latent_dim
    config = RunConfig(n_samples=n_samples, **settings)
    check_hardware(config)
    data = Dataset(name, (1, train.shape[1]), 1, train[: config.n_train], train[:0], test)
    trainer = Trainer(config, data, model)
    rows = trainer.run(progress=progress)
    columns = {column: np.array([row[column] for row in rows], dtype=float) for column in rows[0]}
    known = {column: values for column, values in columns.items() if np.isfinite(values).any()}
    return Fit(config, known, trainer.model.eval())


def _check_model(
    model: Any, algorithm: str, data_dim: int, latent_dim: int | None, likelihood: str
) -> None:
    """Refuses a model that the algorithm cannot train, or that contradicts the other arguments."""
    if not isinstance(model, nn.Module) or not hasattr(model, "latent_dim"):
        raise ValueError(f"model={model!r}: a module with the methods of a VAE is needed")
    if algorithm == "mcem":
        raise ValueError("model=...: mcem differentiates the VAE's own decoder in closed form")
    given = {"data_dim": data_dim, "latent_dim": latent_dim, "likelihood": likelihood}
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model=...: none of its parameters requires a gradient, so none can learn")
    if algorithm == "wake_sleep":
        _check_parts(model)
    for name, value in given.items():
        own = getattr(model, name, value)
        if value not in (None, own):
            raise ValueError(f"{name}={value!r}, but that of the model is {own!r}: make them alike")


def _settled(model: Any, settings: dict) -> dict:
    """The settings with the model's own widths; refuses what a model that is there cannot heed."""
    if "init_sd" in settings:
        raise ValueError(
            f"init_sd={settings['init_sd']!r}: the model has its weights; leave it out"
        )
    hidden = getattr(model, "hidden", None)
    if "hidden" in settings and hidden is not None and tuple(settings["hidden"]) != tuple(hidden):
        raise ValueError(f"hidden={settings['hidden']!r}, but that of the model is {hidden!r}")
    if settings.get("matmul_precision") == "medium" and type(model) is not VAE:
        raise ValueError(
            "matmul_precision='medium': bfloat16 is for the VAE of Appendix C alone; leave it out"
        )
    return settings if hidden is None else settings | {"hidden": tuple(hidden)}


def _check_parts(model: nn.Module) -> None:
    """Refuses parameters that neither phase of wake-sleep would move, or both would."""
    names: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)
    for found in names.values():
        parts = {name.split(".")[0] for name in found}
        if len(parts) > 1 or not parts <= {"encoder", "decoder"}:
            raise ValueError(
                f"model=...: wake-sleep moves decoder and encoder in turn, and the parameter "
                f"{' = '.join(sorted(found))} belongs to neither or to both; use algorithm='aevb'"
            )


def _rows(name: str, array: Any, likelihood: str) -> Tensor:
    """(N, D) float32, checked."""
    try:
        rows = torch.as_tensor(array, dtype=torch.float32).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: an array of numbers is needed: {error}") from None
    if rows.ndim != 2 or rows.numel() == 0:
        raise ValueError(f"{name} has the shape {tuple(rows.shape)}: (N, D) is needed")
    if not rows.isfinite().all():
        raise ValueError(f"{name} has values that are NaN or infinite: replace or remove them")
    low, high = rows.min().item(), rows.max().item()
    if likelihood != "gaussian" and (low < 0 or high > 1):
        raise ValueError(
            f"{name} has values from {low:g} to {high:g}: scale them to [0, 1], or use "
            f"likelihood='gaussian' instead of {likelihood!r}"
        )
    return rows.contiguous()


def _described(train: Tensor, test: Tensor) -> str:
    """The name under which RunConfig knows the arrays: by their content."""
    digest = hashlib.sha256(train.numpy().data)
    digest.update(test.numpy().data)
    digest.update(str(train.shape).encode())
    name = f"array-{digest.hexdigest()[:8]}"
    ARRAYS[name] = DatasetSpec(
        name=name,
        title="array",
        image_shape=(1, train.shape[1]),
        levels=1,
        n_train=len(train),
        n_valid=0,
        n_test=len(test),
        likelihoods=EVERY_LIKELIHOOD,
        hidden=(200,),
        batch_size=min(100, len(train)),
        fixed_split=True,
    )
    return name
