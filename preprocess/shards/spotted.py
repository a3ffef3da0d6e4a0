"""What was spotted in long recordings, kept as shards are: made once, in parallel, found again by what it was made of.

A recording's expressions are a tensor: its first row tells how many frames could be read, how many expressions there
are, in how much of it the face is seen and which strength counts as one; each other row is an expression.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preprocess.base.errors import DataError
from preprocess.base.hashing import digest
from preprocess.base.storage import Storage, open_storage
from preprocess.datasets import LongRecording, RawDataset
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.layout import Content, Layout
from preprocess.shards.features import Feature, files_of
from preprocess.shards.file import content_hash, decode
from preprocess.shards.folder import FeatureFolder
from preprocess.shards.making import Broken, Execute, SubjectJob, in_this_process
from preprocess.shards.prepare import Progress, broken_text

if TYPE_CHECKING:
    import numpy as np

    from preprocess.faces.face import FaceFinder
    from preprocess.spotting.recordings import Span
    from preprocess.steps import Work

NAME = "spotted"
"""The folder of a dataset's spotted expressions, beside its features."""
MOST = 2000
"""The most expressions of one recording: ten hours with one every twenty seconds."""


@dataclass(frozen=True)
class SpottedRecording:
    """A long recording and what was spotted in it.

    Attributes
    ----------
    recording : the recording.
    spans : the expressions, in order; none where it cannot be used.
    frames : how many frames could be read.
    notes : what a person should know of it.
    skipped : why it cannot be used; "" where it can.
    """

    recording: LongRecording
    spans: tuple[Span, ...]
    frames: int = 0
    notes: tuple[str, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class SpottedInDataset:
    """What was spotted in the recordings of one dataset.

    Attributes
    ----------
    recordings : every recording, where all were looked at; none otherwise.
    waiting : how many are still to be looked at.
    """

    recordings: tuple[SpottedRecording, ...] = ()
    waiting: int = 0


def spot_recordings(
    datasets: Sequence[RawDataset],
    root: Path | str,
    progress: Progress | None = None,
    execute: Execute = in_this_process,
    make: bool = True,
) -> dict[str, SpottedInDataset]:
    """Look for expressions in the long recordings of datasets that nobody has looked at before.

    Nothing is fitted: what counts as an expression is a matter of constants, and of the recording itself.

    Parameters
    ----------
    datasets : as they were read; those without long recordings are not in the result.
    root : path or address where the findings are kept.
    progress : called as ``progress(recordings done, recordings to do)``.
    execute : carries out the work, a person at a time.
    make : whether what is missing is made; otherwise it is counted.

    Raises
    ------
    DataError : of some expression nobody told the onset or the offset, or of a recording the frame rate.
    StoreError : ``root`` cannot be written.
    """
    storage = open_storage(root)
    shelves = [shelf for raw in datasets if (shelf := _shelf(raw, storage)) is not None]
    jobs = [job for shelf in shelves for job in shelf.jobs()]
    if make:
        _carry_out(jobs, {shelf.dataset: shelf for shelf in shelves}, progress, execute)
    return {shelf.dataset: shelf.found() for shelf in shelves}


def _carry_out(
    jobs: Sequence[SubjectJob], shelves: Mapping[str, _Shelf], progress: Progress | None, execute: Execute
) -> None:
    broken: list[Broken] = []
    done, total = 0, sum(len(job.clips) for job in jobs)
    if progress and total:
        progress(0, total)
    for result in execute(jobs) if jobs else ():
        for made in result.shards:
            shelves[result.job.dataset].folder.take(result.job.subject, made)
        broken += result.broken
        done += len(result.job.clips)
        if progress:
            progress(done, total)
    if broken:
        raise DataError(broken_text(broken))
    for shelf in shelves.values():
        shelf.folder.finish()


@dataclass(frozen=True)
class _Shelf:
    """Where the findings of one dataset lie."""

    dataset: str
    people: Mapping[str, Sequence[LongRecording]]
    folder: FeatureFolder
    storage: Storage

    def jobs(self) -> list[SubjectJob]:
        """Return what is still to be made, a job a person."""
        stale = set(self.folder.judge())
        return [
            SubjectJob(
                self.dataset,
                person,
                tuple(one.clip for one in recordings),
                ((self.folder.feature, self.folder.made_from[person]),),
            )
            for person, recordings in self.people.items()
            if person in stale
        ]

    def found(self) -> SpottedInDataset:
        """Return what is there; where something is missing, how much."""
        waiting = sum(len(ones) for person, ones in self.people.items() if person not in self.folder.entries)
        if waiting:
            return SpottedInDataset(waiting=waiting)
        return SpottedInDataset(tuple(one for person in self.people for one in self._of(person)))

    def _of(self, person: str) -> list[SpottedRecording]:
        name, entry = self.folder.shard_name(person), self.folder.entries[person]
        shard = decode(self.storage.read(name), self.storage.where(name))
        if content_hash(shard.sample_ids, shard.tensors) != entry.content:
            raise DataError(f"{self.storage.where(name)} changed since it was checked. Run the same command again.")
        tensors = dict(zip(shard.sample_ids, shard.tensors, strict=True))
        notes, skipped = entry.remarks.notes, entry.remarks.skipped
        return [
            SpottedRecording(one, (), skipped=skipped[one.name])
            if one.name in skipped
            else _read(one, tensors[one.name], notes.get(one.name, ()))
            for one in self.people[person]
        ]


def _shelf(raw: RawDataset, storage: Storage) -> _Shelf | None:
    recordings = raw.recordings()
    check_told(recordings)
    people: dict[str, list[LongRecording]] = {}
    for one in sorted(recordings, key=lambda one: (one.subject, one.name)):
        people.setdefault(one.subject.partition("/")[2], []).append(one)
    if not people:
        return None
    feature = _feature(raw.macro)
    sources = {
        person: digest([[one.name, feature.made_from(one.clip)] for one in ones]) for person, ones in people.items()
    }
    return _Shelf(raw.name, people, FeatureFolder(raw.name, feature, sources, storage), storage)


def check_told(recordings: Sequence[LongRecording]) -> None:
    """Check that onset and offset of every expression are known, and the frame rate of every recording.

    Raises
    ------
    DataError : they are not; the message says where.
    """
    unclear = [line for one in recordings for line in one.unclear]
    if unclear:
        more = f" And {len(unclear) - 10} more." if len(unclear) > 10 else ""
        raise DataError(
            "What is spotted is held against onset and offset of every expression, and some are missing:\n"
            + "\n".join(f"  {line}" for line in unclear[:10])
            + f"{more}\nFill them in, or remove the recording's rows."
        )
    nameless = [one.name for one in recordings if one.clip.fps is None]
    if nameless:
        raise DataError(
            f"{nameless[0]} does not say how many frames there are a second (of {len(nameless)} recordings), and an "
            "expression is told by how long it lasts. Fill in the column fps."
        )


def _feature(macro: bool) -> Feature:
    from preprocess.spotting.spotter import LONGEST, LONGEST_MACRO, VERSION

    longest = LONGEST_MACRO if macro else LONGEST
    shape = (MOST + 1, 4)
    return Feature(
        NAME,
        {"name": NAME, "version": VERSION, "longest": longest},
        shape,
        "float64",
        Layout("tf", shape, Content()),
        files_of,
        functools.partial(_look, longest),
        portable=True,
    )


def _look(longest: float, clip: Clip, finder: FaceFinder, made: dict[str, Work]) -> Work:
    """Spot the expressions of a recording, as a feature of it; the last two are those of every feature, and unused."""
    import numpy as np

    from preprocess.spotting.recordings import Recording
    from preprocess.spotting.spotter import spot
    from preprocess.steps import Work

    files = clip.files if clip.video is None else None
    path = clip.video or next(iter(clip.files.values())).parent
    found = spot(Recording(clip.sample_id, path, float(clip.fps or 0.0), files), longest)  # type: ignore[arg-type]
    if len(found.spans) > MOST:
        raise ClipError(f"{clip.sample_id}: {len(found.spans)} expressions, and at most {MOST} are kept. Cut it.")
    tensor = np.zeros((MOST + 1, 4))
    tensor[0] = found.frames, len(found.spans), found.seen, found.threshold
    for row, span in enumerate(found.spans, start=1):
        tensor[row] = span.onset, span.apex or 0, span.offset, span.strength or 0.0
    notes = [*([f"nothing is spotted: {found.reason}"] if found.reason else []), *found.notes]
    return Work(clip=clip, finder=finder, tensor=tensor, notes=tuple(notes))


def _read(recording: LongRecording, tensor: np.ndarray, notes: Sequence[str]) -> SpottedRecording:
    from preprocess.spotting.recordings import Span

    frames, count = (int(value) for value in tensor[0, :2])
    spans = tuple(
        Span(int(onset), int(apex), int(offset), float(strength))
        for onset, apex, offset, strength in tensor[1 : count + 1].tolist()
    )
    return SpottedRecording(recording, spans, frames, tuple(notes))
