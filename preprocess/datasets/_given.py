"""What a person says of a database besides where it lies: its sheet, how the sheet's columns are called, its apexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Given:
    """What was given for one adapter.

    Attributes
    ----------
    sheets : version of the sheet -> its file, whatever that is called. The version "" is to be found out.
    columns : field -> the heading of its column, in the sheets given and in the list of apexes.
    apexes : a list of apexes by somebody other than the database's authors.
    """

    sheets: Mapping[str, Path] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    apexes: Path | None = None


NOTHING = Given()
