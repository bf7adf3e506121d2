import copy
import math
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import vae_core.runs.trainer as training
from vae_core import VAE, RunConfig, load_dataset
from vae_core.algorithms import common
from vae_core.algorithms.common import adagrad_, add_map_prior_
from vae_core.data import Dataset
from vae_core.images import Images
from vae_core.runs.checkpoint import load_checkpoint, save_checkpoint
from vae_core.runs.plan import is_evaluated
from vae_core.runs.trainer import Trainer

ALGORITHMS = ["aevb", "wake_sleep", "autoencoder"]


def config(**fields):
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 8_000}
    return RunConfig(**(small | fields))


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def snapshot(trainer):
    tensors = [t.clone() for group in trainer.state for t in group.values()]
    return [*tensors, trainer.generator.get_state()]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_ends(
    algorithm, digits, tmp_path
):
    whole = Trainer(config(algorithm=algorithm), digits)
    rows = whole.run(progress=False)
    first = Trainer(config(algorithm=algorithm), digits)
    first.run(until=4_100, progress=False)
    assert first.recent[1] > 0  # bounds of minibatches that the next row will tell
    save_checkpoint(tmp_path / "c.safetensors", first)
    second = Trainer(config(algorithm=algorithm), digits)
    load_checkpoint(tmp_path / "c.safetensors", second)
    np.testing.assert_equal(second.run(progress=False), rows)  # a nan, too
    for one, other in zip(snapshot(whole), snapshot(second), strict=True):
        assert torch.equal(one, other)


def test_a_model_is_evaluated_in_its_evaluation_mode_and_trained_on_in_the_other(digits):
    class Watched(VAE):
        def encoder_params(self, x):
            modes.append(self.training)
            return super().encoder_params(x)

    modes = []
    trainer = Trainer(config(), digits, model=Watched(64, 2, (8,)))
    trainer.evaluate()
    assert modes and not any(modes)
    modes.clear()
    trainer.advance()
    assert modes == [True]


def test_a_longer_run_has_the_shorter_one_as_its_prefix(digits):
    short = Trainer(config(n_samples=5_000), digits).run(progress=False)
    long = Trainer(config(n_samples=8_000), digits).run(progress=False)
    scheduled = [row for row in short if row in long]
    assert scheduled == long[: len(scheduled)] and len(scheduled) >= len(short) - 1 > 2


def test_the_schedule_is_log_spaced_and_has_the_first_step():
    settings = config(evals_per_decade=10)
    points = [n for n in range(100, 100_001, 100) if is_evaluated(n, 100, settings)]
    assert points[0] == 100 and points[1] >= 2 * settings.n_train
    ratios = np.diff(np.log10(points[1:]))
    assert np.allclose(ratios, 0.1, atol=0.02) and points[-1] == 100_000


def test_evaluating_does_not_disturb_the_run(digits):
    often, rarely = (Trainer(config(evals_per_decade=n), digits) for n in (50, 1))
    often.run(progress=False), rarely.run(progress=False)
    assert torch.equal(snapshot(often)[0], snapshot(rarely)[0])


def test_ctrl_c_stops_between_steps_with_a_checkpoint(digits, tmp_path):
    path = tmp_path / "c.safetensors"
    trainer = Trainer(config(n_samples=10**8), digits)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        trainer.run(path, progress=False)
    stopped = Trainer(config(n_samples=10**8), digits)
    load_checkpoint(path, stopped)
    assert 0 < stopped.samples == trainer.samples
    assert torch.equal(snapshot(stopped)[0], snapshot(trainer)[0])


def test_checkpoints_are_due_once_an_interval():
    clock = training._Clock(5.0)
    assert clock.is_due(0.0) and not clock.is_due(60.0) and clock.total() >= 5.0


def test_the_bar_counts_samples(digits, capfd):
    trainer = Trainer(config(), digits)
    assert trainer.seconds == 0
    trainer.run(progress=True)
    last = capfd.readouterr().err.split("\r")[-1]
    assert trainer.config.key in last and "8.00k/8.00k" in last and "test_bound" in last


