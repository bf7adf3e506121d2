"""log p(x) against closed forms, quadrature and its own error signs."""

import math
import warnings

import arviz
import numpy as np
import pytest
import scipy.stats
import torch
from scipy.special import logsumexp

from vae_core import linear_gaussian as known
from vae_core.data import load_dataset
from vae_core.linear_gaussian import exact_log_marginal
from vae_core.log_joint import AutogradLogJoint, LogJoint, log_joint_of
from vae_core.marginal_likelihood import (
    annealed,
    annealed_importance_sampling,
    bdmc,
    hmc_density,
    importance_sampling,
    log_marginal,
    quadrature,
)
from vae_core.marginal_likelihood.appendix_d import (
    autocorrelation_time,
    gaussian_log_density,
    kde_log_density,
)
from vae_core.marginal_likelihood.chains import fitted_normal, start_chains
from vae_core.marginal_likelihood.importance import fitted_proposal
from vae_core.marginal_likelihood.quadrature import PER_AXIS
from vae_core.model import VAE, bernoulli_log_prob, standard_normal_log_prob
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import Trainer

ESTIMATORS = {
    "hmc_density": {"n_samples": 400, "n_burnin": 50, "n_leapfrog": 4},
    "importance_sampling": {"n_samples": 2000},
    "ais": {"n_samples": 32, "n_temperatures": 40},
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linear_gaussian(latent_dim, data_dim=6, dtype=torch.float64):
    return known.linear_gaussian(data_dim, latent_dim, generator=seeded(5), dtype=dtype)


def draw(model, n, seed=7):
    g, dtype = seeded(seed), model.decoder[-1].weight.dtype
    z = torch.randn(n, model.latent_dim, generator=g, dtype=dtype)
    noise = torch.randn(n, model.data_dim, generator=g, dtype=dtype)
    return model.sample_given(z, noise).detach()


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
@pytest.mark.parametrize("method", ESTIMATORS)
def test_matches_the_closed_form_within_its_standard_error(method, latent_dim):
    model = linear_gaussian(latent_dim)
    x = draw(model, 150)
    estimate, stderr = log_marginal(
        model, x, method, generator=seeded(), return_stderr=True, **ESTIMATORS[method]
    )
    error = estimate - exact_log_marginal(model, x)
    assert stderr.mean() < 0.25
    assert (error / stderr.clamp(min=1e-3)).square().mean() < 2.5
    assert error.mean().abs() < 4 * stderr.square().mean().sqrt() / math.sqrt(len(x))


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_quadrature_is_the_closed_form(latent_dim):
    model = linear_gaussian(latent_dim)
    x = draw(model, 20)
    exact = exact_log_marginal(model, x)
    for tolerance in (1e-3, 1e-6):
        options = {"tolerance": tolerance, "return_stderr": True}
        estimate, error = log_marginal(model, x, "quadrature", **options)
        assert (estimate - exact).abs().max() < tolerance
        assert error.max() < 1.5 * tolerance


def test_quadrature_widens_its_range():
    model = linear_gaussian(2)
    x = draw(model, 10) * 12
    expected = exact_log_marginal(model, x)
    torch.testing.assert_close(log_marginal(model, x, "quadrature"), expected, atol=1e-3, rtol=0)


class MadeUp(torch.nn.Module):
    """p(x, z) = sum_k weights_k N(z; modes_k, sd_k^2 I) whatever x is: p(x) = sum of weights."""

    def __init__(self, modes, sds, weights):
        super().__init__()
        self.modes, self.sds, self.weights = map(torch.tensor, (modes, sds, weights))
        self.latent_dim = self.modes.shape[1]

    def log_joint(self, x, z):
        square = ((z.unsqueeze(-2) - self.modes) / self.sds[:, None]).square().sum(-1)
        norm = self.latent_dim * (self.sds.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(self.weights.log() - norm - 0.5 * square, -1)


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_quadrature_finds_modes_of_every_width(latent_dim):
    modes = [[-2.2, 0.3, 1.1], [1.7, -1.4, 0.2], [1.3, -1.1, 0.3], [0.1, 2.9, -2.4]]
    model = MadeUp([m[:latent_dim] for m in modes], [0.04, 0.05, 0.1, 0.15], [0.3, 0.2, 0.4, 0.1])
    estimate = log_marginal(model, torch.zeros(1, 1), "quadrature")
    assert abs(estimate.item()) < 1e-3


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_quadrature_of_a_broad_posterior_needs_no_more_than_the_first_grid(latent_dim):
    """As of an untrained decoder, whose posterior is the prior."""
    model = MadeUp([[0.3, -0.2, 0.1][:latent_dim]], [0.95], [1.0])
    first_grid = PER_AXIS[latent_dim] ** latent_dim
    estimate = log_marginal(model, torch.zeros(1, 1), "quadrature", first_grid)
    assert abs(estimate.item()) < 1e-3


class Oblique(torch.nn.Module):
    """p(x, z) = N(z; mean, V diag(sds^2) V^T) whatever x is, so that log p(x) = 0."""

    def __init__(self, mean, sds, axes):
        super().__init__()
        self.mean, self.sds, self.axes = mean.double(), sds.double(), axes.double()
        self.latent_dim = len(mean)

    def log_joint(self, x, z):
        return (
            torch.distributions.Normal(0.0, self.sds).log_prob((z - self.mean) @ self.axes).sum(-1)
        )


@pytest.mark.parametrize("latent_dim", [2, 3])
@pytest.mark.parametrize("turned", [0.0, 0.25, "any"])
def test_quadrature_sees_one_narrow_direction_among_broad_ones(latent_dim, turned):
    """Along an axis, along a diagonal of two, or anywhere, and whatever lattice point is near."""
    generator = seeded()
    for _ in range(6):
        axes = torch.linalg.qr(torch.randn(latent_dim, latent_dim, generator=generator))[0]
        if turned != "any":
            axes, angle = torch.eye(latent_dim), torch.tensor(turned * math.pi)
            axes[:2, :2] = torch.stack(
                [torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])]
            )
        sds = torch.full((latent_dim,), 0.6)
        sds[1] = 0.03 + 0.1 * torch.rand((), generator=generator)
        model = Oblique(torch.randn(latent_dim, generator=generator) / 2, sds, axes)
        args = model, torch.zeros(1, 1), "quadrature", 400_000
        assert log_marginal(*args).abs() < 1e-3


