"""The learning algorithms, one module each.

Each module defines these names; its functions keep no state of their own:

``Settings``
    a dataclass of the algorithm's settings, with the paper's values as defaults;
``init(model, images, settings, generator) -> State``
    named tensors that hold all that training changes; parameters share memory with the model's;
``draw(model, images, settings, generator) -> Draw``
    all random numbers of one step: minibatch and noise;
``update(model, state, draw, settings, images) -> Tensor | None``
    one step, a deterministic function of its arguments that changes the state in place and
    returns the minibatch's bound in nats, summed over its datapoints;
``bound(model, x, *, generator) -> (batch,)``
    the bound that a run reports, in nats; None where the algorithm has none;
``needs``
    names of what ``update`` and ``bound`` use of a user's own model;
``samples_per_step(settings, n_train) -> int``
    how far one step moves along the horizontal axis of the paper's figures;
``in_one_graph``
    whether ``update`` may be compiled, or run with bfloat16 products, as a whole, and ``draw`` and
    ``update`` captured in a CUDA graph. Then Python may read no number from a tensor, and all that
    changes from step to step must be in the state.
"""

from types import ModuleType

from vae_core.algorithms import aevb, autoencoder, mcem, wake_sleep

ALGORITHMS: dict[str, ModuleType] = {
    "aevb": aevb,
    "wake_sleep": wake_sleep,
    "mcem": mcem,
    "autoencoder": autoencoder,
}
