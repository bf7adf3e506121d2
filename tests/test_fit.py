"""Training on arrays of one's own, and with models of one's own."""

import copy
import math
import os
import pickle
import signal
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import vae_core as vc
from vae_core import runs
from vae_core._atomic import StoreError
from vae_core.data.registry import ARRAYS
from vae_core.runs.checkpoint import RunInterrupted
from vae_core.runs.trainer import Trainer

SMALL = {"n_samples": 2_000, "hidden": (8,), "progress": False}


class ConvVAE(vc.VAE):
    """A VAE of 8 x 8 images whose decoder ends in a transposed convolution."""

    def __init__(self, latent_dim: int = 2, generator: torch.Generator | None = None):
        super().__init__(64, latent_dim, (16,), generator=generator)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 4 * 16), nn.ReLU(), nn.Unflatten(-1, (4, 4, 4)),
            nn.ConvTranspose2d(4, 1, 2, stride=2), nn.Flatten(-3),
        )  # fmt: skip

    def decoder_params(self, z):
        flat = z.reshape(-1, z.shape[-1])  # a convolution knows one batch dimension only
        return (self.decoder(flat).reshape(*z.shape[:-1], 64),)


def test_it_is_the_trainer_of_the_stored_runs():
    data = vc.load_dataset("digits")
    settings = {"latent_dim": 3, "step_size": 0.05, "seed": 4, "hidden": (8,)}
    done = vc.fit(data.train, data.test, n_samples=2_000, progress=False, **settings)
    config = vc.RunConfig(dataset="digits", n_samples=2_000, **settings)
    trainer = Trainer(config, data)
    rows = trainer.run(progress=False)
    for column in ("samples", "train_bound", "test_bound"):
        assert done.curve[column] == pytest.approx([row[column] for row in rows])
    for one, other in zip(done.model().parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_is_not_given_is_as_in_a_run():
    x = np.random.default_rng(0).random((30, 5))
    config = vc.fit(x, n_samples=30, progress=False).config
    given = {"dataset": config.dataset, "n_samples": 30, "latent_dim": 2}
    assert config == vc.RunConfig(**given)
    assert (config.seed, config.algorithm, config.likelihood) == (0, "aevb", "bernoulli")


def test_gaussian_rows_of_any_scale_are_learnt():
    """Independent columns: the best bound is minus their entropy, with nothing in the code."""
    g = np.random.default_rng(0)
    x = g.normal([-1.0, 2.0], [0.5, 1.5], size=(5_000, 2))
    done = vc.fit(
        x, latent_dim=1, likelihood="gaussian", hidden=(), n_samples=200_000, step_size=0.1,
        init_sd=0.1, prior_sd=None, progress=False,
    )  # fmt: skip
    entropy = 0.5 * np.log(2 * math.pi * math.e * x.var(0)).sum()
    # the mean over 5,000 rows is known to sqrt(D / 2 N) = 0.014 nats; the optimiser adds as much
    assert done.curve["train_bound"][-1] == pytest.approx(-entropy, abs=0.06)
    assert "test_bound" not in done.curve


def test_a_frozen_parameter_stays_and_the_rest_is_trained():
    data = vc.load_dataset("digits")
    model = vc.VAE(64, 2, (8,), generator=torch.Generator().manual_seed(0))
    model.decoder[0].weight.requires_grad_(False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    vc.fit(data.train, model=model, n_samples=1_000, step_size=0.05, progress=False)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == set(before) - {"decoder.0.weight"}


@pytest.mark.parametrize("algorithm", ["aevb", "wake_sleep"])
def test_a_convolutional_decoder_is_trained(algorithm):
    data = vc.load_dataset("digits")
    model = ConvVAE(generator=torch.Generator().manual_seed(0))
    before = vc.sgvb_b(model, data.test, generator=torch.Generator().manual_seed(1)).mean()
    done = vc.fit(
        data.train, data.test, model=model, algorithm=algorithm, n_samples=8_000, step_size=0.05,
        progress=False,
    )  # fmt: skip
    assert done.model() is model
    assert done.curve["test_bound"][-1] > before.item() + 5


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x_train": np.zeros(5)}, r"x_train has the shape \(5,\)"),
        ({"x_train": np.zeros((0, 5))}, "x_train has the shape"),
        ({"x_train": [["a"]]}, "x_train: an array of numbers"),
        ({"x_train": np.full((3, 4), np.nan)}, "x_train has values that are NaN"),
        ({"x_train": np.full((3, 4), 7.0)}, "from 7 to 7: scale them"),
        ({"x_train": np.full((3, 4), 1.01)}, "from 1.01 to 1.01: scale them"),
        ({"x_test": np.zeros((3, 5))}, "x_test has 5 columns, x_train 4"),
        ({"algorithm": "vae"}, "algorithm"),
        ({"latent_dim": 0.5}, "latent_dim"),
        ({"n_samples": 0}, "n_samples"),
        ({"stepsize": 0.1}, "did you mean 'step_size'"),
        ({"model": ConvVAE(), "algorithm": "mcem"}, "mcem differentiates"),
    ],
)
def test_bad_arguments_are_refused_before_any_training(changes, message):
    arguments = {"x_train": np.zeros((3, 4))} | SMALL | changes
    with pytest.raises(ValueError, match=message):
        vc.fit(**arguments)


