"""Rendered databases on disk: written whole or not at all, and not written again."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.locks import lock
from preprocess.base.machine import usable_cores
from preprocess.synth.databases import LIKE, ClipPlan, Options, crop_box, film, plan
from preprocess.synth.image_file import write_image
from preprocess.synth.long_recordings import LONG, facts_of, plan_long, write_annotation, write_recordings
from preprocess.synth.sheets import SHEETS

if TYPE_CHECKING:
    from preprocess.synth.film import Film

MARK = "synthetic.json"
"""The file in the root of a rendered database that says so."""

Progress = Callable[[int, int], None]
"""Called as ``progress(clips done, clips in all)``."""


def render(options: Options, out: Path, progress: Progress | None = None, threads: int | None = None) -> bool:
    """Render a database into a folder, unless it is there already.

    The folder appears when it is complete. What a killed process left is removed by the next one.

    Parameters
    ----------
    options : what to render.
    out : the folder.
    progress : called after each subject.
    threads : number of threads; None is one for each core.

    Returns
    -------
    True where it was rendered, False where it was there.

    Raises
    ------
    UsageError : the options cannot be obeyed.
    DataError : ``out`` holds something else, or cannot be written.
    """
    work = _long(options) if options.variant == LONG else _clips(options)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _alone(out):
            if _is_there(options, out):
                return False
            _render(options, work, out, progress, threads)
            return True
    except OSError as error:
        raise DataError(
            f"Rendering into {out} failed: {error.strerror or error}. Nothing is left there; make room or choose "
            "another folder, and run it again."
        ) from error


def rendered_film(root: Path, name: str) -> tuple[Film, ClipPlan]:
    """Return the film and the plan of a clip of a rendered database, and so its true motion.

    Parameters
    ----------
    root : the folder of the database.
    name : the clip, as ``subject/clip``.

    Raises
    ------
    DataError : ``root`` holds no database of this version, or no such clip.
    """
    options = read_options(root)
    found = [clip for clip in plan(options) if clip.name == name]
    if not found:
        raise DataError(f"The rendered database in {root} has no clip {name!r}.")
    return film(options, found[0]), found[0]


def read_options(root: Path) -> Options:
    """Return the options that a database was rendered with.

    Raises
    ------
    DataError : ``root`` holds no rendered database, or one of another version of this program.
    """
    try:
        values = dict(json.loads((root / MARK).read_text(encoding="utf-8"))["options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{root} holds no rendered database: {MARK} cannot be read ({error}).") from error
    version = values.pop("version", None)
    try:
        options = Options(**values)
    except TypeError as error:
        raise DataError(f"{root / MARK}: its options {values} are not those of this program.") from error
    if options.as_json()["version"] != version:
        raise DataError(f"{root} was rendered by version {version} of this program; render it again.")
    return options


def _is_there(options: Options, out: Path) -> bool:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if (out / MARK).is_file() and read_options(out) == options:
        return True
    raise DataError(
        f"{out} exists and is not the database asked for ({json.dumps(options.as_json())}). "
        "Remove it, or choose another folder."
    )


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the lock of ``out``, which the system releases however this process ends; remove what others left."""
    with open(out.parent / f".{out.name}.lock", "w") as file:
        # Where there are no locks, others may be at work, each in a folder of its own.
        left = out.parent.glob(f".{glob.escape(out.name)}.*.tmp") if lock(file) else ()
        for folder in left:
            shutil.rmtree(folder)
        yield


@dataclass(frozen=True)
class _Work:
    """What is written into the folder of a database.

    Attributes
    ----------
    groups : what each person is in.
    write : writes the frames of a group below the folder, and returns how much of the work that was.
    finish : writes the sheets.
    facts : what is true of each clip, for the mark.
    """

    groups: list[list[Any]]
    write: Callable[[list[Any], Path], int]
    finish: Callable[[Path], None]
    facts: Callable[[], dict[str, Any]]


def _clips(options: Options) -> _Work:
    clips = plan(options)
    return _Work(
        [list(group) for _, group in groupby(clips, key=lambda clip: clip.subject)],
        lambda group, folder: _write_clips(options, group, folder),
        lambda folder: SHEETS[options.like](folder, clips),
        lambda: {clip.name: _facts(clip) for clip in clips},
    )


def _long(options: Options) -> _Work:
    recordings = plan_long(options)
    return _Work(
        [list(group) for _, group in groupby(recordings, key=lambda one: one.subject)],
        write_recordings,
        lambda folder: write_annotation(recordings, folder),
        lambda: {one.name: facts_of(one) for one in recordings},
    )


def _render(options: Options, work: _Work, out: Path, progress: Progress | None, threads: int | None) -> None:
    temporary = out.parent / f".{out.name}.{os.getpid()}.tmp"
    done = 0
    try:
        # OpenCV and numpy leave the interpreter's lock while they work, so threads share the cores well. A person's
        # clips follow each other, which makes the person once.
        with ThreadPoolExecutor(threads or usable_cores(), initializer=_one_thread) as pool:
            total = sum(map(len, work.groups))
            try:
                for count in pool.map(lambda group: work.write(group, temporary), work.groups):
                    done += count
                    if progress is not None:
                        progress(done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        work.finish(temporary)
        facts = {"synthetic": True, "options": options.as_json(), "clips": work.facts()}
        (temporary / MARK).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        if out.is_dir():
            out.rmdir()
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def _write_clips(options: Options, clips: Sequence[ClipPlan], root: Path) -> int:
    for clip in clips:
        made = film(options, clip)
        box = crop_box(made) if options.variant == "cropped" else (slice(None), slice(None))
        folder = root / clip.folder
        folder.mkdir(parents=True)
        for number in range(clip.first, clip.last + 1):
            path = folder / LIKE[options.like].file_name(clip, number, options.variant)
            write_image(path, made.frame(number - clip.onset)[box])
    return len(clips)


def _facts(clip: ClipPlan) -> dict[str, Any]:
    return {
        "folder": clip.folder,
        "emotion": clip.emotion,
        "shown": clip.expression.emotion,
        "action_units": clip.expression.facs,
        "onset": clip.onset,
        "true_apex": clip.apex,
        "offset": clip.offset,
    }
