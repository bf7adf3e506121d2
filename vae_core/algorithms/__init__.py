"""The learning algorithms, one a module.

Each module offers, as functions over explicit state:

``Settings``
    a dataclass of what it needs to know besides model and images, with the paper's values;
``init(model, images, settings, generator) -> State``
    tensors by name that hold all that changes, the parameters sharing memory with the model's;
``draw(model, images, settings, generator) -> Draw``
    all that is random in one step: minibatch and noise;
``update(model, state, draw, settings, images) -> Tensor | None``
    one step, a deterministic function of its arguments that changes the state in place and
    returns the minibatch's bound in nats, summed over its datapoints;
``bound(model, x, *, generator) -> (batch,)``
    what a run reports as its bound; None where the algorithm has none;
``needs``
    what ``update`` and ``bound`` use of a model of one's own, by name;
``samples_per_step(settings, n_train) -> int``
    how far one step moves the horizontal axis of the paper's figures;
``in_one_graph``
    whether ``update`` may be compiled, or run with bfloat16 products, as a whole, and ``draw`` and
    ``update`` captured in a CUDA graph: Python may then read no number from a tensor, and what
    changes from step to step is in the state.
"""

from types import ModuleType

from vae_core.algorithms import aevb, autoencoder, mcem, wake_sleep

ALGORITHMS: dict[str, ModuleType] = {
    "aevb": aevb,
    "wake_sleep": wake_sleep,
    "mcem": mcem,
    "autoencoder": autoencoder,
}
