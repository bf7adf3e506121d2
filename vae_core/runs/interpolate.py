"""Values of curves between evaluations: linear in the logarithm of the number of samples."""

import numpy as np
from numpy.typing import ArrayLike

NO_GAP = (np.inf, np.inf)


def interpolate_log(
    samples: ArrayLike, values: ArrayLike, at: ArrayLike, max_gap: tuple[float, float] = NO_GAP
) -> np.ndarray:
    """Values at sample counts `at`, linear in log samples; nan outside the curve and in its gaps.

    A gap is a segment longer than `max_gap` in both log samples and value. Points without a value
    (nan), or with a count of 0, are left out.
    """
    samples, values = np.asarray(samples, float), np.asarray(values, float)
    known = np.isfinite(values) & (samples > 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # no count is 0 or less
        log_at = np.log(np.asarray(at, float))
    if not known.any():
        return np.full(log_at.shape, np.nan)
    x, y = np.log(samples[known]), values[known]
    # a count that is off by rounding alone still meets its vertex
    silent = ~((log_at >= x[0] - 1e-9) & (log_at <= x[-1] + 1e-9))  # nan is outside, too
    if len(x) > 1:
        right = np.clip(np.searchsorted(x, log_at), 1, len(x) - 1)
        is_long = x[right] - x[right - 1] > max_gap[0]
        is_steep = np.abs(y[right] - y[right - 1]) > max_gap[1]
        on_vertex = np.isclose(log_at, x[right]) | np.isclose(log_at, x[right - 1])
        silent |= is_long & is_steep & ~on_vertex
    return np.where(silent, np.nan, np.interp(log_at, x, y))
