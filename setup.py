"""What `pyproject.toml` cannot say: the paper's curves, which lie in book/, go into the wheel."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["vae_core*", "vae_book*"]), "vae_book.paper"],
    package_dir={"vae_book.paper": "book/paper"},
    package_data={"": ["*.pyi", "py.typed"], "vae_book.paper": ["*.csv"]},
)
