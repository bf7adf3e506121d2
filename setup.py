"""What `pyproject.toml` cannot say: some files of book/ go into the wheel.

They are the paper's curves, and the checksums of the runs that `vae-core reference fetch` loads.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["vae_core*", "vae_book*"]),
        "vae_book.paper",
        "vae_book.reference",
    ],
    package_dir={"vae_book.paper": "book/paper", "vae_book.reference": "book/reference"},
    package_data={
        "": ["*.pyi", "py.typed"],
        "vae_book.paper": ["*.csv"],
        "vae_book.reference": ["SHA256SUMS"],
    },
)
