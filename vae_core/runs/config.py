"""RunConfig: all settings that a run depends on, checked before any work starts."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vae_core.data.registry import DatasetSpec, dataset_spec, did_you_mean

SEMANTICS = 1  # raised when the same RunConfig would no longer mean the same run
# The paper chose Adagrad's step for each experiment and does not say which: (step_size,
# adagrad_warmup) of runs that do not name theirs. What the book's Figure 2 takes is `config_of` of
# vae_book.readings, prior included. MCEM makes only a few hundred updates in all.
STEPS: dict[tuple, tuple[float, int]] = {
    ("mnist", "aevb"): (0.02, 100),
    ("mnist", "aevb", 20): (0.01, 0),
    ("mnist", "wake_sleep"): (0.02, 100),
    ("freyface", "wake_sleep"): (0.02, 0),
    ("mnist", "mcem"): (0.1, 0),
    ("digits", "mcem"): (0.1, 0),
    ("freyface", "mcem"): (0.1, 0),
}
OTHER_STEPS = (0.01, 0)
COMPILE_ABOVE = 4e11  # parameter x sample products; below it compilation costs more than it gives
MOST_MEMORY = 64 * 2**30  # bytes
MOST_YEARS = 10.0
LEAST_PRIOR_SD = 1e-9  # (w / sd^2)^2 is a float32
MOST_INTEGRATED = 3  # latent variables, by quadrature
LOG_MARGINAL_SAMPLES = 50  # for an estimate of the curve (Appendix E)
PRODUCTS_PER_SECOND, SAMPLES_PER_SECOND = 1.6e10, 1e6  # one thread, large and tiny networks


def from_data_set(description: str | None = None, **limits: Any) -> Any:
    """A field whose default, for None, is that of the data set or the experiment."""
    return Field(default=None, description=description, **limits)


class RunConfig(BaseModel):
    """The settings of one run; the defaults are the paper's, or our choice where it is silent.

    The experiments of the book's Figure 2 are those of ``vae_book.readings.config_of``. A field
    left at None takes its default, which may be the data set's own (``DATASETS``), so a finished
    RunConfig always shows what was used; only ``prior_sd=None`` has a meaning itself: no prior.
    Numpy's and torch's numbers and whole floats are converted; strings are never read as numbers.

    Raises:
        ValueError: (pydantic's ValidationError) names the field, its value and the remedy.
        DataNotFound: ``dataset`` is the path of a file that does not exist.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, strict=True, allow_inf_nan=False
    )

    dataset: str = Field(default="mnist", description="a name, or the path of an .npz file")
    data_sha256: str | None = Field(default=None, description="of that file; filled in for you")
    n_train: int = from_data_set(ge=1, description="first n training images; None: all")
    binarize: bool = Field(default=False, description="train and test on one draw of x")
    split_seed: int = Field(default=0, ge=0, lt=2**32, description="seed of Frey Face's split")

    algorithm: Literal["aevb", "wake_sleep", "mcem", "autoencoder"] = "aevb"
    estimator: Literal["sgvb_a", "sgvb_b", "score_function"] = "sgvb_b"
    latent_dim: int = Field(default=20, ge=1)
    hidden: tuple[int, ...] = from_data_set(description="widths of the tanh layers")
    likelihood: Literal["bernoulli", "gaussian", "gaussian_sigmoid_mean"] = from_data_set()

    step_size: float = from_data_set(gt=0, description="Adagrad's global step")
    adagrad_epsilon: float = Field(default=1e-8, gt=0, description="added to sum g^2 in the root")
    adagrad_warmup: int = from_data_set(ge=0, lt=2**63, description="first k steps only sum g^2")
    init_sd: float = Field(default=0.01, gt=0, description="parameters begin as N(0, init_sd^2)")
    prior_sd: float | None = Field(default=1.0, gt=0, description="MAP prior on weights, or None")
    batch_size: int = from_data_set(ge=1)
    n_mc: int = Field(default=1, ge=1, description="L, samples of z for each datapoint")

    mcem_leapfrog: int = Field(default=10, ge=1, description="leapfrog steps of a move (App. E)")
    mcem_updates: int = Field(default=5, ge=1, description="weight updates after each move")
    mcem_target_accept: float = Field(default=0.9, gt=0, lt=1)
    mcem_adaptation: float = Field(
        default=0.3, ge=0, description="gain of each chain's log step size"
    )
    mcem_annealing: float = Field(
        default=0.0, ge=0, description="step / (1 + this * update) on Adagrad's"
    )

    n_samples: int = Field(default=10_000_000, ge=1, description="training samples evaluated")
    seed: int = Field(default=0, ge=0, lt=2**32)
    evals_per_decade: int = Field(
        default=12, ge=1, le=10_000, description="evaluations per factor of ten"
    )
    log_marginal: Literal["hmc_density", "importance_sampling", "quadrature"] | None = None
    matmul_precision: Literal["highest", "medium"] = Field(
        default="highest", description='"medium": bfloat16 products in the training step'
    )
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description='"cuda": on a GPU, with its own random numbers: another run'
    )
    semantics: int = 1  # stays: the keys of semantics 1 were made without it

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, values: Any) -> Any:
        """Refuses unknown names with the nearest match, and fills in the data set's defaults."""
        if not isinstance(values, dict):
            return values
        for name in values:
            if name not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                hint = did_you_mean(str(name), cls.model_fields) or f"; known: {known}"
                raise ValueError(f"unknown field {name!r}{hint}")
        values = {name: _plain(value, name in WHOLE) for name, value in values.items()}
        spec = _spec_of(values.get("dataset"))
        given = {name: value for name, value in values.items() if value is not None}
        step_size, adagrad_warmup = cls._default_steps(spec.name, given)
        resolved = {
            "n_train": spec.n_train,
            "hidden": spec.hidden,
            "likelihood": spec.likelihood,
            "batch_size": spec.batch_size,
            "prior_sd": values.get("prior_sd", spec.prior_sd),
            "step_size": step_size,
            "adagrad_warmup": adagrad_warmup,
            "semantics": SEMANTICS,
        } | given
        if resolved.get("algorithm") == "mcem":  # it has no bound for its curve
            resolved.setdefault("log_marginal", "hmc_density")
        if resolved["prior_sd"] == math.inf:  # the same model as without a prior
            resolved["prior_sd"] = None
        if spec.path is not None:
            resolved = {"data_sha256": spec.sha256} | resolved | {"dataset": str(spec.path)}
        return resolved

    @classmethod
    def _default_steps(cls, dataset: str, values: dict) -> tuple[float, int]:
        """(step_size, adagrad_warmup) of the most specific entry of STEPS, or OTHER_STEPS."""
        fields = cls.model_fields
        algorithm = values.get("algorithm", fields["algorithm"].default)
        latent_dim = values.get("latent_dim", fields["latent_dim"].default)
        if not isinstance(algorithm, str) or not isinstance(latent_dim, int):
            return OTHER_STEPS  # refused by the fields' own types
        kind = (dataset, algorithm)
        return STEPS.get((*kind, latent_dim), STEPS.get(kind, OTHER_STEPS))

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        self._check_data()
        for name, default in self._without_effect().items():
            if getattr(self, name) != default:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} changes nothing with "
                    f"algorithm={self.algorithm!r}: leave it out, which gives {default!r}"
                )
        if self.semantics != SEMANTICS:
            raise ValueError(
                f"semantics={self.semantics}: this version of vae_core computes semantics "
                f"{SEMANTICS}; use the version that wrote the run"
            )
        if self.prior_sd is not None and self.prior_sd < LEAST_PRIOR_SD:
            raise ValueError(
                f"prior_sd={self.prior_sd}: its gradient overflows; "
                f"use at least {LEAST_PRIOR_SD}, or None for no prior"
            )
        if self.log_marginal == "quadrature" and self.latent_dim > MOST_INTEGRATED:
            raise ValueError(
                f"log_marginal='quadrature' with latent_dim={self.latent_dim}: it allows at most "
                f"{MOST_INTEGRATED} latent variables; use 'hmc_density' or 'importance_sampling'"
            )
        least = 2 * (self.latent_dim + 1)
        if self.log_marginal == "hmc_density" and least > LOG_MARGINAL_SAMPLES:
            raise ValueError(
                f"log_marginal='hmc_density' with latent_dim={self.latent_dim}: its density needs "
                f"{least} posterior samples to be fitted, and a curve's evaluations have "
                f"{LOG_MARGINAL_SAMPLES}; use 'importance_sampling' or fewer latent variables"
            )
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden={self.hidden}: each width must be at least 1")
        self._check_cost()
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values of some fields, checked like a new RunConfig."""
        update, fields = dict(update or {}), self.model_dump()
        if "dataset" in update:
            del fields["data_sha256"]  # that of another file
        return type(self)(**(fields | update))

    def _without_effect(self) -> dict[str, Any]:
        """The fields that the algorithm does not use, with the only value that each may have."""
        unused = {name for name in type(self).model_fields if name.startswith("mcem_")}
        if self.algorithm == "mcem":  # it moves all chains, and multiplies in full float32
            unused = {"batch_size", "matmul_precision"}
        if self.algorithm != "aevb":
            unused |= {"estimator", "n_mc"}
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        defaults["batch_size"] = self.spec.batch_size
        return {name: defaults[name] for name in type(self).model_fields if name in unused}

    def _check_data(self) -> None:
        """Refuses settings that do not fit the data set."""
        spec = self.spec
        if self.data_sha256 != spec.sha256:
            raise ValueError(
                f"data_sha256={self.data_sha256!r} is not that of dataset={self.dataset!r}, which "
                f"is {spec.sha256!r}: the file has changed; leave data_sha256 out for another run"
            )
        if self.n_train > spec.n_train:
            raise ValueError(
                f"n_train={self.n_train}: {spec.name} has {spec.n_train} training images; "
                f"use at most {spec.n_train}, or None for all"
            )
        if spec.fixed_split and self.split_seed:
            raise ValueError(
                f"split_seed={self.split_seed}: {spec.name} comes with its own split; use 0"
            )
        if self.likelihood not in spec.likelihoods:
            raise ValueError(
                f"likelihood={self.likelihood!r} does not suit {spec.name}: "
                f"use {' or '.join(spec.likelihoods)}"
            )
        if self.binarize and self.likelihood != "bernoulli":
            raise ValueError(f"binarize=True needs likelihood='bernoulli', not {self.likelihood!r}")

    def _check_cost(self) -> None:
        """Refuses sizes that need more memory or time than any machine has."""
        sizes = f"latent_dim={self.latent_dim}, hidden={list(self.hidden)}, "
        if self.memory > MOST_MEMORY:
            raise ValueError(
                f"{sizes}batch_size={self.batch_size}, n_mc={self.n_mc} would need about "
                f"{(self.memory + 2**29) // 2**30:,} GiB of memory; use smaller ones "
                f"(at most {MOST_MEMORY / 2**30:.0f} GiB)"
            )
        pace = min(SAMPLES_PER_SECOND, PRODUCTS_PER_SECOND / self.n_parameters)
        samples = self.n_samples * self.n_mc
        if self.algorithm == "mcem":  # it makes one step at least
            samples = max(samples, (self.mcem_leapfrog + self.mcem_updates) * self.n_train)
        years = min(samples, 1e30) / pace / 31_557_600  # a float takes no number of any size
        if years > MOST_YEARS:
            raise ValueError(
                f"n_samples={self.n_samples} with {sizes}n_mc={self.n_mc}, "
                f"mcem_leapfrog={self.mcem_leapfrog} would take about {years:,.0f} years; "
                f"use smaller numbers (at most {MOST_YEARS:.0f} years)"
            )

    @property
    def spec(self) -> DatasetSpec:
        """The description of the data set."""
        return dataset_spec(self.dataset)

    @property
    def data_dim(self) -> int:
        return self.spec.data_dim

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases of both networks."""
        heads = 2 * self.latent_dim, self.data_dim * (1 if self.likelihood == "bernoulli" else 2)
        sizes = [self.data_dim, *self.hidden, heads[0]], [self.latent_dim, *self.hidden, heads[1]]
        return sum((a + 1) * b for s in sizes for a, b in zip(s, s[1:], strict=False))

    @property
    def memory(self) -> int:
        """Bytes that a step needs at least: float32 weights, gradients, Adagrad, activations."""
        heads = 2 * self.latent_dim + 2 * self.data_dim
        rows = self.batch_size * self.n_mc
        return 4 * (3 * self.n_parameters + 2 * rows * (heads + 2 * sum(self.hidden)))

    @property
    def compiles(self) -> bool:
        """Whether the run is long enough for ``torch.compile`` to pay."""
        return self.n_samples * self.n_parameters >= COMPILE_ABOVE

    @property
    def key(self) -> str:
        """Readable and unique: ``mnist-aevb-z20-s0-3f9c2a1b``."""
        stem = f"{self.spec.name}-{self.algorithm}-z{self.latent_dim}-s{self.seed}"
        return f"{stem}-{self._digest()}"

    @property
    def trajectory_key(self) -> str:
        """The same for runs that differ only in length, of which the shorter is a prefix."""
        return f"{self.spec.name}-{self.algorithm}-{self._digest('n_samples')}"

    def _digest(self, *exclude: str) -> str:
        """Hash of the canonical JSON of all fields that differ from the class defaults.

        Leaving the defaults out keeps the keys of old runs when a field is added. A user's own file
        counts by its content, not by its path.
        """
        left_out = {*exclude, "dataset"} if self.data_sha256 else {*exclude}
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]


WHOLE = {  # the fields that hold integers
    name
    for name, field in RunConfig.model_fields.items()
    if {int, tuple[int, ...]} & {field.annotation, *get_args(field.annotation)}
}


def _plain(value: Any, whole: bool) -> Any:
    """Numbers of numpy and torch as Python's, lists as tuples and, if ``whole``, 10.0 as 10."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_plain(member, whole) for member in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _spec_of(dataset: Any) -> DatasetSpec:
    """The description of a data set, or of the default one for None."""
    if dataset is None:
        dataset = RunConfig.model_fields["dataset"].default
    return dataset_spec(dataset)
