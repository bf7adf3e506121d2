"""An independent implementation, Pyro's HMC, samples the same posterior of a small decoder."""

import math

import arviz
import pytest
import torch

from vae_core import hmc
from vae_core.log_joint import log_joint_of
from vae_core.model import VAE

pyro_mcmc = pytest.importorskip("pyro.infer.mcmc", reason="pyro-ppl is not installed")


def pyro_samples(model, x, n_samples):
    """(n_samples, latent_dim) from p(z | x), x (1, data_dim)."""
    kernel = pyro_mcmc.HMC(
        potential_fn=lambda point: -model.log_joint(x, point["z"])[0],
        step_size=0.5,
        num_steps=4,
        adapt_step_size=False,
        adapt_mass_matrix=False,
    )
    start = {"z": torch.zeros(1, model.latent_dim)}
    chain = pyro_mcmc.MCMC(
        kernel, n_samples, warmup_steps=20, initial_params=start, disable_progbar=True
    )
    torch.manual_seed(0)  # Pyro has no other source of randomness
    chain.run()
    return chain.get_samples()["z"].detach()[:, 0]


def test_pyro_samples_the_same_posterior():
    generator = torch.Generator().manual_seed(2)
    model = VAE(8, 2, (6,), init_sd=1.0, generator=generator)
    x = model.sample(1, generator=generator)
    theirs = pyro_samples(model, x, 800)
    ours, _ = hmc.sample(
        None, torch.zeros(400, 2), 200, 60, 5, generator=generator,
        log_prob_and_grad=log_joint_of(model, x.expand(400, -1)),
    )  # fmt: skip
    for moment in (lambda z: z, torch.square):
        values = moment(theirs)
        ess = torch.tensor([arviz.ess(column.double().numpy()) for column in values.T])
        stderr = values.std(0) / ess.sqrt()
        difference = values.mean(0) - moment(ours).mean((0, 1))
        assert (difference.abs() < 4.5 * stderr).all()
        assert (stderr < 0.15 * math.sqrt(2)).all()
