"""What the minibatch algorithms share: state, minibatches, the step-size schedule, compilation."""

from collections.abc import Callable

import torch
from torch import Tensor

from vae_core.algorithms.optim import Tensors
from vae_core.data import Dataset
from vae_core.model import VAE
from vae_core.runs.config import RunConfig

State = dict[str, Tensors]


def init_state(model: VAE) -> State:
    """Parameters (shared with the model), Adagrad's sums of squares and the step counter."""
    params = {name: p.detach() for name, p in model.named_parameters()}
    sums = {name: torch.zeros_like(p) for name, p in params.items()}
    return {"params": params, "sums": sums, "counter": {"steps": torch.zeros((), dtype=torch.long)}}


def minibatch(config: RunConfig, data: Dataset, generator: torch.Generator) -> Tensor:
    """(batch_size, data_dim) bytes drawn with replacement from the training images."""
    n_train = data.train_bytes.shape[0]
    index = torch.randint(n_train, (config.batch_size,), generator=generator)
    return data.train_bytes.index_select(0, index)


def map_precision(config: RunConfig, n_train: int, n_batch: int) -> float:
    """Weight of the prior N(0, prior_sd^2) against the sum over one minibatch (eq. 8 over N/M)."""
    if config.prior_sd is None:
        return 0.0
    return n_batch / (n_train * config.prior_sd**2)


def step_size(config: RunConfig, state: State) -> Tensor:
    """This step's size; zero for the first ``adagrad_warmup`` minibatches. Counts the step."""
    steps = state["counter"]["steps"]
    size = 0.0 if int(steps) < config.adagrad_warmup else config.step_size
    steps.add_(1)
    return torch.tensor(size)


def prepare(update: Callable, config: RunConfig) -> Callable:
    """``update`` at the asked precision and, if the run is long enough, as one compiled graph.

    "medium" multiplies matrices in bfloat16 and accumulates in float32; parameters, Adagrad's
    sums and all that is reported stay in float32.
    """
    if config.matmul_precision == "medium":
        update = torch.autocast("cpu", dtype=torch.bfloat16)(update)
    if not config.compiles:
        return update
    torch.compiler.reset()  # the graphs of earlier runs count against the limit of this one
    return torch.compile(update, fullgraph=True, dynamic=False)
