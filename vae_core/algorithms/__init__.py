"""The learning algorithms, one a module.

Each module offers, as functions over explicit state:

``samples_per_step(config) -> int``
    how far one step moves the horizontal axis of the paper's figures;
``init(config, data, model, generator) -> State``
    nested dictionary of tensors that holds all that changes, ``state["params"]`` sharing memory
    with the model's parameters;
``make_step(config, data, model) -> step``
    ``step(state, generator, with_value) -> Tensor | None`` advances the state in place and returns
    the minibatch's bound in nats, summed over its datapoints, if asked for;
``bound(model, x, *, generator) -> (batch,) | None``
    what a run reports as its bound; None where the algorithm has none.
"""

from types import ModuleType

from vae_core.algorithms import aevb, autoencoder, mcem, wake_sleep

ALGORITHMS: dict[str, ModuleType] = {
    "aevb": aevb,
    "wake_sleep": wake_sleep,
    "mcem": mcem,
    "autoencoder": autoencoder,
}
