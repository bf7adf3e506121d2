"""The run store: a RunConfig names a run, ``get_or_run`` finds it or trains it.

A finished run is a folder with ``run.json`` and, unless its weights were dropped,
``model.safetensors``. Runs are looked for in ``book/reference`` first, then in the user's cache.
"""

import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.torch import load_file
from torch import nn

from vae_core._arguments import check_choice, check_kind
from vae_core._atomic import locked, replacing
from vae_core.data import Dataset, load_dataset
from vae_core.model import VAE
from vae_core.runs.checkpoint import resume, write_tensors
from vae_core.runs.config import RunConfig
from vae_core.runs.folders import OTHER_CACHE, cache_dir, reference_dir
from vae_core.runs.hardware import check_hardware
from vae_core.runs.interpolate import interpolate_log
from vae_core.runs.own_file import check_file, config_of, is_of_its_data
from vae_core.runs.provenance import Provenance, curve_sha256, weights_sha256
from vae_core.runs.trainer import Trainer, build_model


class MissingRunError(LookupError):
    """A run is not stored, and VAE_CORE_TRAIN=never forbids training it."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run; two runs are equal if they are in the same folder.

    Attributes:
        path: its folder.
        config: the RunConfig that determines it.
        curve: columns of equal length: ``samples`` and, in nats per datapoint, ``train_bound``,
            ``train_bound_minibatch`` (running mean since the last row), ``test_bound`` and, if
            requested, ``train_log_marginal`` and ``test_log_marginal``.
        metrics: numbers computed from the finished model, by name, from ``run.json`` and from
            ``metrics.json`` beside it.
        provenance: versions, hashes, hardware, wall seconds, date.
    """

    path: Path
    config: RunConfig
    curve: dict[str, np.ndarray]
    metrics: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @classmethod
    def load(cls, path: str | Path, dataset: str | None = None) -> "Run":
        """Reads a finished run; ``dataset`` is the present path of a user's own data file.

        If that file cannot be found, the run still has its curve.

        Raises:
            ValueError: not a finished run, or not of this version's semantics; names the file.
        """
        path = Path(path).absolute()
        try:
            stored = json.loads((path / "run.json").read_text())
            config = config_of(stored["config"], dataset)
            trained = stored["config"].get("dataset"), stored["provenance"].get("data_sha256")
            if dataset and not is_of_its_data(config, *trained):
                raise ValueError(f"it was trained on other data than {dataset} holds")
            curve = {k: np.array(v, dtype=float) for k, v in stored["curve"].items()}
            if len({column.shape for column in curve.values()}) != 1:
                raise ValueError("the columns of its curve are not of one length")
            metrics = stored["metrics"] | read_metrics(path / "metrics.json")
            return cls(path, config, curve, metrics, stored["provenance"])
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path / 'run.json'} is not a finished run: {reason}") from error

    @property
    def key(self) -> str:
        return self.path.name

    @cached_property
    def has_weights(self) -> bool:
        return (self.path / "model.safetensors").exists()

    def model(self) -> VAE:
        """The trained model in float32; LookupError if the run was stored without weights."""
        if not self.has_weights:
            raise LookupError(
                f"{self.key} was stored without weights (its curve alone is kept); "
                f"train it again into the cache: vae-core run --retrain {self.key}"
            )
        weights = load_file(self.path / "model.safetensors")
        # by the weights, as a file of one's own may no longer be there to tell
        model = build_model(self.config, data_dim=weights["encoder.0.weight"].shape[1])
        model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        return model.eval()

    def at(self, samples: float, column: str = "test_bound") -> float:
        """The column's value at a number of samples, interpolated in log samples; nan outside."""
        check_choice("column", column, self.curve)
        return float(interpolate_log(self.curve["samples"], self.curve[column], samples))


def read_metrics(path: Path) -> dict[str, dict]:
    """The metrics in a file, by name; none, with a warning, if it cannot be read."""
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        warnings.warn(f"{path} holds no metrics: {error}", stacklevel=2)
        return {}


def find_run(config: RunConfig, *, weights: bool = False) -> Run | None:
    """The stored run of this config, or None; with ``weights`` only a run that has its weights."""
    check_kind("config", config, RunConfig, "RunConfig(dataset=...) makes one")
    for path in _paths(config):
        run = _load(path, config.dataset) if (path / "run.json").exists() else None
        # another config may have the same eight digits
        if run and run.config == config and (run.has_weights or not weights):
            return run
    return None


def _paths(config: RunConfig) -> Iterator[Path]:
    """Where a run may be; one on a user's own file has the name that the file had then."""
    for folder in (reference_dir(), cache_dir() / "runs"):
        yield folder / config.key
        if config.data_sha256:
            yield from sorted(folder.glob(f"*{config.key[-9:]}"))


def all_runs() -> list[Run]:
    """Every stored run, reference runs first; a run that is in both folders is listed once.

    A folder that is not a finished run of this version is skipped with a warning that names it.
    """
    found: dict[str, Run] = {}
    for folder in (reference_dir(), cache_dir() / "runs"):
        for file in sorted(folder.glob("*/run.json")):
            path = file.parent
            is_temporary = path.name.startswith(".")  # of a run that is being stored, or was
            if not is_temporary and path.name not in found and (run := _load(path)):
                found[path.name] = run
    return list(found.values())


