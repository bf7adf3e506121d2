"""Every learning algorithm against an independent one in NumPy, step by step with the same noise.

Gradients are derived by hand here and share nothing with the package. Both sides compute in
float64, so that after many steps they may differ by rounding alone.
"""

import numpy as np
import pytest
import torch

from vae_core.algorithms import aevb, mcem, wake_sleep
from vae_core.images import Images
from vae_core.model import VAE

N, PIXELS, LATENT, HIDDEN, LEVELS = 60, 7, 2, 5, 16
ENCODER, DECODER = ("encoder.0", "encoder.2"), ("decoder.0", "decoder.2")


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


class Reference:
    """A Bernoulli VAE with one tanh layer a side, its gradients, and Adagrad."""

    def __init__(self, model, settings, share):
        state = model.state_dict()
        self.p = {name: tensor.numpy().astype(float).copy() for name, tensor in state.items()}
        self.sums = {name: np.zeros_like(value) for name, value in self.p.items()}
        self.settings, self.share, self.n_updates = settings, share, 0

    def forward(self, net, inputs):
        hidden = np.tanh(inputs @ self.p[f"{net[0]}.weight"].T + self.p[f"{net[0]}.bias"])
        return hidden, hidden @ self.p[f"{net[1]}.weight"].T + self.p[f"{net[1]}.bias"]

    def backward(self, net, inputs, hidden, d_out):
        """Gradients by name of a loss whose gradient in the output is d_out, and in the input."""
        d_hidden = d_out @ self.p[f"{net[1]}.weight"] * (1 - hidden**2)
        grads = {f"{net[1]}.weight": d_out.T @ hidden, f"{net[1]}.bias": d_out.sum(0)}
        grads |= {f"{net[0]}.weight": d_hidden.T @ inputs, f"{net[0]}.bias": d_hidden.sum(0)}
        return grads, d_hidden @ self.p[f"{net[0]}.weight"]

    def adagrad(self, grads, size):
        for name, g in grads.items():
            if name.endswith("weight") and self.settings.prior_sd is not None:
                g = g + self.share * self.p[name] / self.settings.prior_sd**2
            self.sums[name] += g**2
            root = np.sqrt(self.sums[name] + self.settings.adagrad_epsilon)
            self.p[name] = self.p[name] - size * g / root

    def size(self):
        self.n_updates += 1
        warm = self.n_updates <= self.settings.adagrad_warmup
        return 0.0 if warm else float(np.float32(self.settings.step_size))

    def aevb(self, x, epsilon):
        """One step on -SGVB-B, L samples; the minibatch's bound before it."""
        h, out = self.forward(ENCODER, x)
        mean, log_var = out[:, :LATENT], out[:, LATENT:]
        sd, n_mc = np.exp(0.5 * log_var), len(epsilon)
        d_mean, d_log_var = mean.copy(), 0.5 * (np.exp(log_var) - 1)  # of the KL, in closed form
        bound = 0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum()
        grads = {name: 0.0 for name in self.p}
        for e in epsilon:
            z = mean + sd * e
            hz, logits = self.forward(DECODER, z)
            bound += (x * logits - np.logaddexp(0, logits)).sum() / n_mc
            part, d_z = self.backward(DECODER, z, hz, (sigmoid(logits) - x) / n_mc)
            grads |= {name: grads[name] + g for name, g in part.items()}
            d_mean, d_log_var = d_mean + d_z, d_log_var + d_z * 0.5 * sd * e
        grads |= self.backward(ENCODER, x, h, np.hstack([d_mean, d_log_var]))[0]
        self.adagrad(grads, self.size())
        return bound

    def wake_sleep(self, x, wake, dream_z, dream_noise):
        """Theta climbs log p(x, z), then phi log q(z|x) on a dream; the bound before both."""
        size = self.size()
        _, out = self.forward(ENCODER, x)
        mean, log_var = out[:, :LATENT], out[:, LATENT:]
        z = mean + np.exp(0.5 * log_var) * wake
        hz, logits = self.forward(DECODER, z)
        log_p = (x * logits - np.logaddexp(0, logits)).sum() - 0.5 * (z**2).sum()
        bound = log_p + 0.5 * (log_var + wake**2).sum()  # the 2 pi of p and q cancel
        self.adagrad(self.backward(DECODER, z, hz, sigmoid(logits) - x)[0], size)
        dream = (dream_noise < sigmoid(self.forward(DECODER, dream_z)[1])).astype(float)
        h, out = self.forward(ENCODER, dream)
        mean, log_var = out[:, :LATENT], out[:, LATENT:]
        scaled = (dream_z - mean) * np.exp(-log_var)
        d_log_var = 0.5 * (1 - (dream_z - mean) * scaled)
        grads, _ = self.backward(ENCODER, dream, h, np.hstack([-scaled, d_log_var]))
        self.adagrad(grads, size)
        return bound

    def log_joint(self, x, z):
        h, logits = self.forward(DECODER, z)
        log_p = (x * logits - np.logaddexp(0, logits)).sum(1) - 0.5 * (z**2).sum(1)
        return log_p, self.backward(DECODER, z, h, x - sigmoid(logits))[1] - z

    def mcem(self, x, chains, momentum, uniform):
        """An HMC move of every chain, step sizes by acceptance, then updates of theta."""
        s, step = self.settings, np.exp(chains["log_step"])[:, None]
        z, r = chains["position"], momentum
        before, grad = self.log_joint(x, z)
        before = before - 0.5 * (r**2).sum(1)
        for _ in range(s.leapfrog):
            r = r + 0.5 * step * grad
            z = z + step * r
            after, grad = self.log_joint(x, z)
            r = r + 0.5 * step * grad
        accept = np.minimum(1, np.exp(after - 0.5 * (r**2).sum(1) - before))
        chains["position"] = np.where((uniform < accept)[:, None], z, chains["position"])
        chains["log_step"] = chains["log_step"] + s.adaptation * (accept - s.target_accept)
        for _ in range(s.updates):
            h, logits = self.forward(DECODER, chains["position"])
            size = self.size() / (1 + s.annealing * (self.n_updates - 1))
            grads, _ = self.backward(DECODER, chains["position"], h, sigmoid(logits) - x)
            self.adagrad(grads, size)


