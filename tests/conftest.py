"""What the tests share: one thread, a store of their own, a tiny model, and data where there is."""

import os

import pytest

FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def forked_kernels():
    """Notebooks are executed in forks of one process, which spares each of them the imports."""
    from vae_book._kernel import fork_kernels

    fork_kernels()


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """No test reads or writes the user's own store of runs."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("VAE_CORE_CACHE", str(cache))
    return cache


@pytest.fixture
def empty_reference(tmp_path, monkeypatch):
    """No stored reference runs either: whatever is asked for has to be trained."""
    folder = tmp_path / "reference"
    folder.mkdir()
    monkeypatch.setenv("VAE_CORE_REFERENCE", str(folder))
    return folder


@pytest.fixture
def generator():
    import torch

    return torch.Generator().manual_seed(0)


@pytest.fixture
def tiny_vae():
    """A Bernoulli VAE of 6 pixels, 2 latent dimensions and 5 hidden units, with visible weights."""
    import torch

    from vae_core.model import VAE

    noise = torch.Generator().manual_seed(1)
    return VAE(6, 2, hidden=(5,), likelihood="bernoulli", init_sd=0.3, generator=noise)


@pytest.fixture
def tiny_batch(generator):
    import torch

    return torch.rand(7, 6, generator=generator).round()


def missing_data(names):
    """The files of the named data sets that are not in the data folder."""
    from vae_core.data.files import data_folder
    from vae_core.data.registry import dataset_spec

    folder = data_folder()
    files = [file for name in names for file in dataset_spec(name).files]
    return [f.path for f in files if not any(path.exists() for path, _ in f.variants(folder))]


def pytest_runtest_setup(item):
    """`@pytest.mark.data("mnist")` skips where that data set is not; without names, any of them."""
    marker = item.get_closest_marker("data")
    missing = missing_data(marker.args or ("mnist", "freyface")) if marker else []
    if missing:
        folder = os.environ.get("VAE_CORE_DATA", "the cache")
        pytest.skip(f"no {missing[0]} in {folder}: `vae-core data fetch` gets it")


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; skipped without one, or failed where it is required."""
    from vae_book.browser import ADVICE, find_chromium

    chromium = find_chromium()
    if chromium is None:
        if os.environ.get("VAE_CORE_REQUIRE_BROWSER"):
            pytest.fail(f"there is no Chromium: {ADVICE}")
        pytest.skip(f"there is no Chromium: {ADVICE}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()
