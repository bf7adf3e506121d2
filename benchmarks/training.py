"""One step of training at the sizes of the paper's MNIST runs, against other loops and the floor.

Needs pyro-ppl: make bench, or python benchmarks/training.py
"""

import os
import time

from _timing import in_turn, one_thread, report, shares, spread, times_faster

one_thread()

import _rivals as rivals  # noqa: E402
import torch  # noqa: E402
from _images import mnist_like  # noqa: E402

from vae_core import RunConfig  # noqa: E402
from vae_core.runs.hardware import slowdown_of_bfloat16  # noqa: E402
from vae_core.runs.trainer import Trainer  # noqa: E402

LATENT_DIMS = 20, 200
ROUNDS, STEPS, SLOW_STEPS = 7, 20, 1  # steps of a candidate in a round
THREADS = 1, 2
LENGTH = 100_000_000  # of the runs: long enough to be compiled
DRAWS = {"aten::normal_", "aten::random_", "aten::index_select", "aten::uniform_"}

torch.set_num_threads(1)
torch._dynamo.config.recompile_limit = 64  # one for each trainer and kind of step
data = mnist_like()


def trainer(latent_dim: int, **fields) -> Trainer:
    return Trainer(RunConfig(latent_dim=latent_dim, n_samples=LENGTH, **fields), data)


def steps_in_bfloat16() -> int:
    return STEPS if slowdown_of_bfloat16() < 1 else SLOW_STEPS


def candidates(latent_dim: int) -> dict[str, tuple]:
    """Steps by name, each with how many of them make a round."""
    trainers = {
        "vae_core, AEVB": trainer(latent_dim),
        "vae_core, wake-sleep": trainer(latent_dim, algorithm="wake_sleep"),
        "vae_core, AEVB, bfloat16": trainer(latent_dim, matmul_precision="medium"),
        "vae_core, wake-sleep, bfloat16": trainer(
            latent_dim, algorithm="wake_sleep", matmul_precision="medium"
        ),
    }  # all of them before the first step: a new one makes the others compile again
    steps = {name: rivals.ours(one) for name, one in trainers.items()}
    steps |= {
        "DataLoader and Adam": rivals.common_loop(data, latent_dim, torch.optim.Adam),
        "DataLoader and Adagrad": rivals.common_loop(data, latent_dim, torch.optim.Adagrad),
        "Pyro's SVI": rivals.pyro_svi(data, latent_dim),
        "matrix products alone": rivals.matrix_products_alone(latent_dim, torch.float32),
        "matrix products alone, bfloat16": rivals.matrix_products_alone(latent_dim, torch.bfloat16),
    }
    return {
        name: (step, steps_in_bfloat16() if "bfloat16" in name else STEPS)
        for name, step in steps.items()
    }


def repeated(step, n: int, threads: int = 1):
    def steps() -> None:
        torch.set_num_threads(threads)
        for _ in range(n):
            step()

    return steps


def paces(per_step: dict[str, list[float]]) -> dict[str, dict]:
    """Samples a second from seconds of a step."""
    return {name: spread([rivals.BATCH / s for s in seconds]) for name, seconds in per_step.items()}


def measured(latent_dim: int) -> dict:
    """Samples a second of every candidate, and how many times faster ours is."""
    steps = candidates(latent_dim)
    rounds = in_turn({name: repeated(*pair) for name, pair in steps.items()}, ROUNDS)
    per_step = {name: [s / steps[name][1] for s in rounds[name]] for name in steps}
    return {
        "samples_per_second": paces(per_step),
        "times_faster": times_faster(per_step, "vae_core, AEVB"),
    }


def on_threads(latent_dim: int) -> dict:
    """Samples a second of AEVB on one thread and on two, on any core: wall time."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    ways = {
        f"vae_core, AEVB{name}, {n} thread{'s' * (n > 1)}": (precision, n)
        for name, precision in {"": "highest", ", bfloat16": "medium"}.items()
        for n in THREADS
    }
    trainers = {name: trainer(latent_dim, matmul_precision=ways[name][0]) for name in ways}
    functions, length = {}, {}
    for name, (_, threads) in ways.items():
        torch.set_num_threads(threads)  # what is compiled is compiled for so many
        length[name] = steps_in_bfloat16() if "bfloat16" in name else STEPS
        functions[name] = repeated(rivals.ours(trainers[name]), length[name], threads)
    rounds = in_turn(functions, ROUNDS, time.perf_counter)
    torch.set_num_threads(1)
    per_step = {name: [s / length[name] for s in rounds[name]] for name in ways}
    return {
        "what": f"wall time, {latent_dim} latent dimensions",
        "samples_per_second": paces(per_step),
    }


def where_the_time_goes(latent_dim: int, **fields) -> dict[str, float]:
    """Shares of the processor time of a compiled AEVB step, by kind of work."""
    kinds = {
        "fused kernels": lambda name: "cpp_fused" in name,
        "minibatch and noise": lambda name: name in DRAWS,
    }
    with torch._inductor.config.patch({"cpp.enable_kernel_profile": True}):
        step = rivals.ours(trainer(latent_dim, **fields))
        return shares(lambda: [step() for _ in range(5 * STEPS)], kinds)


def main() -> None:
    result = {
        "what": f"training on images of MNIST's shape, {rivals.HIDDEN} hidden units, "
        f"minibatches of {rivals.BATCH}, one thread, processor seconds",
        "rounds": ROUNDS,
        "latent_dim": {str(n): measured(n) for n in LATENT_DIMS},
    }
    torch.compiler.reset()
    precisions = {"float32": "highest", "bfloat16": "medium"}
    result["shares"] = {
        f"{name}, {n} latent dimensions": where_the_time_goes(n, matmul_precision=precision)
        for name, precision in precisions.items()
        for n in LATENT_DIMS
    }
    torch.compiler.reset()
    result["threads"] = on_threads(LATENT_DIMS[0])
    report("training", result, ["torch", "torchvision", "pyro-ppl"])


if __name__ == "__main__":
    main()
