"""The generative model p(x, z) and the recognition model q(z | x) of Appendix C."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Distribution, Independent, Normal
from torch.nn import functional as F
from torch.nn.utils import skip_init

from vae_core._arguments import (
    check_between,
    check_choice,
    check_count,
    check_generator,
    check_kind,
    check_rows,
)
from vae_core._noise import noise_like

LOG_2PI = math.log(2 * math.pi)


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """log Bernoulli(x | sigmoid(logits)) in nats, summed over the last dimension (eq. 11).

    ``x`` may take any value in [0, 1]: like the paper, we feed grey levels as probabilities.
    """
    return (x * logits - F.softplus(logits)).sum(-1)


def gaussian_log_prob(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(x | mean, diag exp(log_var)) in nats, summed over the last dimension (eq. 12)."""
    return -0.5 * (LOG_2PI + log_var + (x - mean).square() * torch.exp(-log_var)).sum(-1)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z | 0, I) in nats, summed over the last dimension."""
    return -0.5 * (LOG_2PI + z.square()).sum(-1)


class Bernoulli:
    """Bernoulli likelihood p(x | z) of binary pixels, or of grey levels in [0, 1] (eq. 11)."""

    n_outputs = 1  # outputs of the decoder for each pixel: a logit

    def params(self, output: Tensor) -> tuple[Tensor, ...]:
        """The parameters (logits,), each (..., data_dim), from the decoder's output."""
        return (output,)

    def log_prob(self, x: Tensor, logits: Tensor) -> Tensor:
        """log p(x | z) in nats, summed over pixels."""
        return bernoulli_log_prob(x, logits)

    def noise(self, shape: Sequence[int], **options: Any) -> Tensor:
        """The random numbers that :meth:`sample` needs: uniform on (0, 1), of this shape."""
        return torch.rand(shape, **options)

    def sample(self, noise: Tensor, logits: Tensor) -> Tensor:
        """Draws x ~ p(x | z), zeros and ones, from ``noise`` as :meth:`noise` gives it."""
        return (noise < torch.sigmoid(logits)).to(logits.dtype)

    def distribution(self, logits: Tensor) -> Distribution:
        """p(x | z) as a torch distribution, whose ``log_prob`` accepts grey levels, too."""
        return Independent(TorchBernoulli(logits=logits, validate_args=False), 1)


