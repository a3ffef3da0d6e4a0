"""From a declared database on disk to samples, clips and notes: rows of the sheet joined with the clip folders."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError
from preprocess.datasets._adapter import DATASETS, Adapter, Found, LongRecording, RawDataset
from preprocess.datasets._annotation import Annotation
from preprocess.datasets._counts import Annotated, Row, count_notes
from preprocess.datasets._find import find, trees_at
from preprocess.datasets._folders import below, real
from preprocess.datasets._match import Places
from preprocess.datasets._notes import Notes
from preprocess.datasets._records import clip_key, frame_order, mended, subject_id, to_frame, to_rate
from preprocess.datasets._spec import Database, Record
from preprocess.datasets._trees import ClipPlace, find_clips, number_frames
from preprocess.labels.emotions import ANNOTATIONS
from preprocess.samples.clip import Clip, Frames
from preprocess.samples.frames import VIDEO_ENDINGS
from preprocess.samples.table import as_table, samples_table

if TYPE_CHECKING:
    import pandas as pd

MARK = "synthetic.json"
# What a row of the samples table takes from a record as it is.
TOLD = ("emotion", "action_units", "objective_class", "split")
# A rendered database's mark lies in its root, which may be some levels above the tree.
MARK_LEVELS = 4
NO_VIDEO = f"which is none of a video's ({', '.join(VIDEO_ENDINGS)})"


def register(database: Database, origin: str) -> None:
    """Register the adapter of a declared database, and how its datasets are annotated.

    Parameters
    ----------
    database : what the adapter is made from.
    origin : the adapter file's ``__name__``.
    """
    adapter = Adapter(
        name=database.name,
        description=database.title,
        layout=database.layout,
        find=lambda path: find(database, path),
        read=lambda found: read(database, found),
        variants=database.variants,
        database=database,
    )
    DATASETS.add(database.name, adapter, origin=origin)
    for name, annotation in database.annotations.items():
        ANNOTATIONS.add(name, annotation, origin=origin)


def read(database: Database, found: Found) -> list[RawDataset]:
    """Read a declared database.

    A row or folder that cannot be used is left out. Every kind of these is noted, with how many there are and their
    names.

    Parameters
    ----------
    database : its declaration.
    found : where it was found.

    Returns
    -------
    One dataset; several where records name their own.

    Raises
    ------
    DataError : the database cannot be read: a sheet without its columns, no row that has a clip, two folders of one
        clip, a link that leads back to where it was followed from.
    """
    return _Reading(database, found).datasets()


class _Reading:
    """The state of reading one database: its records, its clip folders by key, and the notes so far."""

    def __init__(self, database: Database, found: Found) -> None:
        self.database = database
        self.found = found
        self.notes = Notes()
        self.mark = mark_of(found.root)
        self.prefix = "synth_" if self.mark else ""
        self.strays: list[Path] = []
        self.places = Places(self._clips(), database.subject, bool(database.sheets))
        self.frames: dict[Path, Frames] = {}
        self.homeless: list[tuple[Record, str]] = []
        self.lost: dict[str, list[Row]] = defaultdict(list)
        self.files: tuple[Path, ...] = ()
        self.several: Counter[tuple[str, ...]] = Counter()
        self.long: dict[tuple[str, Path], list[Row]] = defaultdict(list)

    def datasets(self) -> list[RawDataset]:
        annotation = Annotation(self.database, self.found, self.notes)
        self.files = tuple(annotation.files)
        records = annotation.records if self.database.sheets else self._folder_records()
        if not records:
            raise DataError(f"{self.found.sheet or self.found.root} holds no annotated clip of {self.database.title}.")
        samples: dict[str, list[tuple[Row, Clip]]] = defaultdict(list)
        for record in self._told_apart(records):
            sample = self._sample(record)
            if sample is None:
                self._lose(record)
            else:
                samples[sample[0]["dataset"]].append(sample)
        self._note_what_is_left()
        if not samples:
            raise DataError(self._nothing_joins(records))
        tables = {name: samples_table([row for row, _ in rows]) for name, rows in samples.items()}
        notes = (*self._count_notes(records, tables), *self.notes.lines())
        return [self._dataset(name, table, samples[name], notes) for name, table in tables.items()]

    def _dataset(
        self, name: str, table: pd.DataFrame, samples: Sequence[tuple[Row, Clip]], notes: tuple[str, ...]
    ) -> RawDataset:
        return RawDataset(
            name=name,
            samples=table,
            synthetic=bool(self.prefix),
            clips={clip.sample_id: clip for _, clip in samples},
            notes=notes,
            macro=name.removeprefix(self.prefix) in self.database.macro or rendered_macro(self.mark),
            sheets=self.files,
            recordings=partial(self._recordings, name),
        )

    def _recordings(self, dataset: str) -> tuple[LongRecording, ...]:
        """Return the long recordings of a dataset's people, with its expressions in each."""
        people = self.prefix + (self.database.people or self.database.name)
        found = []
        for place in self.places.all:
            rows = self.long.get((dataset, place.path), [])
            subject = rows[0]["subject"] if rows else f"{people}/{self._subject(place.fields.get('subject', ''))}"
            told = rows or (place.odd is None and place.fields.get("subject"))
            frames = self._frames_of(place) if place.tree.long and told else None
            if frames:
                person, name = subject.partition("/")[2], self._clip_name(place, place.path.name)
                clip = Clip(f"{dataset}/{person}/{name}", frames, fps=rows[0]["fps"] if rows else self.database.fps)
                ids = tuple(row["sample_id"] for row in rows)
                found.append(LongRecording(clip.sample_id, subject, clip, ids))
        return tuple(found)

    def _lose(self, record: Record) -> None:
        """Keep what a clip that cannot be used would have been, for the counts."""
        dataset, subject = self._dataset_of(record), self._subject(record["subject"])
        name = f"{dataset}/{subject}/{record['clip']}" + (f"@{record['onset']}" if self._holds_several(record) else "")
        row: Row = {"sample_id": name, "dataset": dataset, "subject": subject}
        self.lost[dataset].append({**row, **{name: record.get(name) or None for name in TOLD}})

    def _clips(self) -> list[ClipPlace]:
        clips: list[ClipPlace] = []
        for tree in trees_at(self.database, self.found.variant, self.found.root, bool(self.found.given.sheets)):
            search = find_clips(tree, self.found.root, any_name=bool(self.database.sheets))
            clips += search.clips
            self.strays += search.strays
            for file in search.skipped:
                self.notes.add(f"{{n}} files are skipped by their ending, {NO_VIDEO}", self._under(file))
            for link in search.links:
                self.notes.add("{n} folders are links, which were followed", f"{self._under(link)} -> {real(link)}")
        return clips

    def _note_what_is_left(self) -> None:
        """Note the rows without a folder, and the folders without a row."""
        for record, who in self.homeless:
            if place := self.places.left(record):
                told = f"{who}: {self._under(place.path)}"
                self.notes.add("{n} rows name clips whose folder lies with another subject, and are left out", told)
            else:
                self.notes.add("{n} rows have no clip folder and are left out", who)
        left = self.places.unused() if self.database.sheets else []
        known = [place.path for place in self.places.all if place.odd is None or place.path in self.places.used]
        ways = {folder for path in known for folder in (path, *path.parents)}
        for stray in dict.fromkeys(self.strays):
            if stray not in ways:
                self.notes.add("{n} folders are not named like clips and are left out", self._under(stray))
        for place in left:
            if place.odd is None or place.odd in ways:
                without = "{n} clip folders have no row in the sheet and are left out"
                empty = "{n} long recordings have no row in the sheet: they show no expression"
                self.notes.add(empty if place.tree.long else without, self._under(place.path))

    def _subject(self, text: str) -> str:
        return subject_id(self.database.subject, text)

    def _key(self, record: Record) -> tuple[str, str]:
        return self._subject(record["subject"]), clip_key(record["clip"])

    def _clip_name(self, place: ClipPlace, told: str) -> str:
        plain = {name: str(int(value)) if value.isdigit() else value for name, value in place.fields.items()}
        name = self.database.clip.format(**{**plain, "clip": place.fields["clip"]})
        # Of two names that differ in the case of letters only, the sheet's is the published one.
        return told if self.database.sheets and name.lower() == told.lower() else name

    def _folder_records(self) -> list[Record]:
        records = []
        for place in self.places.all:
            fields = dict(place.fields)
            label = self.database.label
            record = label(str(place.path), fields) if label else {}
            if record is None:
                self.notes.add("{n} clips have no label and are left out", self._under(place.path))
                continue
            records.append({**fields, **record, "origin": self._under(place.path)})
        return records

    def _count_notes(self, records: Sequence[Record], tables: Mapping[str, pd.DataFrame]) -> list[str]:
        """Hold what can be used against the published numbers; rendered data has none."""
        notes = []
        for name in dict.fromkeys(map(self._dataset_of, records)) if not self.prefix else ():
            own = [record for record in records if self._dataset_of(record) == name]
            people = {self._subject(record["subject"]) for record in own}
            counts = [one for one in self.database.counts if (one.dataset or self.database.name) == name]
            counts = [one for one in counts if one.version in ("", self.found.version)]
            annotated = Annotated(len(own), len(people), tuple(self.lost[name]))
            table = tables[name] if name in tables else as_table([])
            notes += count_notes(name, table, annotated, counts)
        return notes

    def _dataset_of(self, record: Record) -> str:
        return record.get("dataset", self.database.name)

    def _sample(self, record: Record) -> tuple[Row, Clip] | None:
        """Return the sample and the clip of a record, or None with a note where it cannot be used."""
        database, origin = self.database, record["origin"]
        subject = self._subject(record["subject"])
        place = self.places.of(record)
        who = f"{subject}/{record['clip']} ({origin})"
        if not record["subject"]:
            self.notes.add("{n} rows name no subject and are left out", f"{record['clip']} ({origin})")
            return None
        if place is None:
            self.homeless.append((record, who))
            return None
        if place.odd is not None and place.odd.name != place.fields["clip"]:
            self.notes.add("{n} clips lie in a folder of an unusual name", f"{who}: {self._under(place.path)}")
        # The published mistakes are those of the real sheet.
        repairs = () if self.prefix else database.repairs
        record, repaired = mended(record, f"{subject}/{record['clip']}", repairs, self.found.version)
        frames = self._frames_of(place)
        if place.tree.frames and not frames:
            self.notes.add("{n} clips have no frames and are left out", who)
            return None
        try:
            onset, apex, offset = self._key_frames(record, frames)
            to_rate(record.get("fps", ""))
        except ValueError as error:
            self.notes.add("{n} rows have numbers that cannot be and are left out", f"{who}: {error}")
            return None
        if frames is not None and not has_between(frames, onset, offset):
            self.notes.add(
                "{n} clips have none of the frames that the sheet names and are left out",
                f"{who}: frames {onset} to {offset}; the folder has {min(frames)} to {max(frames)}",
            )
            return None
        return self._made(record, subject, place, (onset, apex, offset), repaired)

    def _made(
        self,
        record: Record,
        subject: str,
        place: ClipPlace,
        key_frames: tuple[int | None, int | None, int | None],
        repaired: Sequence[str],
    ) -> tuple[Row, Clip]:
        onset, apex, offset = key_frames
        dataset = self.prefix + self._dataset_of(record)
        people = self.prefix + (self.database.people or self.database.name)
        # Sheets and copies of them pad numbers as they like; the folder's name is the clip's name.
        clip = record["clip"] if "folder" in record or place.odd else self._clip_name(place, record["clip"])
        sample_id = f"{dataset}/{subject}/{clip}" + (f"@{onset}" if self._holds_several(record) else "")
        fps = to_rate(record.get("fps", "")) or self.database.fps
        registered = self.found.variant in self.database.registered
        row = {
            "sample_id": sample_id,
            "dataset": dataset,
            "subject": f"{people}/{subject}",
            "clip": clip,
            "onset": onset,
            "apex": apex,
            "offset": offset,
            "fps": fps,
            "repaired": "; ".join(repaired) or None,
            "origin": record["origin"],
        }
        row |= {name: record.get(name) or None for name in TOLD}
        if place.tree.long:
            self.long[dataset, place.path].append(row)
        if place.tree.videos:
            return row, Clip(sample_id, {}, place.path, onset, apex, offset, fps, registered)
        return row, Clip(sample_id, self.frames[place.path], None, onset, apex, offset, fps, registered)

    def _holds_several(self, record: Record) -> bool:
        return self.database.several or self.several[record.get("dataset", ""), *self._key(record)] > 1

    def _frames_of(self, place: ClipPlace) -> Frames | None:
        """Return the clip's frames, listed once however many expressions the clip holds; None for a video."""
        if place.tree.videos:
            return None
        if place.path not in self.frames:
            numbered = number_frames(place)
            self.frames[place.path] = numbered.frames
            for double in numbered.doubles:
                self.notes.add("{n} frames have two files", double)
            for ending, count in numbered.skipped.items():
                skipped = f"{self._under(place.path)}: {count} {ending}"
                self.notes.add("{n} clips have files that are skipped by their ending", skipped)
        return self.frames[place.path]

    def _key_frames(self, record: Record, frames: Frames | None) -> tuple[int | None, int | None, int | None]:
        """Return onset, apex and offset; those of the whole clip where the record has none.

        Raises
        ------
        ValueError : the numbers cannot be; the message says why.
        """
        onset, apex, offset = (to_frame(record.get(name, ""), name) for name in ("onset", "apex", "offset"))
        if "onset" not in record and "offset" not in record:
            onset, offset = (min(frames), max(frames)) if frames else (None, None)
        elif onset is None or offset is None:
            raise ValueError(f"onset is {record.get('onset', '')!r} and offset {record.get('offset', '')!r}")
        if not frame_order(onset, apex, offset):
            raise ValueError(f"onset {onset}, apex {apex}, offset {offset} are not in this order")
        return onset, apex, offset

    def _told_apart(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that are one expression each: of equal rows the first, of contradicting ones none."""
        rows: dict[tuple[str, ...], list[Record]] = defaultdict(list)
        for record in records:
            rows[(record.get("dataset", ""), *self._key(record), record.get("onset", ""))].append(record)
        kept = []
        for same in rows.values():
            contents = {tuple(sorted((k, v) for k, v in one.items() if k not in ("origin", "row"))) for one in same}
            if len(contents) == 1:
                kept.append(same[0])
                for record in same[1:]:
                    self.notes.add("{n} rows repeat an earlier one and are left out", record["origin"])
            else:
                places = " and ".join(record["origin"] for record in same)
                self.notes.add("{n} expressions have rows that contradict each other and are left out", places)
                self._lose(same[0])
        for record in kept:
            self.several[record.get("dataset", ""), *self._key(record)] += 1
        return kept

    def _nothing_joins(self, records: Sequence[Record]) -> str:
        wanted = ", ".join("/".join((self._subject(one["subject"]), one["clip"])) for one in records[:3])
        there = ", ".join(self._under(place.path) for place in self.places.all[:3])
        return (
            f"No sample of {self.database.title} can be read: of {len(records)} clips annotated in "
            f"{self.found.sheet or self.found.root} (such as {wanted}) none can be used with the "
            f"{len(self.places.all)} clip folders in {self.found.root} (such as {there}). "
            f"{' '.join(self.notes.lines())[:2000]}. Is it the sheet of another database?"
        )

    def _under(self, path: Path) -> str:
        return path.relative_to(self.found.root).as_posix()


def has_between(frames: Frames, onset: int | None, offset: int | None) -> bool:
    """Say whether there is any frame from onset to offset, looking at as few numbers as possible."""
    if onset is None or offset is None:
        return bool(frames)
    if offset - onset < len(frames):
        return any(number in frames for number in range(onset, offset + 1))
    return any(onset <= number <= offset for number in frames)


def mark_of(root: Path) -> Path | None:
    """Return the mark of a tree that was rendered by this program: it lies in the root or a few levels above."""
    folders = (root, *root.absolute().parents[:MARK_LEVELS], *real(root).parents[:MARK_LEVELS])
    marks = (below(folder, MARK) for folder in folders)
    return next((mark for mark in marks if mark and mark.is_file()), None)


def rendered_macro(mark: Path | None) -> bool:
    """Say whether a mark is that of macro-expressions in the layout of a database of micro-expressions."""
    if mark is None:
        return False
    try:
        return json.loads(mark.read_text(encoding="utf-8")).get("options", {}).get("strength") == "macro"
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{mark} cannot be read ({error}). Render the database again with `merbench synth`.") from error
