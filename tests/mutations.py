"""What mutation testing changes, and what is known of it: the tables of :mod:`mutants`.

A mutant is one small change of one module of the package, made in its syntax tree.
"""

import ast
import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PER_MODULE = 8  # beside those of NAMED
TESTS = {  # in this order, until one fails: the fast ones first
    "model": "test_model test_numpy_reference test_own_models",
    "estimators": "test_numpy_reference test_estimators",
    "images": "test_numpy_reference test_golden_runs",
    "algorithms/common": "test_numpy_reference test_golden_runs test_training test_fit",
    "algorithms/aevb": "test_numpy_reference test_golden_runs",
    "algorithms/wake_sleep": "test_numpy_reference test_golden_runs test_algorithms",
    "algorithms/autoencoder": "test_golden_runs test_algorithms",
    "algorithms/mcem": "test_numpy_reference test_golden_runs test_mcem",
    "hmc": "test_hmc",
    "log_joint": "test_hmc test_marginal_likelihood test_numpy_reference",
    "marginal_likelihood/appendix_d": "test_marginal_likelihood",
    "marginal_likelihood/importance": "test_marginal_likelihood",
    "marginal_likelihood/annealed": "test_marginal_likelihood",
    "marginal_likelihood/quadrature": "test_marginal_likelihood",
    "marginal_likelihood/chains": "test_marginal_likelihood test_calibration",
    "data/load": "test_data",
    "runs/config": "test_config test_golden_runs",
    "runs/steps": "test_steps test_golden_runs test_training",
    "runs/plan": "test_golden_runs test_training test_readings test_verify test_stops",
    "runs/trainer": "test_golden_runs test_training test_steps",
    "runs/store": "test_own_file test_golden_runs test_runs test_stops",
    "runs/checkpoint": "test_stops test_runs test_own_models",
    "runs/_fit": "test_fit test_own_models",
    "runs/_own_model": "test_fit test_own_models",
    "runs/_start": "test_own_models test_fit",
    "runs/_arrays": "test_fit",
}
NAMED = {  # silent errors that were once possible: the module, what it says, what it must not
    "M/N scale of the prior dropped": ("algorithms/common", "share / prior_sd", "1 / prior_sd"),
    "prior off": ("algorithms/common", "if prior_sd is None:", "if True:"),
    "epsilon outside the root": (
        "algorithms/common",
        "grad * torch.rsqrt(sums[name] + epsilon)",
        "grad / (torch.sqrt(sums[name]) + epsilon)",
    ),
    "warm-up off": ("algorithms/common", "steps >= settings.adagrad_warmup", "steps >= 0"),
    "n_mc ignored": ("algorithms/aevb", "(settings.n_mc, ", "(1, "),
    "estimator ignored": ("algorithms/aevb", "ESTIMATORS[settings.estimator]", "sgvb_b"),
    "minibatch bound doubled": (
        "runs/trainer",
        "bound_sum.add_(value)",
        "bound_sum.add_(2 * value)",
    ),
    "minibatch bound without log q": (
        "algorithms/wake_sleep",
        "log_joint - log_q.sum()",
        "log_joint",
    ),
    "binarize ignored": ("runs/store", "binarize=config.binarize", "binarize=False"),
    "split_seed ignored": ("runs/store", "split_seed=config.split_seed", "split_seed=0"),
    "chains start anywhere": (
        "marginal_likelihood/chains",
        "torch.softmax(log_joint_of(model, x).table(candidates).T, dim=-1)",
        "torch.ones(x.shape[0], n_candidates)",
    ),
    "proposal not widened": (
        "marginal_likelihood/importance",
        "widening: float = 1.3",
        "widening: float = 1.0",
    ),
    "another run's config": ("runs/store", "if run and run.config == config and", "if run and"),
}
FREE = ("_ROWS", "BLOCK", "_SECONDS", "_PER_SECOND", "_ABOVE", "in_one_graph")  # speed only
SURVIVORS = {  # a mutant's name -> why it may live; it counts as alive and is not tried
    "hmc.step: -1 -> 1": "the last of two axes",
    "hmc._start: -1 -> 1": "the last of two axes",
    "marginal_likelihood/annealed.bdmc: 100 -> 201": "more temperatures bracket as well",
    "marginal_likelihood/annealed: 2 -> 5": "any number of pilot chains tunes the steps",
    "marginal_likelihood/chains: 1000 -> 2001": "more candidates find the same modes",
    "marginal_likelihood/importance.fitted_proposal: 40 -> 81": "a longer chain fits as well",
    "marginal_likelihood/importance.importance_sampling: 0 -> 1": (
        "blocks of another size give the same numbers"
    ),
    "runs/plan.evaluation_seconds: 2 -> 5": "a rough time, of an evaluation",
    "runs/trainer: 1000 -> 2001": "blocks of another size give the same numbers",
    "runs/trainer.Trainer._step: self.stream is not None -> self.stream is None": (
        "only a GPU can tell: a value that nobody asked for is not used"
    ),
    "runs/trainer.Trainer._row: 32 -> 65": "evaluations of two seeds may share their noise",
    "runs/trainer.Trainer.run: True -> False": "whether there is a bar, if nobody says so",
    "runs/store._paths: -9 -> 9": "a longer end of the key is in the name as well",
    "runs/_arrays.as_dataset: 0 -> 1": "nobody asks for the validation images of arrays",
    "runs/_arrays.described: 0 -> 1": "nobody asks for the validation images of arrays",
    "runs/config.RunConfig._check_cost: self.mcem_leapfrog + self.mcem_updates -> "
    "self.mcem_leapfrog - self.mcem_updates": "the years that are refused are a rough number",
    "log_joint: 112 -> 225": "2^-126, the smallest normal number, is a limit as well",
    "runs/steps.fused: False -> True": "a graph for any shape computes the same",
    "runs/steps.Replays._prepare: True -> False": "a step of either kind fills the caches",
    "runs/steps.cuda_graph: graph.register_generator_state(generator) -> pass": (
        "only a GPU can tell: the tests of test_steps that need one"
    ),
    "marginal_likelihood/quadrature.refine: 4 -> 9": "the halves by layers stop too soon a lattice",
    "marginal_likelihood/quadrature.error_of_spread: 1 -> 3": "a direction is its opposite",
    "runs/checkpoint.resume: 2 -> 5": "whose line a warning names",
    "runs/_own_model.try_model: 0 -> 1": "another seed tells as much",
    "runs/_fit.fit: check_hardware(config) -> pass": "the trainer refuses it, too",
    "runs/_start: 200 -> 401": "more rows know a model as well",
    "runs/_start._untouched: torch.set_num_threads(1) -> pass": (
        "sums of a small model are the same in any number of threads"
    ),
    "runs/checkpoint.RunInterrupted.__init__: super().__init__(key, checkpoint) -> pass": (
        "Python keeps the arguments of an exception when it is made"
    ),
}
SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: its module, its name, the module's whole source with it, the lines it is in."""

    module: str
    name: str
    source: str
    lines: range

    @property
    def digest(self) -> str:
        """Of the code alone: comments and docstrings may be rewritten."""
        code = ast.unparse(without_docstrings(ast.parse(self.source)))
        code = code.replace('"', "'")  # Python 3.12 quotes f-strings otherwise than 3.11
        return hashlib.sha256(f"{self.module} {code}".encode()).hexdigest()[:16]


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree with every docstring taken out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest or [ast.Pass()]
    return tree