@dataclass(frozen=True)
class Gaussian:
    """Gaussian likelihood p(x | z) of real-valued pixels with a learned variance (eq. 12).

    Attributes:
        sigmoid_mean: whether a sigmoid maps the means to (0, 1), as for Frey Face (App. C.2).
    """

    sigmoid_mean: bool = False
    n_outputs = 2  # outputs of the decoder for each pixel: mean and log variance

    def params(self, output: Tensor) -> tuple[Tensor, ...]:
        """The parameters (mean, log variance), each (..., data_dim), from the decoder's output."""
        mean, log_var = output.chunk(2, dim=-1)
        return (torch.sigmoid(mean) if self.sigmoid_mean else mean), log_var

    def log_prob(self, x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
        """log p(x | z) in nats, summed over pixels."""
        return gaussian_log_prob(x, mean, log_var)

    def noise(self, shape: Sequence[int], **options: Any) -> Tensor:
        """The random numbers that :meth:`sample` needs: standard normal, of this shape."""
        return torch.randn(shape, **options)

    def sample(self, noise: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
        """Draws x ~ p(x | z), from ``noise`` as :meth:`noise` gives it."""
        return mean + torch.exp(0.5 * log_var) * noise

    def distribution(self, mean: Tensor, log_var: Tensor) -> Distribution:
        """p(x | z) as a torch distribution."""
        return Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)


LIKELIHOODS: dict[str, Bernoulli | Gaussian] = {
    "bernoulli": Bernoulli(),
    "gaussian": Gaussian(),
    "gaussian_sigmoid_mean": Gaussian(sigmoid_mean=True),
}


class MLP(nn.Sequential):
    """Multilayer perceptron: tanh layers, then a linear one; ``hidden=()`` is one linear map."""

    def __init__(self, in_dim: int, hidden: Sequence[int], out_dim: int, **factory: Any):
        widths = [in_dim, *hidden]
        layers: list[nn.Module] = []
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            layers += [_linear(n_in, n_out, **factory), nn.Tanh()]
        super().__init__(*layers, _linear(widths[-1], out_dim, **factory))


def _linear(n_in: int, n_out: int, device: Any = None, dtype: Any = None) -> nn.Linear:
    """A linear layer without initial values: torch would draw them from its global generator."""
    device = torch.get_default_device() if device is None else device
    return skip_init(nn.Linear, n_in, n_out, device=device, dtype=dtype)


def is_plain(network: nn.Module) -> bool:
    """Whether a network is just as MLP makes it, without hooks: only then do closed forms hold."""
    if type(network) is not MLP or any(
        module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
        for module in network.modules()
    ):
        return False
    *body, head = network
    kinds = [nn.Linear, nn.Tanh] * (len(body) // 2)
    linear = [layer for layer in network if type(layer) is nn.Linear]
    return [*map(type, body), type(head)] == [*kinds, nn.Linear] and all(
        layer.bias is not None for layer in linear
    )


def check_sampling(model: nn.Module) -> None:
    """Refuses to sample from a model that overrides ``log_likelihood`` and not ``sample_given``.

    Such a model would draw x from the VAE's p(x | z), which is not its own.
    """
    if not isinstance(model, VAE) or not is_own(model, "log_likelihood"):
        return
    if not is_own(model, "sample_given"):
        raise ValueError(
            f"{type(model).__name__} has a log_likelihood of its own: define sample_given, which "
            f"draws x from it, too"
        )


def is_own(model: "VAE", name: str) -> bool:
    """Whether a subclass or the model itself defines a method, in place of VAE's."""
    return name in vars(model) or getattr(type(model), name) is not getattr(VAE, name)


class VAE(nn.Module):
    """Variational autoencoder: p(x, z) = N(z; 0, I) p(x | z), with the encoder q(z | x) (App. C).

    Args:
        data_dim: D, the number of pixels.
        latent_dim: the dimension of z.
        hidden: widths of the tanh layers, the same for both networks; () gives linear maps.
        likelihood: "bernoulli", "gaussian" (free mean and log variance for each pixel) or
            "gaussian_sigmoid_mean" (the same with a sigmoid on the mean, for Frey Face).
        init_sd: every weight and bias is drawn from N(0, init_sd^2).
        generator: random generator of the initial parameters.
        device, dtype: of the parameters; None for torch's defaults, as in its own modules.

    A subclass that overrides ``log_likelihood`` must override ``decode`` to be decoded, and
    ``sample_given`` to be sampled from or trained by wake-sleep. One that overrides ``log_prior``
    must override ``sample_joint`` to be sampled from, and is trained with ``sgvb_a``.

    Raises:
        ValueError: names the argument, its value and what it must be.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: Sequence[int] = (500,),
        likelihood: str = "bernoulli",
        *,
        init_sd: float = 0.01,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        check_count("data_dim", data_dim)
        check_count("latent_dim", latent_dim)
        check_kind("hidden", hidden, Sequence, "give the widths as (500,) or, for none, ()")
        for i, width in enumerate(hidden):
            check_count(f"hidden[{i}]", width)
        check_choice("likelihood", likelihood, LIKELIHOODS)
        if init_sd != 0:  # parameters may all start at zero
            check_between("init_sd", init_sd, 0)
        check_generator(generator)
        self.data_dim, self.latent_dim = data_dim, latent_dim
        self.hidden, self.likelihood = tuple(hidden), likelihood
        factory = {"device": device, "dtype": dtype}
        self.encoder = MLP(data_dim, hidden, 2 * latent_dim, **factory)
        self.decoder = MLP(latent_dim, hidden, self.pixels.n_outputs * data_dim, **factory)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0.0, init_sd, generator=generator)

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the parameters."""
        return next(self.parameters()).dtype

    @property
    def pixels(self) -> Bernoulli | Gaussian:
        """The likelihood p(x | z), Bernoulli or Gaussian."""
        return LIKELIHOODS[self.likelihood]

    def encoder_params(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each (..., latent_dim), for x (..., data_dim)."""
        check_rows("x", x, self.data_dim, self.dtype)
        output = self.encoder(x)  # (..., 2 latent_dim)
        # autocast multiplies in bfloat16, but densities are summed in x's precision
        mean, log_var = output.to(x.dtype).chunk(2, dim=-1)  # (..., latent_dim) each
        return mean, log_var

    def decoder_params(self, z: Tensor) -> tuple[Tensor, ...]:
        """(logits,) of a Bernoulli or (mean, log variance) of a Gaussian, each (..., data_dim)."""
        check_rows("z", z, self.latent_dim, self.dtype)
        output = self.decoder(z)  # (..., data_dim or 2 data_dim)
        return self.pixels.params(output.to(z.dtype))  # the cast: as in encoder_params

    def encode(self, x: Tensor) -> Distribution:
        """q(z | x) = N(z; m(x), diag s^2(x)) as a torch distribution (eq. 9)."""
        mean, log_var = self.encoder_params(x)
        return Independent(Normal(mean, torch.exp(0.5 * log_var)), 1)

    def decode(self, z: Tensor) -> Distribution:
        """p(x | z) as a torch distribution; its ``mean`` holds the pixel means."""
        return self.pixels.distribution(*self.decoder_params(z))

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) in nats: z (..., batch, latent_dim) -> (..., batch)."""
        return standard_normal_log_prob(z)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats: x (batch, data_dim), z (..., batch, latent_dim) -> (..., batch)."""
        check_rows("x", x, self.data_dim)
        return self.pixels.log_prob(x, *self.decoder_params(z))

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) in nats: x (batch, data_dim), z (..., batch, latent_dim) -> (..., batch)."""
        return self.log_prior(z) + self.log_likelihood(x, z)

    def log_q(self, z: Tensor, x: Tensor) -> Tensor:
        """log q(z | x) in nats: z (..., batch, latent_dim), x (batch, data_dim) -> (..., batch)."""
        check_rows("z", z, self.latent_dim, self.dtype)
        return gaussian_log_prob(z, *self.encoder_params(x))

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws from p(x) by ancestral sampling, (n, data_dim): z ~ p(z), then x ~ p(x | z)."""
        return self.sample_joint(n, generator=generator)[1]

    @torch.no_grad()
    def sample_joint(
        self, n: int, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """n draws from p(x, z): z (n, latent_dim) and x (n, data_dim)."""
        check_count("n", n, 0)
        check_generator(generator)
        options = noise_like(next(self.parameters()), generator)
        if is_own(self, "log_prior"):
            raise ValueError(
                f"{type(self).__name__} has a prior of its own: define sample_joint, which draws "
                f"z from it, too"
            )
        check_sampling(self)
        z = torch.randn(n, self.latent_dim, **options)
        return z, self.sample_given(z, self.pixels.noise((n, self.data_dim), **options))

    def sample_given(self, z: Tensor, noise: Tensor) -> Tensor:
        """Draws x ~ p(x | z), (batch, data_dim), with random numbers from ``self.pixels.noise``."""
        return self.pixels.sample(noise, *self.decoder_params(z))
