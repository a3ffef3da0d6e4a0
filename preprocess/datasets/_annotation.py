"""The rows of a database's sheets: of every part, from the files given or the nearest ones; other sheets joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._adapter import Found
from preprocess.datasets._counts import as_table, classed
from preprocess.datasets._find import located, nearest, not_read, parts_of, sheet_of
from preprocess.datasets._notes import Notes
from preprocess.datasets._records import clip_key, subject_id
from preprocess.datasets._sheets import read_records
from preprocess.datasets._spec import Database, Record, Sheet
from preprocess.datasets._versions import read_given
from preprocess.labels.tasks import TASKS

# What every record has, whatever its sheet says.
_OWN = ("subject", "clip", "row", "origin", "folder")


class Annotation:
    """The annotation of a database that was found.

    Parameters
    ----------
    database : its declaration.
    found : where it was found, and with which sheet.
    notes : takes what a person should know.

    Attributes
    ----------
    records : the rows of all parts.
    files : the files that were read.

    Raises
    ------
    DataError : a sheet cannot be read, or one that was asked for by name is not there.
    """

    def __init__(self, database: Database, found: Found, notes: Notes) -> None:
        self._database, self._found, self._notes = database, found, notes
        self.files: list[Path] = []
        self.records: list[Record] = []
        for part in parts_of(database):
            sheets = [sheet for sheet in database.sheets if sheet.part == part]
            there = self._file_of(sheets)
            if there is None:
                notes.add("{n} parts of the database have no sheet and are left out", part or sheets[0].version)
                continue
            split = {"split": part} if part else {}
            version, path = there
            self.records += [{**split, **record} for record in self._read(path, sheet_of(sheets, version))]
            self.files.append(path)
        for sheet in database.joined:
            self._join(sheet)

    def key(self, record: Record) -> tuple[str, str]:
        """Return what a record has in common with other rows of its clip."""
        return subject_id(self._database.subject, record["subject"]), clip_key(record["clip"])

    def _file_of(self, sheets: Sequence[Sheet]) -> tuple[str, Path] | None:
        """Return (version, file) to read of the sheets of one part: the one given, else the chosen or nearest one."""
        given, found = self._found.given.sheets, self._found
        for sheet in sheets:
            if sheet.version in given:
                return sheet.version, given[sheet.version]
            if sheet.version == found.version and found.sheet is not None:
                return found.version, found.sheet
        lying = located(self._database, found.root, sheets)
        chosen = next(iter(nearest(lying).items()), None)
        others = [one.file for one in lying if chosen and one.file != chosen[1]]
        if chosen and others:
            self._notes.say(not_read(chosen[1], "the nearest", others))
        return chosen

    def _read(self, path: Path, sheet: Sheet) -> list[Record]:
        given, adapter = self._found.given, self._database.name
        if path not in given.sheets.values():
            return read_records(path, sheet, given.columns, adapter)
        records, lacking = read_given(path, sheet, given.columns, adapter)
        if lacking:
            fields = ", ".join(name.replace("_", " ") for name in lacking)
            hint = f"--columns {adapter}.{lacking[0]}=HEADING where it is called otherwise"
            self._notes.say(f"{path} has no column of {fields}: unknown for its clips ({hint})")
        return records

    def _join(self, sheet: Sheet) -> None:
        """Add the fields of another sheet, where it lies there.

        Where both sheets have a field, one of them is taken for all clips: the joined one where a person named it.
        """
        named = sheet.version in self._found.words or sheet.version in self._found.given.sheets
        there = self._file_of([sheet])
        if there is None:
            if named:
                raise DataError(
                    f"{self._database.name}:{sheet.version} was asked for, and no sheet like {sheet.called} lies in or "
                    f"near {self._found.root}. Copy it there, or give it: --sheet {self._database.name}:"
                    f"{sheet.version}=FILE."
                )
            return
        before, path = list(self.files), there[1]
        joined = {self.key(record): record for record in read_records(path, self._found.given.also(sheet))}
        self.files.append(path)
        for name in [name for name in (*sheet.columns, *sheet.optional) if name not in _OWN]:
            own = [record.get(name, "") for record in self.records]
            other = [joined.get(self.key(record), {}).get(name, "") for record in self.records]
            if any(own):
                self._tell_both(name, (own, other), (before, self.files[-1:]), sheet, named)
            if named or not any(own):
                for record, value in zip(self.records, other, strict=True):
                    record[name] = value

    def _tell_both(
        self,
        name: str,
        cells: tuple[Sequence[str], Sequence[str]],
        files: tuple[Sequence[Path], Sequence[Path]],
        joined: Sheet,
        named: bool,
    ) -> None:
        """Note that two sheets have a field: which of them is taken and why, and how many clips each gives a class."""
        source = f"{self._database.name}:{joined.version}"
        titles = [
            ", ".join(path.name for path in of) + self._classes(name, own) for of, own in zip(files, cells, strict=True)
        ]
        differ = sum(one != two for one, two in zip(*cells, strict=True))
        taken, left = titles[::-1] if named else titles
        why = f"{source} was asked for" if named else "it is the sheet whose rows are read"
        other = f"leave out {joined.version}" if named else f"--data {source}=PATH"
        self._notes.say(
            f"{name.replace('_', ' ')}: that of {taken} is taken, for {why}; {left} differs for {differ} of "
            f"{len(cells[0])} clips (to take that: {other})"
        )

    def _classes(self, name: str, cells: Sequence[str]) -> str:
        """Return how many clips have a class in the tasks of a field, and whose published number that is."""
        rows = [
            {"sample_id": "", "dataset": record.get("dataset", self._database.name), name: value or None}
            for record, value in zip(self.records, cells, strict=True)
        ]
        told = []
        for task in [task for _, task in TASKS.items() if task.column == name and task.mapping(self._database.name)]:
            shown = classed(task.name, as_table(rows))
            number = 0 if shown is None else int(shown.sum())
            whose = [
                count.reference for count in self._database.counts if (count.task, count.samples) == (task.name, number)
            ]
            told.append(f"{task.name}: {number} clips" + (f" as in {whose[0]}" if whose else ""))
        return f" ({'; '.join(told)})" if told else ""
