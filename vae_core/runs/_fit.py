"""Training on a user's own array, by the trainer of the stored runs, without the store."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from vae_core._arguments import check_choice
from vae_core._atomic import locked
from vae_core.data.registry import ARRAYS
from vae_core.model import VAE
from vae_core.runs._arrays import as_dataset, described, rows_of
from vae_core.runs._own_model import check_methods, check_model, own, settled, try_model
from vae_core.runs._start import Beginning, start_of
from vae_core.runs.checkpoint import resume
from vae_core.runs.config import RunConfig
from vae_core.runs.hardware import check_hardware
from vae_core.runs.interpolate import interpolate_log
from vae_core.runs.trainer import Trainer


@dataclass(frozen=True, eq=False)
class Fit:
    """A model trained on an array; like a :class:`~vae_core.runs.store.Run`, but not stored.

    Attributes:
        config: the settings, with defaults filled in.
        curve: columns of equal length, as in a Run; without test data, none of the test set.
    """

    config: RunConfig
    curve: dict[str, np.ndarray]
    trained: nn.Module

    def at(self, samples: float, column: str = "test_bound") -> float:
        """The column's value at a number of samples, interpolated in log samples; nan outside."""
        check_choice("column", column, self.curve)
        return float(interpolate_log(self.curve["samples"], self.curve[column], samples))

    def model(self) -> Any:
        """The trained model: a :class:`~vae_core.model.VAE`, or the model given to :func:`fit`."""
        return self.trained

    def __getstate__(self) -> dict[str, Any]:
        """Includes the description of the array, which another process does not have."""
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
    """Trains a VAE on the rows of an array, by Algorithm 1 or another ``algorithm``.

    Args:
        x_train, x_test: (N, D) arrays, tensors, or what numpy turns into an array, such as a table.
            Values in [0, 1]; any real values with likelihood="gaussian", or if the model has its
            own ``log_likelihood``.
        n_samples: number of training samples to evaluate, as on the horizontal axis of Figure 2.
        latent_dim: dimension of z; default 2, or that of ``model``.
        likelihood: of the pixels; default "bernoulli", or that of ``model``.
        model: your own model, with the methods of a :class:`~vae_core.model.VAE` that the algorithm
            uses; for example a subclass of VAE with another decoder. It must be float32 and is
            trained in place.
        checkpoints: a folder for a checkpoint every 30 seconds and on Ctrl-C, from which the same
            call resumes; see below. Without a folder, interrupted training is lost.
        settings: any other field of RunConfig, such as hidden=(200,) or step_size=0.02;
            binarize=True trains and tests on the draw that a data set in a file gives.

    Returns:
        The model and its curve, with bounds in nats per datapoint against ``samples``.

    Raises:
        ValueError: names the argument, its value and the remedy, before any training.
        FloatingPointError: training diverged; names the step and the settings to try.
        RunInterrupted: Ctrl-C or SIGTERM; the message says whether there is a checkpoint.
        StoreError: ``checkpoints`` cannot be written to; what is there is kept.

    Resuming: the same call resumes from ``checkpoints``, and so does one with more ``n_samples``.
    On a CPU the result is that of an uninterrupted call bit for bit, with two exceptions: the model
    draws from torch's global generator, or the shorter call was too short to be compiled and the
    longer is not (they differ by rounding, some 1e-7 nats).

    Your own model is recognised by its layers, by which parameters are frozen, by its attributes
    that are numbers, strings or functions (by name), by its initial weights, and by its first bound
    and gradient. So seed its initial weights; Ctrl-C restores them. Two models that differ only in
    other ways, and first in a later step, are taken for the same one. Whatever training changes
    must be a parameter or a buffer: an attribute such as ``self.n += 1`` starts anew when training
    resumes.
    """
    likelihood = str(likelihood or own(model, "likelihood", str) or "bernoulli")
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
        check_model(model, algorithm, train.shape[1], latent_dim, likelihood)
        check_methods(model, algorithm, settings)
        settings = settled(model, settings)
        latent_dim = cast(Any, model).latent_dim
    name = described(train, test)
    settings |= {"dataset": name, "algorithm": algorithm, "likelihood": likelihood, "seed": seed}
    settings["latent_dim"] = 2 if latent_dim is None else latent_dim
    config = RunConfig(n_samples=n_samples, **settings)
    check_hardware(config)
    trainer = Trainer(config, as_dataset(config, train, test), model)
    if model is not None:
        try_model(trainer)
    with _resumed(trainer, checkpoints) as checkpoint:
        rows = trainer.run(checkpoint, progress=progress)
    columns = {column: np.array([row[column] for row in rows], dtype=float) for column in rows[0]}
    known = {column: values for column, values in columns.items() if np.isfinite(values).any()}
    return Fit(config, known, trainer.model.eval())


@contextmanager
def _resumed(trainer: Trainer, checkpoints: str | Path | None) -> Iterator[Path | None]:
    """Moves the trainer to where it was stopped; yields the file of its next checkpoint.

    Each user's own model has a folder there, since its settings do not tell it from others.
    """
    if checkpoints is None:
        yield None
        return
    config, above = trainer.config, Path(checkpoints).expanduser().resolve()
    folder = above / start_of(trainer)
    beginning = Beginning(trainer)
    with locked(folder / f"{config.key}.lock", "checkpoints=... names another folder"):
        resume(trainer, folder)
        others = above.glob(f"*/{config.trajectory_key}.*.safetensors")
        if not trainer.samples and (beside := [p for p in others if p.parent != folder]):
            warnings.warn(
                f"{beside[0]} is of the same settings, with a model that began otherwise, and is "
                f"not used: seed the first weights to go on from it",
                stacklevel=4,
            )
        try:
            yield folder / f"{config.trajectory_key}.{config.n_samples}.safetensors"
        except BaseException:
            beginning.restore()  # so that the same call knows the model again
            raise
