"""log p(x) against closed forms, quadrature and its own error signs."""

import math

import pytest
import torch

from vae_core import linear_gaussian as known
from vae_core.data import load_dataset
from vae_core.linear_gaussian import exact_log_marginal
from vae_core.marginal_likelihood import annealed, bdmc, log_marginal
from vae_core.model import VAE
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


@pytest.mark.parametrize("method", ESTIMATORS)
def test_standard_error_is_the_spread_of_repetitions(method):
    model = linear_gaussian(2)
    x = draw(model, 1).expand(240, -1)
    estimate, stderr = log_marginal(
        model, x, method, generator=seeded(), return_stderr=True, **ESTIMATORS[method]
    )
    assert 0.6 < stderr.mean() / estimate.std() < 1.5


def test_bdmc_encloses_the_exact_answer():
    model = linear_gaussian(3, dtype=torch.float32)
    sandwich = bdmc(model, 100, 8, n_temperatures=40, generator=seeded())
    exact = exact_log_marginal(model, sandwich.x)
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
