"""Steps of a run replayed from a recording: a CUDA graph, or on a processor a stand-in for one.

The stand-in records operations and repeats them on the memory of the recording, as a CUDA graph
does: what Python computed from numbers, or chose, when it was recorded stays as it was then.
"""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vae_core import RunConfig, hmc, load_dataset
from vae_core.algorithms import ALGORITHMS, aevb
from vae_core.images import Images
from vae_core.log_joint import log_joint_of
from vae_core.marginal_likelihood import importance_sampling
from vae_core.marginal_likelihood.annealed import anneal, prior_draw, sigmoid_schedule, tune_path
from vae_core.model import VAE
from vae_core.runs.checkpoint import load_checkpoint, save_checkpoint
from vae_core.runs.plan import is_evaluated
from vae_core.runs.steps import VALUE_EVERY, Replays, Steps, cuda_graph, has_value
from vae_core.runs.trainer import Trainer

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]
IN_ONE_GRAPH = [name for name, module in ALGORITHMS.items() if module.in_one_graph]
STEPS = 307  # no multiple of ten
CASES = {
    **{name: {"algorithm": name} for name in IN_ONE_GRAPH},
    "warm-up": {"adagrad_warmup": 55},
    "wake-sleep, warm-up": {"algorithm": "wake_sleep", "adagrad_warmup": 55},
    "three draws": {"estimator": "sgvb_a", "n_mc": 3},
    "faces": {"likelihood": "gaussian_sigmoid_mean", "prior_sd": None},
    "bfloat16": {"matmul_precision": "medium"},
}


def config(**fields):
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 100 * STEPS}
    return RunConfig(**(small | fields))


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


