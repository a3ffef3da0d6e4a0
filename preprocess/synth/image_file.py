"""A rendered frame as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def write_image(path: Path, image: np.ndarray) -> None:
    """Write a frame, RGB or grey, as the kind of file that its name tells."""
    import cv2

    picture = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    settings = [cv2.IMWRITE_JPEG_QUALITY, 88] if path.suffix == ".jpg" else []
    # Not written by OpenCV, which does not tell of a full disk.
    path.write_bytes(cv2.imencode(path.suffix, picture, settings)[1].tobytes())
