"""Your own recordings: a file ``clips.csv`` names the clips, whom they show and what is known of them."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from preprocess.base.errors import DataError, did_you_mean
from preprocess.datasets._adapter import DATASETS, Adapter, Found, LongRecording, RawDataset
from preprocess.datasets._build import mark_of
from preprocess.datasets._clip_list import COLUMNS, FILE, ListedClip, is_list, read_list
from preprocess.datasets._folders import links_on, listing
from preprocess.labels.emotions import ANNOTATIONS, Annotation, annotate, spelling
from preprocess.labels.tasks import TASKS
from preprocess.samples.clip import Clip
from preprocess.samples.table import samples_table

NAME = "clips"


@dataclass(frozen=True)
class _Sample:
    """A clip of the list with the names that its sample gets."""

    listed: ListedClip
    dataset: str
    subject: str
    sample_id: str


def find(path: Path) -> list[Found]:
    """Recognise a folder that holds a list of clips."""
    names = [name for name, is_folder in listing(path) if not is_folder and name.lower() == FILE]
    return [Found(NAME, path, "own", path / name) for name in names[:1] if is_list(path / name)]


def read(found: Found) -> list[RawDataset]:
    """Read the clips of a list.

    Raises
    ------
    DataError : the list is wrong; the message has every mistake with file, row and column.
    """
    assert found.sheet is not None
    listed = read_list(found.sheet)
    own, notes = _own_name(found.root)
    people, more = _people([clip.cells["subject"] for clip in listed.clips])
    links = (line for clip in listed.clips for line in links_on(found.root, clip.place))
    notes = [*notes, *more, *listed.notes, *dict.fromkeys(links)]
    marks = {folder: mark_of(folder) for folder in {clip.place.parent for clip in listed.clips}}
    several = Counter(clip.place for clip in listed.clips)
    samples: dict[str, list[_Sample]] = defaultdict(list)
    for clip in listed.clips:
        dataset = ("synth_" if marks[clip.place.parent] else "") + _checked_name(found.sheet, clip, own)
        subject = people[clip.cells["subject"]]
        name = _clip_name(clip, subject) + (f"@{clip.onset or 0}" if several[clip.place] > 1 else "")
        samples[dataset].append(_Sample(clip, dataset, subject, f"{dataset}/{subject}/{name}"))
    _refuse_one_id_twice(found.sheet, [sample for some in samples.values() for sample in some])
    return [_dataset(found.sheet, name, some, notes) for name, some in samples.items()]


def _dataset(sheet: Path, name: str, samples: Sequence[_Sample], notes: Sequence[str]) -> RawDataset:
    words = Counter(
        word
        for sample in samples
        for word in re.split(r"\s*\+\s*", sample.listed.cells.get("emotion", "").lower())
        if word
    )
    annotate(name, Annotation(tuple(words), by_words=True))
    return RawDataset(
        name=name,
        samples=samples_table([_row(sheet, sample) for sample in samples]),
        synthetic=name.startswith("synth_"),
        clips={sample.sample_id: _clip(sample) for sample in samples},
        notes=(*notes, *_notes_on_words(name, words)),
        recordings=partial(_recordings, sheet, samples),
    )


def _recordings(sheet: Path, samples: Sequence[_Sample]) -> tuple[LongRecording, ...]:
    """Return the recordings of which a row tells where in them an expression is."""
    places: dict[Path, list[_Sample]] = defaultdict(list)
    for sample in samples:
        places[sample.listed.place].append(sample)
    found = []
    for same in places.values():
        cells = [set(sample.listed.cells) for sample in same]
        if not any({"onset", "offset"} & there for there in cells):
            continue
        first = same[0]
        name = f"{first.dataset}/{first.subject}/{_clip_name(first.listed, first.subject)}"
        whole = dataclasses.replace(_clip(first), sample_id=name, onset=None, apex=None, offset=None)
        unclear = [
            f"{sheet}, row {sample.listed.row}, column {column}: is empty"
            for sample, there in zip(same, cells, strict=True)
            for column in ("onset", "offset")
            if column not in there
        ]
        ids = tuple(sample.sample_id for sample in same)
        found.append(LongRecording(name, f"{first.dataset}/{first.subject}", whole, ids, tuple(unclear)))
    return tuple(found)


def _row(sheet: Path, sample: _Sample) -> dict[str, Any]:
    listed = sample.listed
    row: dict[str, Any] = {
        "sample_id": sample.sample_id,
        "dataset": sample.dataset,
        "subject": f"{sample.dataset}/{sample.subject}",
        "clip": sample.sample_id.split("/", 2)[2],
        "onset": listed.onset,
        "apex": listed.apex,
        "offset": listed.offset,
        "fps": listed.fps,
        "origin": f"{sheet}, row {listed.row}",
    }
    return row | {column: listed.cells.get(column) for column in ("emotion", "action_units", "split")}


def _clip(sample: _Sample) -> Clip:
    listed = sample.listed
    video, files = (listed.place, {}) if listed.frames is None else (None, listed.frames)
    return Clip(sample.sample_id, files, video, listed.onset, listed.apex, listed.offset, listed.fps)


def _clip_name(clip: ListedClip, subject: str) -> str:
    """Return the way to a clip as one word, without the folder that is called like the person."""
    parts = clip.name.split("/")
    own = len(parts) > 1 and parts[0].casefold() == subject.casefold()
    return "_".join(parts[1:] if own else parts)


def _own_name(root: Path) -> tuple[str, list[str]]:
    """Return the name of the dataset that a folder's list is, and a note where it is not the folder's own name."""
    folder = root.resolve().name
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_.-") or NAME
    if _known(name):
        name = f"{name}_{NAME}"
    more = "" if name == folder else f"the dataset of folder {folder!r} is called {name}; a column dataset names it"
    return name, [more] if more else []


def _known(name: str) -> bool:
    return name.removeprefix("synth_") in ANNOTATIONS.names()


def _checked_name(sheet: Path, clip: ListedClip, own: str) -> str:
    name = clip.cells.get("dataset", own)
    if _known(name):
        raise DataError(
            f"{sheet}, row {clip.row}, column dataset: {name!r} is a published database; clips of this list would pass "
            "for it in every table. Choose another name."
        )
    return name


def _people(subjects: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return a person's id for each spelling of it, and a note on spellings that were taken for one person's."""
    spellings: dict[str, dict[str, None]] = defaultdict(dict)
    for subject in subjects:
        spellings[" ".join(subject.split()).casefold()][subject] = None
    several = [" and ".join(map(repr, same)) for same in spellings.values() if len(same) > 1]
    notes = [f"{len(several)} people are written in two ways and count as one each: {', '.join(several)}"]
    return {one: next(iter(same)) for same in spellings.values() for one in same}, notes if several else []


