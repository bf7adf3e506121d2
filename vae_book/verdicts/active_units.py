"""How many of its latent variables a model uses: the explanation of a claim of the paper."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vae_book.plots.style import NZ, data_title
from vae_book.plots.tables import Table, nats, power
from vae_book.studies import of_stored
from vae_core.data import dataset_spec
from vae_core.runs import Run


def active_table(study: Sequence[Mapping[str, Any]], runs: Iterable[Run]) -> Table:
    """A row for each model of `book/studies/active_units.json` among `runs`.

    Its active units, what the least of them and all the others together tell of an image, in nats.
    """
    rows = [
        [
            data_title(dataset_spec(row["dataset"])),
            str(row["latent_dim"]),
            power(row["samples"]),
            str(row["active"]),
            *(nats(row[name]) for name in ("total", "least_active")),
            nats(row["rest"], digits=2) if row["active"] < row["latent_dim"] else "",
        ]
        for row, _ in of_stored(study, runs)
    ]
    header = ["", NZ, "samples", "active", "KL", "least active", "the others"]
    label = "Latent variables that AEVB uses, and the divergence from the prior, in nats"
    return Table(header, rows, label, n_text_columns=3, kind="tight")
