"""What a person says of a database besides where it lies: its sheet, how the sheet's columns are called, its apexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from preprocess.datasets._spec import Sheet


@dataclass(frozen=True)
class Given:
    """What was given for one adapter.

    Attributes
    ----------
    sheets : version of the sheet -> its file, whatever that is called. The version "" is to be found out.
    columns : field -> the heading of its column, in its sheet, given or not; without a sheet, in the list of apexes.
        Where another file has such headings, they count there, too.
    apexes : a list of apexes by somebody other than the database's authors.
    """

    sheets: Mapping[str, Path] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    apexes: Path | None = None

    def also(self, sheet: Sheet) -> Sheet:
        """Return the declaration of a sheet that may have the headings given."""
        names = {*sheet.columns, *sheet.optional} & set(self.columns)
        more = {name: (self.columns[name], *sheet.headings.get(name, ())) for name in names}
        return replace(sheet, headings={**sheet.headings, **more})


NOTHING = Given()