def refused(message, **arguments):
    with pytest.raises(ValueError, match=message):
        vc.fit(vc.load_dataset("digits").train[:200], n_samples=200, progress=False, **arguments)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_training_does_not_depend_on_the_mode_around_it(mode):
    x = vc.load_dataset("digits").train[:200]
    settings = dict(latent_dim=2, hidden=(8,), n_samples=1_000, progress=False)
    outside = vc.fit(x, **settings)
    with mode():
        inside = vc.fit(x, **settings)
    assert outside.curve["train_bound"].tolist() == inside.curve["train_bound"].tolist()


def test_a_frozen_encoder_stays_while_wake_sleep_moves_the_decoder():
    x = vc.load_dataset("digits").train[:200]
    model = vc.VAE(64, 2, (8,), generator=torch.Generator().manual_seed(0))
    model.encoder.requires_grad_(False)
    before = [p.detach().clone() for p in model.parameters()]
    vc.fit(x, model=model, algorithm="wake_sleep", n_samples=1_000, progress=False)
    moved = [not torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True)]
    n_encoder = len(list(model.encoder.parameters()))
    assert not any(moved[:n_encoder]) and all(moved[n_encoder:])
    refused("none of its parameters", model=model.requires_grad_(False))


class Shifted(vc.VAE):
    """A VAE whose logits have two matrices of their own added to them."""

    def __init__(self, together):
        super().__init__(64, 2, (8,), generator=torch.Generator().manual_seed(0))
        self.together = together
        self.a = nn.Parameter(torch.full((1, 64), 3.0))
        self.b = nn.Parameter(torch.full((1, 64), -3.0))

    def decoder_params(self, z):
        (logits,) = super().decoder_params(z)
        shift = self.a + self.b if self.together else self.a * 1 + self.b * 1
        return (logits + shift,)


def test_two_weights_with_one_gradient_have_their_own_priors():
    x = vc.load_dataset("digits").train[:200]
    ends = []
    for together in (True, False):
        model = Shifted(together)
        vc.fit(x, model=model, n_samples=2_000, prior_sd=0.05, progress=False)
        ends.append(model.a.detach())
    assert torch.allclose(*ends, atol=1e-6) and (ends[0] < 2.99).all()


def test_wake_sleep_takes_no_parameters_of_neither_network_or_of_both():
    refused("a belongs to neither", model=Shifted(True), algorithm="wake_sleep")
    tied = vc.VAE(64, 64, (), generator=torch.Generator().manual_seed(0))
    tied.decoder[0].bias = nn.Parameter(torch.zeros(64))
    tied.encoder[0].weight = nn.Parameter(torch.zeros(128, 64))
    tied.decoder[0].weight = nn.Parameter(torch.zeros(64, 64))
    tied.decoder[0].bias = tied.encoder[0].bias
    refused("decoder.0.bias = encoder.0.bias", model=tied, algorithm="wake_sleep")


