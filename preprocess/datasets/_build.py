"""From a declared database on disk to samples, clips and notes: rows of the sheet joined with the clip folders."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from preprocess.base.errors import DataError
from preprocess.datasets._adapter import DATASETS, Adapter, Found, RawDataset
from preprocess.datasets._find import find, located, sheet_of
from preprocess.datasets._folders import below, real
from preprocess.datasets._records import clip_key, frame_order, mended, subject_id, to_frame, to_rate
from preprocess.datasets._sheets import read_records
from preprocess.datasets._spec import Count, Database, Record
from preprocess.datasets._trees import ClipPlace, Frames, find_clips, number_frames, recognised
from preprocess.labels.emotions import ANNOTATIONS
from preprocess.samples.clip import Clip
from preprocess.samples.frames import VIDEO_ENDINGS
from preprocess.samples.table import samples_table

MARK = "synthetic.json"
# A rendered database's mark lies in its root, which may be some levels above the tree.
MARK_LEVELS = 4
# A note names so many of the rows or folders that it counts.
NAMED = 20
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


class _Notes:
    """Notes of one kind gathered into one line: how many, and which."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, what: str) -> None:
        self._kinds[kind].append(what)

    def lines(self) -> list[str]:
        return [kind.format(n=len(what)) + ": " + named(what) for kind, what in self._kinds.items()]


def named(what: Sequence[str]) -> str:
    """Return the first names of a long list, and how many more there are."""
    more = f"; and {len(what) - NAMED} more" if len(what) > NAMED else ""
    return "; ".join(what[:NAMED]) + more