def test_quadrature_of_a_latent_variable_that_hardly_matters():
    """The posterior is a hundred times as long as it is wide."""
    model = known.linear_gaussian(10, 2, 0.05, weight_sd=1.0, generator=seeded(2))
    with torch.no_grad():
        model.decoder[0].weight[:10, 1] *= 0.01
    x = draw(model, 8)
    for tolerance in (1e-3, 1e-6):
        estimate, error = log_marginal(
            model, x, "quadrature", tolerance=tolerance, return_stderr=True
        )
        assert ((estimate - exact_log_marginal(model, x)).abs() < tolerance).all()
        assert (error < 1.5 * tolerance).all()


def test_quadrature_of_what_is_no_number_is_none():
    model = MadeUp([[0.3, -0.2]], [0.95], [math.nan])
    assert log_marginal(model, torch.zeros(1, 1), "quadrature").isnan().all()


def test_quadrature_errs_low_if_a_mode_is_out_of_sight():
    """A spike of sd 1e-4 in the tail of a broad mode: no point of the first grid feels it."""
    model = MadeUp([[0.0, 0.0, 0.0], [0.77, 0.31, -0.92]], [0.5, 1e-4], [0.5, 0.5])
    estimate = log_marginal(model, torch.zeros(1, 1), "quadrature")
    assert estimate.item() == pytest.approx(math.log(0.5), abs=1e-3)


