"""dlib's mean face: where its fit begins inside a detector's box, and what a fitted face is compared with."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# x and y of the 68 points in parts of the box: the shape from which shape_predictor_68_face_landmarks.dat begins.
_POINTS = """
.0294 .3219 .0326 .4464 .0459 .5704 .0718 .6920 .1203 .8050 .1947 .9029 .2858 .9846 .3863 1.0502 .5000 1.0697
.6137 1.0502 .7142 .9846 .8053 .9029 .8797 .8050 .9282 .6920 .9541 .5704 .9674 .4464 .9706 .3219
.1192 .2309 .1775 .1784 .2598 .1627 .3451 .1749 .4249 .2081 .5751 .2081 .6550 .1749 .7402 .1627 .8225 .1784 .8809 .2309
.5000 .3055 .5000 .3857 .5000 .4652 .5000 .5470 .4045 .6023 .4504 .6192 .5000 .6337 .5497 .6192 .5955 .6023
.2139 .3156 .2647 .2863 .3259 .2872 .3794 .3276 .3221 .3378 .2612 .3370
.6207 .3276 .6742 .2872 .7353 .2863 .7862 .3156 .7388 .3370 .6780 .3378
.3171 .7511 .3844 .7242 .4525 .7103 .5000 .7220 .5475 .7103 .6156 .7242 .6829 .7511
.6178 .8169 .5516 .8460 .5000 .8515 .4484 .8460 .3823 .8169
.3452 .7547 .4519 .7499 .5000 .7550 .5481 .7499 .6548 .7547 .5490 .7857 .5000 .7916 .4510 .7857
"""


@functools.cache
def mean_shape() -> np.ndarray:
    """Return dlib's mean face: (68, 2) float64, x and y in parts of the detector's box. Do not change it."""
    import numpy as np

    return np.array(_POINTS.split(), dtype=np.float64).reshape(68, 2)
