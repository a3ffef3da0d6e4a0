"""How long a clip of a feature took, kept beside its shards: what an estimate of work to come stands on.

It lies in a file of its own, since shards and manifests are the same bytes whoever makes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from preprocess.base.files import write_atomic

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


def write_pace(folder: Path, recipe_hash: str, clips: int, seconds: float) -> None:
    """Keep what was measured in a feature's folder, in place of what was measured before."""
    value = {"recipe_hash": recipe_hash, "clips": clips, "seconds": round(seconds, 3)}
    write_atomic(folder / FILE, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def read_pace(root: Path, dataset: str, feature: str, recipe_hash: str) -> Pace | None:
    """Return the pace of a feature made by the same recipe: of the dataset itself, else of another; None where unknown.

    Parameters
    ----------
    root : the folder of all datasets' shards.
    dataset, feature : of which the pace is wanted.
    recipe_hash : a pace that was measured with another recipe tells nothing.
    """
    found = {path.parents[1].name: path for path in sorted(root.glob(f"*/{feature}/{FILE}"))}
    order = [name for name in (dataset, *found) if name in found]
    return next((pace for name in order if (pace := _read(found[name], name, recipe_hash))), None)


def _read(path: Path, dataset: str, recipe_hash: str) -> Pace | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["recipe_hash"] != recipe_hash or not value["clips"] > 0:
            return None
        return Pace(dataset, int(value["clips"]), float(value["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        # Nothing hangs on it: without it an estimate says that it does not know.
        return None
