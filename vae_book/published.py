"""Where this project is published: the one place that says so.

With an address, the book has its buttons (repository, issues, Colab, Binder), figures link to the
runs that they were made from, and `vae-core reference fetch` loads from the releases. Without one,
none of these is shown. After a change: `python -m vae_book.build.install_cells` and `make book`.
"""

REPOSITORY: str | None = None  # such as "https://github.com/OWNER/NAME"
BRANCH = "main"
