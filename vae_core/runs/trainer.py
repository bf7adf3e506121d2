"""The training loop: steps, the evaluation schedule and progress."""

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from vae_core.algorithms import ALGORITHMS
from vae_core.data import Dataset
from vae_core.estimators import sgvb_a
from vae_core.images import Images
from vae_core.log_joint import has_closed_form
from vae_core.model import VAE, is_plain
from vae_core.runs.checkpoint import RunInterrupted, save_checkpoint
from vae_core.runs.config import LOG_MARGINAL_SAMPLES, RunConfig
from vae_core.runs.finite import check_row, check_state, diverged
from vae_core.runs.hardware import device_of, own_precision
from vae_core.runs.plan import LOG_MARGINAL_POINTS, is_evaluated, samples_per_step, settings_of
from vae_core.runs.steps import Replays, Steps, cuda_graph, fused, has_value, on_stream

EVALUATION_CHUNK = 1_000  # rows that stay in cache
CHECKPOINT_SECONDS = 30.0
QUADRATURE_TOLERANCE = 0.01  # nats
COLUMNS = ("samples", "train_bound", "train_bound_minibatch", "test_bound")


def build_model(
    config: RunConfig, generator: torch.Generator | None = None, data_dim: int | None = None
) -> VAE:
    """The untrained model from which a run starts, in float32 on the generator's device."""
    generator = torch.Generator() if generator is None else generator  # the global stream stays
    factory: dict[str, Any] = {
        "generator": generator, "device": generator.device, "dtype": torch.float32
    }  # fmt: skip
    sizes = data_dim or config.data_dim, config.latent_dim, config.hidden
    return VAE(*sizes, config.likelihood, init_sd=config.init_sd, **factory)


@torch.no_grad()
def mean_bound(
    bound: Callable, model: nn.Module, images: Images, generator: torch.Generator
) -> float:
    """Mean over the images of ``bound(model, x)``, in nats, in full float32."""
    total = 0.0
    for chunk in images.rows.split(EVALUATION_CHUNK):
        x = images.scaled(chunk)
        total += bound(model, x, generator=generator).sum(dtype=torch.float64).item()
    return total / images.n


