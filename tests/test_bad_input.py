"""Bad input, by the table: one line that names the culprit, exit status 2, and nothing written."""

import functools
import math
import os

import nbformat
import pytest
import torch
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_notebook
from pydantic import ValidationError

import vae_core as vc
from vae_book.cli import cli
from vae_book.params import one_line
from vae_core import hmc
from vae_core.data import fetch
from vae_core.linear_gaussian import linear_gaussian
from vae_core.marginal_likelihood import bdmc
from vae_core.runs.step_size import choose_step_size
from vae_core.runs.sweep import shard, sweep
from vae_core.runs.verify import verify

PARAMETERS = """\
datasets = ["digits"]
latent_dims = [2]
n_trains = []
hidden = []
algorithms = ["aevb"]
seeds = [0]
n_samples = 100
step_size = 0.1
pixels = False
title = "a"
settings = {}  # of RunConfig, but not likelihood
shown = [0]  # which of the pictures, 0 to 19
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty store, no reference runs, one notebook, and the current directory."""
    for name in ("CACHE", "REFERENCE", "DATA"):
        monkeypatch.setenv(f"VAE_CORE_{name}", str(tmp_path / name.lower()))
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell("1 / 0")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "n.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(folder, arguments, culprit):
    """Runs a command that has to be refused in the way that this module's docstring says."""
    before = sorted(os.listdir(folder))
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    assert result.output.count("\n") == 1, result.output
    assert culprit in result.output
    assert sorted(os.listdir(folder)) == before


# vae-core run: `-p NAME=VALUE`, what is told
RUN = {
    "latent_dim=0": "latent_dim=0",
    "latent_dim=-3": "latent_dim=-3",
    "latent_dim=2.5": "latent_dim=2.5",
    "latent_dim=two": "latent_dim='two'",
    "latent_dim='2'x": "-p latent_dim",
    "latent_dim=[2,3]": "latent_dim=",
    "latent_dim={a: 1}": "latent_dim={'a': 1}",
    "latent_dim=.nan": "latent_dim=nan",
    "latent_dim=.inf": "latent_dim=inf",
    "latent_dim=2020-01-01": "latent_dim=",
    "hidden=0": "hidden=",
    "hidden=8,0": "hidden=",
    "hidden=-1": "hidden=",
    "hidden=8;4": "hidden.0='8;4'",
    "hidden=[[8]]": "hidden.0",
    "hidden=1.5": "hidden.0=1.5",
    "hidden={a: 1}": "hidden.0",
    "n_samples=0": "n_samples=0",
    "n_samples=-1": "n_samples=-1",
    "n_samples=many": "n_samples='many'",
    "n_samples=0.5": "n_samples=0.5",
    "n_samples=[": "-p n_samples",
    "n_train=0": "n_train=0",
    "n_train=1501": "digits has 1500 training images",
    "n_train=1e9": "n_train=1000000000",
    "seed=-1": "seed=-1",
    "seed=x": "seed='x'",
    "seed=1.5": "seed=1.5",
    "split_seed=-1": "split_seed=-1",
    "batch_size=0": "batch_size=0",
    "batch_size=all": "batch_size='all'",
    "step_size=0": "step_size=0",
    "step_size=-0.1": "step_size=-0.1",
    "step_size=fast": "step_size='fast'",
    "step_size=[0.1]": "step_size=",
    "adagrad_epsilon=0": "adagrad_epsilon=0",
    "adagrad_warmup=-1": "adagrad_warmup=-1",
    "init_sd=0": "init_sd=0",
    "init_sd=-1": "init_sd=-1",
    "prior_sd=0": "prior_sd=0",
    "prior_sd=wide": "prior_sd='wide'",
    "n_mc=0": "n_mc=0",
    "n_mc=1.5": "n_mc=1.5",
    "mcem_leapfrog=0": "mcem_leapfrog=0",
    "mcem_updates=0": "mcem_updates=0",
    "mcem_target_accept=0": "mcem_target_accept=0",
    "mcem_target_accept=1": "mcem_target_accept=1",
    "mcem_adaptation=-1": "mcem_adaptation=-1",
    "mcem_annealing=-1": "mcem_annealing=-1",
    "evals_per_decade=0": "evals_per_decade=0",
    "algorithm=vae": "algorithm='vae'",
    "algorithm=AEVB": "algorithm='AEVB'",
    "algorithm=[aevb]": "algorithm=",
    "estimator=sgvb": "estimator='sgvb'",
    "likelihood=normal": "likelihood='normal'",
    "log_marginal=exact": "log_marginal='exact'",
    "matmul_precision=low": "matmul_precision='low'",
    "binarize=perhaps": "binarize='perhaps'",
    "dataset=minst": "did you mean 'mnist'?",
    "dataset=3": "dataset=3",
    "dataset=../mnist": "dataset='../mnist'",
    "semantics=7": "semantics=7",
    "step_size=.inf": "step_size=inf",
    "step_size=.nan": "step_size=nan",
    "init_sd=.inf": "init_sd=inf",
    "mcem_adaptation=.inf": "mcem_adaptation=inf",
    "adagrad_epsilon=.inf": "adagrad_epsilon=inf",
    "batch_size=100000000": "batch_size=100000000, n_mc=1 would need about",
    "n_mc=1000000": "n_mc=1000000 would need about",
    "latent_dim=1e9": "latent_dim=1000000000, ",
    "hidden=1e9": "hidden=[1000000000]",
    "seed=4294967296": "seed=4294967296",
    "n_samples=1e18": "would take about",
    "evals_per_decade=1e9": "evals_per_decade=1000000000",
    "latent_dim='10'": "latent_dim='10'",
    "latent_dim=true": "latent_dim=True",
    "n_train=true": "n_train=True",
    "step_size=true": "step_size=True",
    "binarize=1": "binarize=1",
    "latentdim=3": "did you mean 'latent_dim'?",
    "=3": "-p =3",
    "3=3": "-p 3=3",
    "seed=!!python/object:os.system x": "-p seed",
    "seed=&a [*a]": "-p seed",
}


