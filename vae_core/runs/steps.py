"""How steps of training are taken fast: fused by the compiler and, on a GPU, replayed.

A step is some dozens of small operations. A GPU computes them in less time than Python takes to
launch them, so there they are captured in a CUDA graph: a list of kernels and of the memory that
they work on, launched as one. What changes from step to step must live on the device, or every
replay repeats what it was at the capture: parameters, Adagrad's sums, the counter that ends the
warm-up, the sum of bounds. The generator is registered with the graph; replays go on in its stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vae_core.runs.config import RunConfig

VALUE_EVERY = 10  # the minibatch bound is computed on every tenth step
CAPTURING = threading.Lock()  # a process compiles and captures one run at a time

Step = Callable[[bool], None]  # one step, told whether its value is wanted
Capture = Callable[[Callable[[], object]], Callable[[], None]]


def has_value(step: int) -> bool:
    """Whether the step of this number, from 0 on, computes the minibatch's bound."""
    return step % VALUE_EVERY == 0


def fused(update: Callable, config: RunConfig) -> Callable:
    """``update`` at the asked precision and, if the run is long enough, as one compiled graph.

    "medium" multiplies matrices in bfloat16 and accumulates in float32; parameters, Adagrad's
    sums and all that is reported stay in float32.
    """
    if config.matmul_precision == "medium":
        # without its cache: a weight that moves within a step is cast anew
        bfloat16 = torch.autocast(config.device, torch.bfloat16, cache_enabled=False)
        update = bfloat16(update)
    if not config.compiles:
        return update
    if config.device == "cpu":  # elsewhere just before the capture
        torch.compiler.reset()  # the graphs of earlier runs count against the limit of this one
    compiled = torch.compile(update, fullgraph=True, dynamic=False)

    def with_gradients(*args: Any) -> Any:  # in the thread that takes the step
        with torch._dynamo.config.patch(trace_autograd_ops=True):
            return compiled(*args)

    return with_gradients


class Steps:
    """Takes one step after another.

    Attributes:
        at_once: how many steps one call may take.
    """

    at_once = 1

    def __init__(self, step: Step):
        self.step = step

    def take(self, first: int, most: int) -> int:
        """Takes the step of number ``first`` and those after it, ``most`` at most; how many?"""
        self.step(has_value(first))
        return 1


class Replays(Steps):
    """Takes steps as replays of graphs: of one step, or of ten from a step with its value on.

    Args:
        state: all tensors that a step changes and a later one reads.
        capture: records what a function launches and returns a function that launches it again.
    """

    at_once = VALUE_EVERY

    def __init__(
        self, step: Step, state: list[Tensor], generator: torch.Generator, capture: Capture
    ):
        super().__init__(step)
        self._state, self._generator, self._capture = state, generator, capture
        self._replays: dict[tuple[bool, ...], Callable[[], None]] = {}

    def take(self, first: int, most: int) -> int:
        if not self._replays:
            self._prepare()
        n = VALUE_EVERY if has_value(first) and most >= VALUE_EVERY else 1
        self._replays[tuple(map(has_value, range(first, first + n)))]()
        return n

    def _prepare(self) -> None:
        """Compiles and captures the steps; the run stands where it stood."""
        tens = tuple(map(has_value, range(VALUE_EVERY)))
        with CAPTURING:
            torch.compiler.reset()  # as in `fused`
            kept, random = [t.clone() for t in self._state], self._generator.get_state()
            for with_value in (True, False, True):  # compiles, and fills the libraries' caches
                self.step(with_value)
            for kinds in (tens, (True,), (False,)):
                self._replays[kinds] = self._capture(partial(self._each, kinds))
            for tensor, value in zip(self._state, kept, strict=True):
                tensor.copy_(value)
            self._generator.set_state(random)

    def _each(self, kinds: tuple[bool, ...]) -> None:
        for with_value in kinds:
            self.step(with_value)


def cuda_graph(
    stream: torch.cuda.Stream, generator: torch.Generator, work: Callable[[], object]
) -> Callable[[], None]:
    """A function that launches what ``work`` does, which is recorded now and not computed.

    The stream should be used for this run alone: cuBLAS has a workspace for each, and replays
    beside one another must not share it.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    # thread_local: runs of other threads may allocate memory meanwhile
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    return graph.replay


@contextmanager
def on_stream(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Work on this stream of a GPU, after what is under way and before what comes next.

    Runs in the threads of one process do not wait for each other so. None: a processor has none.
    """
    if stream is None:
        yield
        return
    around = torch.cuda.current_stream()
    stream.wait_stream(around)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        around.wait_stream(stream)
