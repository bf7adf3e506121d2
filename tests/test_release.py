"""The archive of the stored runs: packed, loaded from a file or an address, checked."""

import functools
import http.server
import threading

import pytest
from click.testing import CliRunner

from vae_book import published, release
from vae_book.cli import cli
from vae_core.runs.checks import sha256_sums


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of two committed runs, of which the package knows the checksums."""
    folder = tmp_path / "committed"
    for key in ("a-z2-s0-1", "b-z5-s1-2"):
        (folder / key).mkdir(parents=True)
        (folder / key / "run.json").write_text(f'{{"{key}": 1}}')
    (folder / "a-z2-s0-1" / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    sums = tmp_path / "package" / "SHA256SUMS"
    sums.parent.mkdir()
    sums.write_text(sha256_sums(folder))
    (folder / "SHA256SUMS").write_text(sums.read_text())
    monkeypatch.setattr(release, "reference_sums", lambda: sums)
    monkeypatch.setenv("VAE_CORE_REFERENCE", str(folder))
    return folder


@pytest.fixture
def archive(runs, tmp_path):
    return release.pack(tmp_path / "release")[0]


@pytest.fixture
def elsewhere(tmp_path, archive, monkeypatch):
    """The folder of the committed runs of another machine: nothing is there yet."""
    folder = tmp_path / "elsewhere" / "reference"
    monkeypatch.setenv("VAE_CORE_REFERENCE", str(folder))
    return folder


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def call(*words, status=0):
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert result.exit_code == status, result.output
    return result.output.strip()


def test_the_archive_of_the_same_runs_is_the_same_to_the_byte(runs, tmp_path):
    (first, digest), (second, again) = (release.pack(tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes() and digest == again
    assert call("reference", "pack", tmp_path / "c").startswith(f"{digest}  {tmp_path}")


def test_a_run_that_has_changed_is_not_packed(runs, tmp_path):
    (runs / "a-z2-s0-1" / "run.json").write_text("{}")
    assert "run.json is not as in SHA256SUMS" in call("reference", "pack", tmp_path, status=2)
    assert not list(tmp_path.glob("*.tar.xz"))


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_runs_come_from_a_file(runs, archive, elsewhere, scheme):
    told = call("reference", "fetch", "--from", f"{scheme}{archive}", "--quiet")
    assert told == f"2 runs loaded into {elsewhere}"
    assert contents(elsewhere) == contents(runs)
    assert call("reference", "fetch") == f"all runs are in {elsewhere}"


def test_runs_come_from_the_release_and_only_those_that_are_missing(
    runs, archive, elsewhere, monkeypatch
):
    release.fetch(str(archive))
    (elsewhere / "b-z5-s1-2" / "run.json").write_text("damaged")
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=archive.parent)
    monkeypatch.setattr(serve.func, "log_message", lambda *_: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(release, "archive_address", lambda: f"{address}/{archive.name}")
        assert call("reference", "fetch", "--quiet") == f"1 run loaded into {elsewhere}"
        (elsewhere / "b-z5-s1-2" / "run.json").unlink()
        told = call("reference", "fetch", "--from", f"{address}/none.tar.xz", status=1)
        server.shutdown()
    assert "could not be loaded from" in told and "404" in told


@pytest.mark.parametrize("kind", ["cut", "text", "other runs"])
def test_what_is_not_the_archive_leaves_nothing(archive, elsewhere, runs, tmp_path, kind):
    if kind == "cut":
        archive.write_bytes(archive.read_bytes()[:-500])
    elif kind == "text":
        archive.write_text("not found")
    else:
        sums = release.reference_sums()
        sums.write_text(sums.read_text().replace(sums.read_text()[:8], "0" * 8))
    told = call("reference", "fetch", "--from", archive, status=2)
    assert "is not an archive of this version's runs" in told or "is not the published file" in told
    assert not elsewhere.exists()


def test_the_address_is_that_of_the_published_repository(monkeypatch):
    monkeypatch.setattr(published, "REPOSITORY", "https://github.com/someone/vae")
    name = release.archive_name()
    start = "https://github.com/someone/vae/releases/download/v"
    assert release.archive_address().startswith(start)
    assert release.archive_address().endswith(f"/{name}")


def test_without_a_repository_one_line_says_so(runs, elsewhere, monkeypatch):
    monkeypatch.setattr(published, "REPOSITORY", None)
    told = call("reference", "fetch", status=2)
    assert "\n" not in told and "vae_book/published.py names no repository" in told
    assert "--from FILE_OR_ADDRESS" in told