@pytest.mark.parametrize("pair", RUN)
def test_run_refuses_a_setting(folder, pair):
    digits = [] if pair.startswith("dataset") else ["-p", "dataset=digits"]
    refused(folder, ["run", *digits, "-p", pair], RUN[pair])


# words after `vae-core`
COMMANDS = {
    "rum": "No such command 'rum'",
    "run x": "unexpected extra argument",
    "run --latentdim 3": "--latentdim",
    "run -p": "Option '-p' requires an argument",
    "run -p seed": "-p seed: write -p NAME VALUE",
    "run -p seed=1 -p seed=2": "-p seed is given twice",
    "run -p seed 1 --seed 2": "-p seed is given twice",
    "run --retrain none": "no stored run has the key 'none'",
    "run --retrain none --seed 1": "give no others",
    "run --dataset mnist --likelihood gaussian": "does not suit mnist",
    "run --dataset freyface --binarize": "binarize=True needs likelihood='bernoulli'",
    "run --algorithm mcem --n-mc 2": "n_mc=2",
    "run --n-samples 1e9": "use --train",
    "run --dataset digits --latent-dim 2 --n-mc 1000": "use --train",
    "run --dataset digits --latent-dim 3 --log-marginal quadrature": "use --train",
    "execute fig4_manifold -o fig.html --html --train": "name ends in .ipynb",
    "verify none": "no stored run has the key 'none'",
    "verify": "there are no runs in",
    "verify --jobs 0": "0 is not in the range x>=1",
    "explorer none": "no stored run has the key 'none'",
    "explorer none -o n.ipynb": "'n.ipynb' is a file",
    "data fetch minst": "minst",
    "data fetc": "No such command 'fetc'",
    "sweep none.yaml": "'none.yaml' does not exist",
    "sweep .": "'.' is a directory",
    "execute": "Missing argument 'NOTEBOOK'",
    "execute none.ipynb": "there is no notebook 'none.ipynb'",
    "execute fig2_lower_bond": "did you mean 'fig2_lower_bound'?",
    "execute fig": "more than one notebook",
    "execute n.ipynb -y none.yaml": "'none.yaml' does not exist",
    "execute n.ipynb -o .": "'.' is a directory",
    "execute n.ipynb -p n=1": "declares no parameter 'n'",
}