def test_quadrature_is_exact_for_sharp_float32_posteriors():
    """As on the Frey Face: 560 pixels of noise 0.01, where float32 would lose 78 nats."""
    model = known.linear_gaussian(560, 2, sd=0.01, weight_sd=0.1, generator=seeded(5))
    single = known.linear_gaussian(560, 2, sd=0.01, weight_sd=0.1, generator=seeded(5)).float()
    model.load_state_dict(single.state_dict())
    x = draw(model, 5).float()
    exact = exact_log_marginal(model, x.double())
    estimate = log_marginal(single, x, "quadrature").double()
    torch.testing.assert_close(estimate, exact, atol=2e-3, rtol=0)


def test_quadrature_says_when_its_points_do_not_suffice():
    model = MadeUp([[0.3, -0.2, 0.5]], [1e-3], [1.0])
    with pytest.raises(RuntimeError, match="n_samples=33000 points"):
        log_marginal(model, torch.zeros(1, 1), "quadrature", 33_000)
    with pytest.raises(RuntimeError, match="n_samples=5000: the first grid"):
        log_marginal(model, torch.zeros(1, 1), "quadrature", 5_000)


def test_importance_sampling_with_the_exact_posterior_has_no_variance():
    model = linear_gaussian(3)
    x = draw(model, 40)

    def exact(x):
        return known.exact_posterior(model, x)

    estimate, stderr = log_marginal(
        model, x, "importance_sampling", 50, proposal=exact, generator=seeded(), return_stderr=True
    )
    assert stderr.max() < 1e-10
    torch.testing.assert_close(estimate, exact_log_marginal(model, x))


def test_a_proposal_fitted_by_hmc_needs_no_encoder():
    model = linear_gaussian(3)
    torch.nn.init.zeros_(model.encoder[0].weight)
    x = draw(model, 60)
    options = {"n_samples": 500, "proposal": "hmc", "generator": seeded()}
    estimate, stderr = log_marginal(model, x, return_stderr=True, **options)
    assert stderr.max() < 0.1
    error = estimate - exact_log_marginal(model, x)
    assert error.mean().abs() < 4 * stderr.square().mean().sqrt() / math.sqrt(len(x))


def test_kde_and_split_half_readings_of_appendix_d():
    model = linear_gaussian(2)
    x = draw(model, 100)
    exact = exact_log_marginal(model, x)
    options = {"generator": seeded(), "n_burnin": 50, "n_leapfrog": 5}
    kde = log_marginal(model, x, "hmc_density", 200, density="kde", **options) - exact
    half = log_marginal(model, x, "hmc_density", 200, split_half=True, **options) - exact
    assert kde.mean().abs() < 0.1
    assert half.mean().abs() < 0.05


def test_errors_have_their_signs():
    model = linear_gaussian(3)
    x = draw(model, 400)
    exact = exact_log_marginal(model, x)
    few = log_marginal(model, x, "importance_sampling", 3, generator=seeded()) - exact
    appendix_d = (
        log_marginal(model, x, "hmc_density", 10, density="kde", generator=seeded()) - exact
    )
    assert few.mean() < -3 * few.std() / math.sqrt(len(x))
    assert appendix_d.mean() > 3 * appendix_d.std() / math.sqrt(len(x))


def test_the_autocorrelation_time_is_known_for_an_autoregression_and_to_arviz():
    noise = torch.randn(400, 300, generator=seeded(), dtype=torch.float64)
    chains = [noise[0]]
    for row in noise[1:]:
        chains.append(0.6 * chains[-1] + 0.8 * row)
    values = torch.stack(chains)  # (400, 300)
    time = autocorrelation_time(values)
    assert time == pytest.approx((1 + 0.6) / (1 - 0.6), rel=0.06)
    effective = arviz.ess(values.T.numpy(), method="mean")
    assert time == pytest.approx(values.numel() / effective, rel=0.1)


def test_the_fitted_density_is_scipys_normal_with_every_correlation():
    """One without correlations is a density, too: the estimate would only be noisier."""
    fit = torch.randn(60, 2, 3, generator=seeded(), dtype=torch.float64)
    fit[..., 1] += 2 * fit[..., 0]
    z = torch.randn(7, 2, 3, generator=seeded(1), dtype=torch.float64)
    for i in range(2):
        of_row = scipy.stats.multivariate_normal(fit[:, i].mean(0), fit[:, i].T.cov())
        found = gaussian_log_density(fit, z)[:, i].numpy()
        assert found == pytest.approx(of_row.logpdf(z[:, i]), abs=1e-3)


