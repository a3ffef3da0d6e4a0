"""Making shards: all features of one subject's clips in one go, clip by clip. Runs in any process, here or far away."""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError, MerError
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.frames import forget_frames
from preprocess.samples.layout import Layout
from preprocess.shards.features import Feature
from preprocess.shards.file import Remarks, Shard, content_of, encode, tensor_hashes

if TYPE_CHECKING:
    import numpy as np

    from preprocess.faces.face import FaceFinder
    from preprocess.steps import Work


# So many hex digits of a tensor's hash are written down: no two of a database's tensors share them by chance.
HASH = 32


@dataclass(frozen=True)
class Entry:
    """One shard in the manifest.

    Attributes
    ----------
    sha256 : of its file.
    content : the content hash of its tensors.
    made_from : fingerprint of what they were made from.
    rows : how many there are.
    remarks : what to know about the clips.
    tensors : sample id -> hash of its tensor, of those that are not constant; None where nobody wrote it down.
    """

    sha256: str
    content: str
    made_from: str
    rows: int
    remarks: Remarks = field(default_factory=Remarks)
    tensors: Mapping[str, str] | None = None


@dataclass(frozen=True)
class SubjectJob:
    """The features of one subject that must be made. One worker makes them together.

    Attributes
    ----------
    dataset : name of the dataset.
    subject : the subject's id.
    clips : the subject's clips.
    features : each feature, with the fingerprint of the source that it is made from.
    """

    dataset: str
    subject: str
    clips: tuple[Clip, ...]
    features: tuple[tuple[Feature, str], ...]

    @property
    def portable(self) -> bool:
        """Whether another process can do it."""
        return all(feature.portable for feature, _ in self.features)

    @property
    def size(self) -> int:
        """How much work it is, in no unit: the largest are given out first, so that nobody waits for the last."""
        return len(self.features) * sum(10 + len(clip.numbers) for clip in self.clips)


@dataclass(frozen=True)
class MadeShard:
    """A shard as bytes, not yet written: whoever judges what is stale also writes, so nodes need no common folder.

    Attributes
    ----------
    feature : the feature's name.
    content : the bytes of the file.
    entry : its entry in the manifest.
    seconds : what its clips took.
    """

    feature: str
    content: bytes = field(repr=False)
    entry: Entry
    seconds: float = 0.0


@dataclass(frozen=True)
class Broken:
    """A feature that could not be made of a clip through no fault of the clip.

    Attributes
    ----------
    place : the sample, or subject, and the feature.
    error : what happened.
    traceback : of a bug; "" where memory did not suffice, or a worker died.
    """

    place: str
    error: str
    traceback: str = ""

    @classmethod
    def by(cls, error: Exception, place: str) -> Broken:
        """Return what an error that is being handled broke."""
        if isinstance(error, MemoryError):
            return cls(place, f"there is not enough memory ({error})" if str(error) else "there is not enough memory")
        return cls(place, f"{type(error).__name__}: {error}", traceback.format_exc())


@dataclass(frozen=True)
class Result:
    """What a job gave.

    Attributes
    ----------
    job : the job.
    shards : the shards that were made.
    broken : what could not be made through no fault of a clip.
    seconds : how long it took, in the process that did it.
    """

    job: SubjectJob
    shards: tuple[MadeShard, ...]
    broken: tuple[Broken, ...]
    seconds: float


Execute = Callable[[Sequence[SubjectJob]], Iterator[Result]]
"""Carries out jobs, in any order, and gives each one's result as soon as it is there."""


def in_this_process(jobs: Sequence[SubjectJob]) -> Iterator[Result]:
    """Carry out jobs one after the other."""
    return map(make, jobs)


class Stopped(Exception):
    """A job was given up between two clips, because the process is to end."""


def make(job: SubjectJob, stop: threading.Event | None = None) -> Result:
    """Make the shards of a job.

    A clip that cannot be used is left out, with a remark. A bug in a step costs the shard in which it shows; the others
    are made.

    Parameters
    ----------
    job : what to make.
    stop : stops the work between two clips once it is set.

    Raises
    ------
    DataError : a recipe or an adapter does not give what it promises.
    Stopped : ``stop`` was set.
    """
    start = time.monotonic()
    makers = [_ShardMaker(f"{job.dataset}/{feature.name}", feature, source) for feature, source in job.features]
    with one_thread() if job.portable else _as_it_is():
        finder: Any = _face_finder() if job.portable else None
        for clip in job.clips:
            if stop is not None and stop.is_set():
                raise Stopped
            made: dict[str, Work] = {}
            for maker in makers:
                maker.add(clip, finder, made)
    forget_frames()
    shards = tuple(maker.shard() for maker in makers if not maker.broken)
    broken = tuple(broken for maker in makers for broken in maker.broken)
    return Result(job, shards, broken, time.monotonic() - start)


