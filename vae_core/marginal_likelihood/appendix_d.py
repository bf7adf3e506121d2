"""The estimator of Appendix D: fit a density q to posterior samples, then average a ratio.

1 / p(x) = E_{z ~ p(z|x)} [ q(z) / (p(z) p(x|z)) ]   for any density q.
"""

import math
import warnings

import torch
from torch import Tensor

from vae_core import hmc
from vae_core._arguments import check_choice
from vae_core.estimators import log_mean_exp
from vae_core.log_joint import LatentVariableModel, log_joint_of
from vae_core.marginal_likelihood._arguments import check_arguments
from vae_core.marginal_likelihood.chains import N_CANDIDATES, fitted_normal, start_chains
from vae_core.model import LOG_2PI

DENSITIES = ("gaussian", "kde")
RELIABLE_BELOW = 5  # latent dimensions; the paper's own limit


@torch.no_grad()
def hmc_density(
    model: LatentVariableModel,
    x: Tensor,
    n_samples: int = 50,
    *,
    n_leapfrog: int = 4,
    n_burnin: int = 20,
    target_accept: float = 0.9,
    density: str = "gaussian",
    split_half: bool = False,
    start: str = "resampled",
    n_candidates: int = N_CANDIDATES,
    shared_step: bool = False,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """log p(x) by the method of Appendix D and its standard error, each (batch,), in nats.

    (1) Draw n_samples posterior samples by HMC. (2) Fit a density q to them. (3) Draw n_samples
    fresh samples z_l; the estimate is log p(x) = -log mean_l q(z_l) / p(x, z_l). If the chains
    visit the whole posterior, it is too high on average, by Jensen's inequality. Each mode that
    they miss lowers it by the mode's share, which the standard error does not show.

    Args:
        n_leapfrog, n_burnin, target_accept: of the chains, as in :func:`vae_core.hmc.sample`.
        density: "gaussian" (full covariance) or "kde" (Gaussian kernel, bandwidth by likelihood).
        split_half: draw n_samples in all, half to fit q and half to estimate, not n_samples for
            each.
        start, n_candidates: where the chains begin, as in
            :func:`~vae_core.marginal_likelihood.chains.start_chains`.
        shared_step: one step size for all chains, not one each.

    Raises:
        ValueError: an unknown density, or too few samples for the covariance.

    Warns:
        UserWarning: five or more latent dimensions, where the paper found it unreliable.
    """
    check_arguments(model, x, generator)
    n_fit, n_fresh = (
        (n_samples // 2, n_samples - n_samples // 2) if split_half else (n_samples,) * 2
    )
    _check(model.latent_dim, n_fit, density)
    if not len(x):
        return x.new_empty(0), x.new_empty(0)
    samples, info = hmc.sample(
        None,
        start_chains(model, x, start, n_candidates=n_candidates, generator=generator),
        n_fit + n_fresh,
        n_burnin,
        n_leapfrog,
        target_accept,
        generator=generator,
        shared_step=shared_step,
        log_prob_and_grad=log_joint_of(model, x),
    )
    log_ratio = density_ratio(samples, info.log_prob, n_fit, density)
    return -log_mean_exp(log_ratio), correlated_stderr(log_ratio)


def density_ratio(samples: Tensor, log_joint: Tensor, n_fit: int, density: str) -> Tensor:
    """log q(z) / p(x, z) at all but the first n_fit samples, to which q is fitted.

    samples (n, batch, dim) and their log_joint (n, batch) give (n - n_fit, batch), in nats.
    """
    log_q = gaussian_log_density if density == "gaussian" else kde_log_density
    return log_q(samples[:n_fit], samples[n_fit:]) - log_joint[n_fit:]


def _check(latent_dim: int, n_fit: int, density: str) -> None:
    check_choice("density", density, DENSITIES)
    least = 2 * (latent_dim + 1)  # with fewer, a chain that rejects a move or two is degenerate
    if n_fit < least:
        raise ValueError(
            f"Appendix D fits a covariance to {n_fit} samples in {latent_dim} latent dimensions: "
            f"it would be nearly singular; raise n_samples so that at least {least} are fitted"
        )
    if latent_dim >= RELIABLE_BELOW:
        warnings.warn(
            f"Appendix D in {latent_dim} latent dimensions: the fitted density misses the "
            "posterior and the estimate errs high by an unknown amount (the paper uses it below "
            f"{RELIABLE_BELOW}); use importance_sampling or ais",
            stacklevel=2,
        )


def gaussian_log_density(fit: Tensor, z: Tensor) -> Tensor:
    """log N(z; mean, full covariance of ``fit``): (samples, batch, dim) -> (samples, batch)."""
    mean, tril = fitted_normal(fit)
    residual = (z - mean).double().permute(1, 2, 0)  # (batch, dim, samples)
    white = torch.linalg.solve_triangular(tril, residual, upper=False)
    log_det = tril.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)  # (batch, 1)
    log_prob = -0.5 * (fit.shape[-1] * LOG_2PI + white.square().sum(1)) - log_det
    return log_prob.T.to(z.dtype)


def kde_log_density(fit: Tensor, z: Tensor) -> Tensor:
    """log of a Gaussian kernel density estimate, shapes as in :func:`gaussian_log_density`.

    The kernel's standard deviations are those of the sample times one factor for each datapoint:
    the factor with which kernels on the first half of the sample give the second half the highest
    likelihood.
    """
    n_fit, _, dim = fit.shape
    sd = fit.std(0).clamp(min=1e-6)  # (batch, dim)
    silverman = (4 / (dim + 2) / n_fit) ** (1 / (dim + 4))
    factors = silverman * torch.logspace(-0.6, 0.6, 13, dtype=z.dtype, device=z.device)
    half = n_fit // 2
    scores = [kernel_mixture(fit[:half], fit[half:], f * sd).sum(0) for f in factors]
    best = factors[torch.stack(scores).argmax(0)]  # (batch,)
    return kernel_mixture(fit, z, best[:, None] * sd)


def kernel_mixture(centers: Tensor, z: Tensor, sd: Tensor) -> Tensor:
    """log mean_k N(z; centers_k, diag sd^2): (n, batch, dim) twice and (batch, dim)."""
    constant = (0.5 * LOG_2PI + sd.log()).sum(-1)  # (batch,)
    rows = [log_mean_exp(-0.5 * ((row - centers) / sd).square().sum(-1)) for row in z]
    return torch.stack(rows) - constant


def correlated_stderr(log_ratio: Tensor) -> Tensor:
    """Standard error (batch,) of log mean exp over correlated draws (n, batch): the delta method.

    It is the variance of each chain's ratio times one autocorrelation time for all chains. The
    autocorrelation time of z would not do: HMC makes z itself antithetic, but not functions that
    are even about the mode. With few samples of a datapoint the tail of the ratio is seldom seen.
    On models with closed forms in one to three latent dimensions, the z-scores have these mean
    squares: 1.4 to 2.2 with 50 samples, 1.0 to 1.2 with 400; 2.7 to 3.3 with 50 samples and
    kernels; 1.7 to 3.0 with 25 and 25 (split_half).
    """
    n = log_ratio.shape[0]
    ratio = torch.exp(log_ratio - log_mean_exp(log_ratio))
    time = autocorrelation_time(ratio)
    return ratio.std(0) * math.sqrt(time / max(n - time, 1.0))


def autocorrelation_time(values: Tensor) -> float:
    """Autocorrelation time pooled over chains (n, batch), by Geyer's initial monotone sequence.

    Autocovariances about a chain's own mean are too small by the variance of that mean; a second
    round adds it. Source: Geyer (1992), "Practical Markov chain Monte Carlo", section 3.3.
    """
    n = values.shape[0]
    centred = values - values.mean(0)
    centred = centred / centred.square().mean(0).sqrt().clamp(min=1e-12)
    lags = [(centred[: n - k] * centred[k:]).sum() / centred.numel() for k in range(n - n % 2)]
    time = 0.0
    for _ in range(2):
        pairs = (torch.stack(lags) * (1 - time / n) + time / n).view(-1, 2).sum(-1)
        is_positive = (pairs > 0).cumprod(0)
        time = max(1.0, (2 * (pairs.cummin(0).values * is_positive).sum() - 1).item())
    return time
