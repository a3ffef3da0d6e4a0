"""SMIC-NIR: 71 micro-expressions of 8 of SMIC's people, near-infrared camera at 25 frames per second (FG 2013)."""

from __future__ import annotations

from preprocess.datasets._build import register
from preprocess.datasets._smic import smic

register(smic("smic_nir", "NIR", "SMIC, near-infrared camera (raw or cropped frames)", 25.0, 71, 8), __name__)
