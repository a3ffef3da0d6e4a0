"""How long a clip of a feature took, kept beside its shards: what an estimate of work to come stands on.

It lies in a file of its own, since shards and manifests are the same bytes whoever makes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from preprocess.base.errors import StoreError
from preprocess.base.storage import Storage

FILE = "seconds.json"


@dataclass(frozen=True)
class Pace:
    """What was measured when shards were made.

    Attributes
    ----------
    dataset : the dataset whose clips they were.
    clips : how many.
    seconds : what they took one process, beside what other features of the same clips had done for them already.
    """

    dataset: str
    clips: int
    seconds: float

    @property
    def per_clip(self) -> float:
        """Seconds a clip."""
        return self.seconds / self.clips


def write_pace(storage: Storage, feature: str, recipe_hash: str, clips: int, seconds: float) -> None:
    """Keep what was measured in the folder of a feature, ``dataset/feature``, in place of what was measured before."""
    value = {"recipe_hash": recipe_hash, "clips": clips, "seconds": round(seconds, 3)}
    storage.write(f"{feature}/{FILE}", (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def read_pace(storage: Storage, dataset: str, feature: str, recipe_hash: str) -> Pace | None:
    """Return the pace of a feature made by the same recipe: of the dataset itself, else of another; None where unknown.

    Parameters
    ----------
    storage : all datasets' shards.
    dataset, feature : of which the pace is wanted.
    recipe_hash : a pace that was measured with another recipe tells nothing.
    """
    others = (name for name in sorted(storage.names("")) if name != dataset)
    for name in (dataset, *others):
        if pace := _read(storage, name, feature, recipe_hash):
            return pace
    return None


def _read(storage: Storage, dataset: str, feature: str, recipe_hash: str) -> Pace | None:
    try:
        value = json.loads(storage.read(f"{dataset}/{feature}/{FILE}").decode("utf-8"))
        if value["recipe_hash"] != recipe_hash or not value["clips"] > 0:
            return None
        return Pace(dataset, int(value["clips"]), float(value["seconds"]))
    except (OSError, StoreError, ValueError, KeyError, TypeError):
        # Nothing hangs on it: without it an estimate says that it does not know.
        return None
