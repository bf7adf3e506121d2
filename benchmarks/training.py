"""One step of training at the sizes of the paper's MNIST runs, against other loops and the floor.

Needs pyro-ppl: make bench, or python benchmarks/training.py
"""

from _timing import in_turn, one_thread, report, spread, times_faster

one_thread()

import _rivals as rivals  # noqa: E402
import torch  # noqa: E402
from _images import mnist_like  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from vae_core import RunConfig  # noqa: E402
from vae_core.runs.trainer import Trainer  # noqa: E402

LATENT_DIMS = 20, 200
ROUNDS, STEPS, SLOW_STEPS = 7, 20, 1  # steps of a candidate in a round
LENGTH = 100_000_000  # of the runs: long enough to be compiled
PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm"}
DRAWS = {"aten::normal_", "aten::random_", "aten::index_select", "aten::uniform_"}

torch.set_num_threads(1)
torch._dynamo.config.recompile_limit = 64  # one for each trainer and kind of step
data = mnist_like()


def trainer(latent_dim: int, **fields) -> Trainer:
    return Trainer(RunConfig(latent_dim=latent_dim, n_samples=LENGTH, **fields), data)


def candidates(latent_dim: int) -> dict[str, tuple]:
    """Steps by name, each with how many of them make a round."""
    trainers = {
        "vae_core, AEVB": trainer(latent_dim),
        "vae_core, wake-sleep": trainer(latent_dim, algorithm="wake_sleep"),
        "vae_core, AEVB, bfloat16": trainer(latent_dim, matmul_precision="medium"),
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
        name: (step, SLOW_STEPS if "bfloat16" in name else STEPS) for name, step in steps.items()
    }


def measured(latent_dim: int) -> dict:
    """Samples a second of every candidate, and how many times faster ours is."""
    steps = candidates(latent_dim)

    def repeated(step, n):
        return lambda: [step() for _ in range(n)]

    rounds = in_turn({name: repeated(*pair) for name, pair in steps.items()}, ROUNDS)
    per_step = {name: [s / steps[name][1] for s in rounds[name]] for name in steps}
    pace = {name: spread([rivals.BATCH / s for s in seconds]) for name, seconds in per_step.items()}
    return {"samples_per_second": pace, "times_faster": times_faster(per_step, "vae_core, AEVB")}


def where_the_time_goes(latent_dim: int) -> dict[str, float]:
    """Shares of the processor time of a compiled AEVB step, by kind of work."""
    with torch._inductor.config.patch({"cpp.enable_kernel_profile": True}):
        step = rivals.ours(trainer(latent_dim))
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for _ in range(5 * STEPS):
                step()
    shares = dict.fromkeys(("products", "fused kernels", "minibatch and noise", "the rest"), 0.0)
    for event in profiled.key_averages():
        kind = "the rest"
        if event.key in PRODUCTS:
            kind = "products"
        elif event.key in DRAWS:
            kind = "minibatch and noise"
        elif "cpp_fused" in event.key:
            kind = "fused kernels"
        shares[kind] += event.self_cpu_time_total
    total = sum(shares.values())
    return {kind: round(share / total, 3) for kind, share in shares.items()}


def main() -> None:
    result = {
        "what": f"training on images of MNIST's shape, {rivals.HIDDEN} hidden units, "
        f"minibatches of {rivals.BATCH}, one thread, processor seconds",
        "rounds": ROUNDS,
        "latent_dim": {str(n): measured(n) for n in LATENT_DIMS},
    }
    torch.compiler.reset()
    result["shares"] = {str(n): where_the_time_goes(n) for n in LATENT_DIMS}
    report("training", result, ["torch", "torchvision", "pyro-ppl"])


if __name__ == "__main__":
    main()
