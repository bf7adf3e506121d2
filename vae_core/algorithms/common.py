"""What the minibatch algorithms share: state, minibatches, the step-size schedule, compilation."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..config import RunConfig
from ..data import Dataset
from ..model import VAE
from ..optim import Tensors

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


def maybe_compile(function: Callable, config: RunConfig) -> Callable:
    """``function`` as one compiled graph if the run is long enough to pay for it."""
    if not config.compiles:
        return function
    return torch.compile(function, fullgraph=True, dynamic=False)