def _load(path: Path, dataset: str | None = None) -> Run | None:
    try:
        return Run.load(path, dataset)
    except ValueError as error:
        warnings.warn(f"skipped: {error}", stacklevel=3)
        return None


def get_or_run(
    config: RunConfig, *, weights: bool = False, progress: bool = True, position: int = 0
) -> Run:
    """The stored run of this config or, if there is none, the run trained now.

    Training shows a progress bar, writes checkpoints and, however it was stopped, resumes from the
    last one; on a CPU the result is bit for bit that of an uninterrupted run. Training also starts
    from the longest shorter run with the same settings. The result is again the same bit for bit,
    unless that run was too short to be compiled and this one is not (they differ by rounding, some
    1e-7 nats).

    Args:
        weights: accept only a run whose weights are stored.
        position: the terminal line of the progress bar, for runs side by side.

    Raises:
        MissingRunError: not stored, and VAE_CORE_TRAIN=never forbids training.
        ValueError: the device does not exist on this machine.
        DataNotFound: the data set is missing and cannot be downloaded.
        DataCorrupt: its file is not the published one, or not the one that the config names.
        FloatingPointError: training diverged; nothing is stored.
        RunInterrupted: Ctrl-C or SIGTERM; the message says whether there is a checkpoint.
        StoreError: the disk is full, or the cache cannot be written to; the last checkpoint is
            kept.
    """
    run = find_run(config, weights=weights)
    if run is not None:
        return run
    if os.environ.get("VAE_CORE_TRAIN") == "never":
        raise MissingRunError(
            f"{config.key} is not stored and VAE_CORE_TRAIN=never forbids training it; "
            f"unset VAE_CORE_TRAIN to train it now"
        )
    check_hardware(config)
    checkpoints = cache_dir() / "checkpoints"
    with locked(checkpoints / f"{config.key}.lock", OTHER_CACHE):
        return find_run(config, weights=weights) or _train(config, checkpoints, progress, position)


def _train(config: RunConfig, checkpoints: Path, progress: bool, position: int) -> Run:
    data = load_data(config)
    provenance = Provenance()
    trainer = Trainer(config, data)
    resume(trainer, checkpoints)
    target = checkpoints / f"{config.trajectory_key}.{config.n_samples}.safetensors"
    rows = trainer.run(target, progress=progress, position=position)
    path = cache_dir() / "runs" / config.key
    describe = getattr(trainer.algorithm, "metrics", None)
    metrics = describe(trainer.settings, trainer.state) if describe else {}
    record = provenance.record(data, trainer.seconds, config.device)
    store_run(path, config, rows, trainer.model, record, metrics)
    return Run.load(path)


def load_data(config: RunConfig) -> Dataset:
    """The data set on which a run is trained and evaluated.

    Raises:
        DataNotFound: it is missing and cannot be downloaded.
        DataCorrupt: a user's own file is not the one from which the config was made.
    """
    check_file(config)
    return load_dataset(
        config.dataset,
        n_train=config.n_train,
        binarize=config.binarize,
        split_seed=config.split_seed,
    )


def store_run(
    path: Path,
    config: RunConfig,
    rows: Iterable[dict[str, float]],
    model: nn.Module | None,
    provenance: dict,
    metrics: dict | None = None,
) -> None:
    """Writes a finished run, whole or not at all; raises StoreError."""
    rows = list(rows)
    curve = {name: [_json_number(row[name]) for row in rows] for name in rows[0]}
    sha256 = {"curve": curve_sha256(curve)}
    if model is not None:
        sha256["weights"] = weights_sha256(model.state_dict())
    stored = {
        "config": config.model_dump(mode="json"),
        "curve": curve,
        "metrics": metrics or {},
        "provenance": provenance | {"sha256": sha256},
    }
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "run.json").write_text(json.dumps(stored, indent=1, allow_nan=False) + "\n")
        if model is not None:
            write_tensors(temporary / "model.safetensors", model.state_dict(), {})


def store_files(config: RunConfig, files: dict[str, bytes]) -> Run:
    """Stores a run that was trained elsewhere, given the contents of its files.

    Raises:
        ValueError: they are those of another run.
    """
    run = find_run(config)  # the other machine may share this disk
    if run is not None:
        return run
    path = cache_dir() / "runs" / config.key
    with replacing(path) as temporary:
        temporary.mkdir()
        for name, content in files.items():
            (temporary / Path(name).name).write_bytes(content)
        if Run.load(temporary, config.dataset).config != config:
            raise ValueError(f"what came back for {config.key} is another run")
    return Run.load(path, config.dataset)


def _json_number(value: float) -> float | int | None:
    """A number for JSON, which has no nan; six digits after the point are below any noise here."""
    if isinstance(value, int):
        return value
    return round(value, 6) if math.isfinite(value) else None