class _ShardMaker:
    """Collects one feature's tensors, clip by clip."""

    def __init__(self, title: str, feature: Feature, source: str) -> None:
        self.broken: list[Broken] = []
        self._title, self._feature, self._source = title, feature, source
        self._tensors: dict[str, np.ndarray] = {}
        self._remarks = Remarks()
        self._seconds = 0.0

    def add(self, clip: Clip, finder: FaceFinder, made: dict[str, Work]) -> None:
        if self.broken:
            return
        start = time.monotonic()
        self._add(clip, finder, made)
        self._seconds += time.monotonic() - start

    def _add(self, clip: Clip, finder: FaceFinder, made: dict[str, Work]) -> None:
        name = clip.sample_id
        try:
            work = self._feature.compute(clip, finder, made)
            self._tensors[name] = self._checked(name, work.tensor)
        except ClipError as error:
            self._remarks.skipped[name] = str(error)
            return
        except MerError:
            raise
        except Exception as error:
            self.broken.append(Broken.by(error, f"{name}, feature {self._feature.name}"))
            return
        notes = list(work.notes)
        if self._feature.layout.constant(self._tensors[name]):
            notes.append(f"{self._feature.name} is constant, so it tells nothing of this clip")
        if notes:
            self._remarks.notes[name] = notes
        if work.face is not None:
            self._remarks.faces[name] = work.face.way
        if work.quality:
            # Rounded: it is looked at, and the last bits may differ from machine to machine.
            self._remarks.quality[name] = {key: round(value, 4) for key, value in work.quality.items()}

    def shard(self) -> MadeShard:
        import numpy as np

        sample_ids = tuple(self._tensors)
        empty = np.empty((0, *self._feature.shape), self._feature.dtype)
        tensors = np.stack(list(self._tensors.values())) if sample_ids else empty
        hashes = tensor_hashes(sample_ids, tensors)
        shard = Shard(sample_ids, tensors, self._feature.recipe_hash, self._source, content_of(hashes), self._remarks)
        encoded = encode(shard, self._feature.recipe)
        entry = entry_of(shard, encoded, hashes, self._feature.layout)
        return MadeShard(self._feature.name, encoded, entry, self._seconds)

    def _checked(self, name: str, tensor: Any) -> np.ndarray:
        import numpy as np

        feature = self._feature
        if tensor.shape != feature.shape or tensor.dtype != np.dtype(feature.dtype):
            raise DataError(
                f"Feature {self._title} of sample {name} is {tensor.dtype} {tensor.shape}; its adapter promised "
                f"{feature.dtype} {feature.shape}. Correct the adapter."
            )
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            if not feature.portable:
                raise DataError(
                    f"Feature {self._title} of sample {name} holds NaN or infinite values. Check its source."
                )
            raise ArithmeticError("the tensor holds NaN or infinite values")
        return tensor


def entry_of(shard: Shard, content: bytes, hashes: Mapping[str, str], layout: Layout) -> Entry:
    """Return the manifest's entry of a shard.

    Parameters
    ----------
    shard : the shard.
    content : the bytes of its file.
    hashes : sample id -> hash of its tensor.
    layout : of the feature.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    telling = {
        sample_id: hashes[sample_id][:HASH]
        for sample_id, tensor in zip(shard.sample_ids, shard.tensors, strict=True)
        if not layout.constant(tensor)
    }
    return Entry(sha256, shard.content, shard.made_from, len(shard.sample_ids), shard.remarks, telling)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let libraries compute in one thread: a worker owns one core, and DIS flow depends on the number of threads.

    It holds for the whole process. Code that makes jobs in several threads enters it once around all of them; otherwise
    the first job to end would lift it for the others.
    """
    import cv2
    from threadpoolctl import threadpool_limits

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _face_finder() -> FaceFinder:
    # Imported late: it takes numpy and OpenCV, which a listing of features does not need.
    from preprocess.faces.finder import face_finder

    return face_finder()