def test_a_full_disk_leaves_the_last_checkpoint(digits, tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    trainer = Trainer(config(), digits)
    trainer.run(until=1_000, progress=False)
    save_checkpoint(path, trainer)
    before = path.read_bytes()

    def no_space(file, content):
        file.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, trainer)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_diverging_run_names_the_step_size(digits):
    trainer = Trainer(config(step_size=1e6), digits)
    with pytest.raises(FloatingPointError, match="step_size=1000000.0 is too large"):
        trainer.run(progress=False)


def test_a_row_that_is_not_finite_stops_the_run_and_is_named(digits, monkeypatch):
    monkeypatch.setattr(training, "mean_bound", lambda *args: math.inf)
    trainer = Trainer(config(), digits)
    with pytest.raises(FloatingPointError, match="train_bound is inf after step"):
        trainer.run(progress=False)
    assert trainer.curve == []


def test_minibatches_are_training_rows_drawn_with_replacement(digits):
    images = Images(digits.train_bytes, digits.levels)
    rows = images.minibatch(4_000, torch.Generator().manual_seed(0))
    known = {bytes(row.tolist()) for row in digits.train_bytes}
    drawn = {bytes(row.tolist()) for row in rows}
    expected = len(known) * (1 - math.exp(-4_000 / len(known)))
    assert drawn <= known and abs(len(drawn) - expected) < 5 * math.sqrt(len(known) / 4)


def test_adagrad_is_torchs_but_for_where_epsilon_stands():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    reference = torch.optim.Adagrad([weight], lr=0.1, eps=0.0)
    params, sums = {"w": weight.detach().clone()}, {"w": torch.zeros(2)}
    for _ in range(5):
        weight.grad = 2 * weight.detach()
        adagrad_(params, {"w": 2 * params["w"]}, sums, torch.tensor(0.1), 0.0)
        reference.step()
    assert torch.allclose(params["w"], weight.detach(), atol=1e-6)


def test_a_step_of_zero_only_accumulates():
    params, sums = {"w": torch.tensor([1.0])}, {"w": torch.zeros(1)}
    adagrad_(params, {"w": torch.tensor([3.0])}, sums, torch.tensor(0.0), 1e-8)
    assert params["w"].item() == 1.0 and sums["w"].item() == 9.0


