"""Flow-image trees of real PNG files, drawn for the tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

# Subject, label and clip of a small tree that holds all three databases.
CLIPS = (
    ("sub01", 1, "EP02_01f"),
    ("sub01", 0, "EP19_05f"),
    ("sub02", 2, "EP01_11f"),
    ("006", 0, "006_1_2"),
    ("006", 2, "006_3_5"),
    ("s01", 0, "s01_ne_01"),
    ("s03", 1, "s03_po_01"),
)


class FlowTree:
    """A tree below ``root``. ``put`` writes one PNG from (3, 28, 28) u, v, strain and returns where it lies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, subject: str, label: int | str, clip: str, ending: str = " .png") -> Path:
        return self.root / subject / "u_test" / str(label) / f"{subject}_{clip}{ending}"

    def put(
        self, subject: str, label: int | str, clip: str, ending: str = " .png", tensor: np.ndarray | None = None
    ) -> Path:
        path = self.place(subject, label, clip, ending)
        image = self.tensor(subject, clip) if tensor is None else tensor
        return write_png(path, image.transpose(1, 2, 0)[..., ::-1])

    @staticmethod
    def tensor(subject: str, clip: str) -> np.ndarray:
        """The clip's own (3, 28, 28) uint8 values."""
        return np.random.default_rng(list(f"{subject}/{clip}".encode())).integers(0, 256, (3, 28, 28), dtype=np.uint8)


def write_png(path: Path, image: np.ndarray) -> Path:
    """Write an image as OpenCV has it (rows, columns, channels in the order blue, green, red)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, content = cv2.imencode(".png", image)
    assert done
    path.write_bytes(content.tobytes())
    return path
