"""What a selection looks at to choose its epoch: honesty rule 5 asks this alone, never a selection's name."""

from __future__ import annotations

from typing import Literal, get_args

Watched = Literal["", "validation", "test"]
"""The samples that a selection looks at after every epoch: none, the validation subjects, or the test samples."""

NOTHING: Watched = ""
VALIDATION: Watched = "validation"
TEST: Watched = "test"

STAMP = "best epoch on the test subject: not comparable, not ranked"
"""What stands wherever a study is shown whose selection watches the test samples."""


def check_watched(value: str) -> None:
    """Raise ValueError where ``value`` is none of the words of ``Watched``."""
    if value not in get_args(Watched):
        raise ValueError(f"a selection watches {', '.join(map(repr, get_args(Watched)))}, not {value!r}")
