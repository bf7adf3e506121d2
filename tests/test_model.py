import pytest
import scipy.stats
import torch

import vae_core as vc
from vae_core.model import MLP, bernoulli_log_prob, gaussian_log_prob, is_plain


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def make(likelihood="bernoulli", hidden=(7,), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return vc.VAE(6, 2, hidden, likelihood, init_sd=0.5, generator=generator)


def test_bernoulli_log_prob_is_scipys():
    x = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    logits = torch.tensor([[-2.0, 0.3, 40.0], [1.5, -40.0, 0.0]])
    probability = torch.sigmoid(logits.double()).numpy()
    expected = scipy.stats.bernoulli.logpmf(x.numpy(), probability).sum(-1)
    assert bernoulli_log_prob(x, logits).numpy() == pytest.approx(expected, abs=1e-5)


def test_bernoulli_log_prob_of_a_grey_level_is_the_cross_entropy():
    x, logits = torch.tensor([[0.3]]), torch.tensor([[0.7]])
    p = torch.sigmoid(logits)
    expected = 0.3 * torch.log(p) + 0.7 * torch.log(1 - p)
    assert torch.allclose(bernoulli_log_prob(x, logits), expected[0])


def test_gaussian_log_prob_is_scipys():
    g = torch.Generator().manual_seed(1)
    x, mean, log_var = torch.randn(3, 5, 4, generator=g)
    deviation = torch.exp(0.5 * log_var).numpy()
    expected = scipy.stats.norm.logpdf(x.numpy(), mean.numpy(), deviation).sum(-1)
    assert gaussian_log_prob(x, mean, log_var).numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "gaussian_sigmoid_mean"])
@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_log_joint_is_prior_plus_the_decoders_log_prob(likelihood, hidden):
    model = make(likelihood, hidden)
    g = torch.Generator().manual_seed(2)
    x = torch.rand(4, 6, generator=g).round()
    z = torch.randn(3, 4, 2, generator=g)  # (samples, batch, latent_dim)
    prior = torch.from_numpy(scipy.stats.norm.logpdf(z.numpy()).sum(-1))
    expected = model.decode(z).log_prob(x) + prior
    assert torch.allclose(model.log_joint(x, z), expected.float(), atol=1e-5)


def test_log_q_is_the_encoders_log_prob():
    model = make()
    x, z = torch.rand(4, 6), torch.randn(3, 4, 2)
    assert torch.allclose(model.log_q(z, x), model.encode(x).log_prob(z), atol=1e-5)


def test_sigmoid_mean_lies_in_the_unit_interval_and_the_free_mean_does_not():
    z = 50 * torch.randn(100, 2, generator=torch.Generator().manual_seed(3))
    squashed, free = make("gaussian_sigmoid_mean").decode(z), make("gaussian").decode(z)
    assert 0 <= squashed.mean.min() and squashed.mean.max() <= 1
    assert free.mean.abs().max() > 1


def test_linear_decoder_is_an_affine_map():
    model = make("gaussian", ())
    head = model.decoder[0]
    z = torch.randn(5, 2)
    assert torch.allclose(model.decode(z).mean, z @ head.weight[:6].T + head.bias[:6], atol=1e-6)


def test_samples_have_the_mean_of_the_model():
    model = make()
    g = torch.Generator().manual_seed(4)
    n = 20_000
    x = model.sample(n, generator=g)
    assert x.shape == (n, 6) and set(x.unique().tolist()) == {0.0, 1.0}
    expected = model.decode(torch.randn(n, 2, generator=g)).mean.mean(0)
    # both are means of n values of standard deviation at most 1/2
    assert (x.mean(0) - expected).abs().max() < 4 * (0.5 * 2 / n) ** 0.5 * 2**0.5


def test_gaussian_samples_have_the_variance_of_the_model():
    model = make("gaussian", ())
    model.decoder[0].weight.zero_()
    model.decoder[0].bias[:6] = 2.0
    model.decoder[0].bias[6:] = 1.0  # log variance
    n = 20_000
    x = model.sample(n, generator=torch.Generator().manual_seed(5))
    variance = torch.e
    assert (x.mean(0) - 2).abs().max() < 4 * (variance / n) ** 0.5
    assert (x.var(0) - variance).abs().max() < 4 * variance * (2 / n) ** 0.5


def test_a_gaussian_sample_is_its_mean_and_deviations_of_the_noise():
    model, z, noise = make("gaussian"), torch.randn(4, 2), torch.randn(4, 6)
    given = model.decode(z)
    torch.testing.assert_close(model.sample_given(z, noise), given.mean + given.stddev * noise)


