"""The portrait that every rendered person is made of: astronaut Eileen Collins, NASA, in the public domain."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ENLARGED = 3
"""How many times the portrait is enlarged, so that a face in it is as large as in a recording (280 pixels wide)."""

ROWS = 300
"""Rows of the 512 x 512 portrait that are used: head and shoulders."""

# Outlines drawn by hand: the hairline from the right ear to the left one, and the neck.
_FOREHEAD = ((275.0, 108.0), (270.0, 90.0), (250.0, 83.0), (226.0, 83.0), (204.0, 81.0), (188.0, 78.0), (177.0, 104.0))
_NECK = ((182.0, 148.0), (184.0, 186.0), (225.0, 194.0), (258.0, 186.0), (262.0, 150.0))

# dlib's 68 points on ``skimage.data.astronaut()``, x and y in its pixels: shape_predictor_68_face_landmarks.dat on the
# detection in the crop [0:300, 80:380], enlarged four times.
_LANDMARKS = """
179.2 105.0 179.5 116.5 180.8 127.5 182.0 138.8 185.0 150.2 191.2 160.5 200.0 168.8 209.2 176.0 220.2 178.8
232.0 177.2 243.2 171.2 253.8 163.5 261.0 153.8 265.5 142.5 268.2 130.8 270.8 119.8 272.0 107.8
186.5 94.2 192.5 88.5 200.8 87.5 209.0 89.0 216.8 92.5 236.2 94.0 244.0 91.0 252.0 90.5 260.0 92.2 265.2 98.5
226.0 102.2 225.8 110.8 225.5 119.0 225.2 127.2 214.8 131.5 219.5 133.0 224.5 134.8 229.8 133.2 234.8 132.2
195.2 101.2 200.8 98.2 207.0 98.8 212.8 104.0 206.5 104.5 200.0 104.0
237.8 105.2 243.8 100.8 250.2 100.8 255.5 104.5 250.5 106.5 244.0 106.2
200.2 139.2 209.0 139.5 217.8 139.8 223.5 141.2 229.5 140.2 237.5 140.2 245.8 141.0
237.5 151.0 229.0 155.0 222.5 155.8 216.0 154.8 207.5 149.8
203.2 140.5 217.2 143.2 223.2 144.2 229.2 143.8 242.8 142.2 229.0 150.0 223.0 150.5 216.8 149.5
"""


def landmarks() -> np.ndarray:
    """Return dlib's 68 points of the portrait: (68, 2) float64, x and y in pixels of the 512 x 512 picture."""
    import numpy as np

    return np.array(_LANDMARKS.split(), dtype=np.float64).reshape(68, 2)


@functools.cache
def picture() -> np.ndarray:
    """Return the upper part of the portrait, enlarged: (900, 1536, 3) float32 RGB in 0..255. Do not change it."""
    import cv2
    import numpy as np
    from skimage.data import astronaut

    part = astronaut()[:ROWS]
    large = cv2.resize(part, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_LANCZOS4).astype(np.float32)
    sharp = large + 0.8 * (large - cv2.GaussianBlur(large, (0, 0), ENLARGED))
    return np.clip(sharp, 0.0, 255.0)


@functools.cache
def skin_and_hair() -> tuple[np.ndarray, np.ndarray]:
    """Return how much of each pixel of ``picture`` is skin, and how much is hair.

    Skin and hair have warm colours, the background and the suit do not. The outline of face and neck tells skin from
    hair.

    Returns
    -------
    Two (900, 1536, 1) float32 arrays, 0..1.
    """
    import cv2
    import numpy as np

    image = cv2.GaussianBlur(picture(), (0, 0), 2.0)
    yellow = cv2.cvtColor(image.astype(np.uint8), cv2.COLOR_RGB2LAB)[..., 2].astype(np.float32) - 128.0
    warm = ((yellow - 8.0) / 6.0).clip(0.0, 1.0)
    outline = np.concatenate([landmarks()[:17], np.array(_FOREHEAD)])
    face = _filled([outline, np.array(_NECK)], image.shape[:2])
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32) / ENLARGED
    distance = ((x - 227.0) / 84.0) ** 2 + ((y - 88.0) / 82.0) ** 2
    head = ((1.15 - distance) / 0.25).clip(0.0, 1.0)
    # Lips, eyes and teeth are less yellow than the skin around them, and belong to it.
    skin = np.maximum(face * cv2.GaussianBlur(warm, (0, 0), 4.0), _filled([outline], image.shape[:2], shrink=0.95))
    hair = head * warm * (1.0 - skin)
    return skin[..., None], cv2.GaussianBlur(hair, (0, 0), 2.0)[..., None]


def _filled(outlines: list[np.ndarray], shape: tuple[int, ...], shrink: float = 1.0) -> np.ndarray:
    """Return 1 inside the outlines and 0 outside, with a soft edge: ``shape`` float32."""
    import cv2
    import numpy as np

    mask = np.zeros(shape, dtype=np.float32)
    for outline in outlines:
        middle = outline.mean(axis=0)
        points = ENLARGED * (middle + shrink * (outline - middle))
        cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1.0)
    return cv2.GaussianBlur(mask, (0, 0), 3.0 * ENLARGED / 2)