def test_the_kernels_are_as_wide_as_the_unseen_half_likes_best():
    """The density at a point is the mean of normal densities about the samples."""
    fit = torch.randn(40, 1, 1, generator=seeded(), dtype=torch.float64)
    z = torch.linspace(-2, 2, 5, dtype=torch.float64).view(-1, 1, 1)
    silverman = (4 / 3 / 40) ** 0.2
    widths = [fit.std().item() * silverman * 10**f for f in np.linspace(-0.6, 0.6, 13)]

    def density(centres, at, sd):
        return scipy.stats.norm.logpdf(at.view(-1, 1), centres.view(1, -1), sd)

    def score(sd):
        return logsumexp(density(fit[:20], fit[20:], sd), axis=1).sum()

    expected = logsumexp(density(fit, z, max(widths, key=score)), axis=1) - math.log(40)
    assert kde_log_density(fit, z).flatten().numpy() == pytest.approx(expected)


def test_without_a_number_a_method_takes_its_own():
    model, x = VAE(6, 1, ()), torch.zeros(1, 6)
    for method, n in (("hmc_density", 50), ("importance_sampling", 5_000), ("ais", 8)):
        one, other = (log_marginal(model, x, method, k, generator=seeded()) for k in (None, n))
        assert torch.equal(one, other), method


def test_the_autocorrelation_time_has_no_unit():
    """Chains on other scales count alike, as they must where they are of other datapoints."""
    values = torch.randn(100, 20, generator=seeded(), dtype=torch.float64).cumsum(0)
    values[:, 10:] = torch.randn(100, 10, generator=seeded(1), dtype=torch.float64)
    scales = torch.logspace(-4, 4, 20, dtype=torch.float64)
    assert autocorrelation_time(scales * values) == pytest.approx(autocorrelation_time(values))


@pytest.mark.parametrize("method", ESTIMATORS)
def test_standard_error_is_the_spread_of_repetitions(method):
    model = linear_gaussian(2)
    x = draw(model, 1).expand(240, -1)
    estimate, stderr = log_marginal(
        model, x, method, generator=seeded(), return_stderr=True, **ESTIMATORS[method]
    )
    assert 0.6 < stderr.mean() / estimate.std() < 1.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bdmc_encloses_the_exact_answer(dtype):
    model = linear_gaussian(3, dtype=dtype)
    sandwich = bdmc(model, 100, 8, n_temperatures=40, generator=seeded())
    exact = exact_log_marginal(model, sandwich.x)
    assert sandwich.x.dtype == dtype
    assert sandwich.lower.mean() < exact.mean() + 0.02
    assert sandwich.upper.mean() > exact.mean() - 0.02
    assert sandwich.upper.mean() - sandwich.lower.mean() < 0.5


def test_closed_forms_are_refused_where_they_do_not_hold():
    with pytest.raises(ValueError, match="constant noise"):
        known.exact_log_marginal(VAE(6, 2, (), "gaussian"), torch.zeros(1, 6))


def test_annealing_visits_prior_and_posterior():
    betas = annealed.sigmoid_schedule(20)
    assert (betas[0], betas[-1]) == (0.0, 1.0)
    assert betas == sorted(betas)


def test_the_step_of_annealing_follows_the_acceptance_of_its_pilot_chains():
    """Each log step is the one before plus half of what acceptance has too much."""
    model = linear_gaussian(2)
    log_joint, target = log_joint_of(model, draw(model, 5)), 0.7
    betas = annealed.sigmoid_schedule(4)
    path = annealed.tune_path(log_joint, betas, target, 3, seeded(2))
    assert path.betas == betas and len(path.step_sizes) == 3
    generator = seeded(2)
    z = annealed.prior_draw(log_joint, annealed.N_PILOT, generator)
    step = torch.ones(5, dtype=torch.float64)
    for beta, tuned in zip(betas[1:], path.step_sizes, strict=True):
        z, acceptance = annealed.move(log_joint.tempered(beta), z, step, 3, generator)
        step = step * torch.exp((acceptance - target) / 2)
        torch.testing.assert_close(tuned, step)


