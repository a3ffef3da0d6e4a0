"""A list of somebody's own clips: reading ``clips.csv``, and finding the recordings that its rows name.

Whatever is wrong in it is told at once, each mistake with its row and column, so that one edit mends the file.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from preprocess.base.errors import DataError, did_you_mean
from preprocess.datasets._build import has_between
from preprocess.datasets._folders import below, listing
from preprocess.datasets._records import frame_order, to_frame, to_rate
from preprocess.datasets._sheets import HEADINGS, read_workbook
from preprocess.datasets._spec import Tree
from preprocess.datasets._trees import ClipPlace, Numbered, number_frames
from preprocess.samples.clip import Frames
from preprocess.samples.frames import IMAGE_ENDINGS, VIDEO_ENDINGS, video_rate

FILE = "clips.csv"
PLACES = ("path", "frames", "video")
COLUMNS = (*PLACES, "subject", "onset", "apex", "offset", "fps", "emotion", "action_units", "split", "dataset")
# So many mistakes are told at a time.
SHOWN = 20
FRAMES = Tree("frames", (), rf"(?:.*\D)?(?P<n>\d+)\.(?:{'|'.join(IMAGE_ENDINGS)})")
# "+" joins the datasets of a composite, and a dataset's name is also a folder's.
_DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class ListedClip:
    """One row of the list, checked, with its recording found.

    Attributes
    ----------
    row : its row, counted as a spreadsheet program does.
    name : what the row calls the recording: the way to it from the list's folder, without the ending.
    place : the video, or the folder of frames.
    cells : column -> text, of the columns that say anything.
    onset, apex, offset : frame numbers; of a video counted from 0. None where the row has none.
    fps : frames per second; where the row has none, those that the video says, None of a folder of frames.
    frames : of a folder of frames; None for a video.
    """

    row: int
    name: str
    place: Path
    cells: dict[str, str]
    onset: int | None
    apex: int | None
    offset: int | None
    fps: float | None
    frames: Frames | None


@dataclass
class ClipList:
    """What a list holds.

    Attributes
    ----------
    path : the file.
    clips : its rows, in order.
    notes : what a person should know: rows and files that are left out.
    """

    path: Path
    clips: list[ListedClip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Fault(Exception):
    """One mistake: the column that it stands in, and what is wrong."""

    def __init__(self, column: str, what: str) -> None:
        super().__init__(what)
        self.column = column


class _Recordings:
    """The recordings below a list's folder, each looked at once, however many rows name it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.numbered = functools.cache(lambda folder: self._told(folder, number_frames(ClipPlace(folder, {}, FRAMES))))
        self.rate = functools.cache(video_rate)
        self._doubles: list[str] = []
        self._skipped: list[str] = []

    def notes(self) -> list[str]:
        """Return notes on frames that have two files, and on folders with pictures that are no frames."""
        notes = [f"{len(self._doubles)} frames have two files: {_some(self._doubles)}"] if self._doubles else []
        skipped = f"{len(self._skipped)} clips have files that are skipped by their ending: {_some(self._skipped)}"
        return [*notes, skipped] if self._skipped else notes

    def _told(self, folder: Path, numbered: Numbered) -> Numbered:
        self._doubles += numbered.doubles
        where = folder.relative_to(self.root).as_posix()
        self._skipped += [f"{where}: {count} {ending}" for ending, count in numbered.skipped.items()]
        return numbered


def is_list(path: Path) -> bool:
    """Say whether a file's first rows name one of the columns that a list of clips must have."""
    try:
        with open(path, "rb") as file:
            first = file.read(4096)
    except OSError:
        return False
    # UTF-16 puts zeros between the letters; Excel may put a line "sep=;" above the headings.
    lines = first.replace(b"\0", b"").decode("utf-8", "replace").split("\n")[:2]
    words = {_plain(word) for line in lines for word in re.split(r"[,;\t]", line)}
    return bool(words & {_plain(name) for column in (*PLACES, "subject") for name in _names_of(column)})


