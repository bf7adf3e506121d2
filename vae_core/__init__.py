"""Auto-Encoding Variational Bayes, in code that reads like the paper."""

from importlib import import_module, metadata

_PUBLIC = {
    "config": ("RunConfig",),
    "data": ("Dataset", "load_dataset"),
    "estimators": (
        "importance_weighted_bound",
        "kl_to_standard_normal",
        "score_function_surrogate",
        "sgvb_a",
        "sgvb_b",
    ),
    "hmc": ("hmc",),
    "marginal_likelihood": ("log_marginal",),
    "model": ("VAE",),
    "runs": ("Run", "all_runs", "find_run", "get_or_run"),
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = list(_MODULE_OF)


def __getattr__(name: str):
    """Imports what is asked for when it is: the command line's help need not wait for torch."""
    if name == "__version__":
        return metadata.version("vae_core")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULE_OF[name]}")
    return module if name == _MODULE_OF[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
