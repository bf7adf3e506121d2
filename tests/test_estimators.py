import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

import vae_core as vc
from vae_core.estimators import ESTIMATORS, reparameterize

D, K = 5, 2


def random_model(likelihood="bernoulli", seed=0):
    generator = torch.Generator().manual_seed(seed)
    return vc.VAE(D, K, (6,), likelihood, init_sd=0.7, generator=generator)


def linear_gaussian(seed=0, dtype=torch.float64):
    """A linear-Gaussian model whose encoder is the exact posterior, which is diagonal.

    p(x|z) = N(W z + b, s^2 I) with orthogonal columns of W: then p(z|x) has the covariance
    (I + W'W / s^2)^-1, a diagonal matrix, and the mean cov W'(x - b) / s^2.
    """
    g = torch.Generator().manual_seed(seed)
    model = vc.VAE(D, K, (), "gaussian").to(dtype)
    basis, _ = torch.linalg.qr(torch.randn(D, K, generator=g, dtype=dtype))
    weight = basis * torch.tensor([2.0, 0.8], dtype=dtype)  # (D, K)
    bias, log_var = torch.randn(D, generator=g, dtype=dtype), math.log(0.3)
    precision = 1 + weight.square().sum(0) / 0.3  # (K,)
    encoder = (weight / 0.3 / precision).T  # (K, D)
    with torch.no_grad():
        model.decoder[0].weight[:D], model.decoder[0].weight[D:] = weight, 0
        model.decoder[0].bias[:D], model.decoder[0].bias[D:] = bias, log_var
        model.encoder[0].weight[:K], model.encoder[0].weight[K:] = encoder, 0
        model.encoder[0].bias[:K], model.encoder[0].bias[K:] = -encoder @ bias, -precision.log()
    covariance = weight @ weight.T + 0.3 * torch.eye(D, dtype=dtype)
    return model, MultivariateNormal(bias, covariance)


def test_kl_is_that_of_torch_distributions():
    g = torch.Generator().manual_seed(0)
    mean, log_var = torch.randn(2, 50, 7, generator=g)
    q = Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)
    p = Independent(Normal(torch.zeros(7), torch.ones(7)), 1)
    assert torch.allclose(vc.kl_to_standard_normal(mean, log_var), kl_divergence(q, p), rtol=1e-5)


def test_kl_of_the_prior_is_zero():
    assert vc.kl_to_standard_normal(torch.zeros(3, 4), torch.zeros(3, 4)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "gaussian_sigmoid_mean"])
def test_a_and_b_agree_in_expectation(likelihood):
    model = random_model(likelihood)
    x = torch.rand(1, D, generator=torch.Generator().manual_seed(1)).expand(80_000, D)
    g = torch.Generator().manual_seed(2)
    with torch.no_grad():
        a, b = vc.sgvb_a(model, x, generator=g), vc.sgvb_b(model, x, generator=g)
    standard_error = ((a.var() + b.var()) / len(a)).sqrt()
    assert (a.mean() - b.mean()).abs() < 4 * standard_error
    assert standard_error < 0.05  # so that a wrong constant of 0.2 nats would show