def read_list(path: Path) -> ClipList:
    """Read a list of clips and find its recordings.

    Parameters
    ----------
    path : the file. Cells may be separated by commas, semicolons or tabs.

    Raises
    ------
    DataError : the file cannot be read, or is wrong; the message has every mistake with its row and column.
    """
    rows = next(iter(read_workbook(path).values()))
    heading = next((number for number, row in enumerate(rows) if any(row)), 0)
    columns = _columns(path, heading + 1, rows[heading] if rows else [])
    result, recordings = ClipList(path), _Recordings(path.parent)
    faults: list[str] = []
    skipped: list[Path] = []
    for number, row in enumerate(rows[heading + 1 :], start=heading + 2):
        if not any(row):
            continue
        try:
            clip = _clip(recordings, number, _cells(row, columns))
        except _Fault as fault:
            where = f"row {number}" + (f", column {fault.column}" if fault.column else "")
            faults.append(f"{where}: {fault}")
            continue
        if isinstance(clip, Path):
            skipped.append(clip)
        else:
            result.clips.append(clip)
    faults += _clashes(result.clips)
    if faults:
        raise DataError(_told(path, faults))
    result.notes += [*_left_out(path, result.clips, skipped), *recordings.notes()]
    if not result.clips:
        raise DataError(f"{path} names no clip that can be read. {' '.join(result.notes)}".strip())
    return result


def _columns(path: Path, number: int, heading: Sequence[str]) -> dict[int, str]:
    """Return place -> column of the headings.

    Raises
    ------
    DataError : a heading is unknown or stands there twice, or one that is needed is missing.
    """
    known = {_plain(name): column for column in COLUMNS for name in _names_of(column)}
    columns: dict[int, str] = {}
    faults = []
    for place, cell in enumerate(heading):
        column = known.get(_plain(cell))
        if column is None and cell:
            faults.append(f"row {number}: unknown column {cell!r}. {did_you_mean(cell.lower(), COLUMNS)}")
        elif column in columns.values():
            faults.append(f"row {number}: column {column} stands there twice. Leave one of them out.")
        elif column is not None:
            columns[place] = column
    there = set(columns.values())
    lacking = [name for name in ("subject",) if name not in there] + ([] if there & set(PLACES) else ["path"])
    seen = ", ".join(cell for cell in heading if cell) or "none"
    faults += [f"row {number}: column {name} is missing; the headings there are: {seen}." for name in lacking]
    if faults:
        raise DataError(_told(path, [*faults, f"Columns are {', '.join(COLUMNS)}; path and subject are needed."]))
    return columns


def _cells(row: Sequence[str], columns: dict[int, str]) -> dict[str, str]:
    extra = [cell for place, cell in enumerate(row) if cell and place not in columns]
    if extra:
        raise _Fault("", f"{extra[0]!r} stands below no heading. Put a cell that holds the separator into quotes.")
    return {column: row[place] for place, column in columns.items() if place < len(row) and row[place]}


def _clip(recordings: _Recordings, number: int, cells: dict[str, str]) -> ListedClip | Path:
    """Return a row's clip; its file alone, where that is no video by its ending.

    Raises
    ------
    _Fault : the row is wrong.
    """
    column, place, name = _place(recordings.root, cells)
    if not cells.get("subject"):
        raise _Fault(
            "subject", "is empty: every clip needs the person that it shows, for nobody is trained and tested."
        )
    if "/" in cells["subject"] or not cells["subject"].isprintable():
        raise _Fault("subject", f"{cells['subject']!r} may hold neither '/' nor characters that cannot be printed.")
    if (dataset := cells.get("dataset")) and not _DATASET.fullmatch(dataset):
        raise _Fault("dataset", f"{dataset!r} may hold letters, digits, '_', '-' and '.' only.")
    onset, apex, offset, fps = _numbers(cells)
    if place.is_dir():
        frames = recordings.numbered(place).frames
        if not frames:
            endings = ", ".join(IMAGE_ENDINGS)
            raise _Fault(
                column, f"{place} holds no frames: pictures ({endings}) whose names end in their number: img001.jpg."
            )
        onset = min(frames) if onset is None else onset
        offset = max(frames) if offset is None else offset
        _check_order(onset, apex, offset)
        if not has_between(frames, onset, offset):
            raise _Fault(
                "onset", f"no frame from {onset} to {offset} is in {place}: it has {min(frames)} to {max(frames)}."
            )
        return ListedClip(number, name, place, cells, onset, apex, offset, fps, frames)
    ending = place.suffix.lower()[1:]
    if ending in IMAGE_ENDINGS:
        raise _Fault(column, f"{place.name} is a single picture. Give its folder, or a video.")
    if ending not in VIDEO_ENDINGS:
        return place
    return ListedClip(number, name, place, cells, onset, apex, offset, fps or recordings.rate(place), None)


