"""SMIC-HS: 164 micro-expressions of 16 people at 100 frames per second (Li et al., FG 2013)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._smic import smic

register(smic("smic", "HS", "SMIC, high-speed camera (raw or cropped frames)", 100.0, 164, 16), __name__)
