"""SMIC-HS: 164 micro-expressions of 16 people at 100 frames per second (Li et al., FG 2013)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._smic import VALENCE, smic
from preprocess.labels.emotions import Annotation

ANNOTATION = Annotation(VALENCE.emotions, ("megc3", "binary"))

register(smic("smic", "HS", "SMIC, high-speed camera (raw or cropped frames)", 100.0, 164, 16, ANNOTATION), __name__)
