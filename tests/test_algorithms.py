import math

import pytest
import torch
from pydantic import BaseModel

import vae_core as vc
from vae_core.algorithms import wake_sleep
from vae_core.data import Dataset
from vae_core.runs.step_size import choose_step_size
from vae_core.runs.sweep import configs_of, sweep
from vae_core.runs.trainer import Trainer


def digits_config(**fields):
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 3_000}
    return vc.RunConfig(**(small | fields))


def test_the_sleep_phase_is_regression_onto_the_exact_posterior():
    """E_p(x,z)[log q(z|x)] of a linear-Gaussian model is highest at the exact posterior.

    There its gradient in phi has mean zero; away from it, it has not.
    """
    g = torch.Generator().manual_seed(0)
    model = vc.VAE(4, 2, (), "gaussian")
    weight = torch.tensor([[1.5, 0.0], [0.0, 0.7], [0.5, 0.0], [0.0, -0.4]])
    variance = 0.2
    precision = 1 + weight.square().sum(0) / variance
    with torch.no_grad():
        model.decoder[0].weight[:4], model.decoder[0].weight[4:] = weight, 0
        model.decoder[0].bias[:4], model.decoder[0].bias[4:] = 0.3, math.log(variance)
        gain = (weight / variance / precision).T
        model.encoder[0].weight[:2], model.encoder[0].weight[2:] = gain, 0
        model.encoder[0].bias[:2] = -gain @ torch.full((4,), 0.3)
        model.encoder[0].bias[2:] = -precision.log()
    n = 200_000
    z = torch.randn(n, 2, generator=g)
    x = model.sample_given(z, torch.randn(n, 4, generator=g)).detach()

    def gradient():
        phi = {k: p.detach() for k, p in model.encoder.named_parameters()}

        def loss(phi, x, z):
            mean, log_var = torch.func.functional_call(model.encoder, phi, (x,)).chunk(2, -1)
            return vc.model.gaussian_log_prob(z, mean, log_var)

        each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(phi, x, z)
        return torch.cat([g.flatten(1) for g in each.values()], 1)

    at_posterior = gradient()
    z_scores = at_posterior.mean(0) / (at_posterior.std(0) / math.sqrt(n))
    assert z_scores.abs().max() < 4.5
    with torch.no_grad():
        model.encoder[0].bias += 0.1
    away = gradient()
    assert (away.mean(0) / (away.std(0) / math.sqrt(n))).abs().max() > 10


def test_the_sleep_objective_is_log_q_and_the_wake_objective_log_p():
    model = vc.VAE(6, 2, (5,), init_sd=0.5)
    x, z = torch.rand(3, 6).round(), torch.randn(3, 2)
    assert torch.allclose(
        wake_sleep.sleep_objective(model, x, z), model.encode(x).log_prob(z), atol=1e-5
    )
    assert torch.equal(wake_sleep.wake_objective(model, x, z), model.log_joint(x, z))


def test_the_wake_phase_moves_only_theta_along_its_gradient_and_the_sleep_phase_only_phi():
    data = vc.load_dataset("digits")
    config = digits_config(algorithm="wake_sleep", prior_sd=None)
    trainer = Trainer(config, data)
    before = {k: p.clone() for k, p in trainer.state.params.items()}
    generator = torch.Generator()
    generator.set_state(trainer.generator.get_state())
    trainer.advance()

    draw = wake_sleep.draw(trainer.model, trainer.images, trainer.settings, generator)
    rows = draw.rows
    model = vc.VAE(64, 2, (8,))
    model.load_state_dict(before)
    z, _ = wake_sleep.posterior_draw(model, rows / 16.0, draw.wake)
    (-model.log_joint(rows / 16.0, z.detach()).sum()).backward()
    for name, p in model.decoder.named_parameters():
        expected = before[f"decoder.{name}"] - config.step_size * p.grad.sign()
        now = trainer.state.params[f"decoder.{name}"]
        visible = p.grad.abs() > 0.05  # the first Adagrad step is a sign where g^2 >> epsilon
        assert torch.allclose(now[visible], expected[visible], atol=1e-5)
    model.load_state_dict({k: v.clone() for k, v in trainer.state.params.items()})
    model.encoder.load_state_dict({k[8:]: v for k, v in before.items() if k[:7] == "encoder"})
    model.zero_grad()
    dream = model.sample_given(draw.dream_z, draw.dream_x).detach()
    (-model.log_q(draw.dream_z, dream).sum()).backward()
    for name, p in model.encoder.named_parameters():
        expected = before[f"encoder.{name}"] - config.step_size * p.grad.sign()
        now = trainer.state.params[f"encoder.{name}"]
        visible = p.grad.abs() > 0.05
        assert torch.allclose(now[visible], expected[visible], atol=1e-5)


