"""Tables of Figure 3: end values beside the paper's, estimators beside the truth, their bias."""

import math
import warnings

import numpy as np
import torch

from vae_book.plots import curves, paper
from vae_book.plots.style import NTRAIN, NZ, data_title, name_of
from vae_book.plots.tables import Table, nats, power
from vae_book.readings import CHOICE_HEAD, choice_of, choice_words, longest
from vae_core.linear_gaussian import exact_log_marginal, linear_gaussian
from vae_core.marginal_likelihood import log_marginal
from vae_core.marginal_likelihood.quadrature import PER_AXIS
from vae_core.runs import metrics as evaluations
from vae_core.runs.metrics import SPLITS

LABELS = ["Data", NTRAIN, NZ, "Algorithm", "Seed"]
APPENDIX_D_READINGS = {
    "Gaussian": {},
    "kernel density": {"density": "kde"},
    "one chain split": {"split_half": True},
}


def is_estimated(run) -> bool:
    """Whether a run's curve has log p(x) as estimated from samples, as the paper's has."""
    return "test_log_marginal" in run.curve and run.config.log_marginal != "quadrature"


def end_of(run, split: str) -> tuple[float, float, float]:
    """Where the shorter of the paper's curve and ours ends: (samples, the paper's value, ours).

    Values in nats; the paper's is nan where it drew no such curve.
    """
    curve, end = paper.fig3_of(run, split), float(run.curve["samples"][-1])
    theirs = math.nan
    if curve is not None:
        end = min(end, float(np.max(curve.samples)))
        theirs = float(curve.at(end))
    return end, theirs, run.at(end, f"{split}_log_marginal")


def end_values(runs, n_points: int) -> list[dict]:
    """For each run and split: the paper's last value that our run covers, ours there, and more.

    "ours" is read off our own curve at the same sample count; "sd" is that of independent repeats
    of the estimate on the finished model, and "truth" that model's by quadrature, nan where it has
    not been computed: a thousand images take minutes.
    """
    rows = []
    for run in runs:
        for split in SPLITS:
            samples, theirs, ours = end_of(run, split)
            rows.append(
                {
                    "run": run,
                    "split": split,
                    "samples": samples,
                    "paper": theirs,
                    "ours": ours,
                    "sd": evaluations.repeated_log_marginal(run, split, n_points=n_points)["sd"],
                    "truth": evaluations.known_log_marginal(run, split, "quadrature", n_points),
                }
            )
    return rows


def end_table(runs, n_points: int = evaluations.N_POINTS) -> Table:
    """End values of Figure 3: the paper's, ours by the paper's estimator, and the truth."""
    header = [*LABELS, "Split", "samples", "paper", "ours", "difference", "sd of repeats"]
    header += ["ours, by quadrature"]
    rows = [
        [
            *_labels(row["run"]),
            row["split"],
            power(row["samples"]),
            nats(row["paper"]),
            nats(row["ours"]),
            nats(row["ours"] - row["paper"], signed=True, digits=2),
            nats(row["sd"], digits=2),
            nats(row["truth"], digits=2),
        ]
        for row in end_values(runs, n_points)
    ]
    return Table(header, rows, "End values of Figure 3 beside the paper's, in nats", 6)


def reading_table(runs) -> Table:
    """Readings of Figure 3 (steps, prior): mean distance to the paper's curves, in nats.

    Runs are compared within each experiment (N_train, algorithm), at the sample counts at which
    the most coarsely evaluated one was evaluated and the paper printed a value.
    """
    experiments: dict[tuple, list] = {}
    for run in runs:
        config = run.config
        if is_estimated(run) and paper.fig3_of(run, "test") is not None:
            experiments.setdefault((run.config.n_train, run.config.algorithm), []).append(run)
    rows = []
    for key in sorted(experiments):
        found = [(_distance(run, _counts(experiments[key])), run) for run in experiments[key]]
        for distance, run in sorted(found, key=lambda pair: pair[0]):
            config = run.config
            reading = choice_words(choice_of(config))
            rows.append([*_labels(run), *reading, nats(distance), power(config.n_samples)])
    header = [*LABELS, "step size", *CHOICE_HEAD[1:]]
    header += ["distance to the paper", "samples"]
    return Table(header, rows, "Readings of Figure 3, nearest to the paper first, in nats", 5)


def _counts(runs) -> np.ndarray:
    """Sample counts at which runs of one experiment are compared with the paper."""
    coarsest = min(runs, key=lambda run: (run.config.evals_per_decade, run.config.n_samples))
    until = min(run.curve["samples"][-1] for run in runs)
    first = max(
        curve.samples[curve.in_axes][0]
        for curve in (paper.fig3_of(coarsest, split) for split in SPLITS)
    )
    counts = np.asarray(coarsest.curve["samples"], float)
    return counts[(counts >= first) & (counts <= until)]


def _distance(run, counts: np.ndarray) -> float:
    """Mean absolute difference over both splits; nan where the paper printed nothing."""
    differences = [
        run.at(count, f"{split}_log_marginal") - float(paper.fig3_of(run, split).at(count))
        for split in SPLITS
        for count in counts
    ]
    known = np.abs([d for d in differences if math.isfinite(d)])
    return float(known.mean()) if len(known) else math.nan


