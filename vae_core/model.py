"""The generative model p(x, z) and the recognition model q(z | x) of Appendix C."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal
from torch.nn import functional as F

LIKELIHOODS = ("bernoulli", "gaussian", "gaussian_sigmoid_mean")
LOG_2PI = math.log(2 * math.pi)


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """log Bernoulli(x | sigmoid(logits)) in nats, summed over the last dimension (eq. 11).

    Real-valued ``x`` in [0, 1] is allowed: the paper feeds grey levels as probabilities.
    """
    return (x * logits - F.softplus(logits)).sum(-1)


def gaussian_log_prob(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(x | mean, diag exp(log_var)) in nats, summed over the last dimension (eq. 12)."""
    return -0.5 * (LOG_2PI + log_var + (x - mean).square() * torch.exp(-log_var)).sum(-1)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z | 0, I) in nats, summed over the last dimension."""
    return -0.5 * (LOG_2PI + z.square()).sum(-1)


class MLP(nn.Sequential):
    """tanh layers with one linear head; ``hidden=()`` is a single linear map."""

    def __init__(self, in_dim: int, hidden: Sequence[int], out_dim: int):
        widths = [in_dim, *hidden]
        layers: list[nn.Module] = []
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(n_in, n_out), nn.Tanh()]
        super().__init__(*layers, nn.Linear(widths[-1], out_dim))


class VAE(nn.Module):
    """p(x, z) = N(z; 0, I) p(x | z) with the recognition model q(z | x) of Appendix C.

    Args:
        data_dim: D, the number of pixels.
        latent_dim: the dimension of z.
        hidden: widths of the tanh layers, the same for both networks; () gives linear maps.
        likelihood: "bernoulli", "gaussian" (free mean and log variance for each pixel) or
            "gaussian_sigmoid_mean" (the same with the mean squashed to (0, 1), for Frey Face).
        init_sd: every weight and bias is drawn from N(0, init_sd^2).
        generator: source of the initial parameters.

    Raises:
        ValueError: a dimension below 1 or an unknown likelihood.
    """

    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: Sequence[int] = (500,),
        likelihood: str = "bernoulli",
        *,
        init_sd: float = 0.01,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        for name, value in [("data_dim", data_dim), ("latent_dim", latent_dim)]:
            if value < 1:
                raise ValueError(f"{name}={value}: it must be at least 1")
        if any(width < 1 for width in hidden):
            raise ValueError(f"hidden={tuple(hidden)}: each width must be at least 1")
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood={likelihood!r}: choose one of {', '.join(LIKELIHOODS)}")
        self.data_dim, self.latent_dim = data_dim, latent_dim
        self.hidden, self.likelihood = tuple(hidden), likelihood
        n_outputs = data_dim if likelihood == "bernoulli" else 2 * data_dim
        self.encoder = MLP(data_dim, hidden, 2 * latent_dim)
        self.decoder = MLP(latent_dim, hidden, n_outputs)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0.0, init_sd, generator=generator)

    def encoder_params(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each (..., latent_dim)."""
        mean, log_var = self.encoder(x).to(x.dtype).chunk(2, dim=-1)
        return mean, log_var

    def decoder_params(self, z: Tensor) -> tuple[Tensor, ...]:
        """(logits,) of a Bernoulli or (mean, log variance) of a Gaussian, each (..., data_dim)."""
        output = self.decoder(z).to(z.dtype)
        if self.likelihood == "bernoulli":
            return (output,)
        mean, log_var = output.chunk(2, dim=-1)
        return (mean if self.likelihood == "gaussian" else torch.sigmoid(mean)), log_var

    def encode(self, x: Tensor) -> Distribution:
        """q(z | x) = N(z; m(x), diag s^2(x)) (eq. 9)."""
        mean, log_var = self.encoder_params(x)
        return Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)

    def decode(self, z: Tensor) -> Distribution:
        """p(x | z); its ``mean`` holds the pixel means."""
        if self.likelihood == "bernoulli":
            (logits,) = self.decoder_params(z)
            return Independent(Bernoulli(logits=logits, validate_args=False), 1)
        mean, log_var = self.decoder_params(z)
        return Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) in nats, (..., batch)."""
        return standard_normal_log_prob(z)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats: x (batch, data_dim), z (..., batch, latent_dim) -> (..., batch)."""
        log_prob = bernoulli_log_prob if self.likelihood == "bernoulli" else gaussian_log_prob
        return log_prob(x, *self.decoder_params(z))

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) in nats: x (batch, data_dim), z (..., batch, latent_dim) -> (..., batch)."""
        return self.log_prior(z) + self.log_likelihood(x, z)

    def log_q(self, z: Tensor, x: Tensor) -> Tensor:
        """log q(z | x) in nats: z (..., batch, latent_dim), x (batch, data_dim) -> (..., batch)."""
        return gaussian_log_prob(z, *self.encoder_params(x))

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws from p(x) by ancestral sampling, (n, data_dim): z ~ p(z), then x ~ p(x | z)."""
        weight = next(self.parameters())
        z = torch.randn(n, self.latent_dim, generator=generator, device=weight.device)
        shape = (n, self.data_dim)
        if self.likelihood == "bernoulli":
            noise = torch.rand(shape, generator=generator, device=weight.device)
        else:
            noise = torch.randn(shape, generator=generator, device=weight.device)
        return self.sample_given(z, noise)

    def sample_given(self, z: Tensor, noise: Tensor) -> Tensor:
        """x ~ p(x | z) from given noise: uniform (Bernoulli) or standard normal (Gaussian)."""
        if self.likelihood == "bernoulli":
            (logits,) = self.decoder_params(z)
            return (noise < torch.sigmoid(logits)).to(logits.dtype)
        mean, log_var = self.decoder_params(z)
        return mean + torch.exp(0.5 * log_var) * noise
