"""Hamiltonian Monte Carlo against physics and known densities."""

import math

import pytest
import torch

from vae_core import hmc
from vae_core.log_joint import log_joint_of, sum_softplus_, tanh_
from vae_core.model import VAE

DECODERS = [
    (likelihood, hidden)
    for likelihood in ("bernoulli", "gaussian", "gaussian_sigmoid_mean")
    for hidden in ((), (7,), (7, 5))
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def quadratic(z):
    """log density of the harmonic oscillator and its gradient."""
    return -0.5 * z.square().sum(-1), -z


def quartic(z):
    """An anharmonic potential that couples the dimensions."""
    r2 = z.square().sum(-1)
    return -0.25 * r2.square() - 0.5 * z[:, 0].square(), -r2[:, None] * z - z * torch.eye(3)[0]


def energy(state, momentum):
    return 0.5 * momentum.square().sum(-1) - state.log_prob


def phase_point(n, seed=0):
    g = seeded(seed)
    draws = [torch.randn(n, 3, generator=g, dtype=torch.float64) for _ in range(2)]
    return hmc.init(draws[0], quartic), draws[1]


def small_model(likelihood, hidden, seed=0):
    return VAE(11, 3, hidden, likelihood, init_sd=0.5, generator=seeded(seed)).double()


def small_batch(n_chains=6, seed=1):
    g = seeded(seed)
    x = torch.rand(n_chains, 11, generator=g, dtype=torch.float64)
    return x, torch.randn(n_chains, 3, generator=g, dtype=torch.float64)


def test_harmonic_oscillator_returns_after_one_period():
    q = torch.tensor([[1.0, 0.0, 0.5]], dtype=torch.float64)
    p = torch.tensor([[0.0, 1.0, -0.5]], dtype=torch.float64)
    n = 500
    state, momentum = hmc.leapfrog(hmc.init(q, quadratic), p, 2 * math.pi / n, n, quadratic)
    torch.testing.assert_close(state.position, q, atol=1e-4, rtol=0)
    torch.testing.assert_close(momentum, p, atol=1e-4, rtol=0)


def test_energy_error_is_second_order_in_the_step():
    start, momentum = phase_point(64)
    before = energy(start, momentum)
    errors = [
        (energy(*hmc.leapfrog(start, momentum, 0.4 / n, n, quartic)) - before).abs().mean()
        for n in (20, 40)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.03)


def test_time_reverses_exactly():
    start, momentum = phase_point(16)
    step_size = torch.linspace(0.01, 0.2, 16, dtype=torch.float64)
    end, end_momentum = hmc.leapfrog(start, momentum, step_size, 30, quartic)
    back, back_momentum = hmc.leapfrog(end, -end_momentum, step_size, 30, quartic)
    torch.testing.assert_close(back.position, start.position, atol=1e-11, rtol=0)
    torch.testing.assert_close(-back_momentum, momentum, atol=1e-11, rtol=0)


def test_leapfrog_preserves_volume():
    start, momentum = phase_point(1)

    def flow(point):
        state = hmc.init(point[None, :3], quartic)
        end, end_momentum = hmc.leapfrog(state, point[None, 3:], 0.1, 10, quartic)
        return torch.cat([end.position[0], end_momentum[0]])

    jacobian = torch.func.jacrev(flow)(torch.cat([start.position[0], momentum[0]]))
    assert torch.linalg.det(jacobian).item() == pytest.approx(1.0, abs=1e-10)


def test_leapfrog_takes_exactly_the_given_number_of_gradients():
    calls = []

    def counted(z):
        calls.append(1)
        return quadratic(z)

    start = hmc.init(torch.zeros(2, 3), quadratic)
    hmc.leapfrog(start, torch.ones(2, 3), 0.1, 7, counted)
    assert len(calls) == 7


@pytest.mark.parametrize(("likelihood", "hidden"), DECODERS)
def test_closed_form_gradient_is_autograds(likelihood, hidden):
    model, (x, z) = small_model(likelihood, hidden), small_batch()
    expected = hmc.autograd_log_prob_and_grad(lambda z: model.log_joint(x, z))(z)
    log_joint = log_joint_of(model, x)
    for actual, wanted in zip(log_joint(z), expected, strict=True):
        torch.testing.assert_close(actual, wanted)
    torch.testing.assert_close(log_joint.grad(z), expected[1])


@pytest.mark.parametrize(("likelihood", "hidden"), DECODERS)
def test_tempered_gradient_is_autograds(likelihood, hidden):
    model, (x, z) = small_model(likelihood, hidden), small_batch()

    def tempered(z):
        return model.log_prior(z) + 0.3 * model.log_likelihood(x, z)

    expected = hmc.autograd_log_prob_and_grad(tempered)(z)
    actual = log_joint_of(model, x).tempered(0.3)(z)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("likelihood", "hidden"), DECODERS)