class Recording(TorchDispatchMode):
    """Operations of a function, to be repeated on the memory that they worked on."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("a number is read while a graph is captured")
        made = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, made))
        return made

    @torch.no_grad()  # what autograd computed are operations of the recording
    def replay(self):
        for func, args, kwargs, made in self.calls:
            again = tree_leaves(func(*args, **kwargs))
            for old, new in zip(tree_leaves(made), again, strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def recorded(work):
    recording = Recording()
    with recording:
        work()
    return recording.replay


def replayed(trainer, capture=recorded):
    """The trainer, told to take its steps from recordings."""
    state = [tensor for group in trainer.state for tensor in group.values()]
    step, generator = trainer._step, trainer.generator
    trainer.steps = Replays(step, [*state, trainer.bound_sum], generator, capture)
    return trainer


def one_by_one(trainer):
    trainer.steps = Steps(trainer._step)
    return trainer


def assert_equal(one, other, atol=0.0):
    for group, members in one.state._asdict().items():
        for name, tensor in members.items():
            twin = getattr(other.state, group)[name]
            assert torch.allclose(tensor, twin, rtol=0, atol=atol), f"{group}/{name}"
    assert torch.equal(one.generator.get_state(), other.generator.get_state())
    for row, twin in zip(one.curve, other.curve, strict=True):
        assert row == pytest.approx(twin, abs=10 * atol, nan_ok=True)


# On a processor, with the stand-in


@pytest.mark.parametrize("case", CASES)
def test_replayed_steps_are_the_steps_taken_one_by_one(case, digits):
    eager = Trainer(config(**CASES[case]), digits)
    graph = replayed(Trainer(config(**CASES[case]), digits))
    assert eager.run(progress=False) == graph.run(progress=False)
    assert eager.samples == 100 * STEPS and len(eager.curve) > 5
    assert_equal(eager, graph)


def test_a_replayed_run_resumes_in_the_middle_of_ten_steps(digits, tmp_path):
    path, settings = tmp_path / "c.safetensors", config(adagrad_warmup=55)
    whole, first = (replayed(Trainer(settings, digits)) for _ in range(2))
    whole.run(progress=False)
    first.run(until=3_300, progress=False)
    save_checkpoint(path, first)
    second = replayed(Trainer(settings, digits))
    load_checkpoint(path, second)
    second.run(progress=False)
    assert_equal(whole, second)


def test_a_number_that_python_counts_is_frozen_in_a_replay(digits, monkeypatch):
    """What the other tests would find: the warm-up switch as a number of the host."""
    steps = iter(range(10_000))
    monkeypatch.setattr(
        aevb, "next_step_size", lambda state, settings: 0.0 if next(steps) < 20 else 0.01
    )
    graph = replayed(Trainer(config(), digits))
    before = graph.state.params["decoder.0.weight"].clone()
    graph.run(progress=False)
    assert torch.equal(graph.state.params["decoder.0.weight"], before)


def test_a_number_that_is_read_is_found(digits, monkeypatch):
    monkeypatch.setattr(
        aevb, "next_step_size", lambda state, settings: 0.01 * state.counter["steps"].item()
    )
    with pytest.raises(RuntimeError, match="a number is read"):
        replayed(Trainer(config(), digits)).run(progress=False)


def test_ten_steps_are_one_replay_wherever_no_row_lies_between(digits):
    launched = []

    def capture(work):
        kinds = work.args[0]  # of the steps recorded
        replay = recorded(work)
        return lambda: (launched.append(kinds), replay())

    trainer = replayed(Trainer(config(evals_per_decade=2), digits), capture)
    trainer.run(progress=False)
    assert [kind for kinds in launched for kind in kinds] == [has_value(i) for i in range(STEPS)]
    rows = [n for n in range(1, STEPS + 1) if is_evaluated(100 * n, 100, trainer.config)]
    ends = sorted({0, *rows, STEPS})
    tens = sum(b // 10 - -(-a // 10) for a, b in zip(ends, ends[1:], strict=False) if b - a >= 10)
    assert sum(len(kinds) == VALUE_EVERY for kinds in launched) == tens > 5


def test_a_diverging_run_is_found_at_its_next_row(digits):
    with pytest.raises(FloatingPointError, match="step_size=1000000.0 is too large"):
        replayed(Trainer(config(step_size=1e6), digits)).run(progress=False)


def test_models_of_ones_own_and_chunked_algorithms_take_one_step_after_another(digits):
    mcem = config(algorithm="mcem", n_train=20, n_samples=300, log_marginal=None)
    for trainer in (Trainer(config(), digits), Trainer(mcem, digits)):
        assert type(trainer.steps) is Steps and trainer.stream is None


# On a GPU


def on_gpu(digits, **fields):
    return Trainer(config(device="cuda", n_samples=100 * STEPS, **fields), digits)


@needs_gpu
@pytest.mark.parametrize("case", CASES)
def test_a_cuda_graph_takes_the_steps_that_are_taken_one_by_one(case, digits):
    eager, graph = one_by_one(on_gpu(digits, **CASES[case])), on_gpu(digits, **CASES[case])
    assert type(graph.steps) is Replays
    eager.run(progress=False), graph.run(progress=False)
    assert_equal(eager, graph, atol=1e-3 if case == "bfloat16" else 1e-4)


@needs_gpu
@pytest.mark.parametrize("case", ["aevb", "wake-sleep, warm-up"])
def test_a_compiled_cuda_graph_is_the_eager_step(case, digits, monkeypatch):
    eager = one_by_one(on_gpu(digits, **CASES[case]))
    monkeypatch.setattr(RunConfig, "compiles", True)
    graph = on_gpu(digits, **CASES[case])
    eager.run(progress=False), graph.run(progress=False)
    assert_equal(eager, graph, atol=1e-3)


@needs_gpu
def test_a_run_on_a_gpu_resumes_from_its_generators_state(digits, tmp_path):
    path, settings = tmp_path / "c.safetensors", {"adagrad_warmup": 55}
    whole, first = on_gpu(digits, **settings), on_gpu(digits, **settings)
    whole.run(progress=False)
    first.run(until=3_300, progress=False)
    save_checkpoint(path, first)
    second = on_gpu(digits, **settings)
    load_checkpoint(path, second)
    second.run(progress=False)
    assert_equal(whole, second, atol=1e-5)


@needs_gpu
def test_runs_in_threads_on_one_gpu_are_those_taken_alone(digits):
    from concurrent.futures import ThreadPoolExecutor

    def trained(seed):
        trainer = on_gpu(digits, seed=seed)
        trainer.run(progress=False)
        return trainer

    alone = [trained(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(trained, range(4)), strict=True):
            assert_equal(one, other, atol=1e-5)


@needs_gpu
def test_a_capture_computes_nothing_and_replays_go_on_in_the_generators_stream():
    generator, stream = torch.Generator("cuda").manual_seed(3), torch.cuda.Stream()
    out = torch.zeros(5, device="cuda")
    replay = cuda_graph(
        stream, generator, lambda: out.add_(torch.randn(5, generator=generator, device="cuda"))
    )
    assert out.eq(0).all()
    replay(), replay()
    twin = torch.Generator("cuda").manual_seed(3)
    draws = [torch.randn(5, generator=twin, device="cuda") for _ in range(2)]
    assert torch.allclose(out, sum(draws))
    assert torch.equal(generator.get_state(), twin.get_state())


# The same noise on both


@pytest.fixture
def same_noise(monkeypatch):
    """All noise is drawn on the processor, whatever the device that it is asked for on."""
    source = torch.Generator().manual_seed(5)
    for name in ("randn", "rand"):
        drawn = getattr(torch, name)

        def moved(*shape, generator=None, device=None, dtype=None, drawn=drawn):
            return drawn(*shape, generator=source, dtype=dtype).to(device)

        monkeypatch.setattr(torch, name, moved)
    return source


@pytest.fixture
def posterior():
    """A model and images in float64, in which no acceptance hangs on the last digit."""
    noise = torch.Generator().manual_seed(1)
    model = VAE(6, 2, hidden=(5,), init_sd=0.3, generator=noise).double()
    return model, torch.rand(7, 6, generator=noise).round().double()


def hmc_chains(model, x):
    target, z = log_joint_of(model, x), torch.zeros(len(x), 2, dtype=x.dtype, device=x.device)
    samples, info = hmc.sample(None, z, 20, 10, 3, log_prob_and_grad=target)
    return torch.cat([samples.flatten(), info.step_size, info.acceptance_rate])


def weighted(model, x):
    return torch.cat(importance_sampling(model, x, n_samples=200))


def annealed(model, x):
    target = log_joint_of(model, x)
    path = tune_path(target, sigmoid_schedule(9), 0.8, 2, None)
    return anneal(target, prior_draw(target, 3, None), path, 2, None)[0].flatten()


def monte_carlo_em(model, x):
    module, images = ALGORITHMS["mcem"], Images(x, 1)
    settings = module.Settings(step_size=0.1)
    state = module.init(model, images, settings, None)
    state = state._replace(chains={name: t.double() for name, t in state.chains.items()})
    for _ in range(5):
        draw = module.draw(model, images, settings, None)
        draw = module.Draw(*(noise.to(x.dtype) for noise in draw))
        module.update(model, state, draw, settings, images)
    return torch.cat([t.double().flatten() for g in state for t in g.values()])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("computed", [hmc_chains, weighted, annealed, monte_carlo_em])
def test_given_the_same_noise_a_device_computes_what_the_processor_does(
    computed, device, posterior, same_noise
):
    model, x = posterior
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    here = computed(model, x)
    model.load_state_dict(start)
    same_noise.manual_seed(5)
    there = computed(model.to(device), x.to(device))
    assert there.device.type == device and here.isfinite().all() and here.std() > 0.01
    assert torch.allclose(here, there.cpu(), rtol=1e-5, atol=1e-6)
