"""RunConfig: everything that a run depends on, checked before any work starts."""

import difflib
import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vae_core.data import DATASETS, DatasetSpec

SEMANTICS = 1  # raised when the same RunConfig would no longer mean the same run
SUITED_LIKELIHOODS = {
    "binary-like": ("bernoulli",),
    "density": ("gaussian_sigmoid_mean", "gaussian"),
}
# The paper chose Adagrad's step for each experiment and does not say which: these (step_size,
# adagrad_warmup) land nearest to its own curves. MCEM makes only a few hundred updates in all.
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


class RunConfig(BaseModel):
    """The settings of one run; the defaults are this project's reading of the paper.

    A field left at None takes the data set's own value (``DATASETS``), so that a finished
    RunConfig always shows what was used. Raises ValueError (pydantic's ValidationError) that
    names the field, its value and the remedy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    dataset: str = "mnist"
    n_train: int | None = Field(None, ge=1, description="first n training images; None: all")
    binarize: bool = Field(False, description="train and test on a fixed Bernoulli draw of x")
    split_seed: int = Field(0, ge=0, description="seed of Frey Face's random split")

    algorithm: Literal["aevb", "wake_sleep", "mcem", "autoencoder"] = "aevb"
    estimator: Literal["sgvb_a", "sgvb_b", "score_function"] = "sgvb_b"
    latent_dim: int = Field(20, ge=1)
    hidden: tuple[int, ...] | None = Field(None, description="widths of the tanh layers")
    likelihood: Literal["bernoulli", "gaussian", "gaussian_sigmoid_mean"] | None = None

    step_size: float | None = Field(None, gt=0, description="Adagrad's global step")
    adagrad_epsilon: float = Field(1e-8, gt=0, description="added to sum g^2 inside the root")
    adagrad_warmup: int | None = Field(None, ge=0, description="first k steps only sum g^2")
    init_sd: float = Field(0.01, gt=0, description="parameters are drawn from N(0, init_sd^2)")
    prior_sd: float | None = Field(1.0, gt=0, description="MAP prior on weights; None: none")
    batch_size: int | None = Field(None, ge=1)
    n_mc: int = Field(1, ge=1, description="L, samples of z for each datapoint")

    mcem_leapfrog: int = Field(10, ge=1, description="leapfrog steps of one HMC move (App. E)")
    mcem_updates: int = Field(5, ge=1, description="weight updates after each move")
    mcem_target_accept: float = Field(0.9, gt=0, lt=1)
    mcem_adaptation: float = Field(0.3, ge=0, description="gain of each chain's log step size")
    mcem_annealing: float = Field(0.0, ge=0, description="step / (1 + this * update) on Adagrad's")

    n_samples: int = Field(10_000_000, ge=1, description="training samples evaluated")
    seed: int = Field(0, ge=0)
    evals_per_decade: int = Field(12, ge=1, description="evaluations per factor of ten")
    log_marginal: Literal["hmc_density", "importance_sampling"] | None = None
    matmul_precision: Literal["highest", "medium"] = Field(
        "highest", description='"medium": bfloat16 products in the training step'
    )
    semantics: int = SEMANTICS

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, values: Any) -> Any:
        """Refuses unknown names with the nearest match and fills in the data set's defaults."""
        if not isinstance(values, dict):
            return values
        for name in values:
            if name not in cls.model_fields:
                raise ValueError(f"unknown field {name!r}{_did_you_mean(name, cls.model_fields)}")
        dataset = values.get("dataset", cls.model_fields["dataset"].default)
        if not isinstance(dataset, str) or dataset not in DATASETS:
            hint = _did_you_mean(str(dataset), DATASETS)
            raise ValueError(f"dataset={dataset!r} is not one of {', '.join(DATASETS)}{hint}")
        spec = DATASETS[dataset]
        given = {name: value for name, value in values.items() if value is not None}
        step_size, adagrad_warmup = cls._default_steps(dataset, values)
        resolved = {
            "n_train": spec.n_train,
            "hidden": spec.hidden,
            "likelihood": spec.likelihood,
            "batch_size": spec.batch_size,
            "step_size": step_size,
            "adagrad_warmup": adagrad_warmup,
        } | given
        if values.get("algorithm") == "mcem":  # it has no bound for its curve
            resolved.setdefault("log_marginal", "hmc_density")
        return resolved | ({"prior_sd": None} if values.get("prior_sd", 0) is None else {})

    @classmethod
    def _default_steps(cls, dataset: str, values: dict) -> tuple[float, int]:
        """(step_size, adagrad_warmup) of the experiment, or of its kind, or of all others."""
        fields = cls.model_fields
        algorithm = values.get("algorithm", fields["algorithm"].default)
        latent_dim = values.get("latent_dim", fields["latent_dim"].default)
        if not isinstance(algorithm, str) or not isinstance(latent_dim, int):
            return OTHER_STEPS  # refused by the fields' own types
        kind = (dataset, algorithm)
        return STEPS.get((*kind, latent_dim), STEPS.get(kind, OTHER_STEPS))

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        spec = self.spec
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden={self.hidden}: each width must be at least 1")
        if self.n_train > spec.n_train:
            raise ValueError(
                f"n_train={self.n_train}: {self.dataset} has {spec.n_train} training images; "
                f"use at most {spec.n_train}, or None for all"
            )
        suited = SUITED_LIKELIHOODS[spec.kind]
        if self.likelihood not in suited:
            raise ValueError(
                f"likelihood={self.likelihood!r} does not suit {self.dataset}, whose pixels are "
                f"{spec.kind}: use {' or '.join(suited)}"
            )
        if self.binarize and self.likelihood != "bernoulli":
            raise ValueError(f"binarize=True needs likelihood='bernoulli', not {self.likelihood!r}")
        for name, default in [("estimator", "sgvb_b"), ("n_mc", 1)]:
            if self.algorithm != "aevb" and getattr(self, name) != default:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: only algorithm='aevb' has a choice; "
                    f"leave it at {default!r} for {self.algorithm!r}"
                )
        if self.semantics != SEMANTICS:
            raise ValueError(
                f"semantics={self.semantics}: this version of vae_core computes semantics "
                f"{SEMANTICS}; use the version that wrote the run"
            )
        return self

    @property
    def spec(self) -> DatasetSpec:
        return DATASETS[self.dataset]

    @property
    def data_dim(self) -> int:
        return self.spec.data_dim

    @property
    def n_parameters(self) -> int:
        """Weights and biases of both networks."""
        heads = 2 * self.latent_dim, self.data_dim * (1 if self.likelihood == "bernoulli" else 2)
        sizes = [self.data_dim, *self.hidden, heads[0]], [self.latent_dim, *self.hidden, heads[1]]
        return sum((a + 1) * b for s in sizes for a, b in zip(s, s[1:], strict=False))

    @property
    def compiles(self) -> bool:
        """Whether the run is long enough for ``torch.compile`` to pay."""
        return self.n_samples * self.n_parameters >= COMPILE_ABOVE

    @property
    def key(self) -> str:
        """Readable and unique: ``mnist-aevb-z20-s0-3f9c2a1b``."""
        stem = f"{self.dataset}-{self.algorithm}-z{self.latent_dim}-s{self.seed}"
        return f"{stem}-{self._digest()}"

    @property
    def trajectory_key(self) -> str:
        """The same for runs that differ only in length: one is a prefix of the other."""
        return f"{self.dataset}-{self.algorithm}-{self._digest(exclude={'n_samples'})}"

    def _digest(self, exclude: frozenset[str] | set[str] = frozenset()) -> str:
        """Hash of the canonical JSON of all that differs from the class defaults.

        Leaving the defaults out keeps the keys of old runs when a field is added.
        """
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude=set(exclude))
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def _did_you_mean(name: str, known) -> str:
    match = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; known: {', '.join(known)}"