@pytest.mark.parametrize("start", ["prior", "encoder", "resampled"])
def test_chains_start_where_it_is_said(start):
    """Draws of the prior, of q(z | x), of the posterior: their means and deviations are known."""
    model = linear_gaussian(1)
    torch.nn.init.zeros_(model.encoder[0].weight)
    model.encoder[0].bias.data = torch.tensor([3.0, -2.0], dtype=torch.float64)
    x = draw(model, 1)
    posterior = known.exact_posterior(model, x)
    mean, sd = {
        "prior": (0.0, 1.0),
        "encoder": (3.0, math.exp(-1.0)),
        "resampled": (posterior.mean.item(), posterior.covariance_matrix.sqrt().item()),
    }[start]
    z = start_chains(model, x.expand(500, -1), start, n_candidates=5_000, generator=seeded())
    assert z.mean().item() == pytest.approx(mean, abs=6 * sd / math.sqrt(500))
    assert z.std().item() == pytest.approx(sd, rel=0.2)


@pytest.fixture(scope="module")
def trained():
    """A decoder with two latents, and images it was not trained on."""
    config = RunConfig(dataset="digits", latent_dim=2, hidden=(32,), n_samples=60_000)
    trainer = Trainer(config, load_dataset("digits"))
    for _ in range(config.n_samples // config.batch_size):
        trainer.advance()
    x = trainer.data.test[:100]
    return trainer.model, x, log_marginal(trainer.model, x, "quadrature")


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("hmc_density", {"n_samples": 300, "n_burnin": 50, "n_leapfrog": 8}),
        ("importance_sampling", {"n_samples": 5000}),
        ("ais", {"n_samples": 16, "n_temperatures": 80}),
    ],
)
def test_agrees_with_quadrature_on_a_trained_decoder(trained, method, options):
    model, x, expected = trained
    estimate = log_marginal(model, x, method, generator=seeded(), **options)
    assert (estimate - expected).mean().abs() < 0.05


def test_the_same_generator_gives_the_same_answer(trained):
    model, x, _ = trained
    answers = [log_marginal(model, x[:20], "ais", 2, generator=seeded(3)) for _ in range(2)]
    assert torch.equal(*answers)


@pytest.mark.parametrize("start", ["encoder", "prior"])
def test_chains_can_start_elsewhere(trained, start):
    model, x, expected = trained
    options = {"n_burnin": 200, "start": start, "generator": seeded()}
    estimate = log_marginal(model, x[:50], "hmc_density", 200, **options)
    assert (estimate - expected[:50]).median().abs() < 0.1


class OverriddenDecoder(VAE):
    """Logits squashed to (-3, 3): no closed form knows of it."""

    def decoder_params(self, z):
        return (3 * torch.tanh(self.decoder(z)),)


class Convolutional(torch.nn.Module):
    """A decoder of one's own: 2 numbers to a picture of 4 x 4, no VAE, no encoder."""

    latent_dim = 2

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Linear(2, 12)
        self.grow = torch.nn.ConvTranspose2d(3, 1, 2, stride=2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0, 1, generator=seeded(6))

    def log_joint(self, x, z):
        picture = torch.relu(self.stem(z)).view(-1, 3, 2, 2)
        logits = self.grow(picture).flatten(1)
        return standard_normal_log_prob(z) + bernoulli_log_prob(x, logits)


def relu_vae():
    model = VAE(16, 2, (6,), init_sd=1.0, generator=seeded(6))
    model.decoder[1] = torch.nn.ReLU()
    return model


def patched_vae():
    model = VAE(16, 2, (6,), init_sd=1.0, generator=seeded(6))
    model.decoder_params = lambda z: (3 * torch.tanh(model.decoder(z)),)
    return model


def hooked_vae():
    model = VAE(16, 2, (6,), init_sd=1.0, generator=seeded(6))
    model.decoder.register_forward_hook(lambda module, inputs, output: output + 1)
    return model