class _Reading:
    """The state of reading one database: its records, its clip folders by key, and the notes so far."""

    def __init__(self, database: Database, found: Found) -> None:
        self.database = database
        self.found = found
        self.notes = _Notes()
        self.mark = mark_of(found.root)
        self.prefix = "synth_" if self.mark else ""
        self.places: dict[tuple[str, str], ClipPlace] = {}
        self.frames: dict[Path, Frames] = {}
        self.used: set[Path] = set()
        self.several: Counter[tuple[str, ...]] = Counter()

    def datasets(self) -> list[RawDataset]:
        self._index(self._clips())
        records = self._sheet_records() if self.database.sheets else self._folder_records()
        if not records:
            raise DataError(f"{self.found.sheet or self.found.root} holds no annotated clip of {self.database.title}.")
        counts = self._count_notes(records)
        samples: dict[str, list[tuple[dict[str, Any], Clip]]] = defaultdict(list)
        for record in self._told_apart(records):
            sample = self._sample(record)
            if sample is not None:
                samples[sample[0]["dataset"]].append(sample)
        if not samples:
            raise DataError(self._nothing_joins(records))
        for place in self.places.values():
            if self.database.sheets and place.path not in self.used:
                self.notes.add("{n} clip folders have no row in the sheet and are left out", self._under(place.path))
        notes = (*counts, *self.notes.lines())
        return [self._dataset(name, rows, notes) for name, rows in samples.items()]

    def _dataset(self, name: str, rows: Iterable[tuple[dict[str, Any], Clip]], notes: tuple[str, ...]) -> RawDataset:
        rows = list(rows)
        return RawDataset(
            name=name,
            samples=samples_table([row for row, _ in rows]),
            synthetic=bool(self.prefix),
            clips={clip.sample_id: clip for _, clip in rows},
            notes=notes,
            macro=name.removeprefix(self.prefix) in self.database.macro or rendered_macro(self.mark),
        )

    def _clips(self) -> list[ClipPlace]:
        clips: list[ClipPlace] = []
        for tree in self.database.trees:
            if tree.variant == self.found.variant and recognised(tree, self.found.root):
                search = find_clips(tree, self.found.root)
                clips += search.clips
                for stray in search.strays:
                    self.notes.add("{n} folders are not named like clips and are left out", self._under(stray))
                for file in search.skipped:
                    self.notes.add(f"{{n}} files are skipped by their ending, {NO_VIDEO}", self._under(file))
                for link in search.links:
                    self.notes.add("{n} folders are links, which were followed", f"{self._under(link)} -> {real(link)}")
        return clips

    def _index(self, clips: Iterable[ClipPlace]) -> None:
        for place in clips:
            subject = place.fields.get("subject")
            key = (self._subject(subject) if subject else "", clip_key(place.fields["clip"]))
            if key in self.places:
                raise DataError(
                    f"Two clips of one name: {self.places[key].path} and {place.path}. Remove or rename one of them."
                )
            self.places[key] = place

    def _subject(self, text: str) -> str:
        return subject_id(self.database.subject, text)

    def _sheet_records(self) -> list[Record]:
        assert self.found.sheet is not None
        parts = list(dict.fromkeys(sheet.part for sheet in self.database.sheets))
        records: list[Record] = []
        for part in parts:
            sheets = [sheet for sheet in self.database.sheets if sheet.part == part]
            if any(sheet.version == self.found.version for sheet in sheets):
                there = [(self.found.version, self.found.sheet)]
            else:
                there = located(self.database, self.found.root, sheets)
            if not there:
                self.notes.add("{n} parts of the database have no sheet and are left out", part or sheets[0].version)
                continue
            version, path = there[0]
            for record in read_records(path, sheet_of(sheets, version)):
                records.append({**({"split": part} if part else {}), **record})
        self._join_sheets(records)
        return records

    def _join_sheets(self, records: Sequence[Record]) -> None:
        """Add the fields of the other sheets that are there. A field that the record has already stays as it is."""
        for version, path in located(self.database, self.found.root, self.database.joined):
            more = {self._key(record): record for record in read_records(path, sheet_of(self.database.joined, version))}
            for record in records:
                for name, value in more.get(self._key(record), {}).items():
                    record.setdefault(name, value)

    def _key(self, record: Record) -> tuple[str, str]:
        return self._subject(record["subject"]), clip_key(record["clip"])

    def _place(self, record: Record) -> ClipPlace | None:
        """Return where a record's clip lies; None where it is not there.

        Copies of one database may name a clip differently: ``folder`` gives all its names. Where the folders do not
        tell the subject, the clip's name alone must do.
        """
        names = (record.get("folder") or record["clip"]).split("|")
        subjects = (self._subject(record["subject"]), "")
        places = (self.places.get((subject, clip_key(name))) for name in names for subject in subjects)
        return next((place for place in places if place is not None), None)

    def _clip_name(self, place: ClipPlace, told: str) -> str:
        plain = {name: str(int(value)) if value.isdigit() else value for name, value in place.fields.items()}
        name = self.database.clip.format(**{**plain, "clip": place.fields["clip"]})
        # Of two names that differ in the case of letters only, the sheet's is the published one.
        return told if self.database.sheets and name.lower() == told.lower() else name

    def _folder_records(self) -> list[Record]:
        records = []
        for place in self.places.values():
            fields = dict(place.fields)
            label = self.database.label
            record = label(str(place.path), fields) if label else {}
            if record is None:
                self.notes.add("{n} clips have no label and are left out", self._under(place.path))
                continue
            records.append({**fields, **record, "origin": self._under(place.path)})
        return records

    def _count_notes(self, records: Sequence[Record]) -> list[str]:
        """Hold the annotation, before anything is left out, against the published numbers."""
        notes = []
        for name in dict.fromkeys(record.get("dataset", self.database.name) for record in records):
            own = [record for record in records if record.get("dataset", self.database.name) == name]
            here = (len(own), len({self._subject(record["subject"]) for record in own}))
            known = [count for count in self.database.counts if (count.dataset or self.database.name) == name]
            known = [count for count in known if count.version in ("", self.found.version)]
            if not self.prefix and known and not any(_fits(count, here) for count in known):
                published = " or ".join(
                    f"{count.samples}{f' of {count.subjects} subjects' if count.subjects else ''} ({count.reference})"
                    for count in known
                )
                notes.append(f"{name}: {here[0]} annotated clips of {here[1]} subjects; published are {published}")
        return notes

    def _sample(self, record: Record) -> tuple[dict[str, Any], Clip] | None:
        """Return the sample and the clip of a record, or None with a note where it cannot be used."""
        database, origin = self.database, record["origin"]
        subject = self._subject(record["subject"])
        place = self._place(record)
        who = f"{subject}/{record['clip']} ({origin})"
        if not record["subject"]:
            self.notes.add("{n} rows name no subject and are left out", f"{record['clip']} ({origin})")
            return None
        if place is None:
            self.notes.add("{n} rows have no clip folder and are left out", who)
            return None
        self.used.add(place.path)
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
    ) -> tuple[dict[str, Any], Clip]:
        onset, apex, offset = key_frames
        dataset = self.prefix + record.get("dataset", self.database.name)
        people = self.prefix + (self.database.people or self.database.name)
        # Sheets and copies of them pad numbers as they like; the folder's name is the clip's name.
        clip = record["clip"] if "folder" in record else self._clip_name(place, record["clip"])
        several = self.database.several or self.several[record.get("dataset", ""), *self._key(record)] > 1
        sample_id = f"{dataset}/{subject}/{clip}" + (f"@{onset}" if several else "")
        fps = to_rate(record.get("fps", "")) or self.database.fps
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
        for name in ("emotion", "action_units", "objective_class", "split"):
            row[name] = record.get(name) or None
        if place.tree.videos:
            return row, Clip(sample_id, video=place.path, onset=onset, apex=apex, offset=offset, fps=fps)
        return row, Clip(sample_id, self.frames[place.path], None, onset, apex, offset, fps)

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
        for record in kept:
            self.several[record.get("dataset", ""), *self._key(record)] += 1
        return kept

    def _nothing_joins(self, records: Sequence[Record]) -> str:
        wanted = ", ".join("/".join((self._subject(one["subject"]), one["clip"])) for one in records[:3])
        there = ", ".join(self._under(place.path) for place in list(self.places.values())[:3])
        return (
            f"No sample of {self.database.title} can be read: of {len(records)} clips annotated in "
            f"{self.found.sheet or self.found.root} (such as {wanted}) none can be used with the {len(self.places)} "
            f"clip folders in {self.found.root} (such as {there}). "
            f"{' '.join(self.notes.lines())[:2000]}. Is it the sheet of another database?"
        )

    def _under(self, path: Path) -> str:
        return path.relative_to(self.found.root).as_posix()


def _fits(count: Count, here: tuple[int, int]) -> bool:
    return count.samples == here[0] and count.subjects in (None, here[1])


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
