"""Models of one's own in `fit`: what is refused, and by what a checkpoint knows them again."""

import copy
import os
import signal
import warnings

import numpy as np
import pytest
import torch
from test_fit import Bare
from torch import nn

import vae_core as vc
from vae_core.estimators import kl_to_standard_normal
from vae_core.marginal_likelihood import bdmc
from vae_core.runs.checkpoint import RunInterrupted
from vae_core.runs.trainer import Trainer

X = vc.load_dataset("digits").train[:200]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def refused(message, x=X, **arguments):
    with pytest.raises(ValueError, match=message):
        vc.fit(x, n_samples=200, progress=False, **arguments)


class Tuned(vc.VAE):
    """With settings that its layers do not show; the encoder's codes are scaled."""

    def __init__(self, kl_weight=1.0, scale=1.0, activation=torch.tanh, frozen=False):
        super().__init__(64, 2, (8,), init_sd=1e-4, generator=seeded())
        self.kl_weight, self.scale, self.activation = kl_weight, scale, activation
        self.decoder.requires_grad_(not frozen)

    def log_likelihood(self, x, z):
        value = super().log_likelihood(x, self.activation(self.scale * z))
        if self.training:
            value = value + (1 - self.kl_weight) * kl_to_standard_normal(*self.encoder_params(x))
        return value


class Hidden(Tuned):
    """The same settings where no attribute tells them, but only what the bound becomes."""

    def __init__(self, **settings):
        super().__init__(**settings)
        for name in ("kl_weight", "scale", "activation"):
            setattr(self, name, Box(getattr(self, name)))

    def log_likelihood(self, x, z):
        plain = copy.copy(self)
        for name in ("kl_weight", "scale", "activation"):
            setattr(plain, name, getattr(self, name).value)
        return Tuned.log_likelihood(plain, x, z)


class Box:
    def __init__(self, value):
        self.value = value


OTHERS = [{"kl_weight": 0.5}, {"scale": 1.01}, {"activation": torch.sin}, {"frozen": True}]


@pytest.mark.parametrize("kind", [Tuned, Hidden])
@pytest.mark.parametrize("other", OTHERS)
def test_a_model_with_another_setting_is_another(tmp_path, kind, other):
    given = {"n_samples": 500, "progress": False}
    vc.fit(X, model=kind(), **given, checkpoints=tmp_path)
    alone = vc.fit(X, model=kind(**other), **given)
    with pytest.warns(UserWarning, match="began otherwise"):
        beside = vc.fit(X, model=kind(**other), **given, checkpoints=tmp_path)
    for one, two in zip(alone.trained.parameters(), beside.trained.parameters(), strict=True):
        assert torch.equal(one, two)


class Noisy(vc.VAE):
    """With batch normalisation, dropout, a counter and a gradient of the caller's."""

    def __init__(self):
        super().__init__(64, 2, (8,), generator=seeded())
        self.encoder = nn.Sequential(nn.BatchNorm1d(64), nn.Dropout(0.1), self.encoder)
        self.calls = 0

    def log_likelihood(self, x, z):
        self.calls += 1
        return super().log_likelihood(x, z)


def test_to_be_known_again_leaves_model_and_random_numbers_alone(tmp_path):
    ends = []
    for checkpoints in (None, tmp_path):
        model = Noisy()
        model.decoder[0].weight.grad = torch.ones_like(model.decoder[0].weight)
        torch.manual_seed(3)
        vc.fit(X, model=model, n_samples=500, progress=False, checkpoints=checkpoints)
        state = [*model.state_dict().values(), model.decoder[0].weight.grad, torch.rand(3)]
        ends.append([*state, torch.tensor(model.calls)])
    assert all(map(torch.equal, *ends))


def test_a_longer_call_with_the_trained_model_is_told(tmp_path):
    given = {"progress": False, "checkpoints": tmp_path}
    model = vc.VAE(64, 2, (8,), generator=seeded())
    vc.fit(X, model=model, n_samples=500, **given)
    with pytest.warns(UserWarning, match="seed the first weights"):
        vc.fit(X, model=model, n_samples=1_000, **given)