def test_the_map_prior_pulls_weights_and_not_biases():
    params = {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    grads = {name: torch.zeros_like(p) for name, p in params.items()}
    add_map_prior_(grads, params, prior_sd=2.0, share=0.5)
    assert grads["weight"].eq(0.125).all() and grads["bias"].eq(0).all()


def test_the_evaluated_bound_is_the_mean_over_the_whole_set(digits):
    trainer = Trainer(config(), digits)
    row = trainer.evaluate()
    # at N(0, 0.01^2) weights every pixel has probability 1/2: the bound is -D ln 2, KL about 0
    assert row["test_bound"] == pytest.approx(-64 * math.log(2), abs=0.1)
    assert row["train_bound"] == pytest.approx(-64 * math.log(2), abs=0.1)


# Rounding: what a run in float32 or with bfloat16 products may differ from the same in float64


STEPS = 300
WRONG = {
    "no epsilon": ("adagrad_", lambda *given: adagrad_(*given[:-1], 0.0)),
    "no prior": ("add_map_prior_", lambda *given: None),
    "a prior for every minibatch": (
        "add_map_prior_",
        lambda grads, params, prior_sd, share: add_map_prior_(grads, params, prior_sd, 1.0),
    ),
}


def long(algorithm, precision="highest", **fields):
    fields |= {"algorithm": algorithm, "matmul_precision": precision}
    return config(n_samples=100 * STEPS, **fields)


def params_of(settings, data):
    """The parameters after 300 steps."""
    trainer = Trainer(settings, data)
    trainer.run(progress=False)
    return trainer.state.params


def exact(settings, data, turned_over=False):
    """The same in float64 with the same noise; the first pixel of the second dream turned over."""
    start = Trainer(settings, data)
    algorithm, images, rest = start.algorithm, start.images, (start.settings, start.images)
    model = copy.deepcopy(start.model).double()
    state = algorithm.init(model, images, start.settings)
    for step in range(STEPS):
        draw = algorithm.draw(start.model, images, start.settings, start.generator)
        noise = {n: t.double() for n, t in draw._asdict().items() if t.is_floating_point()}
        if turned_over and step == 1:
            first = noise["dream_x"][0]
            first[0] = first[0].lt(0.5)  # near the start every pixel has probability 1/2
        algorithm.update(model, state, draw._replace(**noise), *rest)
    return state.params


def distance(params, others):
    pairs = ((params[name].double(), other.double()) for name, other in others.items())
    return math.sqrt(sum((one - other).square().sum().item() for one, other in pairs))


def exact_and_tolerance(settings, data):
    """Parameters in float64, and how far from them another order of rounding may end.

    Eager steps tell how far rounding leads: those that round the same sums otherwise are given
    four times that. And a pixel of a dream, drawn by comparing, may turn over by a last digit: a
    pixel that is turned over says what this does. Both are measured, no number is chosen.
    """
    right, eager = exact(settings, data), params_of(settings, data)
    tolerance = 4 * distance(eager, right)
    if settings.algorithm == "wake_sleep":
        tolerance += distance(exact(settings, data, turned_over=True), right)
    return right, tolerance


@pytest.fixture(scope="module")
def on_digits(digits):
    return {name: exact_and_tolerance(long(name), digits) for name in ("aevb", "wake_sleep")}


@pytest.mark.parametrize("algorithm", ["aevb", "wake_sleep"])
def test_the_compiled_step_is_the_eager_step(algorithm, on_digits, digits, monkeypatch):
    right, tolerance = on_digits[algorithm]
    monkeypatch.setattr(RunConfig, "compiles", True)
    assert distance(params_of(long(algorithm), digits), right) <= tolerance


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("algorithm", ["aevb", "wake_sleep"])
def test_a_wrong_formula_ends_further_off(algorithm, wrong, on_digits, digits, monkeypatch):
    right, tolerance = on_digits[algorithm]
    monkeypatch.setattr(common, *WRONG[wrong])
    assert distance(params_of(long(algorithm), digits), right) > tolerance


@pytest.mark.nightly
@pytest.mark.parametrize("precision", ["highest", "medium"])
@pytest.mark.parametrize("algorithm", ["aevb", "wake_sleep"])
def test_the_compiled_step_is_the_eager_step_at_the_papers_sizes(algorithm, precision, monkeypatch):
    pixels = torch.randint(0, 256, (5_000, 784), generator=torch.Generator().manual_seed(0))
    rows = pixels.sub(204).clamp(min=0).mul(5).to(torch.uint8)  # a fifth of them ink
    data = Dataset("mnist", (28, 28), 255, rows, rows[:0], rows[:100])
    sizes = {"dataset": "mnist", "n_train": len(rows), "latent_dim": 20, "hidden": (500,)}
    settings = long(algorithm, precision, **sizes)
    right, tolerance = exact_and_tolerance(settings, data)
    monkeypatch.setattr(RunConfig, "compiles", True)
    assert distance(params_of(settings, data), right) <= tolerance


@pytest.mark.parametrize("algorithm", ["aevb", "wake_sleep"])
def test_medium_precision_follows_full_precision_closely(algorithm, on_digits, digits):
    """bfloat16 keeps 8 bits, float32 24: rounding is 2^16 times as coarse, and leads as far."""
    full, medium = (
        Trainer(long(algorithm, precision), digits) for precision in ("highest", "medium")
    )
    rows = [trainer.run(progress=False)[-1] for trainer in (full, medium)]
    right, _ = on_digits[algorithm]
    coarse, fine = (distance(trainer.state.params, right) for trainer in (medium, full))
    assert fine < coarse <= 2**16 * fine
    assert rows[0]["test_bound"] == pytest.approx(rows[1]["test_bound"], rel=2**-8)
    assert all(t.dtype == torch.float32 for t in medium.state.params.values())


def test_any_number_of_runs_can_be_compiled_in_one_process(digits, monkeypatch):
    monkeypatch.setattr(RunConfig, "compiles", True)
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 1)
    for seed in (0, 1):
        trainer = Trainer(config(seed=seed), digits)
        other = threading.Thread(target=trainer.advance)  # than the one that made it
        other.start()
        other.join()
        assert trainer.samples == 100
