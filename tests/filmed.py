"""Videos for tests: a rendered person whose expressions are known, and what people send in besides."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from preprocess.synth.recordings import Scene, Shown, draw_recording

RATE = 50.0
"""Frames a second of the recording."""


@functools.cache
def filmed() -> tuple[tuple[np.ndarray, ...], tuple[Shown, ...]]:
    """Return a recording of some seconds, (H, W, 3) uint8 RGB frames at RATE, and its expressions in these frames."""
    scene = Scene("smic", "test", ("surprise", "positive"), rest=(1.0, 1.4), blinks=15.0)
    film, frames, shown = draw_recording(scene)
    every = round(film.camera.fps / RATE)
    pictures = tuple(film.frame(time) for time in range(0, frames, every))
    return pictures, tuple(
        Shown(one.emotion, *(round(number / every) for number in (one.onset, one.apex, one.offset))) for one in shown
    )


def write(file: Path, pictures: Sequence[np.ndarray], rate: float = RATE) -> Path:
    """Write RGB frames as a video; its ending says the format."""
    codec = {".avi": "MJPG", ".mp4": "mp4v"}[file.suffix]
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*codec), rate, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return file


def say_rotated(file: Path, degrees: int) -> Path:
    """Let an mp4 say that it is to be turned clockwise when it is shown, as telephones do."""
    content = bytearray(file.read_bytes())
    matrix = content.index(b"tkhd") + 44
    turns = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    a, b, c, d = (one << 16 for one in turns[degrees])
    content[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    file.write_bytes(content)
    return file
