"""Training on an array of one's own, by the trainer of the stored runs, without the store."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from vae_core._arguments import check_choice
from vae_core._atomic import locked
from vae_core._noise import noise_like
from vae_core.algorithms import ALGORITHMS
from vae_core.data.registry import ARRAYS
from vae_core.images import Images
from vae_core.model import VAE, standard_normal_log_prob
from vae_core.runs._arrays import as_dataset, described, rows_of
from vae_core.runs.checkpoint import RunInterrupted, changing, digest, resume
from vae_core.runs.config import RunConfig
from vae_core.runs.hardware import check_hardware
from vae_core.runs.interpolate import interpolate_log
from vae_core.runs.trainer import EVALUATION_CHUNK, Trainer, mean_bound


@dataclass(frozen=True, eq=False)
class Fit:
    """A model trained on an array; like a :class:`~vae_core.runs.store.Run`, but not stored.

    Attributes:
        config: the settings, defaults resolved.
        curve: columns of equal length, as of a Run; without test data, no column of the test set.
    """

    config: RunConfig
    curve: dict[str, np.ndarray]
    trained: nn.Module

    def at(self, samples: float, column: str = "test_bound") -> float:
        """The column's value at a number of samples, interpolated in log samples; nan outside."""
        check_choice("column", column, self.curve)
        return float(interpolate_log(self.curve["samples"], self.curve[column], samples))

    def model(self) -> Any:
        """The trained model, a :class:`~vae_core.model.VAE` or one's own."""
        return self.trained

    def __getstate__(self) -> dict[str, Any]:
        """With what is known of the array, which another process does not have."""
        return vars(self) | {"spec": self.config.spec}

    def __setstate__(self, state: dict[str, Any]) -> None:
        spec = state.pop("spec")
        ARRAYS[spec.name] = spec
        vars(self).update(state)


def fit(
    x_train: Any,
    x_test: Any = None,
    *,
    n_samples: int,
    algorithm: str = "aevb",
    latent_dim: int | None = None,
    likelihood: str | None = None,
    seed: int = 0,
    model: nn.Module | None = None,
    progress: bool = True,
    checkpoints: str | Path | None = None,
    **settings: Any,
) -> Fit:
    """Trains a VAE on the rows of an array (Algorithm 1, or another ``algorithm``).

    Args:
        x_train, x_test: (N, D) arrays or tensors, values in [0, 1]; any real values with
            likelihood="gaussian", or where the model has its own ``log_likelihood``. Whatever numpy
            makes an array of serves, such as a table.
        n_samples: training samples to evaluate, as on the axis of Figure 2.
        latent_dim: dimension of z; default 2, or that of ``model``.
        likelihood: of the pixels; default "bernoulli", or that of ``model``.
        model: one's own, with the methods of a :class:`~vae_core.model.VAE` that the algorithm
            uses; subclass VAE and replace the decoder, say. It is float32 and trained in place.
        checkpoints: a folder to keep in how far training is, every 30 seconds and on Ctrl-C. There
            the same call goes on, and one with more ``n_samples``: on a CPU bit for bit, unless
            the model draws from torch's global generator. A model of one's own is known by its
            layers, first weights (which Ctrl-C brings back) and first bound, so seed those.
            Without a folder, what is stopped is lost.
        settings: any other field of RunConfig, such as hidden=(200,) or step_size=0.02;
            binarize=True trains and tests on the draw that a data set in a file gives.

    Returns:
        The model and its curve, with bounds in nats per datapoint against ``samples``.

    Raises:
        ValueError: names the argument, its value and the remedy, before any training.
        FloatingPointError: training diverged; names the step and the settings to try.
        RunInterrupted: Ctrl-C or SIGTERM; it tells whether there is a checkpoint.
        StoreError: ``checkpoints`` cannot be written to; what is there is kept.
    """
    likelihood = str(likelihood or _own(model, "likelihood", str) or "bernoulli")
    has_own = (
        model is not None and getattr(type(model), "log_likelihood", None) is not VAE.log_likelihood
    )
    is_real = likelihood == "gaussian" or has_own
    train = rows_of("x_train", x_train, likelihood, is_real)
    test = train[:0] if x_test is None else rows_of("x_test", x_test, likelihood, is_real)
    if test.shape[1] != train.shape[1]:
        raise ValueError(f"x_test has {test.shape[1]} columns, x_train {train.shape[1]}")
    if "dataset" in settings:
        raise ValueError(f"dataset={settings['dataset']!r}: the data are x_train; leave it out")
    if model is not None:
        _check_model(model, algorithm, train.shape[1], latent_dim, likelihood)
        _check_methods(model, algorithm, settings)
        settings = _settled(model, settings)
        latent_dim = cast(Any, model).latent_dim
    name = described(train, test)
    settings |= {"dataset": name, "algorithm": algorithm, "likelihood": likelihood, "seed": seed}
    settings["latent_dim"] = 2 if latent_dim is None else latent_dim
    config = RunConfig(n_samples=n_samples, **settings)
    check_hardware(config)
    trainer = Trainer(config, as_dataset(config, train, test), model)
    if model is not None:
        _try(trainer)
    with _resumed(trainer, checkpoints) as checkpoint:
        rows = trainer.run(checkpoint, progress=progress)
    columns = {column: np.array([row[column] for row in rows], dtype=float) for column in rows[0]}
    known = {column: values for column, values in columns.items() if np.isfinite(values).any()}
    return Fit(config, known, trainer.model.eval())