def changed(node: ast.AST) -> ast.AST | None:
    """The node with one thing wrong, or None where there is nothing to change."""
    new = copy.deepcopy(node)
    match new:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            new.op = SWAPS[type(op)]()
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            new.ops = [SWAPS[type(op)]()]
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            return new.operand
        case ast.Constant(value=bool(value)):
            new.value = not value
        case ast.Constant(value=int() | float() as value):
            new.value = value * 2 + 1
        case ast.Expr(value=ast.Call()):
            return ast.copy_location(ast.Pass(), node)
        case _:
            return None
    return new


def pointless(node: ast.AST) -> Iterator[ast.AST]:
    """What changes no behaviour that a test could promise: decorators, paths, block sizes."""
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            roots = node.decorator_list
        case ast.keyword(arg="strict"):
            roots = [node.value]
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str()) | ast.JoinedStr()):
            roots = [node]
        case ast.Assign(targets=[ast.Name(id=name)]) if name.endswith(FREE):
            roots = [node.value]
        case _:
            roots = []
    for root in roots:
        yield from ast.walk(root)


class _Replace(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().visit(node)


def source_of(module: str) -> str:
    return (ROOT / "vae_core" / f"{module}.py").read_text()


def mutants(module: str, most: int) -> Iterator[Mutant]:
    """Those of NAMED and up to ``most`` others of a module, evenly spread over its lines."""
    source = source_of(module)
    for name, (where, old, new) in NAMED.items():
        if where == module:
            assert source.count(old) == 1, f"NAMED: {old!r} stands not once in {module}.py"
            line = source[: source.index(old)].count("\n") + 1
            changed_source, lines = source.replace(old, new), range(line, line + 1)
            yield Mutant(module, f"{module}: {name}", changed_source, lines)
    tree = ast.parse(source)
    skipped = {id(node) for root in ast.walk(tree) for node in pointless(root)}
    nodes = [node for node in ast.walk(tree) if id(node) not in skipped]
    found = [(node, new) for node in nodes if (new := changed(node)) is not None]
    found.sort(key=lambda pair: (pair[0].lineno, pair[0].col_offset))
    step = max(1, len(found) / most)
    for old, new in [found[int(i * step)] for i in range(min(most, len(found)))]:
        name = f"{place(tree, module, old)}: {ast.unparse(old)} -> {ast.unparse(new)}"
        whole = ast.parse(source)  # nodes are found again by position: a tree is changed once
        twin = next(n for n, o in zip(ast.walk(whole), ast.walk(tree), strict=True) if o is old)
        replaced = _Replace(twin, new).visit(whole)
        changed_source = ast.unparse(ast.fix_missing_locations(replaced))
        yield Mutant(module, name, changed_source, statement(tree, old))


def statement(tree: ast.Module, node: ast.AST) -> range:
    """The lines of the statement that a node is in; of a compound one, those of its head."""
    inner = None
    for outer in ast.walk(tree):  # from the outside in
        if isinstance(outer, ast.stmt) and outer.lineno <= node.lineno <= outer.end_lineno:
            inner = outer
    body = getattr(inner, "body", None)
    return range(inner.lineno, body[0].lineno if body else inner.end_lineno + 1)


def place(tree: ast.Module, module: str, node: ast.AST) -> str:
    """Module, class and function of a node: names last longer than numbers of lines."""
    around = [
        outer.name
        for outer in ast.walk(tree)  # from the outside in
        if isinstance(outer, ast.ClassDef | ast.FunctionDef)
        and outer.lineno <= node.lineno <= outer.end_lineno
    ]
    return ".".join([module, *around])
