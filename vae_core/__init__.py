"""Auto-Encoding Variational Bayes, in code that reads like the paper."""

from .config import RunConfig
from .data import Dataset, load_dataset
from .estimators import (
    importance_weighted_bound,
    kl_to_standard_normal,
    score_function_surrogate,
    sgvb_a,
    sgvb_b,
)
from .model import VAE
from .runs import Run, all_runs, find_run, get_or_run

__version__ = "0.1.0"