@contextmanager
def _resumed(trainer: Trainer, checkpoints: str | Path | None) -> Iterator[Path | None]:
    """Moves the trainer to where it was stopped; yields the file of its next checkpoint.

    Each model of one's own has a folder there, as the settings do not tell it from others.
    """
    if checkpoints is None:
        yield None
        return
    config, above = trainer.config, Path(checkpoints).expanduser().resolve()
    folder = above / _start_of(trainer)
    first = {name: tensor.clone() for name, tensor in changing(trainer)}
    with locked(folder / f"{config.key}.lock", "checkpoints=... names another folder"):
        resume(trainer, folder)
        name = f"{config.trajectory_key}.{config.n_samples}.safetensors"
        if not trainer.samples and (others := [*above.glob(f"*/{name}")]):
            warnings.warn(
                f"{others[0]} is of the same settings, with a model that began otherwise, and is "
                f"not used: seed the first weights to go on from it",
                stacklevel=4,
            )
        try:
            yield folder / name
        except RunInterrupted:
            for name, tensor in changing(trainer):
                tensor.copy_(first[name])  # so that the same call knows the model again
            raise


def _start_of(trainer: Trainer) -> str:
    """A name for the model as it is before training: its layers, tensors and first bound."""
    bound, images, model = trainer.bound, trainer.images, trainer.model
    value = 0.0
    if bound:
        few = Images(images.rows[:EVALUATION_CHUNK], images.levels)
        value = mean_bound(bound, model.eval(), few, torch.Generator(trainer.device).manual_seed(0))
        model.train()
    started = digest(dict(changing(trainer)), f"{model!r} {value:.3f}")
    return f"{type(model).__name__}-{started[:8]}"


def _own(model: Any, name: str, kind: type) -> Any:
    """A model's attribute of this name, if it is one of a VAE's settings and not another thing."""
    value = getattr(model, name, None)
    return value if isinstance(value, kind) else None


@torch.no_grad()
def _try(trainer: Trainer) -> None:
    """Refuses a model that fails on two rows, or whose prior the bound does not know."""
    model, config, images = trainer.model, trainer.config, trainer.images
    generator = torch.Generator(trainer.device).manual_seed(0)
    x, name = images.scaled(images.rows[:2]), type(model).__name__
    model.eval()
    try:
        if trainer.bound:
            trainer.bound(model, x, generator=generator)
    except Exception as error:
        raise ValueError(f"model=...: {name} fails on two rows of x_train: {error}") from error
    if config.algorithm != "autoencoder" and config.estimator == "sgvb_b":
        z = torch.randn(1, len(x), model.latent_dim, **noise_like(x, generator))
        if hasattr(model, "log_joint") and hasattr(model, "log_likelihood"):
            prior = model.log_joint(x, z) - model.log_likelihood(x, z)
            if not torch.allclose(prior, standard_normal_log_prob(z), rtol=1e-3, atol=0.1):
                raise ValueError(
                    f"model=...: the prior in {name}.log_joint is not N(0, I), which "
                    f"estimator='sgvb_b' and wake-sleep take: use estimator='sgvb_a' of AEVB"
                )
    model.train()


def _check_model(
    model: Any, algorithm: str, data_dim: int, latent_dim: int | None, likelihood: str
) -> None:
    """Refuses a model that the algorithm cannot train, or that contradicts the other arguments."""
    if not isinstance(model, nn.Module) or not hasattr(model, "latent_dim"):
        raise ValueError(f"model={model!r}: a module with the methods of a VAE is needed")
    if algorithm == "mcem":
        raise ValueError("model=...: mcem differentiates the VAE's own decoder in closed form")
    given = {"data_dim": data_dim, "latent_dim": latent_dim, "likelihood": likelihood}
    _check_tensors(model)
    if algorithm == "wake_sleep":
        _check_parts(model)
    for name, value in given.items():
        own = _own(model, name, type(value))
        if own is not None and value not in (None, own):
            raise ValueError(f"{name}={value!r}, but that of the model is {own!r}: make them alike")


def _check_tensors(model: nn.Module) -> None:
    """Refuses a model none of whose parameters can learn, or not in a run's precision."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model=...: none of its parameters requires a gradient, so none can learn")
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ValueError(
                f"model=...: its {name} is of {tensor.dtype}, and runs are float32: "
                f"use model.float()"
            )
        if tensor.is_inference():
            raise ValueError(
                f"model=...: its {name} was made in torch.inference_mode(), so it cannot learn: "
                f"make the model outside, or use copy.deepcopy(model) there"
            )


def _check_methods(model: Any, algorithm: str, settings: dict) -> None:
    """Refuses a model without a method that the run would call."""
    check_choice("algorithm", algorithm, ALGORITHMS)
    needed = [*ALGORITHMS[algorithm].needs]
    if settings.get("log_marginal") or settings.get("estimator", "sgvb_b") != "sgvb_b":
        needed.append("log_joint")
    if settings.get("log_marginal") == "importance_sampling":
        needed.append("encode")
    missing = [name for name in needed if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f"model=...: {type(model).__name__} has no {' and no '.join(missing)}, which "
            f"algorithm={algorithm!r} needs as a VAE has it: define it, or subclass VAE"
        )


def _settled(model: Any, settings: dict) -> dict:
    """The settings with the model's own widths; refuses what a model that is there cannot heed."""
    if "init_sd" in settings:
        raise ValueError(
            f"init_sd={settings['init_sd']!r}: the model has its weights; leave it out"
        )
    hidden = _own(model, "hidden", tuple)
    widths = settings.get("hidden")
    widths = tuple(widths) if isinstance(widths, Iterable) else widths
    if hidden is not None and widths is not None and widths != tuple(hidden):
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
