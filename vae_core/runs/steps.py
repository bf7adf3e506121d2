"""How steps of training are made fast: fused by the compiler and, on a GPU, replayed.

A step consists of some dozens of small operations. A GPU computes them in less time than Python
needs to launch them. So there they are captured in a CUDA graph, a list of kernels and of the
memory that they use, which is launched as one. What changes from step to step must live on the
device, or every replay repeats its value at the capture: parameters, Adagrad's sums, the counter
that ends the warm-up, the sum of bounds. The generator is registered with the graph, so replays
continue its stream.
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
    """Whether step number ``step``, counted from 0, computes the minibatch's bound."""
    return step % VALUE_EVERY == 0


def fused(update: Callable, config: RunConfig) -> Callable:
    """``update`` in the requested precision and, if the run is long enough, as one compiled graph.

    "medium" multiplies matrices in bfloat16 and accumulates in float32. Parameters, Adagrad's sums
    and all that is reported stay in float32.
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
    """Takes steps one by one.

    Attributes:
        at_once: how many steps one call may take.
    """

    at_once = 1

    def __init__(self, step: Step):
        self.step = step

    def take(self, first: int, most: int) -> int:
        """Takes step number ``first`` and those after it, at most ``most``; returns how many."""
        self.step(has_value(first))
        return 1


class Replays(Steps):
    """Takes steps as replays of CUDA graphs: of one step, or of ten whose first computes its value.

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
        """Compiles and captures the steps; the state of the run does not change."""
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
    """A function that launches what ``work`` launches; the work is recorded now, and not computed.

    The stream should be used for this run alone: cuBLAS has one workspace for each stream, and
    replays that run side by side must not share it.
    """
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    # thread_local: runs of other threads may allocate memory meanwhile
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    return graph.replay


@contextmanager
def on_stream(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Runs the block on a GPU's stream, after all work before it and before all work after it.

    Runs in the threads of one process then do not wait for each other. None, for a CPU, does
    nothing.
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