def stopped(monkeypatch, signals, **arguments):
    """What ends a fit that gets so many Ctrl-C in its eleventh step."""
    advance = Trainer.advance

    def advanced(trainer, most=1):
        advance(trainer, most)
        if trainer.samples == 1_100:
            for _ in range(signals):
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as end:
        patch.setattr(Trainer, "advance", advanced)
        vc.fit(X, **arguments)
    return end.value


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_brings_back_the_first_model_once_or_twice(tmp_path, monkeypatch, signals):
    model = Noisy()
    first = copy.deepcopy(model.state_dict())
    given = {"n_samples": 3_000, "progress": False, "model": model, "checkpoints": tmp_path}
    end = stopped(monkeypatch, signals, **given)
    assert isinstance(end, RunInterrupted) == (signals == 1)
    assert all(torch.equal(first[name], value) for name, value in model.state_dict().items())
    assert model.calls == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vc.fit(X, **given).curve["samples"][-1] == 3_000


class Buffered(vc.VAE):
    """With a buffer of some kind, used by nothing but its own making."""

    def __init__(self, kind):
        super().__init__(64, 2, (8,), generator=seeded())
        self.register_buffer("whole", torch.zeros(10))
        part = {
            "a part of another": self.whole[:5],
            "a weight": self.decoder[0].weight.detach(),
            "none at first": None,
        }
        self.register_buffer("part", part[kind])

    def log_likelihood(self, x, z):
        if self.training:
            self.part = torch.zeros(1) if self.part is None else self.part
            if self.part.shape == (1,):
                self.part += 1
        return super().log_likelihood(x, z)


@pytest.mark.parametrize("kind", ["a part of another", "a weight", "none at first"])
def test_buffers_of_every_kind_are_kept(tmp_path, monkeypatch, kind):
    given = {"n_samples": 3_000, "progress": False}
    whole = vc.fit(X, model=Buffered(kind), **given).trained
    model = Buffered(kind)
    stopped(monkeypatch, 1, model=model, checkpoints=tmp_path, **given)
    for again in (model, Buffered(kind)):  # going on, and the whole from its last checkpoint
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            done = vc.fit(X, model=again, checkpoints=tmp_path, **given).trained
        found = done.state_dict()
        assert all(torch.equal(found[name], value) for name, value in whole.state_dict().items())


def test_an_expanded_buffer_is_refused_before_a_checkpoint_needs_it(tmp_path):
    model = vc.VAE(64, 2, (8,))
    model.register_buffer("mask", torch.ones(1).expand(64))
    refused(r"its mask was made by expand\(\)", model=model, checkpoints=tmp_path)
    vc.fit(X, model=model, n_samples=200, progress=False)


class Raw(vc.VAE):
    """Squared distances of pixels up to 255."""

    def log_likelihood(self, x, z):
        (output,) = self.decoder_params(z)
        return -0.5 * (x - output).square().sum(-1)


def test_a_standard_prior_beside_a_huge_likelihood_is_no_other():
    x = 255 * torch.rand(300, 784, generator=seeded())
    model = Raw(784, 2, (8,), generator=seeded())
    assert vc.fit(x, model=model, n_samples=300, progress=False).curve["samples"][-1] == 300


class Learned(vc.VAE):
    """p(z) = N(mu, I) with a mu that is learned, in log_joint alone."""

    def __init__(self):
        super().__init__(64, 2, (8,), generator=seeded())
        self.mu = nn.Parameter(torch.zeros(2))

    def log_joint(self, x, z):
        return super().log_prior(z - self.mu) + self.log_likelihood(x, z)


