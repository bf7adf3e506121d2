"""A run on a GPU: by shape on any machine, and for real where there is one."""

import math
import warnings

import pytest
import torch
from click.testing import CliRunner
from torch.distributions import Distribution
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import vae_core.runs.hardware as hardware
from vae_book.cli import cli
from vae_core import RunConfig, get_or_run, hmc, log_marginal
from vae_core.algorithms import ALGORITHMS
from vae_core.images import Images
from vae_core.log_joint import log_joint_of
from vae_core.marginal_likelihood import importance_sampling
from vae_core.marginal_likelihood.annealed import anneal, prior_draw, sigmoid_schedule, tune_path
from vae_core.marginal_likelihood.appendix_d import gaussian_log_density, kde_log_density
from vae_core.marginal_likelihood.chains import CHAIN_STARTS, start_chains
from vae_core.model import VAE
from vae_core.runs.sweep import sweep

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


def config(**fields):
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (8,), "n_samples": 1_000}
    return RunConfig(**(small | fields))


# By shape: PyTorch's device "meta" stands for any that is not the processor


class OnlyOn(TorchDispatchMode):
    """Fails on the first operation whose result is elsewhere.

    Single numbers may be anywhere if ``numbers``; a CUDA graph cannot copy them to the device.
    """

    def __init__(self, device, numbers=True):
        super().__init__()
        self.device, self.numbers = device, numbers

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and (tensor.ndim or not self.numbers):
                assert tensor.device.type == self.device, f"{func} makes one on {tensor.device}"
        return made


@pytest.fixture
def model():
    with torch.device("meta"):
        return VAE(6, 2, hidden=(5,))


@pytest.fixture
def x(monkeypatch):
    # both look at values
    monkeypatch.setattr(Distribution, "_validate_args", False)
    monkeypatch.setattr(hmc, "_check_start", lambda *arguments: None)
    return torch.zeros(7, 6, device="meta")


def test_a_factory_that_forgets_the_device_is_found(x):
    with pytest.raises(AssertionError, match="makes one on cpu"), OnlyOn("meta"):
        torch.zeros(2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_step_stays_on_the_device_of_its_images(algorithm, model):
    module, images = ALGORITHMS[algorithm], Images(torch.zeros(300, 6, device="meta"), 1)
    settings = module.Settings()
    with OnlyOn("meta", numbers=not module.in_one_graph):
        state = module.init(model, images, settings, None)
        assert all(tensor.is_meta for group in state for tensor in group.values())
        if algorithm == "mcem":  # reads its counter, which has no value here
            state = state._replace(counter={"steps": torch.zeros((), dtype=torch.long)})
        draw = module.draw(model, images, settings, None)
        value = module.update(model, state, draw, settings, images)
    assert value is None or value.is_meta


@pytest.mark.parametrize("start", CHAIN_STARTS)
def test_chains_and_fitted_densities_stay_on_the_device(start, model, x):
    with OnlyOn("meta"):
        z = start_chains(model, x, start, n_candidates=10)
        target = log_joint_of(model, x)
        samples, info = hmc.sample(
            None, z, 12, n_burnin=2, n_leapfrog=2, step_size=0.1, log_prob_and_grad=target
        )
        for log_density in gaussian_log_density, kde_log_density:
            assert log_density(samples[:6], samples[6:]).shape == (6, 7)
    assert info.step_size.is_meta


def test_importance_sampling_and_annealing_stay_on_the_device(model, x):
    betas = sigmoid_schedule(4)
    with OnlyOn("meta"):
        estimate, stderr = importance_sampling(model, x, n_samples=20)
        target = log_joint_of(model, x)
        path = tune_path(target, betas, 0.8, 2, None)
        log_weights, _ = anneal(target, prior_draw(target, 3, None), path, 2, None)
    assert estimate.is_meta and stderr.is_meta and log_weights.shape == (3, 7)


# The setting


def test_the_device_is_part_of_the_key_and_the_processor_is_its_default():
    assert RunConfig(device="cpu").key == RunConfig().key
    gpu = RunConfig(device="cuda")
    assert gpu.key != RunConfig().key and gpu.trajectory_key != RunConfig().trajectory_key


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_a_run_without_its_gpu_is_refused_before_any_work(no_gpu, own_store):
    for ask in (get_or_run, lambda config: list(sweep([config]))):
        with pytest.raises(ValueError, match="device='cuda': PyTorch .* finds no GPU") as refused:
            ask(config(device="cuda"))
        assert "\n" not in str(refused.value)
    assert not own_store.exists()


@pytest.mark.parametrize(
    "command",
    [
        "run --dataset digits --n-samples 1000 --device cuda",
        "execute fig2_lower_bound -p settings {device: cuda}",
    ],
)
def test_the_command_line_refuses_in_one_line(command, no_gpu):
    words = command.split(maxsplit=4)
    result = CliRunner().invoke(cli, words if "execute" in command else command.split())
    assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    assert "finds no GPU" in result.stderr


@pytest.mark.parametrize(("slower", "told"), [(30.0, 1), (0.6, 0)])
def test_slow_bfloat16_products_are_told_once(slower, told, monkeypatch):
    monkeypatch.setattr(hardware, "slowdown_of_bfloat16", lambda: slower)
    hardware._warn_of_slow_products.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in (0, 1):
            hardware.check_hardware(config(matmul_precision="medium", seed=seed))
        hardware.check_hardware(config())
    hardware._warn_of_slow_products.cache_clear()
    lines = [str(warning.message) for warning in caught]
    assert len(lines) == told
    assert all("matmul_precision='medium'" in line and "\n" not in line for line in lines)
    assert all("30 times" in line and "use matmul_precision='highest'" in line for line in lines)


def test_the_slowdown_is_a_ratio_of_measured_times():
    assert 0.05 < hardware.slowdown_of_bfloat16() < 1_000


# For real


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_is_stored_and_its_model_is_read_on_the_processor(device, empty_reference):
    run = get_or_run(config(device=device, n_samples=10_000), progress=False)
    assert run.config.device == device
    assert next(run.model().parameters()).device.type == "cpu"
    assert run.curve["test_bound"][0] < -64 * math.log(2) + 1 < run.curve["test_bound"][-1]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["importance_sampling", "ais", "quadrature", "hmc_density"])
def test_log_marginals_on_a_device_are_those_of_the_processor(method, device, tiny_vae, tiny_batch):
    exact = log_marginal(tiny_vae, tiny_batch, "quadrature")
    generator = torch.Generator(device).manual_seed(0)
    estimate, stderr = log_marginal(
        tiny_vae.to(device),
        tiny_batch.to(device),
        method,
        generator=generator,
        return_stderr=True,
    )
    assert estimate.device.type == device
    # Appendix D and annealing understate their own error with so few samples
    assert (estimate.cpu() - exact).abs().le(8 * stderr.cpu() + 2e-3).all()