class Normalised(vc.VAE):
    """With batch normalisation before the encoder, which remembers in which mode it was called."""

    def __init__(self):
        super().__init__(64, 2, (8,), generator=torch.Generator().manual_seed(0))
        self.modes = []
        self.encoder = nn.Sequential(nn.BatchNorm1d(64), self.encoder)

    def encoder_params(self, x):
        self.modes.append((self.training, len(x)))
        return super().encoder_params(x)


def test_evaluations_leave_the_statistics_of_training_alone():
    data, model = vc.load_dataset("digits"), Normalised()
    for steps in (5, 10):  # the second fit goes on from the first
        vc.fit(data.train[:200], data.test, model=model, n_samples=500, progress=False)
        assert model.encoder[0].num_batches_tracked == steps
    assert set(model.modes) == {(False, 2), (True, 100), (False, 200), (False, len(data.test))}
    assert not model.training


def test_a_model_of_ones_own_is_not_trained_with_bfloat16_products():
    refused("for the VAE of Appendix C alone", model=Shifted(False), matmul_precision="medium")


def test_the_settings_tell_the_models_own_widths():
    model = vc.VAE(64, 2, (8,))
    done = vc.fit(vc.load_dataset("digits").train[:200], model=model, n_samples=100, progress=False)
    assert done.config.hidden == (8,)


def test_arrays_of_another_shape_are_other_data():
    x = vc.load_dataset("digits").train[:200]
    settings = dict(latent_dim=2, hidden=(8,), n_samples=100, progress=False)
    first, second = vc.fit(x, **settings), vc.fit(x.reshape(400, 32), **settings)
    assert (first.config.data_dim, second.config.data_dim) == (64, 32)


def test_runs_offer_fit_and_not_a_module_of_that_name():
    assert runs.fit is vc.fit


def test_binarised_arrays_are_those_of_a_file_with_them(tmp_path):
    digits, path = vc.load_dataset("digits"), str(tmp_path / "x.npz")
    x, test = digits.train[:60].numpy(), digits.test[:40].numpy()
    np.savez(path, train=x, test=test)
    options = dict(n_samples=500, latent_dim=2, hidden=(8,), batch_size=20, binarize=True)
    config = vc.RunConfig(dataset=path, n_train=50, step_size=0.01, **options)
    rows = Trainer(config, runs.load_data(config)).run(progress=False)
    found = vc.fit(x, test, n_train=50, progress=False, **options)
    for column in ("train_bound", "test_bound"):
        assert found.curve[column].tolist() == [row[column] for row in rows]
    assert found.config.binarize
    plain = vc.fit(x, test, n_train=50, progress=False, **options | {"binarize": False})
    assert found.curve["test_bound"][-1] != plain.curve["test_bound"][-1]


def read_only(x):
    x.setflags(write=False)
    return x


ROWS = np.random.default_rng(0).random((30, 5)).astype(np.float32)
SAME = {
    "negative strides": ROWS[:, ::-1].copy()[:, ::-1],
    "by columns": np.asfortranarray(ROWS),
    "big-endian": ROWS.astype(">f8"),
    "read-only": read_only(ROWS.copy()),
    "a table": pd.DataFrame(ROWS),
    "lists": ROWS.tolist(),
    "a tensor's columns": torch.tensor(ROWS.T.copy()).T,
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_numbers_in_any_array_give_the_same_fit(kind):
    options = dict(n_samples=60, latent_dim=2, hidden=(3,), progress=False)
    expected = vc.fit(ROWS, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = vc.fit(SAME[kind], **options)
    assert found.config == expected.config
    assert found.curve["train_bound"].tolist() == expected.curve["train_bound"].tolist()


def test_a_square_table_is_not_turned_over():
    x = ROWS[:5]
    names = {vc.fit(a, n_samples=5, progress=False).config.dataset for a in (x, pd.DataFrame(x))}
    assert len(names) == 1


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (ROWS.astype(complex), "numpy makes complex128 of it: use .* or .real"),
        (torch.tensor(ROWS).to(torch.complex64), "x_train is of torch.complex64: use its .real"),
        (torch.tensor(ROWS).to_sparse(), "x_train is of torch.sparse_coo: use its .to_dense"),
        (ROWS.astype(object), r"numpy makes object of it: use .astype\(float\)"),
        ([["0.5", "0.25"]], "numpy makes <U4 of it"),
        ([[0.5], [0.5, 0.5]], "x_train: an array of numbers is needed"),
        (np.full((3, 5), 1e300), "x_train has values that are NaN or infinite"),
    ],
)
def test_what_is_no_real_number_is_refused(x, message):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        warnings.simplefilter("error")
        vc.fit(x, n_samples=60, progress=False)


