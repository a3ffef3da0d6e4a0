"""Small databases of real image files for tests, recipes that average their frames, and what the steps noted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from preprocess.datasets import RawDataset
from preprocess.recipes import FeatureRecipe
from preprocess.samples.clip import Clip
from preprocess.samples.table import samples_table

SIZE = 8
PEOPLE = {"s1": ("a1", "a2", "a3"), "s2": ("b1",), "s3": ("c1", "c2")}
EMOTIONS = ("negative", "positive", "surprise")


def frame_file(root: Path, subject: str, clip: str, number: int) -> Path:
    """Return where a frame lies."""
    return root / subject / clip / f"{number}.png"


def write_frame(root: Path, subject: str, clip: str, number: int, seed: int = 0) -> None:
    """Write a grey image of noise that is the frame's own."""
    path = frame_file(root, subject, clip, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng([seed, number, *f"{subject}/{clip}".encode()])
    done, content = cv2.imencode(".png", draw.integers(0, 256, (SIZE, SIZE), dtype=np.uint8))
    assert done
    path.write_bytes(content.tobytes())


def write_recordings(root: Path, people: dict[str, Sequence[str]] | None = None, frames: int = 3) -> None:
    """Write the frames 1 .. ``frames`` of every clip."""
    for subject, clips in (people or PEOPLE).items():
        for clip in clips:
            for number in range(1, frames + 1):
                write_frame(root, subject, clip, number)


def read_recordings(root: Path, name: str = "films") -> RawDataset:
    """Read what lies there, as an adapter does: onset is the first frame, offset the last, apex between."""
    rows: list[dict[str, Any]] = []
    clips: dict[str, Clip] = {}
    for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
        subject, clip = folder.parent.name, folder.name
        files = {int(path.stem): path for path in sorted(folder.glob("*.png"))}
        sample_id = f"{name}/{subject}/{clip}"
        onset, offset = min(files), max(files)
        times = {"onset": onset, "apex": (onset + offset) // 2, "offset": offset}
        emotion = EMOTIONS[len(rows) % 3]
        person = {"dataset": name, "subject": f"{name}/{subject}", "clip": clip, "emotion": emotion}
        rows.append({"sample_id": sample_id, **person, **times})
        clips[sample_id] = Clip(sample_id, files, fps=200.0, **times)
    return RawDataset(name, samples_table(rows), False, clips=clips)


def mean_recipe(name: str = "mean", **changes: Any) -> FeatureRecipe:
    """Return a recipe of the step ``test_mean``; ``add`` is its option, other changes are fields of the recipe."""
    options = {"add": changes.pop("add")} if "add" in changes else {}
    tensor: dict[str, Any] = {"shape": (SIZE, SIZE), "axes": "hw", "dtype": "float32"}
    fields: dict[str, Any] = {"version": 1, "summary": "mean frame", **tensor}
    return FeatureRecipe(**{**fields, "name": name, "steps": (("test_mean", options),), **changes})


def calls(folder: Path) -> list[str]:
    """Return what the step was called for since the last time, in order."""
    files = sorted(folder.glob("call-*"))
    said = [path.read_text() for path in files]
    for path in files:
        path.unlink()
    return said
