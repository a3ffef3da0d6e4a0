"""Rendered films of one person, from which features are made: a neutral face that raises its brows, or smiles."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from preprocess.faces.finder import DlibFaceFinder
from preprocess.recipes import FEATURES
from preprocess.samples.clip import Clip
from preprocess.steps import Work
from preprocess.synth.expressions import Expression, Unit
from preprocess.synth.film import Camera, Film
from preprocess.synth.people import make_person

CAMERA = Camera(400, 320, 190.0, 200.0, grey=False, noise=2.0, flicker=0.01)
ONSET, RISE, FALL = 11, 10, 8
# Action units, and their peak in pixels of a face 280 pixels wide.
UNITS = {"brows": ((1, 2), 6.0), "smile": ((12,), 6.0), "subtle": ((1, 2), 1.5)}


@dataclass(frozen=True)
class RenderedClips:
    """The clips, and the tensors made of them so far.

    Attributes
    ----------
    clips : ``brows`` raised, a ``smile``, and a ``subtle`` raise of the brows.
    finder : finds their faces, each once.
    known : (feature, clip) -> its tensor, of the features of this project.
    made : clip -> what their first steps have made of it, as in a run.
    """

    clips: dict[str, Clip]
    finder: DlibFaceFinder
    known: dict[tuple[str, str], np.ndarray]
    made: dict[str, dict[str, Work]]

    def tensor(self, feature: str, clip: str = "brows") -> np.ndarray:
        """Return a registered feature of a clip; one of this project is made once."""
        if FEATURES.code(feature) is not None:
            # Another plug-in may have had a feature, or a step, of the same name.
            return self.compute(feature, clip)
        if (feature, clip) not in self.known:
            self.known[feature, clip] = self.compute(feature, clip, self.made[clip])
        return self.known[feature, clip]

    def compute(self, feature: str, clip: str, made: dict[str, Work] | None = None) -> np.ndarray:
        """Return a feature of a clip, made from nothing unless ``made`` holds what others have made."""
        result = FEATURES.get(feature).compute(self.clips[clip], self.finder, made).tensor
        assert result is not None
        return result


@functools.cache
def rendered_clips() -> RenderedClips:
    """Return the clips, rendered once a process into a folder that it removes when it ends.

    They differ by the expression alone: the same person, pose, noise and light.
    """
    root = Path(tempfile.mkdtemp(prefix="merbench-checks-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    clips = {name: _render(root, name) for name in UNITS}
    return RenderedClips(clips, DlibFaceFinder(), {}, {name: {} for name in UNITS})


def _render(root: Path, name: str) -> Clip:
    aus, peak = UNITS[name]
    units = tuple(Unit(au, "", peak, 1.0, 1.0, 1.0, True) for au in aus)
    film = Film(make_person(3, "somebody"), Expression(name, units, RISE, FALL, 0.0), CAMERA, 3, "one film")
    files = {}
    for number in range(ONSET - 2, ONSET + RISE + FALL + 3):
        files[number] = root / f"{name}_{number}.png"
        cv2.imwrite(str(files[number]), cv2.cvtColor(film.frame(number - ONSET), cv2.COLOR_RGB2BGR))
    return Clip(
        f"casme2/sub01/{name}", files, onset=ONSET, apex=ONSET + RISE, offset=ONSET + RISE + FALL, fps=CAMERA.fps
    )