def _labels(run) -> list[str]:
    """The cells of a row below LABELS: what tells one run of Figure 3 from another."""
    config = run.config
    labels = [data_title(config.spec), f"{config.n_train:,}", str(config.latent_dim)]
    return [*labels, name_of(config.algorithm), str(config.seed)]


def truth_table(runs, n_points: int = evaluations.N_POINTS) -> Table:
    """The finished models by three estimators and, up to three latent variables, by quadrature.

    The last column is what Appendix D adds to the truth.
    """
    header = [*LABELS, "Split"]
    header += ["importance sampling", "annealed", "Appendix D", "quadrature", "error of Appendix D"]
    rows = []
    for run in runs:
        for split in SPLITS:
            values = [
                evaluations.mean_log_marginal(run, split, method, n_points)
                for method in ("importance_sampling", "ais", "hmc_density")
            ]
            shown = [f"{nats(v['mean'])} ± {v['stderr']:.2f}" for v in values]
            truth = math.nan
            if run.config.latent_dim in PER_AXIS:
                truth = evaluations.mean_log_marginal(run, split, "quadrature", n_points)["mean"]
            error = nats(values[2]["mean"] - truth, signed=True, digits=2)
            rows.append([*_labels(run), split, *shown, nats(truth, digits=2), error])
    return Table(header, rows, "log p(x) of the finished models, estimated and exact, in nats", 6)


def along_table(runs, stored) -> Table:
    """What Appendix D is off in the course of the training, where quadrature tells, in nats.

    A column is half a factor of ten in samples, since a step of Monte Carlo EM is a large one.
    """
    errors, stored = {}, list(stored)
    for run in runs:
        end = run.curve["samples"][-1]
        for split, samples, truth in curves.truths_along(run, stored):
            estimate = run.at(samples, curves.LOG_MARGINAL[split])
            place = math.inf if samples == end else 10 ** (round(2 * math.log10(samples)) / 2)
            at = errors.setdefault((*_labels(run), split), {})
            at[place] = nats(estimate - truth, signed=True, digits=2)
    places = sorted({place for at in errors.values() for place in at})
    rows = [[*who, *(at.get(place, "") for place in places)] for who, at in errors.items()]
    header = [*LABELS, "Split", *("the end" if p == math.inf else power(p) for p in places)]
    caption = "Appendix D less quadrature after about so many samples, in nats"
    return Table(header, rows, caption, 6)


def known_answer_errors(latent_dim: int, n_points: int = 200, n_samples: int = 50) -> dict:
    """Error of each reading of Appendix D where log p(x) is known: {name: (mean, stderr)}.

    The model is probabilistic PCA with 50 pixels, the data are its own.
    """
    generator = torch.Generator().manual_seed(latent_dim)
    model = linear_gaussian(50, latent_dim, generator=generator)
    z = torch.randn(n_points, latent_dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(n_points, 50, generator=generator, dtype=torch.float64)
    x = model.sample_given(z, noise).detach()
    exact = exact_log_marginal(model, x)
    results = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is unreliable is what is measured
        for name, options in APPENDIX_D_READINGS.items():
            try:
                estimate = log_marginal(
                    model, x, "hmc_density", n_samples, generator=generator, n_burnin=60, **options
                )
            except ValueError:  # too few samples for so many dimensions
                results[name] = (math.nan, math.nan)
                continue
            error = estimate - exact
            results[name] = error.mean().item(), error.std().item() / math.sqrt(n_points)
    return results


def known_answer_table(latent_dims) -> Table:
    """Bias of Appendix D by latent dimension on models whose log p(x) is known."""
    rows = []
    for latent_dim in latent_dims:
        errors = known_answer_errors(latent_dim).values()
        rows.append([str(latent_dim), *(_with_error(*error) for error in errors)])
    header = [NZ, *APPENDIX_D_READINGS]
    return Table(header, rows, "Mean error of Appendix D on probabilistic PCA, in nats")


def _with_error(mean: float, stderr: float) -> str:
    if not math.isfinite(mean):
        return "refused"
    return f"{mean:+.2f} ± {stderr:.2f}".replace("-", "−")


def sandwich_table(runs) -> Table:
    """Appendix D and importance sampling inside or outside the BDMC sandwich, trained decoders."""
    header = [NZ, "hidden", "lower", "upper", "importance sampling"]
    header += ["Appendix D", "error of Appendix D"]
    rows = []
    for run in runs:
        found = evaluations.appendix_d_bias(run)
        middle = 0.5 * (found["lower"] + found["upper"])
        names = ("lower", "upper", "importance_sampling", "hmc_density")
        error = f"{found['hmc_density'] - middle:+.2f}".replace("-", "−")
        hidden = ", ".join(map(str, run.config.hidden))
        rows.append([str(run.config.latent_dim), hidden, *(nats(found[n]) for n in names), error])
    return Table(header, rows, "Appendix D against a BDMC sandwich on simulated data, in nats", 2)


def decoders_for_bias(runs, latent_dims) -> list:
    """The longest AEVB run with weights for each latent dimension, a Bernoulli decoder."""

    def suits(run) -> bool:
        c = run.config
        kind = c.dataset, c.algorithm, c.likelihood
        is_asked_for = c.latent_dim in latent_dims and kind == ("mnist", "aevb", "bernoulli")
        return is_asked_for and run.has_weights

    return list(longest(filter(suits, runs), lambda run: run.config.latent_dim).values())
