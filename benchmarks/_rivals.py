"""One step of training as others write it, at the sizes of the paper's experiment on MNIST.

Each is a function without arguments that takes one step on a minibatch of 100 images; what it
needs is made beforehand.
"""

import itertools
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from _images import PIXELS
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor, nn
from torch.nn import functional as F

from vae_core.data import Dataset
from vae_core.data._torchvision import datasets
from vae_core.runs.steps import VALUE_EVERY

BATCH, HIDDEN = 100, 500


class InTorchvision(datasets.MNIST):
    """The same images behind torchvision's own ``MNIST.__getitem__``."""

    def __init__(self, data: Dataset):
        from torchvision.transforms import ToTensor  # loads only after the import at the top

        self.data = data.train_bytes.view(-1, 28, 28)
        self.targets = torch.zeros(len(self.data), dtype=torch.long)
        self.transform, self.target_transform = ToTensor(), None


class ExampleVAE(nn.Module):
    """The network of the public PyTorch example, with the paper's sizes and activations."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.enter, self.mean = nn.Linear(PIXELS, HIDDEN), nn.Linear(HIDDEN, latent_dim)
        self.log_var = nn.Linear(HIDDEN, latent_dim)
        self.leave, self.logits = nn.Linear(latent_dim, HIDDEN), nn.Linear(HIDDEN, PIXELS)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(self.enter(x))
        return self.mean(hidden), self.log_var(hidden)

    def decode(self, z: Tensor) -> Tensor:
        return self.logits(torch.tanh(self.leave(z)))

    def loss(self, x: Tensor) -> Tensor:
        mean, log_var = self.encode(x)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
        misfit = F.binary_cross_entropy_with_logits(self.decode(z), x, reduction="sum")
        return misfit - 0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())


def common_loop(data: Dataset, latent_dim: int, optimizer: type) -> Callable[[], None]:
    """The loop of the public example: torchvision's data set, a DataLoader, torch.optim."""
    loader = torch.utils.data.DataLoader(InTorchvision(data), batch_size=BATCH, shuffle=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    model = ExampleVAE(latent_dim)
    optimizer = optimizer(model.parameters(), lr=1e-3)
    total = 0.0

    def step() -> None:
        nonlocal total
        x = next(batches)[0].view(-1, PIXELS)
        optimizer.zero_grad()
        loss = model.loss(x)
        loss.backward()
        total += loss.item()
        optimizer.step()

    return step


def pyro_svi(data: Dataset, latent_dim: int) -> Callable[[], None]:
    """Pyro's SVI with Adam, given the minibatches as tensors: no DataLoader."""
    network = ExampleVAE(latent_dim)

    def model(x: Tensor) -> None:
        pyro.module("decoder", network)
        with pyro.plate("data", len(x)):
            prior = dist.Normal(x.new_zeros(latent_dim), x.new_ones(latent_dim))
            z = pyro.sample("z", prior.expand([len(x), latent_dim]).to_event(1))
            likelihood = dist.Bernoulli(logits=network.decode(z), validate_args=False)
            pyro.sample("x", likelihood.to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", network)
        with pyro.plate("data", len(x)):
            mean, log_var = network.encode(x)
            pyro.sample("z", dist.Normal(mean, torch.exp(0.5 * log_var)).to_event(1))

    pyro.clear_param_store()
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), loss=Trace_ELBO())

    def step() -> None:
        index = torch.randint(len(data.train_bytes), (BATCH,))
        svi.step(data.train_bytes.index_select(0, index).float() / 255)

    return step


def matrix_products_alone(latent_dim: int, dtype: torch.dtype) -> Callable[[], None]:
    """The floor: the products of one AEVB step, forwards and backwards, and nothing else."""
    shapes = [(PIXELS, HIDDEN), (HIDDEN, 2 * latent_dim), (latent_dim, HIDDEN), (HIDDEN, PIXELS)]
    layers = [
        (torch.rand(BATCH, n_in).to(dtype), torch.rand(n_out, n_in).to(dtype))
        for n_in, n_out in shapes
    ]
    grads = [torch.rand(BATCH, n_out).to(dtype) for _, n_out in shapes]

    def step() -> None:
        with torch.no_grad():
            for i, ((x, weight), grad) in enumerate(zip(layers, grads, strict=True)):
                x @ weight.T
                grad.T @ x
                if i:  # the images need no gradient
                    grad @ weight

    return step


def ours(trainer) -> Callable[[], None]:
    """A step of the trainer of the stored runs, with the minibatch's bound logged as there."""
    for _ in range(VALUE_EVERY + 1):
        trainer.advance()  # compiles the step with its value and the one without
    return trainer.advance
