"""The tables below the claims and the findings of the front page, from runs made for it."""

import json
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from test_verdicts import all_of_figure2, all_of_figure3, run_at, with_metrics

import vae_core as vc
from vae_book.plots import Note, Table, marginal, paper
from vae_book.verdicts import contests, evidence, figure2_runs
from vae_book.verdicts.findings import findings
from vae_book.verdicts.verdict import Verdict
from vae_core.model import gaussian_log_prob

ROOT = Path(__file__).resolve().parents[1]
MEAN_FACE = json.loads((ROOT / "book/studies/mean_face.json").read_text())


def shown(html):
    """The texts of the elements of a page, in order."""
    found = []
    parser = HTMLParser()
    parser.handle_data = found.append
    parser.feed(html)
    return found


def test_a_column_that_says_the_same_in_every_row_is_said_once():
    table = Table(["Data", "Nz", "bound"], [["MNIST", "2", "-1"], ["MNIST", "5", "-1"]], "x", 2)
    assert shown(table._repr_html_()) == (
        ["In every row: Data MNIST", "Nz", "bound", "2", "-1", "5", "-1"]
    )
    assert repr(table).splitlines() == ["Data  Nz  bound", "MNIST  2  -1", "MNIST  5  -1"]


@pytest.mark.parametrize(
    ("rows", "n_text_columns"),
    [([["MNIST", "2"]], 1), ([["MNIST", "2"], ["MNIST", "5"]], 2), ([["", "2"], ["", "5"]], 1)],
)
def test_one_row_cards_and_empty_cells_keep_their_columns(rows, n_text_columns):
    html = Table(["Data", "Nz"], rows, "x", n_text_columns)._repr_html_()
    assert "In every row" not in html and shown(html)[:2] == ["Data", "Nz"]


def test_a_note_is_a_paragraph_and_its_text():
    note = Note("3 of 5 <b>")
    assert (note._repr_html_(), repr(note)) == ("<p>3 of 5 &lt;b&gt;</p>", "3 of 5 <b>")


def test_claims_without_a_run_are_not_listed():
    told = Verdict("Figure 2", "AEVB leads", "page", (True, False), "curves", ours="by 2 nats")
    table = evidence.claim_table([told, Verdict("Figure 2", "No run", "page")])
    assert table.rows == [["AEVB leads", "◔ 1 of 2 curves", "", "by 2 nats"]]
    assert evidence.claim_table([Verdict("Figure 2", "No run", "page")]) is None


def test_bounds_by_size_are_those_at_a_count_that_all_reach():
    runs = [run_at(latent_dim=10), run_at(latent_dim=20, n_samples=1_000_000)]
    runs += [run_at(latent_dim=20, algorithm="wake_sleep")]
    expected = [run.at(1e6) for run in runs[:2]]
    assert evidence.size_table(runs).rows == [
        ["MNIST", "10<sup>6</sup>", str(dim), f"−{-bound:.1f}"]
        for dim, bound in zip((10, 20), expected, strict=True)
    ]


def test_the_scatter_over_seeds_is_that_of_the_widest_experiment():
    def seeds(offsets, **experiment):
        return [run_at(offset, seed=i, **experiment) for i, offset in enumerate(offsets)]

    runs = seeds([0.0, 1.0], latent_dim=5) + seeds([0.0, 3.0, 1.0], latent_dim=10)
    runs += seeds([0.0], algorithm="wake_sleep", latent_dim=10)
    note = evidence.scatter_note(runs, at=[1e6, 2e6, 1e8])
    told = "samples: AEVB on MNIST 3.0 nats (10 latent variables)."
    start = "Largest range over seeds after"
    assert repr(note) == f"{start} 1,000,000 {told} {start} 2,000,000 {told}"
    assert evidence.scatter_note(runs[:1]) is None
    assert evidence.scatter_note(runs, at=[1e8]) is None


def test_variances_are_those_of_models_whose_weights_are_stored():
    run = with_metrics(run_at(), **{"bound_variance/test/50": {"variance": 0.25}})
    assert evidence.variance_table([run]).rows == []
    stored = next(r for r in vc.all_runs() if "bound_variance/test/50" in r.metrics)
    (row,) = evidence.variance_table([stored]).rows
    assert float(row[-1]) == round(stored.metrics["bound_variance/test/50"]["variance"], 4)


def test_the_plateau_ends_where_the_curve_leaves_it():
    kind = dict(dataset="freyface", algorithm="wake_sleep", latent_dim=2)
    stays, leaves = run_at(18.0, **kind), run_at(seed=1, **kind)  # each at its own height
    leaves.curve["test_bound"][-5:] += [5.0, 11.0, 50.0, 50.0, 50.0]
    first, second = evidence.plateau_table([stays, leaves, run_at()]).rows
    assert first[:2] == ["2", "0"] and first[3:5] == ["its end", "10<sup>7</sup>"]
    assert float(first[2]) == pytest.approx(float(second[2]) + 18, abs=0.11)
    until = float(second[3].removesuffix(" million")) * 1e6
    assert leaves.curve["samples"][-5] < until < leaves.curve["samples"][-4]
    assert float(second[5]) == pytest.approx(float(second[2]) + 50, abs=1)


