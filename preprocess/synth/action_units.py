"""What each action unit moves, and where to: bumps of displacement anchored at dlib's landmarks.

After the descriptions in Ekman, Friesen and Hager, Facial Action Coding System, 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.synth.bumps import Bump
from preprocess.synth.people import MIRRORED

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Pull:
    """One bump of an action unit, on the half of the face that lies on the left of the picture.

    Attributes
    ----------
    at : landmarks whose mean is the bump's centre.
    out, down : direction and relative size of the motion, away from the midline and towards the chin.
    radius : as a fraction of the face's width.
    middle : True where it lies on the midline and has no counterpart on the other half.
    """

    at: tuple[int, ...]
    out: float
    down: float
    radius: float
    middle: bool = False


AUS: dict[int, tuple[Pull, ...]] = {
    1: (Pull((20, 21), 0.0, -1.0, 0.09),),
    2: (Pull((17, 18, 19), 0.1, -1.0, 0.10),),
    4: (Pull((20, 21), -0.45, 0.9, 0.10), Pull((21, 27), -0.3, 0.5, 0.07)),
    5: (Pull((37, 38), 0.0, -0.9, 0.05),),
    6: (Pull((41, 48), 0.0, -0.8, 0.10), Pull((36,), -0.4, -0.2, 0.07)),
    7: (Pull((40, 41), 0.0, -0.6, 0.05), Pull((37, 38), 0.0, 0.5, 0.05)),
    9: (Pull((31, 28), 0.2, -0.9, 0.08), Pull((21,), -0.1, 0.4, 0.07)),
    10: (Pull((50,), 0.0, -0.9, 0.07), Pull((31,), 0.1, -0.5, 0.06)),
    12: (Pull((48,), 0.75, -0.8, 0.10), Pull((36, 48), 0.1, -0.4, 0.10)),
    14: (Pull((48,), 0.8, -0.1, 0.07),),
    15: (Pull((48,), 0.1, 0.9, 0.09),),
    17: (Pull((57, 8), 0.0, -0.9, 0.10, middle=True), Pull((57,), 0.0, -0.3, 0.07, middle=True)),
    20: (Pull((48,), 0.9, 0.25, 0.10),),
    24: (Pull((49, 50), -0.3, 0.5, 0.06), Pull((58, 59), -0.3, -0.5, 0.06)),
    25: (Pull((57, 66), 0.0, 0.8, 0.08, middle=True),),
    26: (Pull((57, 8), 0.0, 1.0, 0.16, middle=True),),
    45: (Pull((37, 38), 0.0, 1.0, 0.06),),
}
"""Action unit -> its pulls. A displacement of 1 is the unit's peak."""


def bumps(au: int, side: str, landmarks: np.ndarray, left: float = 1.0, right: float = 1.0) -> list[Bump]:
    """Return the bumps of an action unit whose peak is 1 pixel.

    Parameters
    ----------
    au : the action unit, a key of ``AUS``.
    side : "L" or "R" for one half only, the subject's own left or right as in FACS; "" for both.
    landmarks : (68, 2), in the picture.
    left, right : factors of the two halves.
    """
    width = float(landmarks[16, 0] - landmarks[0, 0])
    result = []
    for pull in AUS[au]:
        halves = [(1.0, 0.5 * (left + right))] if pull.middle else [(1.0, right), (-1.0, left)]
        for mirror, factor in halves:
            # The subject's right half lies left in the picture.
            if not pull.middle and side == ("L" if mirror > 0 else "R"):
                continue
            at = list(pull.at) if mirror > 0 else [MIRRORED[number] for number in pull.at]
            x, y = landmarks[at].mean(axis=0)
            result.append(Bump(x, y, -mirror * pull.out * factor, pull.down * factor, pull.radius * width))
    return result
