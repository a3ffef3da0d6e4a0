"""Lists of apexes by third parties, joined to datasets whose authors annotated none, and marked as such."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._adapter import RawDataset
from preprocess.datasets._given import Given
from preprocess.datasets._notes import named
from preprocess.datasets._records import clip_key, subject_id, to_frame
from preprocess.datasets._sheets import read_records, read_workbook
from preprocess.datasets._spec import Database, Record, Sheet

LIST = Sheet(
    "apexes", "", ("subject", "clip", "apex"), ("onset", "dataset"), {"dataset": ("dataset", "data", "database")}
)
MARK = "apex none -> {} ({}, a list by others than the database's authors)"
Key = tuple[str, str]


@dataclass(frozen=True)
class Listed:
    """One line of a list.

    Attributes
    ----------
    apex : the frame.
    onset : that of the expression, where the list says it: a clip may hold several.
    """

    apex: int
    onset: int | None


@dataclass
class _Joined:
    """What became of the samples of one dataset: sample id -> apex, and the names of those that got none."""

    taken: dict[str, int] = field(default_factory=dict)
    ends: int = 0
    own: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


def with_apexes(datasets: Sequence[RawDataset], database: Database, given: Given) -> list[RawDataset]:
    """Give samples without an apex that of the list that was given, and say so in ``repaired``.

    An apex that the database's authors annotated stays. One that does not lie after the onset, up to the offset, is not
    taken.

    Parameters
    ----------
    datasets : as the adapter of the database read them.
    database : their declaration.
    given : what was given for it; without a list the datasets come back as they are.

    Raises
    ------
    DataError : the list cannot be read, or no line of it is about a clip of the datasets.
    """
    if given.apexes is None:
        return list(datasets)
    lines = _lines(given.apexes, database, given)
    joined = [_join(dataset, database, lines) for dataset in datasets]
    if not any(one.taken or one.own or one.outside for one in joined):
        there = ", ".join("/".join(key) for key in list(lines)[:3])
        ids = ", ".join(datasets[0].samples["sample_id"][:3])
        raise DataError(
            f"No line of {given.apexes} is about a clip of {database.title}: it has {there or 'no line'}, the dataset "
            f"{ids}. Is it the list of another database?"
        )
    return [_written(dataset, one, given.apexes) for dataset, one in zip(datasets, joined, strict=True)]


def _lines(path: Path, database: Database, given: Given) -> dict[Key, list[Listed]]:
    """Return (subject, clip) -> the lines of a list about it, without those of other databases."""
    lines: dict[Key, list[Listed]] = defaultdict(list)
    for record in _records(path, database, given):
        if record.get("dataset", "").strip().lower() not in ("", database.name):
            continue
        try:
            apex, onset = to_frame(record["apex"], "apex"), to_frame(record.get("onset", ""), "onset")
        except ValueError as error:
            raise DataError(f"{record['origin']}: {error}. Correct the line, or remove it.") from error
        if apex is not None:
            lines[subject_id(database.subject, record["subject"]), clip_key(record["clip"])].append(Listed(apex, onset))
    for (subject, clip), listed in list(lines.items()):
        # Some lists write the subject before the clip's own name: sub01_EP02_01f.
        first, _, rest = clip.partition("_")
        if rest and subject_id(database.subject, first) == subject:
            lines.setdefault((subject, rest), listed)
    return lines


def _records(path: Path, database: Database, given: Given) -> list[Record]:
    try:
        if database.sheets:
            return read_records(path, given.also(LIST), adapter=database.name)
        return read_records(path, LIST, given.columns, database.name)
    except DataError:
        bare = _without_headings(path)
        if not bare:
            raise
        return bare


def _without_headings(path: Path) -> list[Record]:
    """Return the lines of a list without headings: subject, clip, and onset, apex and offset or the apex alone.

    Returns
    -------
    The lines; [] where one of them has another form.
    """
    records = []
    for number, row in enumerate(next(iter(read_workbook(path).values()), [])):
        numbers = []
        for cell in row[2:5]:
            if not cell.isdigit():
                break
            numbers.append(cell)
        if not any(row):
            continue
        if len(row) < 3 or not row[0] or not row[1] or len(numbers) not in (1, 3):
            return []
        onset, apex = ("", numbers[0]) if len(numbers) == 1 else numbers[:2]
        origin = f"{path.name}, row {number + 1}"
        records.append({"subject": row[0], "clip": row[1], "onset": onset, "apex": apex, "origin": origin})
    return records


def _join(dataset: RawDataset, database: Database, lines: Mapping[Key, Sequence[Listed]]) -> _Joined:
    import pandas as pd

    joined = _Joined()
    columns = (dataset.samples[name] for name in ("sample_id", "subject", "clip", "onset", "apex", "offset"))
    for sample_id, subject, clip, onset, apex, offset in zip(*columns, strict=True):
        name = sample_id.partition("/")[2]
        of_clip = lines.get((subject_id(database.subject, subject.partition("/")[2]), clip_key(clip)), [])
        found = _apex(of_clip, None if pd.isna(onset) else onset, None if pd.isna(offset) else offset)
        if not of_clip:
            joined.unlisted += [name] if pd.isna(apex) else []
        elif not pd.isna(apex):
            joined.own.append(name)
        elif found is None:
            joined.outside.append(f"{name}: {', '.join(str(one.apex) for one in of_clip)} of {onset} to {offset}")
        else:
            joined.taken[sample_id] = found
            joined.ends += found == offset
    return joined


def _apex(lines: Sequence[Listed], onset: int | None, offset: int | None) -> int | None:
    """Return the one apex of an expression; None where there is none within it, or several."""
    of_onset = [line for line in lines if line.onset == onset] or lines
    inside = {
        line.apex
        for line in of_onset
        if (onset is None or line.apex > onset) and (offset is None or line.apex <= offset)
    }
    return inside.pop() if len(inside) == 1 else None


def _written(dataset: RawDataset, joined: _Joined, path: Path) -> RawDataset:
    import pandas as pd

    samples, taken = dataset.samples.copy(), joined.taken
    places = samples["sample_id"].isin(list(taken))
    apexes = [taken[name] for name in samples.loc[places, "sample_id"]]
    before = samples.loc[places, "repaired"].fillna("").tolist()
    marks = [
        "; ".join(filter(None, (old, MARK.format(apex, path.name)))) for old, apex in zip(before, apexes, strict=True)
    ]
    samples.loc[places, "apex"] = pd.array(apexes, "Int64")
    samples.loc[places, "repaired"] = pd.array(marks, "string")
    clips = {name: replace(clip, apex=taken.get(name, clip.apex)) for name, clip in dataset.clips.items()}
    notes = (*dataset.notes, *_notes(joined, path))
    return replace(dataset, samples=samples, clips=clips, notes=notes, sheets=(*dataset.sheets, path))


def _notes(joined: _Joined, path: Path) -> list[str]:
    ends = f"; {joined.ends} of them are the offset, which is unlikely where people looked" if joined.ends else ""
    notes = [f"{len(joined.taken)} apexes are of {path}, a list by others than the database's authors{ends}"]
    for what, names in (
        ("clips have an apex of their authors, which stays", joined.own),
        ("clips are not in the list", joined.unlisted),
        ("apexes of the list do not lie within their clip, or are its onset, and are not taken", joined.outside),
    ):
        notes += [f"{path.name}: {len(names)} {what}: {named(names)}"] if names else []
    return notes