@pytest.mark.parametrize("estimator", ["sgvb_a", "sgvb_b"])
def test_aevb_learns_the_mean_and_variance_of_gaussian_data(estimator):
    """Data with no structure: the optimum is the data's own Gaussian, bound = its entropy."""
    g = torch.Generator().manual_seed(0)
    pixels = (128 + 20 * torch.randn(4_000, 1, generator=g)).round().clamp(0, 255).byte()
    data = toy_dataset(pixels)
    config = vc.RunConfig(
        dataset="freyface", latent_dim=1, hidden=(), likelihood="gaussian", batch_size=100,
        n_samples=200_000, step_size=0.1, estimator=estimator, prior_sd=None,
    )  # fmt: skip
    config = BaseModel.model_copy(config, update={"n_train": 4_000})  # more than there are
    trainer = Trainer(config, data, vc.VAE(1, 1, (), "gaussian", generator=g))
    row = trainer.run(progress=False)[-1]
    x = pixels.float() / 255
    entropy = -0.5 * math.log(2 * math.pi * math.e * x.var().item())
    assert row["train_bound"] == pytest.approx(entropy, abs=0.03)


def toy_dataset(pixels):
    return Dataset("toy", (1, pixels.shape[1]), 255, pixels, pixels[:0], pixels[:500])


def test_the_autoencoder_reports_its_reconstruction():
    trainer = Trainer(digits_config(algorithm="autoencoder"), vc.load_dataset("digits"))
    row = trainer.run(progress=False)[-1]
    x = trainer.data.test
    mean, _ = trainer.model.encoder_params(x)
    expected = trainer.model.log_likelihood(x, mean).mean().item()
    assert row["test_bound"] == pytest.approx(expected, abs=1e-3)


def test_the_step_size_is_the_best_of_the_candidates():
    best, bounds = choose_step_size(digits_config(), (1e-5, 0.05, 1e6), n_samples=4_000)
    assert best == 0.05 and bounds[1e6] == -math.inf
    assert bounds[0.05] == max(bounds.values()) > bounds[1e-5] + 1


def test_no_usable_step_size_is_an_error():
    with pytest.raises(ValueError, match="no step size in"):
        choose_step_size(digits_config(), (1e6,), n_samples=2_000, progress=False)


def test_a_sweep_entry_is_a_grid():
    entry = {"dataset": "digits", "latent_dim": [2, 3], "hidden": [8], "seed": [0, 1]}
    configs = configs_of([entry, entry])
    assert [(c.latent_dim, c.seed, c.hidden) for c in configs] == [
        (2, 0, (8,)), (2, 1, (8,)), (3, 0, (8,)), (3, 1, (8,)),
    ]  # fmt: skip


def test_a_list_of_lists_of_hidden_widths_is_a_grid():
    configs = configs_of([{"dataset": "digits", "hidden": [[8], [8, 8]]}])
    assert [c.hidden for c in configs] == [(8,), (8, 8)]


def test_a_bad_entry_of_a_sweep_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="latent_dim"):
        configs_of([{"dataset": "digits", "latent_dim": [2, 0]}])


def test_a_sweep_trains_what_is_missing_in_spawned_workers(empty_reference):
    configs = [digits_config(seed=s, n_samples=n) for s, n in [(0, 2_000), (1, 4_000)]]
    vc.get_or_run(configs[0], progress=False)
    finished = list(sweep(configs, jobs=2, progress=False))
    assert [run.config for run in finished] == configs  # the stored one first
    alone = digits_config(seed=1, n_samples=4_000)
    assert vc.find_run(alone).provenance["threads"] == 1


def test_zero_jobs_are_refused():
    with pytest.raises(ValueError, match="jobs=0"):
        next(sweep([digits_config()], jobs=0))