@pytest.mark.parametrize("words", COMMANDS)
def test_command_line_is_refused(folder, words):
    refused(folder, words.split(), COMMANDS[words])


# vae-core execute: `-p NAME=VALUE`
EXECUTE = {
    "latent_dims=a": "latent_dims=['a'] is not of type list[int]",
    "latent_dims=2,x": "latent_dims=[2, 'x']",
    "latent_dims=5.0": "write 5",
    "latent_dims='2'": "latent_dims=['2']",
    "latent_dims=true": "latent_dims=[True]",
    "latent_dims=[[2]]": "latent_dims=[[2]]",
    "latent_dims=[]": "latent_dims=[] is empty",
    "latent_dims=0": "latent_dims=[0] must be above 0",
    "latent_dim=-1": "latent_dims=[-1] must be above 0",
    "datasets=cifar10": "cifar10",
    "datasets=digits,minst": "did you mean 'mnist'?",
    "datasets=[]": "datasets=[] is empty",
    "datasets=3": "datasets=[3]",
    "algorithms=vae": "algorithms='vae'",
    "algorithms=aevb,vae": "algorithms='vae'",
    "hidden=x": "hidden.0='x'",
    "hidden=0": "hidden=(0,)",
    "hidden=8.5": "hidden.0=8.5",
    "n_trains=1501": "digits has 1500 training images",
    "n_trains=0": "n_trains=0",
    "seeds=-1": "seeds=-1",
    "n_samples=none": "n_samples=None is not of type int",
    "n_samples=1.5": "n_samples=1.5 is not of type int",
    "n_samples=0": "n_samples=0 must be above 0",
    "step_size=.inf": "step_size=inf",
    "step_size='0.1'": "step_size='0.1' is not of type float",
    "step_size=0": "step_size=0 must be above 0",
    "pixels=1": "pixels=1 is not of type bool",
    "title=1": "title=1 is not of type str",
    "settings=3": "settings=3 is not of type dict",
    "settings={stepsize: 1}": "did you mean",
    "settings={seed: 1}": "set seed by its own parameter, seeds",
    "settings={n_mc: 0}": "n_mc=0",
    "settings={estimator: [sgvb_a]}": "estimator=",
    "settings={prior_sd: '1'}": "prior_sd='1'",
    "settings={likelihood: gaussian}": "the notebook itself sets likelihood, leave it out",
    "shown=20": "shown=[20] must be 0 to 19",
    "shown=3,-1": "shown=[3, -1] must be 0 to 19",
    "latent_dims=2,2": "latent_dims=[2, 2] names 2 twice",
    "datasets=digits,digits": "names 'digits' twice",
    "seeds=1,0,1": "seeds=[1, 0, 1] names 1 twice",
}


@pytest.mark.parametrize("pair", EXECUTE)
def test_execute_refuses_a_parameter(folder, pair):
    refused(folder, ["execute", "n.ipynb", "-p", pair], EXECUTE[pair])


