"""What keeps a study from being ranked: a selection that looks at the test samples, weights from elsewhere.

Honesty rule 5 asks this alone, never a selection's name.
"""

from __future__ import annotations

from typing import Literal, get_args

Watched = Literal["", "validation", "inner", "test"]
"""What a selection looks at to choose: nothing, the validation subjects after every epoch, inner folds of the training
subjects before the training, or the test samples after every epoch."""

NOTHING: Watched = ""
VALIDATION: Watched = "validation"
INNER: Watched = "inner"
TEST: Watched = "test"

Weights = Literal["", "external", "imported", "imported, folds unshown"]
"""Whose weights a study scores: those that it trained itself, given ones of somebody else's folds, or unseen ones of
which only the predictions are here, whose folds are shown to hold every tested person out, or are not."""

OWN: Weights = ""
EXTERNAL: Weights = "external"
IMPORTED: Weights = "imported"
UNSHOWN: Weights = "imported, folds unshown"

STAMP = "best epoch on the test subject: not comparable, not ranked"
"""What stands wherever a study is shown whose selection watches the test samples."""

EXTERNAL_STAMP = "weights: external, trained elsewhere: not comparable, not ranked"
"""What stands wherever a study is shown whose weights come from elsewhere."""

UNSHOWN_STAMP = "external predictions, not shown to be of people held out: not comparable, not ranked"
"""What stands wherever a study is shown of which only predictions are known, and not that their folds are honest."""

SHIFT_STAMP = "key frames of the tested clips moved: shows what is lost, not ranked"
"""What stands wherever a study is shown that was tested on shifted clips."""


def stamp_of(watches: Watched, weights: Weights) -> str:
    """Return what must stand beside a study's scores; "" for one that is ranked."""
    if weights in (EXTERNAL, UNSHOWN):
        return EXTERNAL_STAMP if weights == EXTERNAL else UNSHOWN_STAMP
    return STAMP if watches == TEST else ""


def check_watched(value: str) -> None:
    """Raise ValueError where ``value`` is none of the words of ``Watched``."""
    if value not in get_args(Watched):
        raise ValueError(f"a selection watches {', '.join(map(repr, get_args(Watched)))}, not {value!r}")
