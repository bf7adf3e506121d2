"""What `vae-core verify` adds to `vae_core.runs.verify`: how long it takes, and going on later."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress

from vae_core._atomic import write_text
from vae_core.runs import Run, cache_dir
from vae_core.runs.folders import OTHER_CACHE
from vae_core.runs.plan import evaluation_seconds, training_seconds
from vae_core.runs.provenance import packages, source_sha256
from vae_core.runs.verify import n_rows_again, verify, verify_all


class Verifications:
    """The verification of some runs, which goes on where an earlier one was interrupted.

    Runs that were found to follow are noted in the user's cache until all have been verified. The
    note holds for these files, this code, these packages and these options alone.
    """

    def __init__(self, runs: Sequence[Run], fraction: float, quick: bool) -> None:
        self.runs, self.fraction, self.quick = list(runs), fraction, quick
        how = [fraction, quick, source_sha256(), packages(), *map(_digest, runs)]
        name = hashlib.sha256(json.dumps(how).encode()).hexdigest()[:16]
        self._note = cache_dir() / "verify" / f"{name}.json"
        self.known: dict[str, str] = {}
        if self._note.exists():
            self.known = json.loads(self._note.read_text())

    @property
    def left(self) -> list[Run]:
        """The runs that are still to be verified."""
        return [run for run in self.runs if run.key not in self.known]

    def seconds(self) -> float:
        """Roughly how long that takes on one core of an ordinary machine."""
        return sum(_seconds(run, self.fraction, self.quick) for run in self.left)

    def results(self, jobs: int, progress: bool) -> Iterator[tuple[str, bool]]:
        """A line for each run that is left, as soon as it is known, and whether it follows."""
        if jobs > 1:
            paths = [run.path for run in self.left]
            found = verify_all(paths, self.fraction, quick=self.quick, jobs=jobs)
        else:
            how = dict(quick=self.quick, progress=progress)
            found = (verify(run, self.fraction, **how) for run in self.left)
        for verdict in found:
            if verdict.ok:
                self.known[verdict.key] = str(verdict)
                self._keep()
            yield str(verdict), verdict.ok
        with suppress(OSError):
            self._note.unlink()

    def _keep(self) -> None:
        try:
            write_text(self._note, json.dumps(self.known, indent=1))
        except OSError as error:
            message = f"an interruption would begin anew: {error}; {OTHER_CACHE}"
            warnings.warn(message, stacklevel=2)  # from one line, so that it is said once


def _digest(run: Run) -> str:
    """Hash of the files of a run."""
    digest = hashlib.sha256()
    for file in sorted(run.path.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _seconds(run: Run, fraction: float, quick: bool) -> float:
    config = run.config
    if not len(run.curve.get("samples", ())):
        return 0.0  # a record that is broken is not trained again
    samples = int(run.curve["samples"][n_rows_again(run, fraction, quick=quick) - 1])
    again = training_seconds(config.model_copy(update={"n_samples": samples}))
    return again + run.has_weights * evaluation_seconds(config)
