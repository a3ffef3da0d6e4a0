"""A plug-in package's module: models that raise, kill their worker, or note where they were trained.

Workers find it as users' plug-ins are found, through an entry point. What a model is to do, and what it noted, are
files in the folder that the environment variable MERBENCH_TEST_NOTES names.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path

import numpy as np

from mer_models.contracts import Resources
from mer_models.majority import Majority
from mer_models.registry import register_model

FEATURES = ("flow_uvs_28",)
PAPER = "Written for the tests, without a paper."
_fits = 0


def note(kind: str, text: str) -> None:
    """Leave a note, whole or not at all, whatever happens to this process next."""
    folder = Path(os.environ["MERBENCH_TEST_NOTES"])
    unfinished = folder / f".{uuid.uuid4().hex}"
    unfinished.write_text(text)
    unfinished.rename(folder / f"{kind}-{uuid.uuid4().hex}")


def notes(kind: str) -> list[str]:
    """Return the notes of a kind, in no particular order."""
    return [path.read_text() for path in Path(os.environ["MERBENCH_TEST_NOTES"]).glob(f"{kind}-*")]


# Where a test notes it, every worker but the first one is slow to import what it needs.
if "MERBENCH_TEST_NOTES" in os.environ and notes("slow"):
    note("imported", "")
    if len(notes("imported")) > 1:
        time.sleep(3)
    note("started", "")


@register_model("notes_its_process", features=FEATURES, paper=PAPER, resources=Resources(gpu=0.0, pack=1))
class NotesItsProcess(Majority):
    """Notes the process of each fold and how many folds that process has trained, one fold a pack."""

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        global _fits
        _fits += 1
        note("process", f"{os.getpid()} {_fits}")
        super().fit(*features, y=y, rng=rng)


@register_model("waits_for_company", features=FEATURES, paper=PAPER, resources=Resources(gpu=0.0, pack=1))
class WaitsForCompany(Majority):
    """Takes a fifth of a second a fold, one fold a pack, until a second process trains too."""

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        note("process", str(os.getpid()))
        if len(set(notes("process"))) < 2:
            time.sleep(0.2)
        super().fit(*features, y=y, rng=rng)


@register_model("raises_on_even", features=FEATURES, paper=PAPER, resources=Resources(gpu=0.0, pack=4))
class RaisesOnEven(Majority):
    """Raises in the folds with an even number of training samples, as long as nobody noted that it is repaired."""

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        if len(y) % 2 == 0 and not notes("repaired"):
            raise ArithmeticError(f"{len(y)} training samples are an even number")
        super().fit(*features, y=y, rng=rng)


@register_model("kills_its_worker_once", features=FEATURES, paper=PAPER, resources=Resources(gpu=0.0, pack=16))
class KillsItsWorkerOnce(Majority):
    """Kills its process in the middle of the third fold, the first time it gets there."""

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        note("begun", str(len(y)))
        if len(notes("begun")) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        super().fit(*features, y=y, rng=rng)


@register_model("kills_its_worker_in_a_fold", features=FEATURES, paper=PAPER, resources=Resources(gpu=0.0, pack=16))
class KillsItsWorkerInAFold(Majority):
    """Kills its process in the fourth fold that it is given, and whenever it is given that one again."""

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        fold = str(features[0].sum())
        note("given", fold)
        if fold in notes("killed") or (len(notes("given")) == 4 and not notes("killed")):
            note("killed", fold)
            os.kill(os.getpid(), signal.SIGKILL)
        super().fit(*features, y=y, rng=rng)
