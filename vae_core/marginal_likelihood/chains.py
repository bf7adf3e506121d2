"""Where posterior chains start."""

import torch
from torch import Tensor

from vae_core.log_joint import decoder_layers, log_likelihood_table
from vae_core.model import VAE

CHAIN_STARTS = ("resampled", "encoder", "prior")
N_CANDIDATES = 1_000


def start_chains(
    model: VAE, x: Tensor, start: str, *, generator: torch.Generator | None = None
) -> Tensor:
    """First positions (batch, latent_dim) of one posterior chain for each x.

    "resampled": of a thousand draws of the prior, one in proportion to p(x | z), so that in few
    dimensions a chain starts in the right mode without an encoder; "encoder": a draw of q(z | x);
    "prior": a draw of p(z), from where a chain may never leave a minor mode.
    """
    if start not in CHAIN_STARTS:
        raise ValueError(f"start={start!r}: choose one of {', '.join(CHAIN_STARTS)}")
    shape = (x.shape[0], model.latent_dim)
    if start == "prior":
        return torch.randn(shape, generator=generator, dtype=x.dtype)
    if start == "encoder":
        mean, log_var = model.encoder_params(x)
        noise = torch.randn(shape, generator=generator, dtype=x.dtype)
        return mean + torch.exp(0.5 * log_var) * noise
    candidates = torch.randn(N_CANDIDATES, shape[1], generator=generator, dtype=x.dtype)
    table = log_likelihood_table(decoder_layers(model), model.likelihood, x, candidates)
    probabilities = torch.softmax(table.T, dim=-1)  # (batch, candidates)
    index = torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
    return candidates[index]