@pytest.mark.data("freyface")
def test_what_the_mean_face_is_worth_is_told_with_the_plateau():
    """The best constant Gaussian of each split, and where wake-sleep rests on it."""
    page = nbformat.read(ROOT / "book/figures/fig2_lower_bound.ipynb", as_version=4)
    text = " ".join(" ".join(cell.source for cell in page.cells).split())
    rests = {run.config.split_seed: [] for run in figure2_runs(vc.all_runs())}
    for run in figure2_runs(vc.all_runs()):
        if (run.config.dataset, run.config.algorithm) == ("freyface", "wake_sleep"):
            rests[run.config.split_seed].append(run.curve["test_bound"][-1])
    worth = []
    for split in (0, 1, 2):
        faces = vc.load_dataset("freyface", split_seed=split)
        mean, log_var = (
            faces.train.double().mean(0),
            faces.train.double().var(0, correction=0).log(),
        )
        worth.append(gaussian_log_prob(faces.test.double(), mean, log_var).mean().item())
        assert len(rests[split]) == 4 and max(abs(worth[-1] - v) for v in rests[split]) < 3
    first, second, third = worth
    assert f"come to {first:.1f}, {second:.1f} and {third:.1f} nats" in text


def test_algorithms_are_ordered_by_their_ends_on_test_images():
    runs = all_of_figure3()
    rows = evidence.order_table(runs).rows
    assert [row[1] for row in rows] == ["1,000", "50,000"]
    for row, n_train in zip(rows, (1_000, 50_000), strict=True):
        ends = {
            run.config.algorithm: run.curve["test_log_marginal"][-1]
            for run in runs
            if run.config.n_train == n_train
        }
        best = max(ends, key=ends.get)
        name = {"aevb": "AEVB", "mcem": "Monte Carlo EM", "wake_sleep": "Wake-sleep"}[best]
        assert row[2].startswith(f"{name} −{-ends[best]:.1f}")


def test_the_findings_are_those_of_the_runs():
    worse = [
        run_at(-3.0, dataset="mnist", latent_dim=3),
        run_at(algorithm="wake_sleep", latent_dim=3),
    ]
    others = [r for r in all_of_figure2() if r.config.latent_dim != 3]
    found = {f.title: f for f in findings([*others, *worse, *all_of_figure3()], MEAN_FACE, [])}
    lead = contests.paper_contest("mnist", 3, 1e7)[0] - 3.0
    wins = 8 + (lead > 0)
    assert found["The algorithms rank as in the paper"].number == f"{wins} of 9"
    misses = found["Not every curve matches, or reaches far enough"]
    assert misses.text.startswith("After ten million samples 1 of the 18 curves")
    assert "after a hundred million 0 of the 0 that reach that far" in misses.text
    assert "goes on to 250 million, and our curves stop at 10" in misses.text
    assert misses.text.endswith("In Figure 3, 0 of 12 curves end more than 1.5 nats off.")
    assert misses.number == "17 of 18"
    plateau = found["Wake-sleep’s plateau on faces has a cause"]
    after, before = (
        sum(c["test_bound"][-1] for c in MEAN_FACE["curves"][name]) / 2
        for name in ("reading_centred", "reading")
    )
    assert plateau.number == f"+{after - before:.0f} nats"


def test_what_no_run_can_tell_is_no_finding():
    titles = [found.title for found in findings([], MEAN_FACE, [])]
    assert titles == [
        "Faces overfit beyond the printed axis",
        "Wake-sleep’s plateau on faces has a cause",
    ]
    (faces,) = findings([], [], [])
    assert faces.title == titles[0]
    drawn = [paper.fig2_curve("freyface", size, "aevb", "test").bound for size in (2, 5, 10, 20)]
    falls = [bound.max() - bound[-1] for bound in drawn]
    assert f"by {min(falls):.0f} to {max(falls):.0f} nats from its maximum" in faces.text
    assert max(falls) > falls[-1] and "The largest model does not lose the most" in faces.text


def test_the_estimators_finding_is_the_gap_to_quadrature():
    runs = all_of_figure3()
    gaps = {"aevb": 2.0, "mcem": 1.0, "wake_sleep": 9.0}
    for run in runs:
        for split in marginal.SPLITS:
            true = marginal.end_of(run, split)[2] + gaps[run.config.algorithm]
            name = f"log_marginal/{split}/quadrature/1000/tolerance=0.002"
            run.metrics[name] = {"mean": true}
    (found,) = [f for f in findings(runs, MEAN_FACE, []) if "Figure 3 also measures" in f.title]
    assert found.number == "+2.0 nats" and "1.0 to 2.0 nats better" in found.text


def test_the_table_of_where_codes_lie_holds_every_stored_model_and_what_figure_4_says_of_it():
    rows = json.loads((ROOT / "book/studies/where_codes_lie.json").read_text())
    faces = [run for run in vc.all_runs() if run.config.dataset == "freyface" and run.has_weights]
    keys = [run.key for run in faces if run.config.algorithm == "aevb"]
    assert sorted(row["key"] for row in rows) == sorted(keys)
    plane = max((r for r in rows if r["latent_dim"] == 2), key=lambda r: r["n_samples"])
    assert plane["n_samples"] == 100_000_000  # "after a hundred million, is faces throughout"
    assert plane["strangeness"]["prior"] <= plane["strangeness"]["codes"]  # "no stranger"
    for dim in (2, 5, 10, 20):  # "those with the larger step do so best, at every size"
        of_size = [r for r in rows if r["latent_dim"] == dim]
        assert min(of_size, key=lambda r: r["strangeness"]["prior"])["step_size"] == 0.02