@pytest.fixture
def problem():
    """(model, images, generator): random pixels, weights large enough to matter."""
    g = torch.Generator().manual_seed(3)
    rows = torch.randint(LEVELS + 1, (N, PIXELS), generator=g, dtype=torch.uint8)
    model = VAE(PIXELS, LATENT, (HIDDEN,), init_sd=0.4, generator=g).double()
    return model, Images(rows, LEVELS), g


def doubled(draw):
    """A draw in float64, but for the stored rows."""
    return draw._replace(
        **{n: t.double() for n, t in draw._asdict().items() if t.is_floating_point()}
    )


def assert_same(model, reference):
    for name, tensor in model.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), reference.p[name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("warmup, prior_sd, n_mc", [(0, 0.5, 1), (3, None, 1), (0, 2.0, 3)])
def test_aevb_follows_numpy(problem, warmup, prior_sd, n_mc):
    model, images, g = problem
    settings = aevb.Settings(0.05, 1e-4, warmup, prior_sd, batch_size=20, n_mc=n_mc)
    state = aevb.init(model, images, settings, g)
    reference = Reference(model, settings, share=20 / N)
    for _ in range(40):
        draw = doubled(aevb.draw(model, images, settings, g))
        value = aevb.update(model, state, draw, settings, images).item()
        expected = reference.aevb(draw.rows.numpy() / LEVELS, draw.epsilon.numpy())
        assert value == pytest.approx(expected, abs=1e-8)
    assert_same(model, reference)


@pytest.mark.parametrize("warmup, prior_sd", [(0, 0.5), (3, None)])
def test_wake_sleep_follows_numpy(problem, warmup, prior_sd):
    model, images, g = problem
    settings = wake_sleep.Settings(0.05, 1e-4, warmup, prior_sd, batch_size=20)
    state = wake_sleep.init(model, images, settings, g)
    reference = Reference(model, settings, share=20 / N)
    for _ in range(40):
        draw = doubled(wake_sleep.draw(model, images, settings, g))
        value = wake_sleep.update(model, state, draw, settings, images).item()
        noise = (t.numpy() for t in draw[1:])
        expected = reference.wake_sleep(draw.rows.numpy() / LEVELS, *noise)
        assert value == pytest.approx(expected, abs=1e-8)
    assert_same(model, reference)


@pytest.mark.parametrize("warmup, prior_sd, annealing", [(0, 0.5, 0.0), (7, None, 0.1)])
def test_monte_carlo_em_follows_numpy(problem, monkeypatch, warmup, prior_sd, annealing):
    monkeypatch.setattr(mcem, "CHUNK_ROWS", 25)  # the last chunk is a smaller one
    model, images, g = problem
    settings = mcem.Settings(0.05, 1e-4, warmup, prior_sd, annealing=annealing)
    state = mcem.init(model, images, settings, g)
    state = state._replace(chains={name: t.double() for name, t in state.chains.items()})
    chains = {name: tensor.numpy().copy() for name, tensor in state.chains.items()}
    reference = Reference(model, settings, share=1.0)
    for _ in range(6):
        draw = doubled(mcem.draw(model, images, settings, g))
        mcem.update(model, state, draw, settings, images)
        x = images.rows.numpy() / LEVELS
        reference.mcem(x, chains, draw.momentum.numpy(), draw.uniform.numpy())
    for name in ("position", "log_step"):
        np.testing.assert_allclose(state.chains[name].numpy(), chains[name], atol=1e-8)
    assert_same(model, reference)