def test_weight_gradient_is_autograds(likelihood, hidden):
    model, (x, z) = small_model(likelihood, hidden), small_batch()
    actual = log_joint_of(model, x).weight_grad(z)
    model.log_likelihood(x, z).sum().backward()
    expected = [parameter.grad for parameter in model.decoder.parameters()]
    torch.testing.assert_close([g for pair in actual for g in pair], expected)


@pytest.mark.parametrize(("likelihood", "hidden"), DECODERS)
def test_table_holds_the_log_likelihood_of_every_pair(likelihood, hidden):
    model, (x, z) = small_model(likelihood, hidden), small_batch()
    table = log_joint_of(model, x).table(z[:4])
    expected = model.log_likelihood(x, z[:4, None].expand(-1, 6, -1)).detach()
    torch.testing.assert_close(table, expected)


@pytest.mark.parametrize("size", [1, 64, 113, 560, 784])
def test_sum_of_softplus_holds_where_probabilities_saturate(size):
    logits = 30 * torch.randn(20, size, generator=seeded())
    expected = torch.nn.functional.softplus(logits.double()).sum(-1)
    probabilities = torch.sigmoid(logits)
    torch.testing.assert_close(sum_softplus_(logits).double(), expected, rtol=1e-6, atol=1e-5)
    assert torch.equal(logits, probabilities)


@pytest.mark.parametrize("size", [14, 64, 784])
def test_sum_of_softplus_does_not_underflow_in_half_precision(size):
    logits = 0.1 * torch.randn(20, size, generator=seeded())
    expected = torch.nn.functional.softplus(logits).sum(-1)
    found = sum_softplus_(logits.half()).float()
    torch.testing.assert_close(found, expected, rtol=3e-3, atol=0)


def test_chains_by_autograd_move_in_inference_mode_as_outside():
    def log_prob(z):
        return -(z.square() * z.sigmoid()).sum(-1)

    def samples():
        return hmc.sample(log_prob, torch.ones(4, 2), 3, 2, 3, generator=seeded())[0]

    expected = samples()
    with torch.inference_mode():
        found = samples()
    assert torch.equal(found, expected)


def test_the_fast_tanh_is_tanh():
    x = torch.cat([torch.linspace(-12, 12, 4_001), torch.tensor([-100.0, 0.0, 1e-5, 100.0])])
    torch.testing.assert_close(tanh_(x.clone()).double(), torch.tanh(x.double()), rtol=0, atol=3e-7)
    double = x.double()
    torch.testing.assert_close(tanh_(double.clone()), torch.tanh(double), rtol=0, atol=1e-15)


def within_monte_carlo_error(by_chain, expected, sigmas=4.5):
    """Independent chains (n_samples, chains, ...): is the mean within its standard error?"""
    means = by_chain.double().mean(0)
    stderr = means.std(0) / math.sqrt(means.shape[0])
    return bool(((means.mean(0) - expected).abs() < sigmas * stderr).all())


def test_recovers_correlated_gaussians():
    mean = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    covariance = torch.tensor([[1.0, 0.9, 0.3], [0.9, 1.0, 0.2], [0.3, 0.2, 4.0]]).double()
    target = torch.distributions.MultivariateNormal(mean, covariance)
    z0 = torch.zeros(400, 3, dtype=torch.float64)
    samples, info = hmc.sample(target.log_prob, z0, 200, 80, 5, generator=seeded())
    residual = samples - mean
    assert within_monte_carlo_error(samples, mean)
    assert within_monte_carlo_error(residual[..., :, None] * residual[..., None, :], covariance)
    assert info.n_divergent.sum() == 0
    torch.testing.assert_close(info.log_prob, target.log_prob(samples))


