"""Oulu-CASIA: six macro-expressions of 80 people under three lights, visible and infrared (Zhao et al., IVC 2011)."""

from __future__ import annotations

from collections.abc import Mapping

from preprocess.datasets._build import register
from preprocess.datasets._spec import Count, Database, Record, Tree
from preprocess.datasets._trees import last_number
from preprocess.labels.emotions import Annotation

EMOTIONS = r"(?P<emotion>Anger|Disgust|Fear|Happiness|Sadness|Surprise)"
FRAMES = r"(?P<n>\d+)\.(?:jpeg|jpg|png|bmp)"


def peak(path: str, fields: Mapping[str, str]) -> Record:
    """Name the apex: a sequence begins with a neutral face and ends at the peak."""
    return {"apex": last_number(path, FRAMES)}


register(
    Database(
        name="oulu_casia",
        title="Oulu-CASIA (cameras VL and NI, lights Strong, Weak and Dark: one variant each)",
        layout="OriginalImg/VL/Strong/P001/Anger/000.jpeg",
        trees=tuple(
            Tree(f"{camera}-{light}", (r"P(?P<subject>\d+)", EMOTIONS), FRAMES, root=f"{camera}/{light}")
            for camera in ("VL", "NI")
            for light in ("Strong", "Weak", "Dark")
        ),
        subject="P{subject:0>3}",
        clip="{emotion}",
        fps=25.0,
        macro=("oulu_casia",),
        label=peak,
        counts=(Count(480, 80, "Zhao et al. 2011"),),
        annotations={
            "oulu_casia": Annotation(("anger", "disgust", "fear", "happiness", "sadness", "surprise"), ("emotion6",))
        },
    ),
    __name__,
)
