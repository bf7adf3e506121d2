"""HMC on 1,000 posteriors of a 3-100-784 decoder: ours, blackjax vmapped, Pyro one by one.

Needs blackjax and pyro-ppl: pip install -e '.[benchmarks]'; or make bench
"""

from _timing import SIGMOIDS, in_turn, one_thread, report, shares, spread, times_faster

one_thread()

import blackjax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import pyro.infer.mcmc as pyro_mcmc  # noqa: E402
import torch  # noqa: E402

from vae_core import hmc  # noqa: E402
from vae_core.log_joint import decoder_layers, log_joint_of  # noqa: E402
from vae_core.model import VAE  # noqa: E402

CHAINS, CHUNK, TRANSITIONS, LEAPFROG, STEP = 1_000, 500, 10, 4, 0.05
PYRO_CHAINS, PYRO_TRANSITIONS = 2, 50

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
model = VAE(784, 3, (100,), init_sd=0.3, generator=generator)
z = torch.randn(CHAINS, 3, generator=generator)
with torch.no_grad():
    x = model.sample_given(z, torch.rand(CHAINS, 784, generator=generator))


def ours(log_prob_and_grad_of=log_joint_of):
    accepted = []
    for x_chunk, z_chunk in zip(x.split(CHUNK), z.split(CHUNK), strict=True):
        log_joint = log_prob_and_grad_of(model, x_chunk)
        state = hmc.init(z_chunk, log_joint)
        for _ in range(TRANSITIONS):
            state, info = hmc.step(state, STEP, LEAPFROG, log_joint, generator=generator)
            accepted.append(info.acceptance_prob.mean())
    return torch.stack(accepted).mean().item()


def ours_autograd():
    def log_prob_and_grad_of(model, x_chunk):
        return hmc.autograd_log_prob_and_grad(lambda z: model.log_joint(x_chunk, z))

    return ours(log_prob_and_grad_of)


def matrix_products_alone():
    """The floor: what the leapfrog steps multiply, and nothing else."""
    (_, _), (weight, bias) = decoder_layers(model)
    hidden, pixels = torch.rand(CHUNK, 100), torch.rand(CHUNK, 784)
    for _ in range(CHAINS // CHUNK * TRANSITIONS * LEAPFROG):
        torch.nn.functional.linear(hidden, weight, bias)
        pixels @ weight


jax_layers = [(jnp.array(w.numpy()), jnp.array(b.numpy())) for w, b in decoder_layers(model)]
jax_x, jax_z = jnp.array(x.numpy()), jnp.array(z.numpy())
kernel = blackjax.hmc.build_kernel()


def jax_log_joint(z, x):
    (w1, b1), (w2, b2) = jax_layers
    logits = w2 @ jnp.tanh(w1 @ z + b1) + b2
    return (x * logits - jax.nn.softplus(logits)).sum() - 0.5 * (z**2).sum()


def one_move(key, state, x):
    return kernel(key, state, lambda z: jax_log_joint(z, x), STEP, jnp.ones(3), LEAPFROG)


@jax.jit
def blackjax_chains(key, x, z):
    states = jax.vmap(lambda z, x: blackjax.hmc.init(z, lambda z: jax_log_joint(z, x)))(z, x)

    def scan(states, key):
        keys = jax.random.split(key, z.shape[0])
        states, info = jax.vmap(one_move)(keys, states, x)
        return states, info.acceptance_rate.mean()

    return jax.lax.scan(scan, states, jax.random.split(key, TRANSITIONS))[1].mean()


def blackjax_vmapped():
    return float(blackjax_chains(jax.random.PRNGKey(0), jax_x, jax_z))


def blackjax_vmapped_in_chunks():
    parts = [
        blackjax_chains(jax.random.PRNGKey(0), jax_x[i : i + CHUNK], jax_z[i : i + CHUNK])
        for i in range(0, CHAINS, CHUNK)
    ]
    return float(jnp.stack(parts).mean())


def pyro_one_by_one():
    for i in range(PYRO_CHAINS):

        def potential(point, i=i):
            return -model.log_joint(x[i : i + 1], point["z"])[0]

        sampler = pyro_mcmc.HMC(
            potential_fn=potential, step_size=STEP, num_steps=LEAPFROG,
            adapt_step_size=False, adapt_mass_matrix=False,
        )  # fmt: skip
        pyro_mcmc.MCMC(
            sampler, PYRO_TRANSITIONS, warmup_steps=0, disable_progbar=True,
            initial_params={"z": z[i : i + 1]},
        ).run()  # fmt: skip


def main():
    torch.manual_seed(0)
    candidates = {
        "vae_core": ours,
        "matrix products alone": matrix_products_alone,
        "vae_core, autograd": ours_autograd,
        "blackjax, vmapped": blackjax_vmapped,
        f"blackjax, vmapped in chunks of {CHUNK}": blackjax_vmapped_in_chunks,
    }
    seconds = in_turn(candidates, rounds=7)
    per_move = {name: [s / (CHAINS * TRANSITIONS) for s in v] for name, v in seconds.items()}
    pyro = in_turn({"pyro": pyro_one_by_one}, rounds=2)["pyro"]
    moves = PYRO_CHAINS * PYRO_TRANSITIONS
    per_move["pyro, one datapoint at a time"] = [s / moves for s in pyro]
    result = {
        "what": f"one HMC move of {LEAPFROG} leapfrog steps of one chain, {CHAINS} chains, "
        "one thread, processor seconds",
        "microseconds": {n: spread([1e6 * s for s in v]) for n, v in per_move.items()},
        "shares": shares(ours, {"sigmoids": lambda name: name in SIGMOIDS}),
        "times_faster": times_faster(per_move, "vae_core"),
        "mean_acceptance": {"vae_core": round(ours(), 3), "blackjax": round(blackjax_vmapped(), 3)},
    }
    report("hmc", result, ["torch", "blackjax", "jax", "pyro-ppl"])


if __name__ == "__main__":
    main()