BOMB = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES = {
    "[": "line 1",
    "a: b: c": "line 1, column 5",
    "a:\n\t- 1": "line 2",
    "n_samples: 1\nn_samples: 2": "'n_samples' is given twice",
    "sweep: [{seed: 1, seed: 2}]": "'seed' is given twice",
    BOMB: "aliases written out",
    "a: &a {b: *a}": "contains itself",
    "[" * 2000: "lists nested more than 20 deep",
    "x" * 200_000: "200,000 characters",
    "a: !!python/name:os.system ''": "line 1, column 4",
    "a: !!bool maybe": "does not suit",
    "a: \x07": "not valid YAML",
    "---\n1\n---\n2": "line 3",
    "3": "found 3",
    "- 1": "found [1]",
    "1: 2": "found {1: 2}",
    "sweep: 3": "sweep: expected a list",
    "sweep: {seed: 1}": "sweep: expected a list",
    "sweep: [3]": "sweep: entry 1",
    "notebooks: 3\nsweep: [{}]": "notebooks: expected",
    "notebooks: {a: 3}": "notebooks: a: expected",
    "sweep: []": "has no runs under `sweep:`",
    "sweep: [{latentdim: 3}]": "did you mean 'latent_dim'?",
    "sweep: [{dataset: minst}]": "did you mean 'mnist'?",
    "sweep: [{latent_dim: [3, 0]}]": "latent_dim=0",
    "sweep: [{hidden: 16}]": "hidden=16",
    "sweep: [{hidden: {a: 1}}]": "hidden={'a': 1}",
    "sweep: [{seed: []}]": "seed has no value",
    "sweep: [{seed: {a: 1}}]": "seed={'a': 1}",
    "sweep: [{hidden: [0]}]": "hidden=(0,)",
}


@pytest.mark.parametrize("text", FILES, ids=lambda text: text[:30])
def test_a_parameter_file_is_refused(folder, text):
    (folder / "p.yaml").write_text(text)
    refused(folder, ["sweep", "p.yaml", "--dry-run"], FILES[text])


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"", b"{}", b"[1]", b'{"cells": 3}', b"not json"], ids=repr
)
def test_a_notebook_that_is_none_is_refused(folder, content):
    (folder / "bad.ipynb").write_bytes(content)
    refused(folder, ["execute", "bad.ipynb", "-p", "a=1"], "bad.ipynb")


# from Python: the call, what its one line names


@functools.cache
def model():
    return vc.VAE(6, 2, (5,))


@functools.cache
def config(**fields):
    small = {"dataset": "digits", "latent_dim": 2, "hidden": (4,), "n_samples": 100}
    return vc.RunConfig(**small | fields)


X, Z = torch.full((3, 6), 0.5), torch.zeros(3, 2)
ROWS = X.numpy()
NAN, INF = math.nan, math.inf


def density(z):
    return -z.square().sum(-1)


def chains(log_prob=density, z0=Z, n_samples=2, n_burnin=2, n_leapfrog=2, *args, **options):
    return hmc.sample(log_prob, z0, n_samples, n_burnin, n_leapfrog, *args, **options)


def estimate(method="importance_sampling", n_samples=None, x=X, of=model, **options):
    return vc.log_marginal(of(), x, method, n_samples, progress=False, **options)


def bounds(candidates=(0.1,), **options):
    return choose_step_size(config(), candidates, progress=False, **options)


class Other(vc.VAE):
    """A model of one's own."""


def fitted(x=ROWS, **options):
    return vc.fit(x, progress=False, **{"n_samples": 100} | options)


