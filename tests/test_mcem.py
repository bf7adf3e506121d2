"""Monte Carlo EM: its optimum, its chains, its counts, its resume."""

import math
from types import SimpleNamespace

import pytest
import torch

from vae_core.algorithms import ALGORITHMS, mcem
from vae_core.data import load_dataset
from vae_core.marginal_likelihood import log_marginal
from vae_core.model import VAE
from vae_core.runs.config import RunConfig
from vae_core.runs.trainer import Trainer, load_checkpoint, save_checkpoint


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
    config = RunConfig(
        dataset="freyface", algorithm=algorithm, latent_dim=2, hidden=(), likelihood="gaussian",
        n_train=600, batch_size=100, step_size=0.1, init_sd=0.1, prior_sd=None,
    )  # fmt: skip
    data, g = SimpleNamespace(train_bytes=x, levels=1), seeded(1)
    model = VAE(4, 2, (), "gaussian", init_sd=0.1, generator=g)
    state = ALGORITHMS[algorithm].init(config, data, model, g)
    step = ALGORITHMS[algorithm].make_step(config, data, model)
    for _ in range(n_steps):
        step(state, g, False)
    reached = log_marginal(model, x, "quadrature").mean().item()
    # the decoder may also let its variance depend on z, so it can do a little better
    assert optimum - 0.04 < reached < optimum + 0.04


def test_samples_are_counted_as_in_the_paper():
    config = digits_config()
    assert mcem.samples_per_step(config) == 15 * 600
    trainer = Trainer(config, load_dataset("digits", n_train=600))
    for _ in range(3):
        trainer.advance()
    counts = mcem.metrics(config, trainer.state)
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
    for group, members in whole.state.items():
        for name, tensor in members.items():
            assert torch.equal(tensor, second.state[group][name]), (group, name)
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
    assert mcem.metrics(config, trainer.state)["mcem_acceptance"] == pytest.approx(0.9, abs=0.05)


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
    config = digits_config(mcem_annealing=0.1)
    state = {"counter": {"steps": torch.tensor(2)}}
    assert mcem.annealed_step_size(config, state, 0).item() == pytest.approx(0.1 / 2)
    assert mcem.annealed_step_size(digits_config(), state, 3).item() == pytest.approx(0.1)


def test_log_p_is_what_its_curve_reports():
    assert digits_config().log_marginal == "hmc_density"