class Bare(nn.Module):
    """A module with a latent dimension and an encoder, and nothing else of a VAE."""

    latent_dim = 2

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(64, 4)

    def encoder_params(self, x):
        return self.encoder(x).chunk(2, dim=-1)


class Halves(Bare):
    """With what AEVB by its own estimator needs, and no more."""

    def log_likelihood(self, x, z):
        return -(x - z.mean(-1, keepdim=True)).square().sum(-1)


def test_a_model_without_a_method_that_is_called_is_refused():
    refused("Bare has no log_likelihood, which algorithm='aevb' needs", model=Bare())
    refused("no data_dim and no pixels and no log_q", model=Bare(), algorithm="wake_sleep")
    refused("Bare has no log_likelihood", model=Bare(), algorithm="autoencoder")
    refused("Halves has no log_joint", model=Halves(), estimator="sgvb_a")
    refused("no log_joint and no encode,", model=Halves(), log_marginal="importance_sampling")
    x = vc.load_dataset("digits").train[:200]
    assert vc.fit(x, model=Halves(), n_samples=200, progress=False).curve["samples"].size


def test_a_model_of_another_precision_or_of_inference_mode_is_refused():
    double = "encoder.0.weight is of torch.float64, and runs are float32: use model.float()"
    refused(double, model=vc.VAE(64, 2, (8,)).double())
    statistics = Normalised()
    statistics.encoder[0].double().requires_grad_(False)
    statistics.encoder[0].weight.data = statistics.encoder[0].weight.data.float()
    refused("is of torch.float64", model=statistics)
    with torch.inference_mode():
        made = vc.VAE(64, 2, (8,))
    refused("encoder.0.weight was made in torch.inference_mode", model=made)


def test_a_models_own_likelihood_is_taken():
    model = vc.VAE(6, 2, (5,), "gaussian")
    done = vc.fit(3 * np.hstack([ROWS, ROWS[:, :1]]), model=model, n_samples=200, progress=False)
    assert done.config.likelihood == "gaussian"


class Counts(vc.VAE):
    """Poisson counts, whose rates are the exponentials of the decoder's outputs."""

    def log_likelihood(self, x, z):
        (log_rate,) = self.decoder_params(z)
        return (x * log_rate - log_rate.exp() - torch.lgamma(x + 1)).sum(-1)


def test_a_model_with_a_likelihood_of_its_own_takes_its_own_data():
    generator = torch.Generator().manual_seed(0)
    counts = torch.poisson(torch.tensor([0.5, 3.0, 9.0]).expand(200, 3), generator=generator)
    model = Counts(3, 1, (5,), generator=generator)
    done = vc.fit(counts, model=model, n_samples=60_000, step_size=0.1, progress=False)
    rates = model.decoder(torch.zeros(1, 1)).exp()[0]
    error = 4 * (counts.mean(0) / len(counts)).sqrt() + 0.1
    assert ((rates - counts.mean(0)).abs() < error + 0.1 * counts.mean(0)).all()
    assert done.curve["train_bound"][-1] > done.curve["train_bound"][0]
    with pytest.raises(ValueError, match="scale them to"):
        vc.fit(counts, latent_dim=1, n_samples=100)