def _numbers(cells: dict[str, str]) -> tuple[int | None, int | None, int | None, float | None]:
    frames = []
    for column in ("onset", "apex", "offset"):
        try:
            frames.append(to_frame(cells.get(column, ""), column))
        except ValueError as error:
            raise _Fault(column, f"{error}: a whole number from 0 on.") from error
    onset, apex, offset = frames
    _check_order(onset, apex, offset)
    try:
        # Where cells are separated by semicolons, a comma stands before the decimals.
        return onset, apex, offset, to_rate(cells.get("fps", "").replace(",", "."))
    except ValueError as error:
        raise _Fault("fps", f"{cells['fps']!r} is no number of frames per second.") from error


def _check_order(onset: int | None, apex: int | None, offset: int | None) -> None:
    if not frame_order(onset, apex, offset):
        told = ", ".join(
            f"{name} {number}"
            for name, number in (("onset", onset), ("apex", apex), ("offset", offset))
            if number is not None
        )
        raise _Fault("onset" if apex is None else "apex", f"{told} are not in this order: onset <= apex <= offset.")


def _place(root: Path, cells: dict[str, str]) -> tuple[str, Path, str]:
    """Return the column that names a row's recording, where it lies, and its name.

    Where a row has ``path`` and, besides, ``frames`` or ``video``, the latter lies in the folder of the former.
    """
    given = [column for column in PLACES if cells.get(column)]
    if not given:
        raise _Fault("path", "is empty: every clip needs its video or its folder of frames.")
    if len(given) > 1 and given[0] != "path":
        raise _Fault(
            "video", f"{cells['video']!r} stands beside the frames {cells['frames']!r}. Leave one of them out."
        )
    parts = [_parts(root, column, cells[column]) for column in given]
    column, way = given[-1], tuple(part for some in parts for part in some)
    place = below(root, *way)
    if place is None and len(given) > 1:
        way = parts[-1]
        place = below(root, *way)
    if place is None:
        raise _Fault(column, _missing(root, cells[column], way))
    if column == "frames" and not place.is_dir():
        raise _Fault(column, f"{cells[column]!r} is no folder. A video stands in the column video or path.")
    if column == "video" and place.is_dir():
        raise _Fault(column, f"{cells[column]!r} is a folder. A folder of frames stands in the column frames or path.")
    # The frames may lie beside the list, whose folder has no name from there.
    name = PurePosixPath(*way or (root.resolve().name,))
    return column, place, str(name if place.is_dir() else name.with_suffix(""))


def _parts(root: Path, column: str, text: str) -> tuple[str, ...]:
    """Return the names on the way from the list's folder to what a cell names."""
    plain = text
    if "\\" in text and not os.path.lexists(root / text):
        plain = text.replace("\\", "/")
    if PureWindowsPath(plain).drive:
        raise _Fault(
            column, f"{text!r} is a place on a Windows machine. Give the way from this file's folder: a/b.mp4."
        )
    if os.path.isabs(plain):
        path = Path(os.path.normpath(plain))
        base = next((base for base in (root.absolute(), root.resolve()) if path.is_relative_to(base)), None)
        if base is None:
            raise _Fault(column, f"{text!r} lies outside of {root}. {_INSIDE}")
        return path.relative_to(base).parts
    way = PurePosixPath(os.path.normpath(plain)).parts
    if way[:1] == ("..",):
        raise _Fault(column, f"{text!r} leads out of {root}. {_INSIDE}")
    return way