class Trainer:
    """A run in progress: model, algorithm state, random generator and the curve so far.

    Here a RunConfig is unpacked: algorithms know only model, images and their own settings.
    """

    @torch.inference_mode(False)
    def __init__(self, config: RunConfig, data: Dataset, model: nn.Module | None = None):
        self.config, self.data = config, data
        self.algorithm, self.settings = ALGORITHMS[config.algorithm], settings_of(config)
        self.device = device_of(config)
        self.images = Images(data.train_bytes.to(self.device), data.levels)
        self.per_step = samples_per_step(config)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        model = build_model(config, self.generator) if model is None else model
        self.model: Any = model.to(self.device).train()
        given = self.model, self.images, self.settings
        self.state = self.algorithm.init(*given, self.generator)
        self.bound_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.bound_images = 0  # how many images' bounds that sum holds, since the last row
        self.update = self._make_update()
        self.stream = torch.cuda.Stream() if self.device.type == "cuda" else None
        self.steps = self._make_steps()
        self.samples, self.seconds = 0, 0.0
        self.curve: list[dict[str, float]] = []

    @property
    def recent(self) -> list[float]:
        """Sum of the minibatch bounds since the last row, in nats, and the number of images."""
        return [self.bound_sum.item(), self.bound_images]

    @recent.setter
    def recent(self, value: tuple[float, int]) -> None:
        self.bound_sum.fill_(value[0])
        self.bound_images = value[1]

    @property
    def _is_ours(self) -> bool:
        """Whether the update may be compiled and captured, which a user's own model forbids."""
        is_known = has_closed_form(self.model) and is_plain(self.model.encoder)
        return self.algorithm.in_one_graph and is_known

    @property
    def bound(self) -> Callable | None:
        """The bound to report, which is SGVB-A where a model may have its own prior."""
        is_general = self.config.estimator != "sgvb_b" and not has_closed_form(self.model)
        return sgvb_a if is_general else self.algorithm.bound

    def _make_update(self) -> Callable:
        """The algorithm's update of this model, with a flag for whether its value is wanted."""
        model, state, settings, images = self.model, self.state, self.settings, self.images
        update = self.algorithm.update

        def updated(draw: tuple[Tensor, ...], with_value: bool) -> Tensor | None:
            value = update(model, state, draw, settings, images)
            return value if with_value else None  # compiled, what is not wanted is not computed

        return fused(updated, self.config) if self._is_ours else updated

    def _make_steps(self) -> Steps:
        if self.stream is None or not self._is_ours:
            return Steps(self._step)
        changing = [tensor for group in self.state for tensor in group.values()]
        capture = partial(cuda_graph, self.stream, self.generator)
        return Replays(self._step, [*changing, self.bound_sum], self.generator, capture)

    def _step(self, with_value: bool) -> None:
        """One step of the algorithm, without reading anything back from the device."""
        draw = self.algorithm.draw(self.model, self.images, self.settings, self.generator)
        # on a GPU a value costs less than compiling the update once more without it
        value = self.update(draw, with_value or self.stream is not None)
        if with_value and value is not None:
            self.bound_sum.add_(value)

    def advance(self, most: int = 1) -> None:
        """Takes one step, or on a GPU up to ``most``; adds their bounds to the running mean."""
        first = self.samples // self.per_step
        n = self.steps.take(first, most)
        self.samples += n * self.per_step
        values = sum(map(has_value, range(first, first + n))) if self.algorithm.bound else 0
        self.bound_images += values * self.config.batch_size
        # elsewhere, to look is to wait for the device: the next row tells
        if values and self.device.type == "cpu" and not self.bound_sum.isfinite():
            raise diverged(self, f"the bound is {self.bound_sum.item()}")

    def _steps_ahead(self, until: int) -> int:
        """How many steps may be taken at once, up to the next row or to ``until``."""
        for n in range(1, self.steps.at_once):
            samples = self.samples + n * self.per_step
            if samples >= until or is_evaluated(samples, self.per_step, self.config):
                return n
        return self.steps.at_once

    @own_precision()
    def evaluate(self) -> dict[str, float]:
        """One row of the curve at the present parameters; does not use the run's random generator.

        A user's own model is in evaluation mode meanwhile.

        Raises:
            FloatingPointError: a weight, or a number of the row, is not finite.
        """
        check_state(self)
        self.model.eval()
        try:
            return self._row()
        finally:
            self.model.train()

    def _row(self) -> dict[str, float]:
        seed = (2**32 * (self.config.seed + 1) + self.samples) % 2**64
        generator = torch.Generator(self.device).manual_seed(seed)
        row: dict[str, float] = {"samples": self.samples}
        test = Images(self.data.test_bytes.to(self.device), self.data.levels)
        splits = {split: i for split, i in (("train", self.images), ("test", test)) if i.n}
        if bound := self.bound:
            for split, images in splits.items():
                row[f"{split}_bound"] = mean_bound(bound, self.model, images, generator)
        if self.bound_images:
            row["train_bound_minibatch"] = self.bound_sum.item() / self.bound_images
        if self.config.log_marginal:
            for split, pixels in splits.items():
                row[f"{split}_log_marginal"] = self._log_marginal(
                    self.config.log_marginal, pixels, generator
                )
        check_row(self, row)
        return dict.fromkeys(COLUMNS, math.nan) | row

    def _log_marginal(self, method: str, images: Images, generator: torch.Generator) -> float:
        from vae_core.marginal_likelihood import log_marginal

        x = images.scaled(images.rows[:LOG_MARGINAL_POINTS])
        options: dict[str, Any] = {"n_samples": LOG_MARGINAL_SAMPLES}
        if method == "importance_sampling" and self.algorithm.bound is None:
            options["proposal"] = "hmc"  # there is no trained encoder
        if method == "quadrature":
            options = {"tolerance": QUADRATURE_TOLERANCE}
        estimate = log_marginal(
            self.model, x, method, generator=generator, progress=False, **options
        )
        return estimate.mean(dtype=torch.float64).item()

    @torch.inference_mode(False)
    @own_precision()
    def run(
        self,
        checkpoint: Path | None = None,
        *,
        until: int | None = None,
        progress: bool = True,
        position: int = 0,
    ) -> list[dict[str, float]]:
        """Trains to ``until`` samples (default: n_samples of the config); returns the curve's rows.

        Ctrl-C takes effect between two steps, after a checkpoint, and raises RunInterrupted.
        """
        until = self.config.n_samples if until is None else until
        bar = _progress_bar(self, until, progress, position)
        clock = _Clock(self.seconds)
        with bar, deferred_interrupt() as interrupted, on_stream(self.stream):
            while self.samples < until:
                before = self.samples
                self.advance(self._steps_ahead(until))
                if is_evaluated(self.samples, self.per_step, self.config):
                    self.curve.append(self.evaluate())
                    self.recent = 0.0, 0
                    bar.set_postfix(_last_bounds(self.curve[-1]))
                bar.update(self.samples - before)
                self.seconds = clock.total()
                if checkpoint and (interrupted() or clock.is_due(CHECKPOINT_SECONDS)):
                    save_checkpoint(checkpoint, self)
                if interrupted():
                    raise RunInterrupted(self.config.key, checkpoint)
        if checkpoint:
            save_checkpoint(checkpoint, self)
        is_complete = self.curve and self.curve[-1]["samples"] == self.samples
        return list(self.curve) if is_complete else [*self.curve, self.evaluate()]


class _Clock:
    """Seconds spent on a run, interruptions left out, and since the last checkpoint."""

    def __init__(self, before: float):
        self._before, self._started = before, time.perf_counter()
        self._marked = self._started

    def total(self) -> float:
        return self._before + time.perf_counter() - self._started

    def is_due(self, interval: float) -> bool:
        """True at most once every ``interval`` seconds."""
        now = time.perf_counter()
        if now - self._marked < interval:
            return False
        self._marked = now
        return True


def _progress_bar(trainer: Trainer, until: int, progress: bool, position: int) -> tqdm:
    return tqdm(
        total=until,
        initial=trainer.samples,
        desc=trainer.config.key,
        unit=" samples",
        unit_scale=True,
        disable=not progress,
        position=position,
        mininterval=0.5 if sys.stderr.isatty() else 30.0,
    )


def _last_bounds(row: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in row.items() if name.startswith("test_")}


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether Ctrl-C or SIGTERM came; a second one stops at once."""
    received: list[int] = []

    def note(signum: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(signum)
        os.write(2, b"\nstopping after this step; once more stops at once\n")

    try:
        before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: there is nothing to defer
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