def test_a_fit_leaves_its_process():
    x = vc.load_dataset("digits").train[:50]
    done = vc.fit(x, latent_dim=2, hidden=(8,), n_samples=100, progress=False)
    kept, name = pickle.dumps(done), done.config.dataset
    ARRAYS.pop(name)
    again = pickle.loads(kept)
    assert (again.config.key, again.config.data_dim) == (done.config.key, 64)


def interrupted_after(monkeypatch, n_steps, *args, **kwargs):
    """The RunInterrupted of a fit that gets Ctrl-C at this step."""
    advance = Trainer.advance

    def advanced(trainer, most=1):
        advance(trainer, most)
        if trainer.samples == n_steps * trainer.per_step:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(RunInterrupted) as stopped:
        patch.setattr(Trainer, "advance", advanced)
        vc.fit(*args, **kwargs)
    return stopped.value


@pytest.mark.parametrize("own", [False, True])
def test_a_stopped_fit_goes_on_from_its_checkpoint(tmp_path, monkeypatch, own):
    data, normalised = vc.load_dataset("digits"), Normalised()

    def given(n_samples):
        model = {"model": copy.deepcopy(normalised)} if own else {"hidden": (8,), "seed": 5}
        return {"n_samples": n_samples, "progress": False} | model

    whole = vc.fit(data.train, data.test, **given(5_000))
    stopped = interrupted_after(
        monkeypatch, 17, data.train, data.test, **given(3_000), checkpoints=tmp_path
    )
    assert stopped.checkpoint.is_relative_to(tmp_path)
    begun = []
    run = Trainer.run
    monkeypatch.setattr(
        Trainer, "run", lambda t, *a, **k: begun.append(t.samples) or run(t, *a, **k)
    )
    for n_samples in (3_000, 5_000):  # the same call, and a longer one from where that ended
        done = vc.fit(data.train, data.test, **given(n_samples), checkpoints=str(tmp_path))
    assert begun == [1_700, 3_000]
    for column, values in whole.curve.items():
        assert np.array_equal(done.curve[column], values, equal_nan=True), column
    for name, tensor in whole.model().state_dict().items():
        assert torch.equal(done.model().state_dict()[name], tensor), name


def test_another_model_or_other_rows_begin_anew_beside_it(tmp_path):
    x, given = vc.load_dataset("digits").train, SMALL | {"checkpoints": tmp_path}
    conv = ConvVAE()
    alone = vc.fit(x[:100], model=copy.deepcopy(conv), n_samples=2_000, progress=False)
    vc.fit(x[:100], **given)
    vc.fit(x[1:101], **given)
    beside = vc.fit(x[:100], model=conv, **(given | {"hidden": None}))
    assert np.array_equal(alone.curve["train_bound"], beside.curve["train_bound"])
    assert len({*tmp_path.glob("*/*.lock")}) == 3


class Weighted(vc.VAE):
    """A VAE whose bound has a weight that its layers do not show."""

    def __init__(self, weight, seed=0):
        super().__init__(64, 2, (8,), generator=torch.Generator().manual_seed(seed))
        self.weight = weight

    def log_likelihood(self, x, z):
        return self.weight * super().log_likelihood(x, z)


@pytest.mark.parametrize("other", ["weight", "seed", "trained"])
def test_checkpoints_are_not_taken_for_another_models(tmp_path, other):
    x, given = vc.load_dataset("digits").train, {"n_samples": 2_000, "progress": False}
    trained = vc.fit(x, model=Weighted(1), **given, checkpoints=tmp_path).model()
    again = vc.fit(x, model=Weighted(1), **given, checkpoints=tmp_path).model()
    assert torch.equal(trained.encoder[0].weight, again.encoder[0].weight)
    models = {"weight": Weighted(4), "seed": Weighted(1, seed=1), "trained": trained}
    alone = vc.fit(x, model=copy.deepcopy(models[other]), **given)
    with pytest.warns(UserWarning, match="seed the first weights"):
        beside = vc.fit(x, model=models[other], **given, checkpoints=tmp_path)
    assert np.array_equal(alone.curve["train_bound"], beside.curve["train_bound"])
    assert beside.curve["samples"][0] == 100