_INSIDE = f"Move {FILE} to a folder above all recordings (links to folders are followed)."


def _missing(root: Path, text: str, way: tuple[str, ...]) -> str:
    """Say that there is nothing of a name, and what there is in the last folder on the way."""
    folder = root
    for name in way:
        deeper = below(folder, name)
        if deeper is None:
            there = [one for one, _ in listing(folder) if one.lower() != FILE]
            near = did_you_mean(name, there) if len(there) < 1000 else ""
            saved = "" if text.isascii() else " Is the list saved as UTF-8?"
            return f"{text!r} is not there: {folder} holds no {name!r}. {near}{saved}".strip()
        folder = deeper
    return f"{text!r} is not there."


def _clashes(clips: Sequence[ListedClip]) -> list[str]:
    """Return what rows say against each other: one expression twice, one recording of two people."""
    faults = []
    first: dict[tuple[str, int], ListedClip] = {}
    shows: dict[str, ListedClip] = {}
    for clip in clips:
        file = os.path.realpath(clip.place)
        other = shows.setdefault(file, clip)
        if other.cells["subject"].casefold() != clip.cells["subject"].casefold():
            faults.append(
                f"row {clip.row}, column subject: {clip.name} shows {clip.cells['subject']!r}, but in row {other.row} "
                f"{other.cells['subject']!r}. One recording shows one person."
            )
            continue
        same = first.setdefault((file, clip.onset or 0), clip)
        if same is not clip:
            onset = "" if clip.onset is None else f" from frame {clip.onset} on"
            faults.append(
                f"row {clip.row}: repeats row {same.row}: {clip.name}{onset}. Leave one of them out; expressions of "
                "one recording have an onset each."
            )
    return faults


def _left_out(path: Path, clips: Sequence[ListedClip], skipped: Sequence[Path]) -> list[str]:
    """Return notes on what is left out: files that are no videos by their ending, and videos that no row names."""
    root = path.parent
    taken = {os.path.realpath(clip.place) for clip in clips}
    folders = dict.fromkeys([root, *(clip.place.parent for clip in clips if clip.frames is None)])
    files = [folder / name for folder in folders for name, is_folder in listing(folder) if not is_folder]
    files = [file for file in files if file != path and os.path.realpath(file) not in taken]
    videos = [file for file in files if file.suffix.lower()[1:] in VIDEO_ENDINGS]
    others = [file for file in dict.fromkeys([*skipped, *files]) if file not in videos]
    notes = []

    def under(files: Sequence[Path]) -> list[str]:
        return [file.relative_to(root).as_posix() for file in files]

    if others:
        endings = ", ".join(VIDEO_ENDINGS)
        notes.append(
            f"{len(others)} files are skipped by their ending; videos end in {endings}: {_some(under(others))}"
        )
    if videos:
        notes.append(f"{len(videos)} videos are in no row of {path.name} and are left out: {_some(under(videos))}")
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _told(path: Path, faults: Sequence[str]) -> str:
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return f"{path} cannot be used:\n" + "\n".join(f"  {fault}" for fault in [*faults[:SHOWN], *more])


def _names_of(column: str) -> tuple[str, ...]:
    """Return the headings that a column may have."""
    return (column, *(HEADINGS.get(column, ()) if column not in PLACES else ()), *_MORE_NAMES.get(column, ()))


_MORE_NAMES = {"path": ("file", "file name", "clip")}


def _plain(heading: str) -> str:
    return re.sub(r"[\W_]+", "", heading).lower()
