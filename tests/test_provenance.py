"""What a run says of its origin, where there is no git, no package and no /proc."""

import platform
import subprocess
from pathlib import Path

from vae_core.runs import provenance


def test_without_a_repository_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert provenance.git_commit() is None


def test_the_commit_of_another_project_is_not_ours(monkeypatch, tmp_path):
    """Installed in an environment within that project, which git ignores there."""
    installed = tmp_path / ".venv" / "vae_core"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    (tmp_path / ".gitignore").write_text(".venv\n")
    monkeypatch.setattr(provenance, "PACKAGE", installed)

    def git(*words):
        name = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", tmp_path, *name, *words], check=True, capture_output=True)

    git("init")
    git("add", ".gitignore")
    git("commit", "-m", "theirs")
    assert provenance.git_commit() is None
    git("add", "-f", ".venv")
    git("commit", "-m", "ours, too")
    assert len(provenance.git_commit()) == 40


def test_without_git_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_commit() is None


def test_the_processor_is_named_as_the_system_names_it(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda path: "flags\t: fpu\nmodel name\t: Fast: 2000\n")
    assert provenance.processor() == "Fast: 2000"

    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert provenance.processor() == (platform.processor() or platform.machine())
    monkeypatch.setattr(Path, "read_text", lambda path: "flags\t: fpu\n")
    assert provenance.processor() == (platform.processor() or platform.machine())


def test_the_hash_of_the_source_is_of_names_and_contents(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    hashes = []
    for name, text in [("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", "x = 2"), ("c.md", "")]:
        (tmp_path / name).write_text(text)
        hashes.append(provenance.source_sha256())
    assert len(set(hashes[:3])) == 3 and hashes[3] == hashes[2]
