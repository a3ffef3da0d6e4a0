"""Which folder is which row's clip: the names of folders, matched with what a sheet says."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.datasets._records import clip_key, loose_clip_key, subject_id
from preprocess.datasets._spec import Record
from preprocess.datasets._trees import ClipPlace
from preprocess.samples.frames import IMAGE_ENDINGS, VIDEO_ENDINGS

Key = tuple[str, str]


class Places:
    """The clip folders of a database, found by subject and clip.

    Parameters
    ----------
    places : the folders.
    form : how ids of subjects are written, such as ``"sub{subject:0>2}"``.
    sheet : whether a sheet tells which folders are clips. Otherwise every folder is one, and two folders of one clip
        are refused.

    Attributes
    ----------
    all : the folders.
    used : those that ``of`` returned.

    Raises
    ------
    DataError : two folders of one clip.
    """

    def __init__(self, places: Iterable[ClipPlace], form: str, sheet: bool) -> None:
        self.all = tuple(places)
        self.used: set[Path] = set()
        self._form = form
        self._exact: dict[Key, list[ClipPlace]] = defaultdict(list)
        self._loose: dict[Key, list[ClipPlace]] = defaultdict(list)
        self._of_name: dict[str, list[ClipPlace]] = defaultdict(list)
        for place in self.all:
            subject, name = self._subject_of(place), place.fields["clip"]
            self._exact[subject, clip_key(name)].append(place)
            self._loose[subject, loose_clip_key(name)].append(place)
            self._of_name[clip_key(name)].append(place)
        if not sheet:
            for same in self._exact.values():
                _the_one(same)

    def of(self, record: Record) -> ClipPlace | None:
        """Return where a record's clip lies; None where it is not there.

        Copies of one database may name a clip differently: ``folder`` gives all its names. Where the folders do not
        tell the subject, the clip's name alone must do. Where no folder fits, one that differs in punctuation only is
        taken; or that of the clip's own name, where the row has a path, an ending or the subject with it.

        Raises
        ------
        DataError : two folders fit equally well.
        """
        subject = subject_id(self._form, record["subject"])
        subjects = (subject, "")
        names = _names(record)
        bare = [own for name in names for own in self._bare(name, subject)]
        tiers = (names, clip_key, self._exact), (names, loose_clip_key, self._loose), (bare, clip_key, self._exact)
        for called, key_of, places in tiers:
            for name in called:
                for subject in subjects:
                    if same := places.get((subject, key_of(name))):
                        found = _the_one(same)
                        self.used.add(found.path)
                        return found
        return None

    def unused(self) -> list[ClipPlace]:
        """Return the folders that no record named, in the order of names."""
        return [place for place in self.all if place.path not in self.used]

    def left(self, record: Record) -> ClipPlace | None:
        """Return an unused folder that is called like a record's clip, whoever's it is."""
        names = map(clip_key, _names(record))
        return next((place for name in names for place in self._of_name[name] if place.path not in self.used), None)

    def _bare(self, name: str, subject: str) -> Iterator[str]:
        """Yield what is left of a name such as ``sub01/EP02_01f``, ``EP02_01f.avi`` or ``sub01_EP02_01f``."""
        last = re.split(r"[/\\]", name)[-1]
        stem, _, ending = last.rpartition(".")
        own = stem if ending.lower() in (*IMAGE_ENDINGS, *VIDEO_ENDINGS) else last
        first, _, rest = own.partition("_")
        if own != name:
            yield own
        if rest and subject_id(self._form, first) == subject:
            yield rest

    def _subject_of(self, place: ClipPlace) -> str:
        """Return the subject that the folders tell, "" where they tell none.

        The name of an odd folder tells one only where it ends with its one number: ``subject 27``, not ``sub01 old 2``.
        """
        text = place.fields.get("subject", "")
        if not text or (place.odd is not None and not re.fullmatch(r"\D*\d*", text)):
            return text
        return subject_id(self._form, text)


def _names(record: Record) -> list[str]:
    return (record.get("folder") or record["clip"]).split("|")


def _the_one(same: list[ClipPlace]) -> ClipPlace:
    """Return the folder that is meant: of several one that is named as in the layout."""
    fitting = [place for place in same if place.odd is None] or same
    if len(fitting) > 1:
        raise DataError(
            f"Two clips of one name: {fitting[0].path} and {fitting[1].path}. Remove or rename one of them."
        )
    return fitting[0]
