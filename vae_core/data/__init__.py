"""Data sets: the paper's MNIST and Frey Face, and digits, a small one without a download."""

from vae_core.data.files import DataCorrupt, DataNotFound, data_folder
from vae_core.data.load import Dataset, FileStatus, fetch, load_dataset, status
from vae_core.data.registry import DATASETS, DatasetSpec, dataset_spec

__all__ = [
    "DATASETS",
    "DataCorrupt",
    "DataNotFound",
    "Dataset",
    "DatasetSpec",
    "FileStatus",
    "data_folder",
    "dataset_spec",
    "fetch",
    "load_dataset",
    "status",
]
