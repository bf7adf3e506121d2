"""Importance sampling of log p(x) with 500 hidden units: ours against pythae's get_nll.

Needs pythae: make bench, or python benchmarks/importance_sampling.py
"""

from _timing import SIGMOIDS, in_turn, one_thread, report, shares, spread, times_faster

one_thread()

import torch  # noqa: E402
from pythae.models import VAE as PythaeVAE  # noqa: E402
from pythae.models import VAEConfig  # noqa: E402
from pythae.models.base.base_utils import ModelOutput  # noqa: E402
from pythae.models.nn import BaseDecoder, BaseEncoder  # noqa: E402

from vae_core.marginal_likelihood import log_marginal  # noqa: E402
from vae_core.model import VAE  # noqa: E402

SAMPLES, LATENT = 5_000, 20
TIMED_POINTS, PYTHAE_POINTS = 10, 2  # the cost is linear in the points: only some are timed

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
model = VAE(784, LATENT, (500,), init_sd=0.02, generator=generator)
x = model.sample(TIMED_POINTS, generator=generator)


class Encoder(BaseEncoder):
    def forward(self, x):
        mean, log_var = model.encoder_params(x)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class Decoder(BaseDecoder):
    def forward(self, z):
        return ModelOutput(reconstruction=torch.sigmoid(model.decoder(z)))


config = VAEConfig(input_dim=(784,), latent_dim=LATENT, reconstruction_loss="bce")
peer = PythaeVAE(config, encoder=Encoder(), decoder=Decoder())


def ours():
    return log_marginal(model, x, n_samples=SAMPLES, generator=generator, progress=False)


def matrix_products_alone():
    """The floor: the products of the decoder's wide layer, and nothing else."""
    layer = model.decoder[-1]
    hidden = torch.rand(500, 500)
    with torch.no_grad():
        for _ in range(TIMED_POINTS * SAMPLES // 500):
            layer(hidden)


@torch.no_grad()
def pythae(batch_size):
    return peer.get_nll(x[:PYTHAE_POINTS], n_samples=SAMPLES, batch_size=batch_size)


def main():
    torch.manual_seed(0)
    candidates = {"vae_core": ours, "matrix products alone": matrix_products_alone}
    for batch_size in (100, 1_000, 5_000):  # 100 is pythae's own default
        candidates[f"pythae, batches of {batch_size:,}"] = lambda n=batch_size: pythae(n)
    seconds = {
        name: [s / (PYTHAE_POINTS if "pythae" in name else TIMED_POINTS) for s in rounds]
        for name, rounds in in_turn(candidates, 7).items()
    }
    # pythae's get_nll returns the mean of +log p(x), whatever its name says
    agreement = ours()[:PYTHAE_POINTS].mean().item(), float(pythae(1_000))
    result = {
        "what": f"log p(x) of a datapoint, {SAMPLES:,} importance samples, 500 hidden units, "
        "one thread, processor seconds",
        "milliseconds": {name: spread([1e3 * s for s in v]) for name, v in seconds.items()},
        "shares": shares(ours, {"sigmoids": lambda name: name in SIGMOIDS}),
        "times_faster": times_faster(seconds, "vae_core"),
        "mean log p(x) of two points, ours and pythae's": [round(value, 2) for value in agreement],
    }
    report("importance_sampling", result, ["torch", "pythae"])


if __name__ == "__main__":
    main()
