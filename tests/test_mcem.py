"""Monte Carlo EM: its optimum, its chains, its counts, its resume."""

import math
from types import SimpleNamespace

import pytest
import torch

from vae_core import hmc
from vae_core.algorithms import ALGORITHMS, mcem
from vae_core.data import load_dataset
from vae_core.images import Images
from vae_core.log_joint import log_joint_of
from vae_core.marginal_likelihood import log_marginal
from vae_core.model import VAE
from vae_core.runs.checkpoint import load_checkpoint, save_checkpoint
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import Trainer


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def digits_config(**changes):
    defaults = {
        "dataset": "digits",
        "algorithm": "mcem",
        "latent_dim": 2,
        "hidden": (16,),
        "n_train": 600,
        "n_samples": 15 * 600 * 40,
        "step_size": 0.1,
    }
    return RunConfig(**defaults | changes)


def ppca_data(n=600, data_dim=4, seed=11):
    """Rows of a two-factor Gaussian and the best mean log likelihood of probabilistic PCA.

    Source of the optimum: Tipping and Bishop (1999), eqs. 7-8.
    """
    g = seeded(seed)
    weight = torch.randn(data_dim, 2, generator=g)
    x = torch.randn(n, 2, generator=g) @ weight.T + 0.5 * torch.randn(n, data_dim, generator=g)
    values = torch.linalg.eigvalsh((x - x.mean(0)).double().T.cov(correction=0)).flip(0)
    noise = values[2:].mean()
    log_det = values[:2].log().sum() + (data_dim - 2) * noise.log()
    return x, -0.5 * (data_dim * math.log(2 * math.pi) + log_det + data_dim).item()


@pytest.mark.parametrize(
    ("algorithm", "n_steps"), [("mcem", 250), ("aevb", 2000), ("wake_sleep", 2500)]
)
def test_reaches_the_optimum_of_probabilistic_pca(algorithm, n_steps):
    x, optimum = ppca_data()
    learning, images, g = ALGORITHMS[algorithm], Images(x, levels=1), seeded(1)
    settings = learning.Settings(step_size=0.1, prior_sd=None)
    model = VAE(4, 2, (), "gaussian", init_sd=0.1, generator=g)
    state = learning.init(model, images, settings, g)
    for _ in range(n_steps):
        draw = learning.draw(model, images, settings, g)
        learning.update(model, state, draw, settings, images)
    reached = log_marginal(model, x, "quadrature").mean().item()
    # the decoder may also let its variance depend on z, so it can do a little better
    assert optimum - 0.04 < reached < optimum + 0.04


def test_samples_are_counted_as_in_the_paper():
    config = digits_config()
    assert mcem.samples_per_step(mcem.Settings(), 600) == 15 * 600
    trainer = Trainer(config, load_dataset("digits", n_train=600))
    for _ in range(3):
        trainer.advance()
    counts = mcem.metrics(trainer.settings, trainer.state)
    assert trainer.samples == 3 * 15 * 600
    assert counts["mcem_plain_samples"] == 3 * 600
    assert counts["mcem_weight_updates"] == 15


def test_a_resumed_run_ends_bit_for_bit_with_its_chains(tmp_path):
    config, data = digits_config(), load_dataset("digits", n_train=600)
    whole, first, second = (Trainer(config, data) for _ in range(3))
    for _ in range(6):
        whole.advance()
    for _ in range(3):
        first.advance()
    save_checkpoint(tmp_path / "c.safetensors", first)
    load_checkpoint(tmp_path / "c.safetensors", second)
    for _ in range(3):
        second.advance()
    for group, members in whole.state._asdict().items():
        for name, tensor in members.items():
            assert torch.equal(tensor, getattr(second.state, group)[name]), (group, name)
    assert torch.equal(whole.generator.get_state(), second.generator.get_state())


def test_it_learns_and_its_chains_accept_at_the_target():
    config = digits_config()
    trainer = Trainer(config, load_dataset("digits", n_train=600))
    x = trainer.data.train[:200]
    before = log_marginal(trainer.model, x, "quadrature").mean()
    for _ in range(60):
        trainer.advance()
    after = log_marginal(trainer.model, x, "quadrature").mean()
    assert after - before > 10
    counts = mcem.metrics(trainer.settings, trainer.state)
    assert counts["mcem_acceptance"] == pytest.approx(0.9, abs=0.05)


def test_the_encoder_is_left_alone():
    config = digits_config()
    trainer = Trainer(config, load_dataset("digits", n_train=600))
    before = {name: p.clone() for name, p in trainer.model.named_parameters()}
    trainer.advance()
    moved = {
        name for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])
    }
    assert moved == {name for name in before if name.startswith("decoder.")}


def test_the_first_updates_can_only_accumulate():
    config = digits_config(adagrad_warmup=5)
    trainer = Trainer(config, load_dataset("digits", n_train=600))
    before = trainer.model.decoder[0].weight.clone()
    trainer.advance()
    assert torch.equal(trainer.model.decoder[0].weight, before)
    trainer.advance()
    assert not torch.equal(trainer.model.decoder[0].weight, before)


def test_annealing_divides_the_step():
    state = mcem.State({}, {}, {"steps": torch.tensor(2)}, {})
    annealed, constant = (mcem.Settings(step_size=0.1, annealing=a) for a in (0.1, 0.0))
    assert mcem.annealed_step_size(annealed, state, 0).item() == pytest.approx(0.1 / 2)
    assert mcem.annealed_step_size(constant, state, 3).item() == pytest.approx(0.1)


def test_log_p_is_what_its_curve_reports():
    assert digits_config().log_marginal == "hmc_density"


def test_a_chains_step_and_its_running_acceptance_follow_the_move():
    generator = torch.Generator().manual_seed(0)
    model = VAE(6, 2, (5,), init_sd=1.0, generator=generator)
    log_joint = log_joint_of(model, torch.rand(8, 6, generator=generator))
    position, momentum = torch.randn(2, 8, 2, generator=generator)
    uniform, log_step = torch.rand(8, generator=generator), torch.full((8,), -0.5)
    _, info = hmc.step(
        hmc.init(position, log_joint), log_step.exp(), 4, log_joint, momentum=momentum,
        uniform=uniform,
    )  # fmt: skip
    settings = SimpleNamespace(leapfrog=4, adaptation=0.3, target_accept=0.9)
    moved, acceptance = log_step.clone(), torch.full((8,), 0.5)
    mcem.move_chains_(log_joint, settings, position, moved, acceptance, momentum, uniform)
    torch.testing.assert_close(moved, log_step + 0.3 * (info.acceptance_prob - 0.9))
    torch.testing.assert_close(acceptance, 0.9 * 0.5 + 0.1 * info.acceptance_prob)
    assert info.acceptance_prob.std() > 0.01
