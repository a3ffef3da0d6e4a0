"""What the pictures of flow-image trees are: whose clip each shows, and which pictures make one clip."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._records import clip_key

# Only the shape of a subject's name tells the database.
SUBJECTS = {
    "casme2": re.compile(r"sub[0-9]{2}", re.IGNORECASE),
    "samm": re.compile(r"[0-9]{3}"),
    "smic": re.compile(r"s[0-9]+", re.IGNORECASE),
}
# What the databases call their clips, for files that no folder tells of.
_CLIPS = {"casme2": r"EP\d+(?:_\d+)*f?", "samm": r"\d{3}_\d+_\d+", "smic": r"s\d+_[a-z]+_\d+"}
# Of these, the names that end a clip's name, so that more is the name of one of its pictures: "EP02_01f_1". One clip of
# CASME II is called EP01_2.
_WHOLE = {**_CLIPS, "casme2": r"EP\d+(?:(?:_\d{2,})+f?|f)"}
_ONE_OF_SEVERAL = re.compile(r"(?P<clip>.+)_(?P<suffix>\d|[a-z]+)")


@dataclass(frozen=True)
class Kind:
    """What the pictures of one suffix show.

    Attributes
    ----------
    suffix : "" of the pictures ``X``, "1" of ``X_1``, and so on.
    feature : name of the feature that they are.
    shows : what they show, for people.
    flow : whether red, green and blue are the flow's u, v and strain.
    """

    suffix: str
    feature: str
    shows: str
    flow: bool = True


# After the public code of CausalNet (tony19980810/CausalNet).
KINDS = (
    Kind("", "flow_uvs_28", "onset-apex flow"),
    Kind("1", "flow_uvs_apex_offset_28", "apex-offset flow"),
    Kind("2", "direction_map_28", "onset-apex direction map", flow=False),
    Kind("3", "direction_map_apex_offset_28", "apex-offset direction map", flow=False),
)
# How many pictures a clip may have.
COUNTS = (1, 2, 4)
# So many clips are named in a message.
_SHOWN = 2


@dataclass(frozen=True)
class Picture:
    """One PNG: where it lies, and what its name and place say.

    Attributes
    ----------
    path : the file.
    dataset, subject, clip : whom it shows, each in its one spelling; the clip still with the suffix of the picture.
    label : 0, 1 or 2, after the folder that it lies in; None where no folder tells.
    """

    path: Path
    dataset: str
    subject: str
    clip: str
    label: int | None = None


@dataclass(frozen=True)
class Clip:
    """The pictures of one clip.

    Attributes
    ----------
    dataset, subject, name : which clip it is.
    label : 0, 1 or 2; None where no folder tells.
    files : suffix of the picture -> file.
    """

    dataset: str
    subject: str
    name: str
    label: int | None
    files: Mapping[str, Path]

    @property
    def sample_id(self) -> str:
        """The clip's sample id."""
        return f"{self.dataset}/{self.subject}/{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """What tells the clip however its subject and name are padded."""
        return clip_key(self.subject), clip_key(self.name)


def database(name: str) -> str | None:
    """Return the database of a subject's name; None where its shape is that of none."""
    return next((dataset for dataset, shape in SUBJECTS.items() if shape.fullmatch(name)), None)


def subject_id(dataset: str, name: str) -> str:
    """Return a subject's one spelling: copies write SMIC's first subject as ``s1`` or as ``s01``."""
    return f"s{int(name[1:]):02d}" if dataset == "smic" else name.lower()


def clip_name(path: Path, dataset: str, subject: str) -> str:
    """Return a file's name without the subject before it and the space that copies hold after it.

    Raises
    ------
    DataError : the name does not begin with the subject.
    """
    head, _, clip = path.stem.strip().partition("_")
    if not clip or database(head) != dataset or subject_id(dataset, head) != subject:
        raise DataError(f"{path}: the file's name does not begin with its subject. Expected {subject}_<clip>.png.")
    # As the databases write them: EP02_01f in CASME II, s01_ne_01 in SMIC.
    clip = re.sub("^ep", "EP", clip.lower())
    recording, separator, rest = clip.partition("_")
    if dataset == "smic" and SUBJECTS["smic"].fullmatch(recording):
        return f"{subject_id(dataset, recording)}{separator}{rest}"
    return clip


