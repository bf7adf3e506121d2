"""What `fit` requires of a user's own model, checked before any training."""

from collections.abc import Iterable
from itertools import chain
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from vae_core._arguments import check_choice
from vae_core._noise import noise_like
from vae_core.algorithms import ALGORITHMS
from vae_core.log_joint import has_closed_form
from vae_core.model import check_sampling, is_plain, standard_normal_log_prob
from vae_core.runs._start import plain_attributes, put_back
from vae_core.runs.trainer import Trainer


def own(model: Any, name: str, kind: type) -> Any:
    """A model's attribute, if it has the type of the VAE's setting of that name; else None."""
    value = getattr(model, name, None)
    return value if isinstance(value, kind) else None


@torch.no_grad()
def try_model(trainer: Trainer) -> None:
    """Refuses a model that fails on two rows, or whose prior is not the one the bound assumes."""
    model, config, images = trainer.model, trainer.config, trainer.images
    generator = torch.Generator(trainer.device).manual_seed(0)
    x, name = images.scaled(images.rows[:2]), type(model).__name__
    before = plain_attributes(model)  # in training mode, which comes back with them
    model.eval()
    try:
        if trainer.bound:
            trainer.bound(model, x, generator=generator)
    except Exception as error:
        raise ValueError(f"model=...: {name} fails on two rows of x_train: {error}") from error
    if config.algorithm != "autoencoder" and config.estimator == "sgvb_b":
        z = torch.randn(1, len(x), model.latent_dim, **noise_like(x, generator))
        if hasattr(model, "log_joint") and hasattr(model, "log_likelihood"):
            if not _is_standard(model, x, z):
                raise ValueError(
                    f"model=...: the prior in {name}.log_joint is not N(0, I), or is learned, "
                    f"while estimator='sgvb_b' and wake-sleep take N(0, I): use "
                    f"estimator='sgvb_a' of AEVB"
                )
    put_back(before)


@torch.enable_grad()
def _is_standard(model: Any, x: Tensor, z: Tensor) -> bool:
    """Whether log p(x, z) - log p(x | z) is log N(z; 0, I), and no parameter moves it."""
    log_joint, log_likelihood = model.log_joint(x, z), model.log_likelihood(x, z)
    prior = (log_joint - log_likelihood).detach()
    # the difference of two large float32 numbers
    rounding = 4 * torch.finfo(x.dtype).eps * log_likelihood.detach().abs()
    expected = standard_normal_log_prob(z)
    if not ((prior - expected).abs() <= 0.1 + 1e-3 * expected.abs() + rounding).all():
        return False
    joint, given = _slopes(model, log_joint), _slopes(model, log_likelihood)
    most = max((slope.abs().max().item() for slope in given.values()), default=0.0)
    for name, slope in joint.items():
        if name not in given:
            if slope.any():
                return False
        elif (slope - given[name]).abs().max() > 1e-3 * given[name].abs().max() + 1e-6 * most:
            return False
    return True


def _slopes(model: nn.Module, values: Tensor) -> dict[str, Tensor]:
    """The gradient of the sum of ``values`` in the parameters on which it depends."""
    moving = {name: p for name, p in model.named_parameters() if p.requires_grad and p.numel()}
    if not values.requires_grad:
        return {}
    found = torch.autograd.grad(values.sum(), list(moving.values()), allow_unused=True)
    return {name: g for name, g in zip(moving, found, strict=True) if g is not None}


def check_model(
    model: Any, algorithm: str, data_dim: int, latent_dim: int | None, likelihood: str
) -> None:
    """Refuses a model that the algorithm cannot train, or that contradicts the other arguments."""
    if not isinstance(model, nn.Module) or not hasattr(model, "latent_dim"):
        raise ValueError(f"model={model!r}: a module with the methods of a VAE is needed")
    if algorithm == "mcem":
        raise ValueError("model=...: mcem differentiates the VAE's own decoder in closed form")
    given = {"data_dim": data_dim, "latent_dim": latent_dim, "likelihood": likelihood}
    _check_tensors(model)
    if algorithm == "wake_sleep":
        _check_parts(model)
        check_sampling(model)
    for name, value in given.items():
        found = own(model, name, str if isinstance(value, str) else Real)
        if found is not None and value is not None and value != found:
            raise ValueError(
                f"{name}={value!r}, but that of the model is {found!r}: make them alike"
            )


def _check_tensors(model: nn.Module) -> None:
    """Refuses a model without a trainable parameter, or with tensors other than float32."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model=...: none of its parameters requires a gradient, so none can learn")
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise ValueError(
                f"model=...: its {name} is of {tensor.dtype}, and runs are float32: "
                f"use model.float()"
            )
        if tensor.is_inference():
            raise ValueError(
                f"model=...: its {name} was made in torch.inference_mode(), so it cannot learn: "
                f"make the model outside, or use copy.deepcopy(model) there"
            )


def check_methods(model: Any, algorithm: str, settings: dict) -> None:
    """Refuses a model without a method that the run would call."""
    check_choice("algorithm", algorithm, ALGORITHMS)
    needed, is_general = [*ALGORITHMS[algorithm].needs], _is_general(settings)
    if is_general and algorithm == "aevb":
        needed.remove("log_likelihood")
    if settings.get("log_marginal") or is_general:
        needed.append("log_joint")
    if settings.get("log_marginal") == "importance_sampling":
        needed.append("encode")
    missing = [name for name in needed if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f"model=...: {type(model).__name__} has no {' and no '.join(missing)}, which "
            f"algorithm={algorithm!r} needs as a VAE has it: define it, or subclass VAE"
        )


def _is_general(settings: dict) -> bool:
    """Whether the estimator uses log p(x, z) as a whole."""
    return (settings.get("estimator") or "sgvb_b") != "sgvb_b"


def settled(model: Any, settings: dict) -> dict:
    """The settings with the model's own widths; refuses settings that the model cannot follow."""
    if "init_sd" in settings:
        raise ValueError(
            f"init_sd={settings['init_sd']!r}: the model has its weights; leave it out"
        )
    hidden = own(model, "hidden", tuple)
    widths = settings.get("hidden")
    widths = tuple(widths) if isinstance(widths, Iterable) else widths
    if hidden is not None and widths is not None and widths != tuple(hidden):
        raise ValueError(f"hidden={settings['hidden']!r}, but that of the model is {hidden!r}")
    is_known = has_closed_form(model) and is_plain(model.encoder)
    if settings.get("matmul_precision") == "medium" and not is_known:
        raise ValueError(
            "matmul_precision='medium': bfloat16 is for the VAE of Appendix C alone; leave it out"
        )
    return settings if hidden is None else settings | {"hidden": tuple(hidden)}


def _check_parts(model: nn.Module) -> None:
    """Refuses parameters that neither phase of wake-sleep would train, or both would."""
    names: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)
    for found in names.values():
        parts = {name.split(".")[0] for name in found}
        if len(parts) > 1 or not parts <= {"encoder", "decoder"}:
            raise ValueError(
                f"model=...: wake-sleep moves decoder and encoder in turn, and the parameter "
                f"{' = '.join(sorted(found))} belongs to neither or to both; use algorithm='aevb'"
            )