def test_a_folder_that_cannot_be_written_to_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="checkpoints=... names another folder"):
        vc.fit(vc.load_dataset("digits").train, **SMALL, checkpoints=tmp_path / "file")


class Shifted3(vc.VAE):
    """A VAE with a prior of its own, N(3, 1)."""

    def log_prior(self, z):
        return torch.distributions.Normal(3.0, 1.0).log_prob(z).sum(-1)


@pytest.mark.parametrize("algorithm", ["aevb", "wake_sleep"])
def test_a_prior_of_its_own_is_trained_by_the_general_estimator_alone(algorithm):
    x = torch.rand(60, 6, generator=torch.Generator().manual_seed(0))
    refused("prior", model=Shifted3(64, 1, (4,)), algorithm=algorithm)
    with pytest.raises(ValueError, match="use sgvb_a"):
        vc.sgvb_b(Shifted3(6, 1, (4,)), x)
    with pytest.raises(ValueError, match="define sample_joint"):
        Shifted3(6, 1, (4,)).sample(2)


def test_the_bound_of_a_prior_of_its_own_is_below_the_evidence():
    """Within four standard errors of the mean of single draws over 500 rows."""
    x = torch.rand(500, 6, generator=torch.Generator().manual_seed(0)).round()
    start = torch.Generator().manual_seed(1)
    given = {"n_samples": 20_000, "step_size": 0.1, "prior_sd": None, "progress": False}
    model = Shifted3(6, 1, (8,), generator=start)
    done = vc.fit(x, x, model=model, estimator="sgvb_a", **given)
    g = torch.Generator().manual_seed(2)
    with torch.no_grad():
        draws = vc.sgvb_a(done.model(), x.repeat(50, 1), generator=g).reshape(50, -1)
    error = 4 * (draws.var(0).mean().item() / len(x)) ** 0.5
    assert done.at(20_000) == pytest.approx(draws.mean().item(), abs=error)
    evidence = vc.log_marginal(done.model(), x, "quadrature", progress=False).mean().item()
    assert draws.mean().item() < evidence and abs(evidence - draws.mean().item()) < 0.5


def test_columns_and_algorithms_that_there_are_none_of_are_refused():
    x, model = vc.load_dataset("digits").train[:100], vc.VAE(64, 2, (8,))
    done = vc.fit(x, model=model, n_samples=100, progress=False)
    assert done.at(100, "train_bound") == done.curve["train_bound"][-1]
    with pytest.raises(ValueError, match="column='text'"):
        done.at(100, "text")
    refused("algorithm='text'", model=vc.VAE(64, 2, (8,)), algorithm="text")


def test_names_that_mean_something_else_in_a_model_of_ones_own_are_left_alone():
    model = vc.VAE(64, 2, (8,))
    model.hidden, model.likelihood_of = nn.Linear(2, 2), None
    x = vc.load_dataset("digits").train[:100]
    assert vc.fit(x, model=model, n_samples=100, progress=False).config.latent_dim == 2


def test_a_model_that_fails_is_told_before_training():
    class Wide(vc.VAE):
        def log_likelihood(self, x, z):
            return super().log_likelihood(x, z).sum()

    refused("fails on two rows of x_train: the model's log_likelihood", model=Wide(64, 2, (4,)))


def test_the_same_call_goes_on_with_the_same_model_after_ctrl_c(tmp_path, monkeypatch):
    x, model = vc.load_dataset("digits").train, ConvVAE()
    given = {"n_samples": 3_000, "progress": False, "model": model, "checkpoints": tmp_path}
    whole = vc.fit(x, **(given | {"model": copy.deepcopy(model), "checkpoints": None}))
    interrupted_after(monkeypatch, 11, x, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = vc.fit(x, **given)
    for one, other in zip(whole.model().parameters(), done.model().parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_interrupted_fit_says_that_nothing_is_kept():
    assert str(RunInterrupted("a", None)) == "a was stopped; nothing is kept"
    assert "goes on from c.safetensors" in str(RunInterrupted("a", Path("c.safetensors")))
    assert str(pickle.loads(pickle.dumps(RunInterrupted("a", None)))).startswith("a was")
