"""The dataset report: what a dataset holds, in a few lines, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from preprocess.base.errors import DataError
from preprocess.labels.action_units import unreadable_cells
from preprocess.labels.tasks import TASKS, Task, labels
from preprocess.samples.clip import ClipError
from preprocess.samples.copies import told
from preprocess.samples.frames import count_frames

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from preprocess.samples.clip import Clip
    from preprocess.samples.copies import Copies

# So many clips that are missing or lack frames are named.
SHOWN = 10
# So many seconds a micro-expression lasts at most, after Yan et al., How Fast are the Leaked Facial Expressions, 2013.
LONGEST = 0.5


class Feature(Protocol):
    """What the report tells of a feature: ``RawFeature`` and ``FeatureInfo`` both have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's tensor."""

    @property
    def dtype(self) -> str:
        """Data type of the tensor's values."""


def report(
    samples: pd.DataFrame,
    features: Mapping[str, Feature],
    clips: Mapping[str, Clip] | None = None,
    notes: Sequence[str] = (),
    macro: bool = False,
    copies: Sequence[Copies] = (),
) -> list[str]:
    """Return the report of one dataset, a line for each fact.

    The lines tell the rows and subjects, the samples of each subject, the class counts of every task that fits the
    dataset, action units that cannot be read, missing frame numbers, micro-expressions that are long, missing files,
    pictures that lie there twice, what was repaired, the type of each feature, and the notes.

    Parameters
    ----------
    samples : the samples table.
    features : the dataset's features by name, prepared or not.
    clips : where the frames lie, to find missing files.
    notes : what the adapter wants a person to know.
    macro : whether the clips are macro-expressions; of micro-expressions those that last too long are counted.
    copies : pictures that lie under several samples.
    """
    sizes = samples.groupby("subject").size()
    lines = [
        f"{' + '.join(sorted(samples['dataset'].unique()))}: {len(samples)} samples, {len(sizes)} subjects "
        f"({sizes.min()} to {sizes.max()} samples each)"
    ]
    lines += _tasks(samples)
    lines += _unread_units(samples)
    lines.append(f"  frames: {_missing_frames(samples)}")
    lines += [] if macro else _long_clips(samples)
    if clips:
        lines.append(f"  files: {_missing_files(clips)}")
    lines += told(copies)
    lines += _repairs(samples)
    lines += [f"  note: {note}" for note in notes]
    for name, feature in sorted(features.items()):
        lines.append(f"  feature {name}: {feature.dtype} {'x'.join(str(size) for size in feature.shape)}")
    return lines


def decoded_frames(clips: Mapping[str, Clip]) -> list[str]:
    """Decode every frame of every clip, and return lines that name the damaged ones.

    It takes a few milliseconds a frame, as long as reading the whole database.
    """
    readable, damaged, unusable = 0, {}, []
    for name, clip in sorted(clips.items()):
        try:
            count = count_frames(clip)
        except ClipError as error:
            unusable.append(str(error))
            continue
        readable += count.readable
        if count.damaged:
            damaged[name] = count.damaged
    found = sum(len(numbers) for numbers in damaged.values())
    lines = [f"  decoded: {readable} frames can be read, {found} are damaged"]
    lines += [f"    {name}: damaged {', '.join(map(str, numbers))}" for name, numbers in damaged.items()]
    return lines + [f"    {reason}" for reason in unusable]


def _tasks(samples: pd.DataFrame) -> list[str]:
    lines, empty = [], []
    refused: dict[str, str] = {}
    for name, task in TASKS.items():
        if not any(task.mapping(dataset) for dataset in samples["dataset"].unique()):
            continue
        try:
            index = labels(task, samples)
        except DataError as error:
            refused[name] = str(error)
            continue
        if (index >= 0).any():
            lines.append(f"  task {name}: {_class_counts(task, index)}")
        else:
            empty.append(name)
    if empty:
        lines.append(f"  no labels for: {', '.join(empty)}")
    if refused:
        # Mostly all of them stumble over the same word.
        lines.append(f"  cannot be used here: {', '.join(refused)}. {next(iter(refused.values()))}")
    return lines


def _unread_units(samples: pd.DataFrame) -> list[str]:
    faults = unreadable_cells(samples)
    if not faults:
        return []
    return [
        f"  action units: {len(faults)} cells cannot be read; the units of these samples count as not annotated:",
        *(f"    {fault}" for fault in faults),
    ]


def _class_counts(task: Task, index: np.ndarray) -> str:
    if task.multilabel:
        counts = [f"{name} {(index[:, number] == 1).sum()}" for number, name in enumerate(task.classes)]
        left_out = int((index < 0).all(axis=1).sum())
    else:
        counts = [f"{name} {(index == number).sum()}" for number, name in enumerate(task.classes)]
        left_out = int((index < 0).sum())
    return ", ".join(counts) + (f"; {left_out} samples without a class" if left_out else "")


def _missing_frames(samples: pd.DataFrame) -> str:
    missing = {name: int(samples[name].isna().sum()) for name in ("onset", "apex", "offset")}
    if not any(missing.values()):
        return "onset, apex and offset are all known"
    if all(count == len(samples) for count in missing.values()):
        return "onset, apex and offset are unknown for all samples"
    return ", ".join(f"{name} missing for {count}" for name, count in missing.items() if count)


def _long_clips(samples: pd.DataFrame) -> list[str]:
    # As SAMM's sheet counts: onset and offset are frames of the expression.
    seconds = ((samples["offset"] - samples["onset"] + 1) / samples["fps"]).dropna()
    over = seconds[seconds > LONGEST]
    unknown = int((samples["offset"].notna() & samples["onset"].notna() & samples["fps"].isna()).sum())
    lines = [f"  length: unknown for {unknown} clips without a frame rate"] if unknown else []
    if len(over):
        most, longest = max(zip(over.tolist(), samples["sample_id"][over.index].tolist(), strict=True))
        lines.append(
            f"  length: {len(over)} of {len(seconds)} clips last over {LONGEST} s from onset to offset, "
            f"{int((seconds > 4 * LONGEST).sum())} of them over {4 * LONGEST:g} s; the longest {most:.1f} s "
            f"({longest})"
        )
    return lines


def _missing_files(clips: Mapping[str, Clip]) -> str:
    """Count the frames from onset to offset; name the clips that lack some."""
    videos = sum(clip.video is not None for clip in clips.values())
    frames = sum(len(clip.numbers) for clip in clips.values())
    lacking = {name: len(missing) for name, clip in sorted(clips.items()) if (missing := clip.missing)}
    there = [f"{videos} videos"] if videos else []
    there += [f"{frames} frames of {len(clips) - videos} clips from onset to offset"] if frames else []
    if not lacking:
        return f"{', '.join(there)}; none missing"
    shown = ", ".join(f"{name} {count}" for name, count in list(lacking.items())[:SHOWN])
    more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
    return f"{', '.join(there)}; {sum(lacking.values())} frames missing in {len(lacking)} clips: {shown}{more}"


def _repairs(samples: pd.DataFrame) -> list[str]:
    mended = samples[samples["repaired"].notna()]
    if mended.empty:
        return ["  repaired: nothing"]
    cells = zip(mended["sample_id"], mended["repaired"], strict=True)
    return [f"  repaired: {len(mended)} samples", *(f"    {sample_id}: {what}" for sample_id, what in cells)]