def named_picture(path: Path, label: int | None = None) -> Picture | None:
    """Return the picture that a file's name tells of by itself; None for a file of another name.

    Frames of recordings have names that begin with a number, too, so the clip must be called as its database does.
    """
    dataset = database(path.stem.strip().partition("_")[0])
    if path.suffix.lower() != ".png" or dataset is None:
        return None
    subject = subject_id(dataset, path.stem.strip().partition("_")[0])
    if not path.stem.strip().partition("_")[2]:
        return None
    clip = clip_name(path, dataset, subject)
    known = re.fullmatch(rf"{_CLIPS[dataset]}(?:_(?:\d|[a-z]+))?", clip)
    return Picture(path, dataset, subject, clip, label) if known else None


def clips_of(pictures: Iterable[Picture]) -> list[Clip]:
    """Return the clips that pictures belong to, in the order of their ids.

    Raises
    ------
    DataError : two pictures of one name, or under two labels; clips of a database with another number of pictures than
        1, 2 or 4, or with different ones.
    """
    pictures = list(pictures)
    names = {(one.dataset, one.subject, one.clip) for one in pictures}
    found: dict[tuple[str, str, str], dict[str, Picture]] = defaultdict(dict)
    for one in pictures:
        name, suffix = _parted(one, names)
        others = found[one.dataset, one.subject, name]
        twice = others.get(suffix) or next((other for other in others.values() if other.label != one.label), None)
        if twice is not None:
            raise DataError(
                f"Sample {one.dataset}/{one.subject}/{name} is there twice: {twice.path}; and {one.path}. "
                "Every clip must be one sample; remove or rename one of the two."
            )
        others[suffix] = one
    clips = [
        Clip(*key, next(iter(own.values())).label, {suffix: own[suffix].path for suffix in sorted(own)})
        for key, own in sorted(found.items())
    ]
    for dataset in SUBJECTS:
        _check_numbers(dataset, [clip for clip in clips if clip.dataset == dataset])
    return clips


def keys_of(pictures: Sequence[Picture]) -> set[tuple[str, str]]:
    """Return the keys of the clips that pictures belong to, without a look at whether all pictures are there."""
    names = {(one.dataset, one.subject, one.clip) for one in pictures}
    return {(clip_key(one.subject), clip_key(_parted(one, names)[0])) for one in pictures}


def _parted(picture: Picture, names: set[tuple[str, str, str]]) -> tuple[str, str]:
    """Return the clip's name and the picture's suffix, "" where it has none."""
    match = _ONE_OF_SEVERAL.fullmatch(picture.clip)
    if match is None:
        return picture.clip, ""
    alone = (picture.dataset, picture.subject, match["clip"])
    if alone not in names and not re.fullmatch(_WHOLE[picture.dataset], match["clip"]):
        return picture.clip, ""
    return match["clip"], match["suffix"]


def _check_numbers(dataset: str, clips: Sequence[Clip]) -> None:
    by_pictures: dict[tuple[str, ...], list[Clip]] = defaultdict(list)
    for clip in clips:
        by_pictures[tuple(clip.files)].append(clip)
    known = [tuple(kind.suffix for kind in KINDS[:count]) for count in COUNTS]
    if not clips or (len(by_pictures) == 1 and next(iter(by_pictures)) in known):
        return
    most_first = sorted(by_pictures.items(), key=lambda item: -len(item[1]))
    seen = "; ".join(_seen(suffixes, own) for suffixes, own in most_first)
    expected = "; ".join(f"{count} ({', '.join(kind.shows for kind in KINDS[:count])})" for count in COUNTS)
    raise DataError(
        f"The clips of {dataset} have these pictures, X being the clip's name: {seen}. Expected as many for every "
        f"clip: {expected}, called X, X_1, X_2, X_3. Complete the copy, or move the other pictures away."
    )


def _seen(suffixes: tuple[str, ...], clips: Sequence[Clip]) -> str:
    names = ", ".join(f"X_{suffix}" if suffix else "X" for suffix in suffixes)
    shown = ", ".join(f"{clip.sample_id} ({next(iter(clip.files.values()))})" for clip in clips[:_SHOWN])
    return f"{len(clips)} clips have {len(suffixes)} ({names}), such as {shown}"