def unbiased_vae():
    model = VAE(16, 2, (6,), init_sd=1.0, generator=seeded(6))
    model.decoder[0] = torch.nn.Linear(2, 6, bias=False)
    return model


def replaced_vae():
    model = VAE(16, 2, (6,), init_sd=1.0, generator=seeded(6))
    model.decoder.forward = lambda z: torch.zeros(*z.shape[:-1], 16)
    return model


FOREIGN = {
    "ReLU": relu_vae,
    "overridden": lambda: OverriddenDecoder(16, 2, (6,), init_sd=1.0, generator=seeded(6)),
    "convolutional": Convolutional,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_any_model_is_served_by_its_own_log_joint(kind):
    """A closed form with tanh would be several nats off."""
    model, x = FOREIGN[kind](), torch.rand(8, 16, generator=seeded(3)).round()
    axis = torch.linspace(-6, 6, 81)
    z = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        rows = [model.log_joint(row.expand(len(z), -1), z).double().logsumexp(0) for row in x]
    expected = (torch.stack(rows) + 2 * math.log(axis[1] - axis[0])).float()
    quadrature = log_marginal(model, x, "quadrature")
    torch.testing.assert_close(quadrature, expected, atol=0.01, rtol=0)
    for method, options in (
        ("hmc_density", {"n_samples": 40}),
        ("importance_sampling", {"n_samples": 400, "proposal": "hmc"}),
        ("ais", {"n_samples": 8, "n_temperatures": 30}),
    ):
        estimate = log_marginal(model, x, method, generator=seeded(), **options)
        assert (estimate - expected).mean().abs() < 0.7, method


def test_the_closed_form_is_for_the_model_it_was_derived_for():
    plain = VAE(16, 2, (6,))
    assert isinstance(log_joint_of(plain, torch.zeros(1, 16)), LogJoint)
    for make in (*FOREIGN.values(), patched_vae, hooked_vae, unbiased_vae, replaced_vae):
        assert isinstance(log_joint_of(make(), torch.zeros(1, 16)), AutogradLogJoint)


def test_both_ways_to_the_log_joint_agree_with_extra_sample_dimensions():
    model = VAE(11, 3, (7,), "gaussian", init_sd=0.5, generator=seeded()).double()
    x = torch.rand(4, 11, generator=seeded(1), dtype=torch.float64)
    z = torch.randn(5, 2, 4, 3, generator=seeded(2), dtype=torch.float64)
    closed, general = log_joint_of(model, x).tempered(0.3), AutogradLogJoint(model, x, 0.3)
    torch.testing.assert_close(closed(z), general(z))
    torch.testing.assert_close(closed.grad(z), general.grad(z))
    torch.testing.assert_close(closed.log_likelihood(z), general.log_likelihood(z))
    torch.testing.assert_close(closed.table(z[0, 0]), general.table(z[0, 0]))
    torch.testing.assert_close(
        closed.rows([2, 0])(z[..., :2, :]), general.rows([2, 0])(z[..., :2, :])
    )


@pytest.mark.parametrize("data_dim", [112, 200, 784])
def test_fair_coins_have_log_2_a_pixel_whatever_their_number(data_dim):
    """Products of so many halves leave float32, whose smallest normal number is 2^-126."""
    model, x = VAE(data_dim, 2, (5,), init_sd=0.0), torch.ones(3, data_dim)
    log_joint = log_joint_of(model, x)
    expected = torch.full((3,), -data_dim * math.log(2))
    torch.testing.assert_close(log_joint.log_likelihood(torch.zeros(3, 2)), expected)
    torch.testing.assert_close(log_joint(torch.zeros(3, 2))[0], expected - math.log(2 * math.pi))


def test_a_log_joint_follows_weights_that_change():
    model, x = VAE(6, 2, (5,), generator=seeded()), torch.rand(3, 6, generator=seeded(1))
    z = torch.randn(3, 2, generator=seeded(2))
    log_joint = log_joint_of(model, x)
    log_joint(z)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5)
    torch.testing.assert_close(log_joint(z)[0], model.log_joint(x, z).detach())