def test_every_sample_of_a_is_the_evidence_under_the_exact_posterior():
    model, evidence = linear_gaussian()
    x = evidence.sample((20,))
    with torch.no_grad():
        bound = vc.sgvb_a(model, x, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(bound, evidence.log_prob(x), atol=1e-9)


def test_b_has_the_evidence_as_its_mean_under_the_exact_posterior():
    model, evidence = linear_gaussian()
    x = evidence.sample((1,)).expand(20_000, D)
    with torch.no_grad():
        b = vc.sgvb_b(model, x, generator=torch.Generator().manual_seed(4))
    expected = evidence.log_prob(x[:1])
    assert (b.mean() - expected).abs() < 4 * b.std() / math.sqrt(len(b))


def test_the_bound_is_below_the_evidence_by_the_kl_to_the_posterior():
    model, evidence = linear_gaussian()
    shift = torch.tensor([0.5, -1.0], dtype=torch.float64)
    with torch.no_grad():
        model.encoder[0].bias[:K] += shift
    x = evidence.sample((1,)).expand(20_000, D)
    mean, log_var = model.encoder_params(x[:1])
    gap = 0.5 * (shift.square() * torch.exp(-log_var)).sum()  # KL of two shifted Gaussians
    with torch.no_grad():
        a = vc.sgvb_a(model, x, generator=torch.Generator().manual_seed(5))
    difference = evidence.log_prob(x[:1]) - gap - a.mean()
    assert difference.abs() < 4 * a.std() / math.sqrt(len(a))


@pytest.mark.parametrize("estimator", [vc.sgvb_a, vc.sgvb_b, vc.importance_weighted_bound])
def test_epsilon_is_the_only_randomness(estimator):
    model = random_model()
    x, epsilon = torch.rand(3, D), torch.randn(4, 3, K)
    assert torch.equal(estimator(model, x, epsilon=epsilon), estimator(model, x, epsilon=epsilon))
    assert estimator(model, x, epsilon=epsilon).shape == (3,)


@pytest.mark.parametrize("estimator", [vc.sgvb_a, vc.sgvb_b])
def test_n_mc_samples_are_averaged(estimator):
    model = random_model()
    x, epsilon = torch.rand(3, D), torch.randn(4, 3, K)
    each = torch.stack([estimator(model, x, epsilon=e[None]) for e in epsilon])
    assert torch.allclose(estimator(model, x, epsilon=epsilon), each.mean(0), atol=1e-5)


def test_the_generator_decides_the_noise():
    model, x = random_model(), torch.rand(3, D)
    first, again, other = (
        vc.sgvb_b(model, x, n_mc=2, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


class Estimate(torch.nn.Module):
    """An estimator as a module, of which torch.func evaluates gradients draw by draw."""

    def __init__(self, estimator, model):
        super().__init__()
        self.estimator, self.model = estimator, model

    def forward(self, x, epsilon):
        return self.estimator(self.model, x, epsilon=epsilon).sum()


def gradients(estimator, model, x, epsilon):
    """Gradients of the estimator for each draw, flattened: (draws, parameters)."""
    estimate = Estimate(estimator, model)
    params = {name: p.detach() for name, p in estimate.named_parameters()}

    def value(params, e):
        return torch.func.functional_call(estimate, params, (x, e[None, None]))

    grads = torch.func.vmap(torch.func.grad(value), in_dims=(None, 0))(params, epsilon)
    return {name.removeprefix("model."): g.flatten(1) for name, g in grads.items()}


def test_the_score_function_gradient_is_unbiased_and_noisier():
    """Against the reparameterised gradient, per parameter, within Monte Carlo error (Sec. 2.2)."""
    model, x = random_model(), torch.rand(1, D, generator=torch.Generator().manual_seed(6))
    n = 20_000
    g = torch.Generator().manual_seed(7)
    naive = gradients(vc.score_function_surrogate, model, x, torch.randn(n, K, generator=g))
    pathwise = gradients(vc.sgvb_b, model, x, torch.randn(n, K, generator=g))
    for name in naive:
        difference = naive[name].mean(0) - pathwise[name].mean(0)
        error = ((naive[name].var(0) + pathwise[name].var(0)) / n).sqrt()
        assert (difference.abs() <= 5 * error + 1e-6).all(), name
    phi = [name for name in naive if name.startswith("encoder.0")]
    assert all(naive[name].var(0).sum() > 3 * pathwise[name].var(0).sum() for name in phi)


def test_the_score_function_surrogate_has_the_value_of_a():
    model, x, epsilon = random_model(), torch.rand(3, D), torch.randn(2, 3, K)
    surrogate = vc.score_function_surrogate(model, x, epsilon=epsilon)
    assert torch.allclose(surrogate, vc.sgvb_a(model, x, epsilon=epsilon), atol=1e-5)


def test_importance_weighted_bound_grows_from_the_bound_to_the_evidence():
    model, evidence = linear_gaussian()
    with torch.no_grad():
        model.encoder[0].bias[K:] += 0.7  # a wrong variance leaves a gap to close
        x = evidence.sample((2_000,))
        g = torch.Generator().manual_seed(8)
        one, many = (
            vc.importance_weighted_bound(model, x, n_mc=n, generator=g).mean() for n in (1, 500)
        )
        error = 4 * (vc.sgvb_a(model, x, generator=g).std() / math.sqrt(len(x)))
    assert one < many - error
    assert (many - evidence.log_prob(x).mean()).abs() < 0.02


def test_reparameterized_draws_have_the_mean_and_variance_of_q():
    mean, log_var = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -1.0]])
    n = 100_000
    z = reparameterize(mean, log_var, torch.randn(n, 2, generator=torch.Generator().manual_seed(9)))
    variance = log_var[0].exp()
    assert ((z.mean(0) - mean[0]).abs() < 4 * (variance / n).sqrt()).all()
    assert ((z.var(0) - variance).abs() < 4 * variance * (2 / n) ** 0.5).all()


def test_n_mc_zero_is_refused():
    with pytest.raises(ValueError, match="n_mc=0"):
        vc.sgvb_b(random_model(), torch.rand(1, D), n_mc=0)


@pytest.mark.parametrize("estimator", ESTIMATORS.values())
def test_noise_of_another_shape_is_refused(estimator, tiny_vae, tiny_batch):
    """(batch, latent) would broadcast to a sum over wrong pairs without a word."""
    with pytest.raises(ValueError, match=r"epsilon has shape \(7, 2\)"):
        estimator(tiny_vae, tiny_batch, epsilon=torch.zeros(7, 2))


@pytest.mark.parametrize("estimate", [vc.sgvb_a, vc.sgvb_b, vc.importance_weighted_bound])
def test_a_likelihood_of_another_shape_is_refused(estimate):
    class Summed(vc.VAE):
        def log_likelihood(self, x, z):
            return super().log_likelihood(x, z).sum()

        def log_joint(self, x, z):
            return super().log_joint(x, z)[0]

    model = Summed(6, 2, (4,), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="one number for each z"):
        estimate(model, torch.rand(5, 6, generator=torch.Generator().manual_seed(1)))
