"""Re-derives stored runs: the first part is trained again and compared with the stored curve."""

from dataclasses import dataclass

import numpy as np

from vae_core.runs import Run, load_data
from vae_core.runs.trainer import COLUMNS, Trainer

TOLERANCE = 0.005  # of the bound; rounding differs between processors and is amplified by training


@dataclass(frozen=True)
class Verification:
    """The largest difference, in nats, over the re-trained rows of one run's curve."""

    key: str
    n_rows: int
    samples: int
    difference: float
    allowed: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.allowed

    def __str__(self) -> str:
        verdict = "follows" if self.ok else "DOES NOT FOLLOW"
        return (
            f"{self.key}: {verdict} from this code: {self.n_rows} rows to {self.samples:,} samples "
            f"differ by at most {self.difference:.4f} nats ({self.allowed:.2f} allowed)"
        )


def verify(run: Run, fraction: float = 0.01, *, progress: bool = True) -> Verification:
    """Trains the first ``fraction`` of a run again and compares every curve column.

    On the processor and the package versions of the stored run the difference is zero; elsewhere
    rounding differs, and ``TOLERANCE`` of the bound is allowed.

    Raises:
        ValueError: a fraction outside (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction}: it must be above 0 and at most 1")
    stored_samples = run.curve["samples"]
    n_rows = max(2, int(np.searchsorted(stored_samples, fraction * stored_samples[-1], "right")))
    n_rows = min(n_rows, len(stored_samples))
    trainer = Trainer(run.config, load_data(run.config))
    rows = trainer.run(until=int(stored_samples[n_rows - 1]), progress=progress)
    difference, allowed = 0.0, np.inf
    for column in [name for name in run.curve if name != COLUMNS[0]]:
        stored = run.curve[column][:n_rows]
        now = np.array([row[column] for row in rows[:n_rows]], dtype=float)
        known = np.isfinite(stored)
        if not np.array_equal(known, np.isfinite(now)):
            difference = np.inf
        elif known.any():
            difference = max(difference, np.abs(stored - now)[known].max())
            allowed = min(allowed, TOLERANCE * np.abs(stored[known]).min())
    return Verification(run.key, n_rows, int(stored_samples[n_rows - 1]), difference, allowed)