def test_each_chain_has_its_own_target_and_step_size():
    sd = torch.logspace(-2, 1, 200)
    samples, info = hmc.sample(
        lambda z: -0.5 * (z / sd[:, None]).square().sum(-1), torch.zeros(200, 2), 200, 150, 5,
        generator=seeded(),
    )  # fmt: skip
    assert ((samples / sd[:, None]).std((0, 2)) - 1).abs().mean() < 0.1
    ratio = info.step_size / sd
    assert 0.5 < (ratio / ratio.median()).quantile(0.05)
    assert (ratio / ratio.median()).quantile(0.95) < 2


def test_acceptance_lands_on_its_target():
    precision = torch.tensor([[1.0, 0.9], [0.9, 1.0]]).inverse()
    samples, info = hmc.sample(
        lambda z: -0.5 * ((z @ precision) * z).sum(-1), torch.zeros(500, 2), 100, 200, 5,
        0.9, generator=seeded(),
    )  # fmt: skip
    assert info.acceptance_rate.mean().item() == pytest.approx(0.9, abs=0.03)


def test_acceptance_lands_on_its_target_for_a_decoder():
    model = VAE(64, 3, (20,), init_sd=0.5, generator=seeded())
    log_joint = log_joint_of(model, model.sample(300, generator=seeded()))
    z0 = torch.zeros(300, 3)
    options = {"generator": seeded(1), "log_prob_and_grad": log_joint}
    _, info = hmc.sample(None, z0, 60, 120, 10, **options)
    assert info.acceptance_rate.mean().item() == pytest.approx(0.9, abs=0.03)


def test_step_size_is_frozen_after_burn_in():
    z0 = torch.zeros(10, 2)
    sizes = [
        hmc.sample(lambda z: -z.square().sum(-1), z0, n, 30, 3, generator=seeded())[1].step_size
        for n in (1, 50)
    ]
    assert torch.equal(*sizes)


def test_geweke_joint_distribution():
    """Alternating x ~ p(x|z) with HMC moves of z | x leaves the joint p(x, z) as it is."""
    model, n = VAE(5, 2, (), "gaussian", init_sd=0.6, generator=seeded()).double(), 20_000
    g = seeded(1)
    z = torch.randn(n, 2, generator=g, dtype=torch.float64)
    for _ in range(5):
        noise = torch.randn(n, 5, generator=g, dtype=torch.float64)
        x = model.sample_given(z, noise).detach()
        log_joint = log_joint_of(model, x)
        state, info = hmc.step(hmc.init(z, log_joint), 0.4, 4, log_joint, generator=g)
        assert 0.5 < info.acceptance_prob.mean() < 0.99
        assert not torch.equal(state.position, z)
        z = state.position
    moments = torch.cat([z, z.square() - 1, z[:, :1] * z[:, 1:], z**3, z**4 - 3], dim=-1)
    scores = moments.mean(0) / (moments.std(0) / math.sqrt(n))
    assert scores.abs().max() < 4


def test_divergent_transitions_are_counted_and_refused():
    z0 = torch.ones(8, 2)
    samples, info = hmc.sample(
        lambda z: -1e4 * z.square().sum(-1), z0, 5, 0, 3, generator=seeded(), step_size=10.0
    )
    assert torch.equal(info.n_divergent, torch.full((8,), 5.0))
    assert torch.equal(samples, z0.expand(5, 8, 2))


def test_a_log_density_that_turns_nan_is_refused():
    def half_line(z):
        return torch.where(z[:, 0] > 0, z[:, 0].log() - z[:, 0], torch.nan)

    samples, _ = hmc.sample(half_line, torch.ones(100, 1), 100, 50, 5, generator=seeded())
    assert (samples > 0).all()
    assert within_monte_carlo_error(samples, 2.0)  # Gamma(2, 1)


def test_a_chain_goes_on_from_its_state_bit_for_bit():
    g = seeded(3)
    state, middle = hmc.init(torch.zeros(4, 3), quadratic), None
    for i in range(10):
        if i == 5:
            middle, rng = state, g.get_state()
        state, _ = hmc.step(state, 0.3, 4, quadratic, generator=g)
    g.set_state(rng)
    for _ in range(5):
        middle, _ = hmc.step(middle, 0.3, 4, quadratic, generator=g)
    assert all(torch.equal(a, b) for a, b in zip(state, middle, strict=True))