def _refuse_one_id_twice(sheet: Path, samples: Sequence[_Sample]) -> None:
    first: dict[str, ListedClip] = {}
    for sample in samples:
        other = first.setdefault(sample.sample_id, sample.listed)
        if other is not sample.listed:
            raise DataError(
                f"{sheet}, row {sample.listed.row}: its clip would be called {sample.sample_id}, as that of row "
                f"{other.row} ({sample.listed.place} and {other.place}). Rename one of the two."
            )


def _notes_on_words(name: str, words: Counter[str]) -> list[str]:
    """Return notes on emotions that no task knows, such as mistyped ones, and where no task takes the dataset."""
    mappings = [task.mapping(name) for _, task in TASKS.items() if task.column == "emotion"]
    taken = {word for mapping in mappings for word, of in mapping.items() if of is not None}
    emotions = {emotion for dataset in ANNOTATIONS.names() for emotion in ANNOTATIONS.get(dataset).words().values()}
    notes = []
    if strange := [word for word in words if word not in taken and spelling(word) not in emotions]:
        told = ", ".join(f"{word!r} ({words[word]} clips)" for word in strange)
        notes.append(f"no task knows the emotions {told}. Of {strange[0]!r}: {did_you_mean(strange[0], emotions)}")
    if words and not taken:
        notes.append(
            "no task of emotions takes this dataset: each needs a word for each of its classes, emotion3 for example "
            f"one for {', '.join(TASKS.get('emotion3').classes)}; the words here are {', '.join(words)}"
        )
    return notes


DATASETS.add(
    NAME,
    Adapter(
        name=NAME,
        description="your own recordings, videos or folders of frames, listed in a file clips.csv",
        layout=f"{FILE} ({', '.join(COLUMNS)}; path and subject are needed) beside or above the recordings",
        find=find,
        read=read,
        apart=True,
    ),
    origin=__name__,
)