def test_the_default_is_the_network_of_section_5():
    assert [tuple(p.shape) for p in vc.VAE(784, 20).encoder.parameters()][:1] == [(500, 784)]


def test_the_same_generator_gives_the_same_model():
    a, b, c = make(seed=1), make(seed=1), make(seed=2)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(next(a.parameters()), next(c.parameters()))


def test_initial_parameters_have_the_asked_deviation():
    model = vc.VAE(784, 20, (500,), init_sd=0.01, generator=torch.Generator().manual_seed(0))
    values = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert values.std().item() == pytest.approx(0.01, rel=4 / (2 * len(values)) ** 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"data_dim": -1}, "data_dim=-1"),
        ({"hidden": (5, 0)}, r"hidden\[1\]=0"),
        ({"likelihood": "poisson"}, "likelihood='poisson'.*bernoulli"),
        ({"init_sd": -0.1}, "init_sd=-0.1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        vc.VAE(**({"data_dim": 6, "latent_dim": 2} | arguments))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "gaussian_sigmoid_mean"])
def test_a_float64_model_is_sampled_in_float64(likelihood):
    model = make(likelihood).double()
    x = model.sample(20_000, generator=torch.Generator().manual_seed(3))
    assert x.dtype == torch.float64 and x.shape == (20_000, 6)
    z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    # both means are over 20,000 draws: five standard errors of their difference
    error = 5 * (x.std(0) ** 2 + model.decode(z).mean.std(0) ** 2).sqrt() / 20_000**0.5
    assert ((x.mean(0) - model.decode(z).mean.mean(0)).abs() < error).all()


@pytest.mark.parametrize(
    ("method", "rows", "message"),
    [
        ("encode", torch.zeros(3, 5), r"x has shape \(3, 5\): \(\.\.\., 6\) is needed"),
        ("encode", torch.zeros(3, 6).byte(), "x is of torch.uint8, the model of torch.float32"),
        ("decode", torch.zeros(3, 6), r"z has shape \(3, 6\): \(\.\.\., 2\) is needed"),
        ("decode", torch.zeros(3, 2).double(), "z is of torch.float64"),
    ],
)
def test_rows_of_another_width_or_precision_are_refused(tiny_vae, method, rows, message):
    with pytest.raises(ValueError, match=message):
        getattr(tiny_vae, method)(rows)


@pytest.mark.parametrize("method", ["log_joint", "log_likelihood"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_bytes_have_no_density(tiny_vae, method, dtype):
    with pytest.raises(ValueError, match=rf"x is of {dtype}: use x.float\(\), scaled to \[0, 1\]"):
        getattr(tiny_vae, method)(torch.ones(3, 6, dtype=dtype), torch.zeros(3, 2))


def test_joint_samples_are_refused_as_samples_are(tiny_vae):
    with pytest.raises(ValueError, match="n=-1"):
        tiny_vae.sample_joint(-1)
    with pytest.raises(ValueError, match="generator=4"):
        tiny_vae.sample_joint(3, generator=4)


def test_only_a_network_as_it_was_made_has_a_closed_form():
    network = MLP(3, (4,), 2)
    assert is_plain(network) and not is_plain(torch.nn.Sequential(*network))
    network[0].register_forward_hook(lambda *_: None)
    assert not is_plain(network)
    for part in ("", "0"):
        network = MLP(3, (4,), 2)
        network.get_submodule(part).forward = lambda z: z
        assert not is_plain(network)


def test_a_model_with_a_generator_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    made = vc.VAE(5, 2, (3,), generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)
    again = vc.VAE(5, 2, (3,), generator=torch.Generator().manual_seed(1))
    assert torch.equal(made.encoder[0].weight, again.encoder[0].weight)
    with torch.device("meta"):
        assert vc.VAE(5, 2, (3,)).encoder[0].weight.is_meta


def test_weights_begin_with_the_papers_standard_deviation():
    """Over 400,000 draws, whose standard deviation is known to a thousandth."""
    model = vc.VAE(784, 2, (500,), generator=torch.Generator().manual_seed(0))
    assert model.encoder[0].weight.std().item() == pytest.approx(0.01, rel=0.01)


def test_what_is_no_generator_is_refused():
    with pytest.raises(ValueError, match="generator=3"):
        vc.VAE(6, 2, generator=3)