def test_refuses_what_a_method_cannot_serve():
    model = VAE(6, 20, ())
    x = torch.rand(3, 6)
    with pytest.raises(ValueError, match="quadrature in 20 latent dimensions"):
        log_marginal(model, x, "quadrature")
    with pytest.raises(ValueError, match="singular"):
        log_marginal(model, x, "hmc_density", 15)
    with pytest.warns(UserWarning, match="20 latent dimensions"):
        log_marginal(model, x, "hmc_density", 50, generator=seeded())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "magic"}, "method='magic'"),
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_leapfrog": 3}, "no option 'n_leapfrog'"),
        ({"x": torch.zeros(6)}, "x has shape"),
        ({"method": "hmc_density", "density": "box"}, "density='box'"),
        ({"method": "hmc_density", "start": "mode"}, "start='mode'"),
        ({"proposal": "prior"}, "proposal='prior'"),
        ({"method": "ais", "n_temperatures": 1}, "n_temperatures=1"),
        ({"method": "ais", "n_leapfrog": 0}, "n_leapfrog=0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    defaults = {"model": VAE(6, 2, ()), "x": torch.zeros(2, 6), "progress": False}
    with pytest.raises(ValueError, match=message):
        log_marginal(**defaults | arguments)


def test_a_proposal_must_be_normal():
    with pytest.raises(TypeError, match="MultivariateNormal"):
        log_marginal(
            VAE(6, 2, ()), torch.zeros(2, 6), proposal=lambda x: torch.distributions.Gumbel(0, 1)
        )


def test_a_normal_is_fitted_to_samples_of_any_width():
    samples = 1e-3 * torch.randn(400, 2, 3, generator=seeded(), dtype=torch.float64)
    mean, tril = fitted_normal(samples)
    for i in range(2):
        torch.testing.assert_close(mean[i], samples[:, i].mean(0))
        torch.testing.assert_close(
            tril[i] @ tril[i].T, torch.cov(samples[:, i].T), rtol=1e-3, atol=0
        )
    mean, tril = fitted_normal(torch.full((5, 1, 2), 0.7))  # chains that never moved
    assert mean.tolist() == [[pytest.approx(0.7)] * 2] and 0 < tril[0].diagonal().max() < 1e-6


def test_appendix_d_warns_from_five_latent_dimensions_on():
    x, options = torch.zeros(1, 6), {"generator": seeded(), "n_burnin": 1, "n_leapfrog": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log_marginal(VAE(6, 4, ()), x, "hmc_density", 12, **options)
    with pytest.warns(UserWarning, match="5 latent dimensions"):
        log_marginal(VAE(6, 5, ()), x, "hmc_density", 12, **options)


def test_proposals_are_wider_than_the_posterior():
    """A fitted proposal has 1.3 times the posterior's standard deviations."""
    model = linear_gaussian(2)
    x = draw(model, 1).expand(300, -1)
    q = fitted_proposal(model, x, n_candidates=100, generator=seeded())
    posterior = known.exact_posterior(model, x[:1])
    found = (q.covariance_matrix.mean(0) / posterior.covariance_matrix[0]).diagonal()
    torch.testing.assert_close(found, torch.full_like(found, 1.3**2), rtol=0.05, atol=0)


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("method", ["hmc_density", "importance_sampling", "ais", "quadrature"])
def test_inference_mode_changes_nothing(kind, method):
    model = FOREIGN[kind]()
    few = {"n_temperatures": 5} if method == "ais" else {}
    if method == "importance_sampling":
        few = {"proposal": "hmc"}
    n_samples = None if method == "quadrature" else 20

    def estimate():
        x = torch.rand(3, 16, generator=seeded(3)).round()
        return log_marginal(model, x, method, n_samples, generator=seeded(), **few)

    expected = estimate()
    with torch.inference_mode():
        found = estimate()
    assert torch.equal(found, expected)


def test_a_plain_model_may_be_made_in_inference_mode():
    x = torch.rand(3, 16, generator=seeded(3))
    expected = log_marginal(VAE(16, 2, (6,), generator=seeded()), x, "ais", 4, generator=seeded())
    with torch.inference_mode():
        made = VAE(16, 2, (6,), generator=seeded())
        found = log_marginal(made, x, "ais", 4, generator=seeded())
    assert torch.equal(found, expected)


def test_a_model_without_an_encoder_is_told_what_needs_none():
    model, x = Convolutional(), torch.rand(3, 16, generator=seeded(3))
    with pytest.raises(ValueError, match="Convolutional has none: use proposal='hmc'"):
        log_marginal(model, x)
    with pytest.raises(ValueError, match="Convolutional has none: use start='resampled'"):
        log_marginal(model, x, "hmc_density", start="encoder")


def test_one_number_is_no_batch():
    for model in (Convolutional(), VAE(16, 2, (6,))):
        with pytest.raises(
            ValueError, match=r"x has shape \(\): \(batch, (16|data_dim)\) is needed"
        ):
            log_marginal(model, torch.tensor(1.0))


@pytest.mark.parametrize(
    "method", [hmc_density, importance_sampling, annealed_importance_sampling, quadrature]
)
@pytest.mark.parametrize("kind", ["overridden", "plain"])
def test_no_rows_have_no_estimates(method, kind):
    model = FOREIGN.get(kind, lambda: VAE(16, 2, (6,)))()
    for found in method(model, torch.rand(0, 16), generator=seeded()):
        assert found.shape == (0,)


@pytest.mark.parametrize("method", [importance_sampling, annealed_importance_sampling])
def test_no_samples_are_refused(method):
    with pytest.raises(ValueError, match="n_samples=0"):
        method(VAE(16, 2, (6,)), torch.rand(3, 16), 0)


@pytest.mark.parametrize("method", ["importance_sampling", "ais"])
def test_one_sample_has_no_standard_error_and_warns_of_nothing(method):
    model, x = VAE(16, 2, (6,), generator=seeded()), torch.rand(3, 16, generator=seeded(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate, stderr = log_marginal(
            model, x, method, 1, generator=seeded(), return_stderr=True, progress=False
        )
    assert estimate.isfinite().all() and stderr.isnan().all()


def test_annealed_chains_move_some_at_a_time(monkeypatch):
    model, sizes, init = linear_gaussian(2), [], annealed.hmc.init
    monkeypatch.setattr(annealed, "CHUNK_ROWS", 40)

    def noted(position, log_prob_and_grad):
        sizes.append(len(position))
        return init(position, log_prob_and_grad)

    monkeypatch.setattr(annealed.hmc, "init", noted)
    x = draw(model, 4)
    estimate, stderr = annealed_importance_sampling(model, x, 35, generator=seeded())
    assert ((estimate - exact_log_marginal(model, x)).abs() < 4 * stderr).all()
    assert set(sizes) == {4 * annealed.N_PILOT, 40, 20}
    sizes.clear()
    sandwich = bdmc(model, 10, 20, generator=seeded())
    assert set(sizes) == {10 * annealed.N_PILOT, 80, 40}
    error = exact_log_marginal(model, sandwich.x)
    assert (sandwich.lower - error).mean().abs() < 0.1 > (sandwich.upper - error).mean().abs()


def test_chains_that_fit_at_once_are_not_cut():
    """So that what was stored with at most eight chains of each datapoint is found again."""
    for n_chains, batch in ((8, 250), (4, 1_000), (8, 10_000), (400, 5)):
        assert annealed.chunk_sizes(n_chains, batch) == [n_chains]
    assert annealed.chunk_sizes(20, 250) == [8, 8, 4]


def test_half_precision_underflows_nowhere():
    model = VAE(784, 2, (6,), init_sd=0.1, generator=seeded())
    x = torch.rand(4, 784, generator=seeded(3)).round()
    found = log_marginal(model.half(), x.half(), n_samples=50, generator=seeded())
    expected = log_marginal(model.float(), x, n_samples=50, generator=seeded())
    # float16 has 11 bits: at 550 nats its numbers are half a nat apart
    assert (found.float() - expected).abs().max() < 3