def test_a_prior_that_begins_at_the_standard_normal_and_is_learned_is_refused():
    refused("is learned.* use estimator='sgvb_a'", model=Learned())
    model = Learned()
    vc.fit(X, model=model, estimator="sgvb_a", n_samples=2_000, progress=False)
    assert model.mu.abs().min() > 0
    fixed = Learned()
    fixed.mu.requires_grad_(False)
    vc.fit(X, model=fixed, n_samples=200, progress=False)


class Shifted(vc.VAE):
    """log p(x, z) half a nat too high: its prior is no density, and no N(0, I)."""

    def log_joint(self, x, z):
        return super().log_joint(x, z) + 0.5


class Shared(vc.VAE):
    """A prior that a parameter of the likelihood moves, too."""

    def log_joint(self, x, z):
        return super().log_prior(z - 0.3 * self.decoder[-1].bias[:2]) + self.log_likelihood(x, z)


def test_a_prior_that_moves_with_the_likelihood_is_refused():
    refused("is learned", model=Shared(64, 2, (8,), generator=seeded()))


def test_a_prior_half_a_nat_off_is_refused():
    refused("is not N\\(0, I\\)", model=Shifted(64, 2, (8,), generator=seeded()))


class Later(vc.VAE):
    """Makes a buffer in training."""

    def log_likelihood(self, x, z):
        if self.training and not hasattr(self, "seen"):
            self.register_buffer("seen", torch.zeros(1))
        return super().log_likelihood(x, z)


def test_a_buffer_made_in_training_is_not_there_once_a_model_is_brought_back(tmp_path, monkeypatch):
    model = Later(64, 2, (8,), generator=seeded())
    stopped(monkeypatch, 1, model=model, checkpoints=tmp_path, n_samples=3_000, progress=False)
    assert not hasattr(model, "seen")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused("device='cuda': PyTorch .* finds no GPU", device="cuda")


def test_x_is_not_drawn_from_the_vaes_own_likelihood_if_the_model_has_another():
    model = Raw(64, 2, (8,), generator=seeded())
    for draws in (lambda: model.sample(3), lambda: bdmc(model, 3, 2)):
        with pytest.raises(
            ValueError, match="Raw has a log_likelihood of its own: define sample_g"
        ):
            draws()
    refused("define sample_given", model=model, algorithm="wake_sleep")

    class Whole(Raw):
        def sample_given(self, z, noise):
            return self.decoder_params(z)[0] + noise

    assert Whole(64, 2, (8,)).sample(3).shape == (3, 64)
    vc.fit(
        X, model=Whole(64, 2, (8,)), algorithm="wake_sleep", n_samples=200, progress=False
    )  # fmt: skip


class Joint(Bare):
    """What AEVB by SGVB-A needs, and no more."""

    def log_joint(self, x, z):
        return -z.square().sum(-1) - (x - z.mean(-1, keepdim=True)).square().sum(-1)


@pytest.mark.parametrize("estimator", ["sgvb_a", "score_function"])
def test_the_general_estimators_need_the_joint_density_alone(estimator):
    done = vc.fit(X, model=Joint(), estimator=estimator, n_samples=200, progress=False)
    assert np.isfinite(done.curve["train_bound"]).all()
    refused("Joint has no log_likelihood", model=Joint())


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_bfloat16_is_for_the_vaes_own_networks(part):
    model = vc.VAE(64, 2, (8,))
    setattr(model, part, nn.Sequential(getattr(model, part)))
    refused("for the VAE of Appendix C alone", model=model, matmul_precision="medium")


@pytest.mark.parametrize("latent_dim", [np.int64(5), 5.0])
def test_a_latent_dimension_of_any_kind_of_number_must_be_the_models(latent_dim):
    refused("but that of the model is 2", model=vc.VAE(64, 2, (8,)), latent_dim=latent_dim)
    two = type(latent_dim)(2)
    done = vc.fit(X, model=vc.VAE(64, 2, (8,)), latent_dim=two, n_samples=200, progress=False)
    assert done.config.latent_dim == 2