def test_given_momentum_is_used():
    momentum = torch.ones(4, 3)
    state = hmc.init(torch.zeros(4, 3), quadratic)
    moved, _ = hmc.step(state, 0.01, 1, quadratic, generator=seeded(), momentum=momentum)
    torch.testing.assert_close(moved.position, 0.01 * momentum)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_burnin": -1}, "n_burnin=-1"),
        ({"n_leapfrog": 0}, "n_leapfrog=0"),
        ({"target_accept": 1.0}, "target_accept=1.0"),
        ({"log_prob": None}, "log_prob=None"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {
        "log_prob": lambda z: -z.square().sum(-1),
        "z0": torch.zeros(2, 2),
        "n_samples": 2,
        "n_burnin": 2,
        "n_leapfrog": 2,
    }
    with pytest.raises(ValueError, match=message):
        hmc.sample(**arguments | change)


@pytest.mark.parametrize(("height", "is_divergent"), [(900.0, False), (1_100.0, True)])
def test_a_transition_diverges_above_an_energy_error_of_1000(height, is_divergent):
    """A flat density with a cliff between 0 and 1: the error is its height."""

    def cliff(z):
        return -height * (z[:, 0] > 0.5).to(z.dtype), torch.zeros_like(z)

    state = hmc.init(torch.zeros(1, 1), cliff)
    noise = {"momentum": torch.ones(1, 1), "uniform": torch.full((1,), 0.5)}
    after, info = hmc.step(state, 1.0, 1, cliff, **noise)
    assert info.energy_error.item() == height and not info.is_accepted.item()
    assert info.is_divergent.item() == is_divergent and after.position.item() == 0


def test_the_first_step_stops_growing_at_ten_where_nothing_is_refused():
    """0.1 doubled until it is no longer below ten."""

    def flat(z):
        return torch.zeros(len(z)), torch.zeros_like(z)

    found = hmc.reasonable_step_size(hmc.init(torch.zeros(3, 2), flat), flat, generator=seeded(0))
    torch.testing.assert_close(found, torch.full((3,), 12.8))


def test_the_first_step_is_doubled_or_halved_until_acceptance_passes_one_half():
    sds = torch.tensor([1e-3, 0.05, 1.0, 4.0], dtype=torch.float64)

    def target(z):
        return -0.5 * (z[:, 0] / sds).square(), -z / sds[:, None].square()

    state = hmc.init((0.7 * sds)[:, None], target)
    found = hmc.reasonable_step_size(state, target, generator=seeded(3))
    momentum = torch.randn(4, 1, generator=seeded(3), dtype=torch.float64)

    def is_likely(step_size):
        end, p = hmc.leapfrog(state, momentum, step_size, 1, target)
        before, after = energy(state, momentum), energy(end, p)
        return before - after > math.log(0.5)

    doublings = torch.log2(found / 0.1)
    torch.testing.assert_close(doublings, doublings.round())
    assert doublings.min() < 0 < doublings.max()
    before = found * 2.0 ** -doublings.sign()
    assert (is_likely(found) != is_likely(before)).all()
    assert torch.equal(is_likely(before), doublings > 0)


def test_dual_averaging_is_hoffman_and_gelmans():
    """Two updates by hand, eq. 6: gamma 0.2, t0 10, kappa 0.75, target 0.8."""
    state = hmc.dual_averaging_init(torch.tensor([0.5], dtype=torch.float64))
    mu, mean_error, average = math.log(2 * 0.5), 0.0, math.log(0.5)
    for t, acceptance in enumerate((0.3, 1.0), start=1):
        given = torch.tensor([acceptance], dtype=torch.float64)
        state = hmc.dual_averaging_update(state, given, 0.8)
        mean_error = (1 - 1 / (t + 10)) * mean_error + (0.8 - acceptance) / (t + 10)
        log_step = mu - math.sqrt(t) / 0.2 * mean_error
        average = t**-0.75 * log_step + (1 - t**-0.75) * average
        assert state.log_step.item() == pytest.approx(log_step)
        assert state.log_step_average.item() == pytest.approx(average)


def test_chains_that_start_where_the_density_is_none_are_refused():
    def log_prob(z):
        return torch.log(z[:, 0] - 1) - z.square().sum(-1)

    with pytest.raises(ValueError, match="not finite at"):
        hmc.sample(log_prob, torch.zeros(2, 1), 5, 5, 5)
    with pytest.raises(ValueError, match="step_size"):
        hmc.sample(log_prob, torch.full((2, 1), 3.0), 5, 5, 5, step_size=torch.tensor(math.inf))
