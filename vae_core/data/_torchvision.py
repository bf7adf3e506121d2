"""torchvision, importable beside a CPU-only torch.

The wheel of torchvision on PyPI is built for CUDA. Beside a CPU-only torch its compiled library
does not load, and `import torchvision` then fails with "operator torchvision::nms does not exist",
because it registers shape functions for two operators that nothing has declared. Data sets
need neither operator, so where the library does not load, their schemas are declared
here first. Import what is needed of torchvision from this module.
"""

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _compiled_operators_load() -> bool:
    """Whether torchvision's own library loads and declares its operators itself."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # the import below reports it
    for suffix in (".so", ".pyd"):
        library = Path(spec.origin).with_name("_C" + suffix)
        if library.exists():
            try:
                torch.ops.load_library(library)
            except OSError:
                return False
            return True
    return False


if not _compiled_operators_load():
    # A library's declarations vanish with the object, so the module keeps it.
    _declared = torch.library.Library("torchvision", "FRAGMENT")
    for _schema in _SCHEMAS:
        _declared.define(_schema)

from torchvision import datasets  # noqa: E402
from torchvision.datasets.utils import extract_archive  # noqa: E402

__all__ = ["datasets", "extract_archive"]
