"""What a person should know of a database: notes of one kind are gathered into one line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

# A note names so many of the rows, folders or samples that it counts.
NAMED = 20


class Notes:
    """The notes so far, in the order in which their kinds came up."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, what: str) -> None:
        """Add one thing to a kind of note, in which ``{n}`` stands for how many there are."""
        self._kinds[kind].append(what)

    def say(self, line: str) -> None:
        """Add a note that stands for itself."""
        self._kinds["{n}"].append(line)

    def lines(self) -> list[str]:
        """Return the notes, a line each."""
        lines = []
        for kind, what in self._kinds.items():
            lines += what if kind == "{n}" else [f"{kind.format(n=len(what))}: {named(what)}"]
        return lines


def named(what: Sequence[str], joint: str = "; ") -> str:
    """Return the first names of a long list, and how many more there are."""
    more = f"{joint}and {len(what) - NAMED} more" if len(what) > NAMED else ""
    return joint.join(what[:NAMED]) + more