PYTHON = [
    (lambda: vc.RunConfig(latent_dim=0), "latent_dim=0"),
    (lambda: vc.RunConfig(latent_dim=[2]), "latent_dim"),
    (lambda: vc.RunConfig(latentdim=2), "latentdim"),
    (lambda: vc.RunConfig(dataset=3), "dataset=3"),
    (lambda: vc.RunConfig(hidden=5), "hidden"),
    (lambda: vc.RunConfig(hidden=(0,)), "hidden=(0,)"),
    (lambda: vc.RunConfig(step_size=-1), "step_size"),
    (lambda: vc.RunConfig(seed=-1), "seed"),
    (lambda: vc.load_dataset("minst"), "minst"),
    (lambda: vc.load_dataset(3), "dataset=3"),
    (lambda: vc.load_dataset(None), "dataset=None"),
    (lambda: vc.load_dataset(["digits"]), "dataset=['digits']"),
    (lambda: vc.load_dataset(b"digits"), "dataset=b'digits'"),
    (lambda: vc.load_dataset("digits", n_train=0), "n_train=0"),
    (lambda: vc.load_dataset("digits", n_train=9999), "n_train=9999"),
    (lambda: vc.load_dataset("digits", n_train=1.5), "n_train=1.5"),
    (lambda: vc.load_dataset("digits", n_train="3"), "n_train='3'"),
    (lambda: vc.load_dataset("digits", n_train=True), "n_train=True"),
    (lambda: vc.load_dataset("digits", n_test=NAN), "n_test=nan"),
    (lambda: vc.load_dataset("digits", n_test=[3]), "n_test=[3]"),
    (lambda: vc.load_dataset("digits", split_seed=-1), "split_seed=-1"),
    (lambda: vc.load_dataset("digits", split_seed=None), "split_seed=None"),
    (lambda: vc.load_dataset("digits", split_seed=2**32), "split_seed=4294967296"),
    (lambda: vc.load_dataset("digits", binarize="false"), "binarize='false'"),
    (lambda: fetch("digits"), "names='digits'"),
    (lambda: vc.VAE(0, 2), "data_dim=0"),
    (lambda: vc.VAE(4.5, 2), "data_dim=4.5"),
    (lambda: vc.VAE(None, 2), "data_dim=None"),
    (lambda: vc.VAE(4, 0), "latent_dim=0"),
    (lambda: vc.VAE(4, "2"), "latent_dim='2'"),
    (lambda: vc.VAE(4, True), "latent_dim=True"),
    (lambda: vc.VAE(4, INF), "latent_dim=inf"),
    (lambda: vc.VAE(4, 2, hidden=(0,)), "hidden[0]=0"),
    (lambda: vc.VAE(4, 2, hidden=5), "hidden=5"),
    (lambda: vc.VAE(4, 2, hidden=None), "hidden=None"),
    (lambda: vc.VAE(4, 2, hidden=[8, 1.5]), "hidden[1]=1.5"),
    (lambda: vc.VAE(4, 2, likelihood="normal"), "likelihood='normal'"),
    (lambda: vc.VAE(4, 2, likelihood=["bernoulli"]), "likelihood=['bernoulli']"),
    (lambda: vc.VAE(4, 2, init_sd=NAN), "init_sd=nan"),
    (lambda: vc.VAE(4, 2, init_sd=-1), "init_sd=-1"),
    (lambda: vc.VAE(4, 2, init_sd=INF), "init_sd=inf"),
    (lambda: vc.VAE(4, 2, generator=3), "generator=3"),
    (lambda: model().sample(-1), "n=-1"),
    (lambda: model().sample(1.5), "n=1.5"),
    (lambda: model().sample(3, generator=7), "generator=7"),
    (lambda: model().encode(None), "x is a NoneType"),
    (lambda: model().encode(ROWS), "x is a ndarray"),
    (lambda: model().encode(X[:, :5]), "x has shape (3, 5)"),
    (lambda: model().encode(X.double()), "x is of torch.float64"),
    (lambda: model().encode(X.byte()), "x is of torch.uint8"),
    (lambda: model().decode(X), "z has shape (3, 6)"),
    (lambda: model().decode(Z.long()), "z is of torch.int64"),
    (lambda: model().log_joint(X[:, :1], Z), "x has shape (3, 1)"),
    (lambda: model().log_joint(None, Z), "x is a NoneType"),
    (lambda: vc.sgvb_a(model(), X, n_mc=0), "n_mc=0"),
    (lambda: vc.sgvb_b(model(), X, n_mc=1.5), "n_mc=1.5"),
    (lambda: vc.sgvb_b(model(), X, n_mc="2"), "n_mc='2'"),
    (lambda: vc.sgvb_b(model(), X[0]), "x has shape (6,)"),
    (lambda: vc.sgvb_b(model(), X, generator=3), "generator=3"),
    (lambda: vc.sgvb_b(model(), X, epsilon=3), "epsilon=3 is not a Tensor"),
    (lambda: vc.sgvb_b(model(), X, epsilon=Z), "epsilon has shape (3, 2)"),
    (lambda: vc.sgvb_b(model(), X, epsilon=Z[None][:0]), "epsilon has shape (0, 3, 2)"),
    (lambda: vc.importance_weighted_bound(model(), X, n_mc=NAN), "n_mc=nan"),
    (lambda: vc.score_function_surrogate(model(), X[:, :5]), "x has shape (3, 5)"),
    (lambda: estimate(3), "method=3"),
    (lambda: estimate(["ais"]), "method=['ais']"),
    (lambda: estimate(n_samples=1.5), "n_samples=1.5"),
    (lambda: estimate(n_samples=NAN), "n_samples=nan"),
    (lambda: estimate(n_samples="5"), "n_samples='5'"),
    (lambda: estimate(x=None), "x=None is not a Tensor"),
    (lambda: estimate(x=ROWS), "is not a Tensor: torch.as_tensor makes one"),
    (lambda: estimate(x=X[0]), "x has shape (6,)"),
    (lambda: estimate(x=X[:0]), "x has no rows"),
    (lambda: estimate("quadrature", x=X * NAN), "x has values that are NaN"),
    (lambda: estimate("ais", x=X / 0), "x has values that are NaN"),
    (lambda: estimate("quadrature", x=X.byte()), "x is of torch.uint8"),
    (lambda: estimate(x=X.double()), "x is of torch.float64"),
    (lambda: estimate(x=5 * X), "scale them to [0, 1]"),
    (lambda: estimate(of=lambda: None), "model=None"),
    (lambda: estimate("hmc_density", generator=3), "generator=3"),
    (lambda: estimate("hmc_density", n_burnin=-1), "n_burnin=-1"),
    (lambda: estimate("hmc_density", n_leapfrog=1.5), "n_leapfrog=1.5"),
    (lambda: estimate("hmc_density", target_accept="a"), "target_accept='a'"),
    (lambda: estimate("hmc_density", n_candidates=0), "n_candidates=0"),
    (lambda: estimate("hmc_density", density=3), "density=3"),
    (lambda: estimate("hmc_density", start=None), "start=None"),
    (lambda: estimate("ais", n_leapfrog=0), "n_leapfrog=0"),
    (lambda: estimate("ais", n_temperatures=NAN), "n_temperatures=nan"),
    (lambda: estimate("ais", target_accept=2), "target_accept=2"),
    (lambda: estimate("quadrature", tolerance=0), "tolerance=0"),
    (lambda: estimate("quadrature", tolerance=NAN), "tolerance=nan"),
    (lambda: estimate(proposal=3), "proposal=3"),
    (lambda: bdmc(None, 3), "model=None"),
    (lambda: bdmc(model(), 0), "n_points=0"),
    (lambda: bdmc(model(), 3, 1.5), "n_samples=1.5"),
    (lambda: bdmc(model(), 3, generator=4), "generator=4"),
    (lambda: estimate(x=torch.tensor(1.0)), "x has shape ()"),
    (lambda: model().log_joint(X.byte(), Z), "x is of torch.uint8: use x.float()"),
    (lambda: bdmc(model(), 3, target_accept=NAN), "target_accept=nan"),
    (lambda: chains(log_prob=3), "log_prob=3"),
    (lambda: chains(log_prob=lambda z: z.sum()), "log_prob gives the shape ()"),
    (lambda: chains(z0=None), "z0=None"),
    (lambda: chains(z0=Z[0]), "z0 of shape (2,)"),
    (lambda: chains(z0=Z.long()), "z0 of shape (3, 2) and torch.int64"),
    (lambda: chains(z0=Z * NAN), "finite floats"),
    (lambda: chains(n_samples=True), "n_samples=True"),
    (lambda: chains(n_burnin="a"), "n_burnin='a'"),
    (lambda: chains(n_leapfrog=NAN), "n_leapfrog=nan"),
    (lambda: chains(target_accept=NAN), "target_accept=nan"),
    (lambda: chains(step_size=0), "step_size=0"),
    (lambda: chains(step_size=NAN), "step_size=nan"),
    (lambda: chains(step_size="a"), "step_size='a'"),
    (lambda: chains(step_size=torch.ones(7)), "one above 0 for each chain"),
    (lambda: chains(step_size=-torch.ones(3)), "one above 0 for each chain"),
    (lambda: chains(jitter=-1), "jitter=-1"),
    (lambda: chains(jitter=2), "jitter=2"),
    (lambda: chains(jitter=NAN), "jitter=nan"),
    (lambda: chains(generator=3), "generator=3"),
    (lambda: vc.get_or_run(3), "config=3"),
    (lambda: vc.get_or_run({"dataset": "digits"}), "config={'dataset': 'digits'}"),
    (lambda: vc.find_run("digits"), "config='digits'"),
    (lambda: list(sweep([{}])), "config={}"),
    (lambda: list(sweep([config()], jobs=1.5)), "jobs=1.5"),
    (lambda: shard([config()], 1, "a"), "n_shards='a'"),
    (lambda: shard([config()], 1.5, 3), "index=1.5"),
    (lambda: verify(3), "run=3"),
    (lambda: bounds([]), "candidates=[]"),
    (lambda: bounds(0.1), "candidates=0.1: give a list of step sizes"),
    (lambda: bounds(torch.tensor(0.1)), "give a list of step sizes"),
    (lambda: choose_step_size(config(algorithm="mcem")), "algorithm='mcem' has no bound"),
    (lambda: config(algorithm="mcem", latent_dim=30), "its density needs 62 posterior samples"),
    (lambda: config(log_marginal="hmc_density", latent_dim=25), "with latent_dim=25"),
    (lambda: bounds([-1]), "candidates=-1"),
    (lambda: bounds(["a"]), "candidates='a'"),
    (lambda: bounds(n_samples=0), "n_samples=0"),
    (lambda: fitted(latent_dim=0), "latent_dim=0"),
    (lambda: fitted(latent_dim="a"), "latent_dim='a'"),
    (lambda: fitted(dataset="mnist"), "dataset='mnist'"),
    (lambda: fitted(binarize=True, likelihood="gaussian"), "binarize=True needs"),
    (lambda: fitted(ROWS + 1j), "numpy makes complex"),
    (lambda: fitted(model=3), "model=3"),
    (lambda: fitted(model=vc.VAE(6, 2).double()), "is of torch.float64, and runs are float32"),
    (lambda: fitted(model=vc.VAE(7, 2)), "data_dim=6, but that of the model is 7"),
    (lambda: fitted(model=vc.VAE(6, 2), latent_dim=3), "latent_dim=3, but that of the model is 2"),
    (lambda: fitted(model=vc.VAE(6, 2, (5,)), hidden=(7,)), "hidden=(7,), but that of the model"),
    (lambda: fitted(model=vc.VAE(6, 2, (5,)), hidden=5), "hidden=5"),
    (lambda: vc.VAE(6, 2).log_q(torch.zeros(3, 1), torch.zeros(3, 6)), "z has shape (3, 1)"),
    (lambda: fitted(model=vc.VAE(6, 2, (5,)), init_sd=3.0), "init_sd=3.0: the model has its"),
    (lambda: fitted(model=Other(6, 2), matmul_precision="medium"), "matmul_precision='medium'"),
    (lambda: fitted(model=vc.VAE(6, 2), likelihood="gaussian"), "likelihood='gaussian', but"),
    (lambda: linear_gaussian(4, 2, 0), "sd=0"),
]


@pytest.mark.parametrize("call, culprit", PYTHON, ids=[culprit for _, culprit in PYTHON])
def test_a_call_from_python_is_refused(folder, call, culprit):
    with pytest.raises(ValueError) as caught:
        call()
    by_pydantic = isinstance(caught.value, ValidationError)
    text = one_line(caught.value) if by_pydantic else str(caught.value)
    assert culprit in text and "\n" not in text and len(text) < 250
    assert not (folder / "cache").exists()
