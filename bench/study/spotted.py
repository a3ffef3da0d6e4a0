"""Spotting, then recognising: the expressions of long recordings that were spotted, as clips that a study tests.

A study of protocol ``spot`` trains on expressions as they were annotated, and is tested on those that were found, from
the onset to the offset that were spotted. What was missed or falsely found is counted for each person.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.study.protocols import SPOTTED
from preprocess.base.errors import Unfit
from preprocess.base.storage import below
from preprocess.datasets import RawDataset
from preprocess.samples.clip import Clip
from preprocess.shards.prepared import PreparedDataset
from preprocess.shards.spotted import SpottedInDataset, SpottedRecording
from results.scores.spotting import SpottingScore, match

FOLDER = "_spotted"
"""Holds what was spotted and the shards of spotted clips, beside those of true ones; no dataset has such a name."""
MARK = "~spotted"
"""Ends the id of a spotted clip, after the id of the expression that it is."""


@dataclass(frozen=True)
class SpottedDataset:
    """What was spotted in the long recordings of a dataset.

    Attributes
    ----------
    name : the dataset's.
    people : person -> counts of found, false and missed expressions; of everybody who was recorded.
    prepared : the found expressions as clips, with their features; None where nothing was found.
    recordings : number of recordings.
    seconds : how long they last.
    skipped : recording -> why it cannot be used; its expressions are in no count.
    notes : recording -> what the spotter noted.
    waiting : how many recordings are still to be looked at; nothing else is known then.
    """

    name: str
    people: Mapping[str, SpottingScore]
    prepared: PreparedDataset | None = None
    recordings: int = 0
    seconds: float = 0.0
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    waiting: int = 0

    @property
    def score(self) -> SpottingScore:
        """The counts of all people together."""
        return sum(self.people.values(), SpottingScore(0, 0, 0))

    def clips(self) -> PreparedDataset:
        """Return the found expressions.

        Raises
        ------
        Unfit : there are none, or it is not known yet whether there are.
        """
        if self.waiting:
            raise Unfit(
                f"{self.waiting} recordings are still to be looked at. Which of their expressions are found, and so "
                "what is tested, shows in a run."
            )
        if self.prepared is None:
            score = self.score
            raise Unfit(
                f"none of the {score.missed} expressions was found ({score.false} false ones were): F1 and STRS are 0, "
                "and there is nothing to recognise."
            )
        return self.prepared


Spotted = Mapping[str, SpottedDataset]
"""Dataset -> what was spotted in its long recordings; those without any are not there."""


def spotted_datasets(
    raw: Sequence[RawDataset],
    found: Mapping[str, SpottedInDataset],
    shards: str,
    prepare: Callable[[Sequence[RawDataset], str], Sequence[PreparedDataset]],
) -> Spotted:
    """Hold what was spotted against what was annotated, and bring the features of the found expressions up to date.

    Parameters
    ----------
    raw : the datasets as they were read.
    found : dataset -> what was spotted in its recordings.
    shards : path or address of the shards of true clips.
    prepare : brings the features of datasets up to date, below another path or address.
    """
    compared = {one.name: _Compared(one, found[one.name]) for one in raw if one.name in found}
    clips = [dataset for one in compared.values() if (dataset := one.dataset()) is not None]
    made = {one.name: one for one in prepare(clips, below(shards, FOLDER))} if clips else {}
    return {name: one.result(made.get(name)) for name, one in compared.items()}


def spotting_notes(spotted: SpottedDataset, features: Sequence[str], tested: int) -> list[str]:
    """Return what a reader of the scores should know.

    Parameters
    ----------
    spotted : the dataset.
    features : those of the model.
    tested : how many of the found expressions are tested.
    """
    prepared, score = spotted.clips(), spotted.score
    unusable = {sample_id for name in features for sample_id in prepared.features[name].remarks.skipped}
    more = [f"{len(spotted.skipped)} recordings could not be used"] if spotted.skipped else []
    more += [f"{len(unusable)} found expressions could not be used, and are recognised by nobody"] if unusable else []
    others = score.found - tested - len(unusable)
    more += [f"{others} found expressions have no class in the task"] if others > 0 else []
    return ["; ".join([f"spotted in {_film(spotted)}: {told(score)}", *more])]


def described_spotting(spotted: Spotted) -> list[str]:
    """Return what became of long recordings, a line a dataset, and a line for each that could not be used."""
    lines = []
    for name, one in spotted.items():
        if one.waiting:
            lines.append(f"{name}: expressions are still to be spotted in {one.waiting} recordings")
            continue
        lines.append(f"{name}: spotted in {_film(one)}: {told(one.score)}")
        lines += [f"  {place} cannot be used: {why.removeprefix(f'{place}: ')}" for place, why in one.skipped.items()]
        for feature, info in one.prepared.features.items() if one.prepared else ():
            for sample_id, why in info.remarks.skipped.items():
                lines.append(f"  {sample_id} has no {feature}: {why.removeprefix(f'{sample_id}: ')}")
        noted: dict[str, list[str]] = {}
        for place, notes in one.notes.items():
            for note in notes:
                noted.setdefault(note, []).append(place)
        for note, places in noted.items():
            more = ", ..." if len(places) > 1 else ""
            lines.append(f"  {len(places)} x {note} ({places[0]}{more})")
    return lines


def told(score: SpottingScore) -> str:
    """Return counts in words."""
    return (
        f"{score.found} of {score.found + score.missed} expressions found, {score.false} false (precision "
        f"{score.precision:.3f}, recall {score.recall:.3f}, F1 {score.f1:.3f})"
    )


def _film(one: SpottedDataset) -> str:
    return f"{one.recordings} recordings of {one.seconds / 60:.1f} minutes"


class _Compared:
    """What was spotted in the recordings of one dataset, held against what was annotated."""

    def __init__(self, raw: RawDataset, found: SpottedInDataset) -> None:
        self._raw, self._found = raw, found
        self._clips: dict[str, Clip] = {}
        self._people: dict[str, SpottingScore] = {}
        for one in found.recordings:
            if not one.skipped:
                self._compare(one)

    def _compare(self, one: SpottedRecording) -> None:
        recording = one.recording
        ids = sorted(recording.sample_ids)
        # Frames count, the last one too: so it is counted by the field.
        true = [_frames(self._raw.clips[sample_id], recording.clip, one.frames) for sample_id in ids]
        pairs = match([(span.onset, span.offset + 1) for span in one.spans], true)
        for place, which in pairs:
            clip, span = self._raw.clips[ids[which]], one.spans[place]
            changed = dataclasses.replace(
                clip, sample_id=ids[which] + MARK, onset=span.onset, apex=None, offset=span.offset
            )
            self._clips[ids[which]] = changed
        score = SpottingScore(len(pairs), len(one.spans) - len(pairs), len(true) - len(pairs))
        self._people[recording.subject] = self._people.get(recording.subject, SpottingScore(0, 0, 0)) + score

    def dataset(self) -> RawDataset | None:
        """Return the found expressions as a dataset; None where there are none."""
        import pandas as pd

        if not self._clips:
            return None
        own = self._raw.samples
        own = own[own["sample_id"].isin(list(self._clips))]
        clips = [self._clips[sample_id] for sample_id in own["sample_id"]]
        columns: dict[str, Any] = {
            name: pd.array([getattr(clip, name) for clip in clips], dtype="Int64")
            for name in ("onset", "apex", "offset")
        }
        columns["sample_id"] = pd.array([clip.sample_id for clip in clips], dtype="string")
        columns["split"] = pd.array([SPOTTED] * len(clips), dtype="string")
        samples = own.assign(**columns).sort_values("sample_id", ignore_index=True)
        by_id = {clip.sample_id: clip for clip in clips}
        return dataclasses.replace(self._raw, samples=samples, clips=by_id, features={}, recordings=tuple)

    def result(self, prepared: PreparedDataset | None) -> SpottedDataset:
        """Return the counts with the clips' features."""
        used = [one for one in self._found.recordings if not one.skipped]
        return SpottedDataset(
            name=self._raw.name,
            people=dict(sorted(self._people.items())),
            prepared=prepared,
            recordings=len(used),
            seconds=sum(one.frames / (one.recording.clip.fps or 1.0) for one in used),
            skipped={one.recording.name: one.skipped for one in self._found.recordings if one.skipped},
            notes={one.recording.name: one.notes for one in used if one.notes},
            waiting=self._found.waiting,
        )


def _frames(clip: Clip, whole: Clip, frames: int) -> tuple[int, int]:
    """Return an annotated expression as frames from one number to before another, as far as the recording goes."""
    assert clip.onset is not None
    assert clip.offset is not None
    last = whole.ends[1] if whole.video is None else frames - 1
    return clip.onset, min(clip.offset, last) + 1
