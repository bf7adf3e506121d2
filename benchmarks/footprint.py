"""Start-up time and peak memory, each in a fresh process.

make bench, or python benchmarks/footprint.py
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

from _timing import report, spread, timed

ROUNDS = 5
STEPS = 30
STARTS = {
    "import torch": "import torch",
    "import vae_core": "import vae_core",
    "import vae_core and all it offers": "from vae_core import *",
    "vae-core --help": "from vae_book.cli import cli; cli(['--help'], standalone_mode=False)",
}
TRAIN = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from _timing import one_thread
one_thread()
from _images import mnist_like
data = mnist_like()
{{make}}
for _ in range({STEPS}):
    step()
"""
OURS = """
from vae_core import RunConfig
from vae_core.runs.trainer import Trainer
step = Trainer(RunConfig(latent_dim={n}, n_samples=1_000), data).advance
"""
THEIRS = """
import torch, _rivals
step = _rivals.common_loop(data, {n}, torch.optim.Adam)
"""
MEMORY = {
    "import torch": "import torch",
    "the images alone": TRAIN.format(make="step = lambda: None"),
    "vae_core, latent_dim=20": TRAIN.format(make=OURS.format(n=20)),
    "vae_core, latent_dim=200": TRAIN.format(make=OURS.format(n=200)),
    "DataLoader and Adam, latent_dim=20": TRAIN.format(make=THEIRS.format(n=20)),
}


def started(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_megabytes(code: str) -> int:
    """Most memory that a fresh process held at once."""
    tell = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    command = [sys.executable, "-c", code + tell]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return round(int(printed.split()[-1]) / 1024)  # Linux counts in kibibytes


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    starts = {name: lambda code=code: started(code) for name, code in STARTS.items()}
    for start in starts.values():
        start()  # fills the disk's cache
    seconds = timed(starts, ROUNDS, children_seconds)
    result = {
        "what": "processor seconds of a fresh process, and the most memory that one held",
        "start_seconds": {name: spread(values, 3) for name, values in seconds.items()},
        "peak_megabytes": {name: peak_megabytes(code) for name, code in MEMORY.items()},
    }
    report("footprint", result, ["torch"])


if __name__ == "__main__":
    main()
