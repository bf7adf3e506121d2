"""How studies are kept: rows found by a run's key, and files as the scripts write them."""

from types import SimpleNamespace

import pytest

from vae_book import studies

SCRIPTS = [
    path for path in sorted(studies.FOLDER.glob("*.py")) if "studies.save(" in path.read_text()
]


def test_a_study_that_is_not_there_is_empty():
    assert studies.load("no_such_study") == []


def test_rows_go_with_their_runs_in_the_studys_order():
    rows = [{"key": "b", "n": 1}, {"key": "absent", "n": 2}, {"key": "a", "n": 3}]
    runs = [SimpleNamespace(key=key) for key in "abc"]
    assert studies.of_stored(rows, iter(runs)) == [(rows[0], runs[1]), (rows[2], runs[0])]


def test_what_is_saved_beside_a_script_is_what_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "FOLDER", tmp_path)
    content = [{"key": "a", "mean": 0.5}]
    studies.save(tmp_path / "some.py", content)
    assert studies.load("some") == content


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_stored_studies_are_as_their_scripts_save_them(script, tmp_path):
    studies.save(tmp_path / script.name, studies.load(script.stem))
    saved = (tmp_path / f"{script.stem}.json").read_text()
    assert saved == script.with_suffix(".json").read_text()
