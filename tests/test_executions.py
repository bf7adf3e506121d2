"""Notebooks executed with parameters that nobody thought of, each checked for its numbers."""

import re

import nbformat
import pytest

from vae_book.notebooks import execute, find_notebook

pytestmark = pytest.mark.nightly
TINY = {"datasets": ["digits"], "hidden": [8], "n_samples": 2_000}
# notebook, values over TINY, what its text outputs say (a regular expression)
EXECUTIONS = [
    ("fig2_lower_bound", {"latent_dims": [2, 3]}, r"ends above wake-sleep in \d of 2 contests"),
    ("fig2_lower_bound", {"latent_dims": [7], "seeds": [5]}, r"at 2,000 samples: 7: -4\d\.\d"),
]


@pytest.mark.parametrize("name, values, said", EXECUTIONS)
def test_execution(name, values, said, empty_reference, tmp_path):
    done = execute(find_notebook(name), tmp_path / "out.ipynb", TINY | values, progress=False)
    cells = [c for c in nbformat.read(done, as_version=4).cells if c.cell_type == "code"]
    outputs = [o for c in cells for o in c.outputs]
    assert re.search(said, "".join(o.text for o in outputs if o.output_type == "stream"))
    assert not re.search(r"\bnan\b", str([o.get("data", {}).get("text/html") for o in outputs]))
