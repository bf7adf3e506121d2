"""Runs on a user's own file, which is identified by its content, not by its path or name."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from vae_core.data import DataCorrupt, DataNotFound, dataset_spec, load_dataset
from vae_core.data.npz import name_of
from vae_core.runs.config import SEMANTICS, RunConfig


def config_of(fields: dict, dataset: str | None = None) -> RunConfig:
    """The RunConfig of stored fields; ``dataset`` is the present path of the file.

    If no path is given and the file is gone or has changed, the fields are taken as they are.

    Raises:
        ValueError: a setting that RunConfig refuses.
        DataNotFound: there is no file ``dataset``.
    """
    if not fields.get("data_sha256"):
        return RunConfig(**fields)
    if dataset is None and fields.get("semantics") == SEMANTICS and _is_lost(fields):
        return RunConfig.model_construct(**fields | {"hidden": tuple(fields["hidden"])})
    return RunConfig(**fields | ({"dataset": dataset} if dataset else {}))


def _is_lost(fields: dict) -> bool:
    try:
        return dataset_spec(fields["dataset"]).sha256 != fields["data_sha256"]
    except (DataNotFound, DataCorrupt):
        return True


def check_file(config: RunConfig) -> None:
    """Raises DataCorrupt if the file is not the one from which the RunConfig was made."""
    found = config.spec.sha256
    if found != config.data_sha256:
        raise DataCorrupt(
            f"dataset={config.dataset!r} has changed since its RunConfig was made, or is another "
            f"file on this machine: data_sha256={config.data_sha256!r}, and the file's is "
            f"{found!r}; bring that file back, or make the RunConfig anew"
        )


def is_of_its_data(config: RunConfig, trained_from: str, data_sha256: str | None) -> bool:
    """Whether a stored run was trained on the content that its settings name.

    Args:
        config: with the present path of the file.
        trained_from: the path of the file at that time.
        data_sha256: of the pixels that were trained on, from the run's provenance.
    """
    if config.data_sha256 is None or data_sha256 is None:
        return True
    settings = config.n_train, config.binarize
    name = name_of(Path(trained_from))
    return data_sha256 == _pixels_sha256(config.dataset, config.data_sha256, *settings, name)


@lru_cache(maxsize=64)
def _pixels_sha256(path: str, sha256: str, n_train: int, binarize: bool, name: str) -> str:
    """``Dataset.sha256`` of the file with this content, under its former name."""
    data = load_dataset(path, n_train=n_train, binarize=binarize)
    return replace(data, name=name).sha256
