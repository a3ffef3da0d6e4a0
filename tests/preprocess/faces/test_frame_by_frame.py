"""Landmarks of every frame: a region that jumps away for one frame is fitted again, or told."""

from __future__ import annotations

from typing import Any

import numpy as np
import works

from preprocess.faces.fit import eye_distance
from preprocess.faces.frame_by_frame import landmarks_of_frames
from preprocess.steps import Work

FACE = works.standard_face(200)[0]
JUMP = np.float32([0, 0.3]) * np.float32(eye_distance(FACE))


class Jumping(works.NoFinder):
    """Gives a face whose mouth lies on the chin in one frame, for as many fits as told."""

    def __init__(self, frame: int, wrong_fits: int) -> None:
        self.frame, self.left = frame, wrong_fits

    def landmarks(self, picture: np.ndarray, box: Any, turn: float = 0.0) -> np.ndarray:
        points = FACE + np.float32([picture[0, 0], 0])
        if picture[0, 0] == self.frame and self.left:
            self.left -= 1
            points[48:] += JUMP
        return points


def pictures(count: int) -> list[np.ndarray]:
    """Return pictures that say which frame they are; the face moves by a pixel a frame."""
    return [np.full((200, 200), number, np.uint8) for number in range(count)]


def test_a_mouth_that_jumps_for_one_frame_is_fitted_again() -> None:
    points, unsure = landmarks_of_frames(Jumping(2, wrong_fits=1), pictures(5), FACE)
    assert unsure == {}
    assert np.array_equal(points, [FACE + np.float32([number, 0]) for number in range(5)])


def test_a_mouth_that_jumps_again_is_told_with_its_frame() -> None:
    _, unsure = landmarks_of_frames(Jumping(2, wrong_fits=9), pictures(5), FACE)
    assert unsure == {2: "mouth"}


def test_the_step_tells_it_of_the_clip() -> None:
    frames = np.stack(pictures(5))[None, ..., None]
    face = works.Face(FACE, (0, 0, 200, 200), 11, "hog")
    work = Work(
        clip=works.Clip(sample_id="casme2/sub01/EP01"),
        finder=Jumping(2, wrong_fits=9),
        face=face,
        frames=frames,
        numbers=(11, 12, 13, 14, 15),
    )
    assert works.run("landmarks", work, per="frame").notes == ("landmarks of the mouth jump in frame 13",)
    assert works.run("landmarks", work, per="clip").notes == ()


def test_a_mouth_that_stays_open_is_no_jump() -> None:
    class Opening(works.NoFinder):
        def landmarks(self, picture: np.ndarray, box: Any, turn: float = 0.0) -> np.ndarray:
            points = FACE.copy()
            points[48:] += JUMP * (picture[0, 0] >= 2)
            return points

    assert landmarks_of_frames(Opening(), pictures(5), FACE)[1] == {}
