"""Pictures under two samples: what counts as a copy, what does not, and that few files are read to know it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from more_trees import video

from preprocess.samples import copies
from preprocess.samples.clip import Clip
from preprocess.samples.copies import compared, find_copies, told


def noise(path: Path, seed: int) -> Path:
    """Write a picture of noise; those of one ending and size have as many bytes where it is that of a raw format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), picture)
    return path


def clip(root: Path, name: str, seeds: range, ending: str = "png", first: int = 1) -> Clip:
    """A clip of noise, a seed a frame."""
    files = {first + n: noise(root / name / f"{first + n}.{ending}", seed) for n, seed in enumerate(seeds)}
    return Clip(name, files, onset=min(files), offset=max(files))


def found(*clips: Clip) -> list[tuple[str, ...]]:
    return [one.sample_ids for one in find_copies(compared({one.sample_id: one for one in clips}))]


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_a_clip_under_two_names_is_found_once(tmp_path: Path, ending: str) -> None:
    first = clip(tmp_path, "casme2/sub01/a", range(5), ending)
    second = clip(tmp_path, "casme2/sub02/b", range(5), ending, first=40)
    third = clip(tmp_path, "casme2/sub03/c", range(100, 105), ending)
    (one,) = find_copies(compared({one.sample_id: one for one in (third, second, first)}))
    assert one.sample_ids == ("casme2/sub01/a", "casme2/sub02/b")
    assert one.files == (first.files[1], second.files[40])
    assert str(one) == f"casme2/sub01/a ({first.files[1]}) = casme2/sub02/b ({second.files[40]}), 5 pictures"


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every database be one of too many frames to compare them all."""
    monkeypatch.setattr(copies, "EVERY", 0)


@pytest.mark.parametrize("number", [1, 3, 5])
@pytest.mark.usefixtures("many")
def test_a_single_key_frame_is_enough(tmp_path: Path, number: int) -> None:
    first, second = (clip(tmp_path, name, seeds) for name, seeds in (("x/p/a", range(5)), ("x/q/b", range(10, 15))))
    shutil.copy(first.files[number], second.files[3])
    assert found(first, second) == [("x/p/a", "x/q/b")]


def test_any_frame_is_compared_where_there_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (clip(tmp_path, name, seeds) for name, seeds in (("x/p/a", range(8)), ("x/q/b", range(10, 18))))
    shutil.copy(first.files[3], second.files[7])
    assert found(first, second) == [("x/p/a", "x/q/b")]
    monkeypatch.setattr(copies, "EVERY", 15)
    assert found(first, second) == [], "they are 16"


@pytest.mark.usefixtures("many")
def test_a_clip_of_other_key_frames_shares_the_ends_of_its_folder(tmp_path: Path) -> None:
    first = clip(tmp_path, "x/p/a", range(20))
    copy = clip(tmp_path, "x/q/b", range(20))
    moved = Clip("x/q/b", copy.files, onset=6, apex=8, offset=13)
    assert found(first, moved) == [("x/p/a", "x/q/b")]


def test_three_samples_are_one_group(tmp_path: Path) -> None:
    clips = [clip(tmp_path, f"x/{person}/a", range(3)) for person in "pqr"]
    (one,) = find_copies(compared({one.sample_id: one for one in clips}))
    assert one.sample_ids == ("x/p/a", "x/q/a", "x/r/a")


def test_expressions_of_one_recording_are_no_copies(tmp_path: Path) -> None:
    files = clip(tmp_path, "x/p/a", range(9)).files
    assert found(Clip("x/p/a@1", files, onset=1, offset=5), Clip("x/p/a@4", files, onset=4, offset=9)) == []


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_linked_folder_is_a_copy(tmp_path: Path, link: object) -> None:
    first = clip(tmp_path, "x/p/a", range(3))
    linked = tmp_path / "x" / "q" / "a"
    linked.mkdir(parents=True)
    for path in first.files.values():
        link(path, linked / path.name)  # type: ignore[operator]
    second = Clip("x/q/a", {number: linked / path.name for number, path in first.files.items()})
    assert found(first, second) == [("x/p/a", "x/q/a")]


@pytest.mark.parametrize("content", ["blank", "black and white", "empty", "cut", "gone"])
def test_what_shows_nobody_is_no_copy(tmp_path: Path, content: str) -> None:
    clips = [clip(tmp_path, name, seeds) for name, seeds in (("x/p/a", range(3)), ("x/q/b", range(10, 13)))]
    picture = np.full((64, 64, 3), (0, 0, 90), np.uint8)
    if content == "black and white":
        picture[:9] = 255
    for one in clips:
        path = one.files[2]
        assert cv2.imwrite(str(path), picture)
        if content in ("empty", "cut"):
            path.write_bytes(path.read_bytes()[: 20 if content == "cut" else 0])
        elif content == "gone":
            path.unlink()
    assert found(*clips) == ([("x/p/a", "x/q/b")] if content == "black and white" else [])


def test_pictures_that_differ_in_a_corner_are_none(tmp_path: Path) -> None:
    clips = [clip(tmp_path, name, range(3), "bmp") for name in ("x/p/a", "x/q/b")]
    for number, path in clips[1].files.items():
        content = bytearray(path.read_bytes())
        content[-1] ^= 1 + number
        path.write_bytes(bytes(content))
    assert found(*clips) == []


@pytest.mark.parametrize("every", [0, 5000])
def test_only_files_that_look_alike_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.setattr(copies, "EVERY", every)
    clips = [clip(tmp_path, f"x/p{n}/a", range(100 * n, 100 * n + 20), "bmp") for n in range(6)]
    shutil.copy(clips[0].files[1], clips[5].files[1])
    read: list[Path] = []
    content = copies._content
    monkeypatch.setattr(copies, "_content", lambda path: read.append(path) or content(path))
    assert found(*clips) == [("x/p0/a", "x/p5/a")]
    assert sorted(read) == sorted([clips[0].files[1], clips[5].files[1]]), "all of them have one size"


def test_videos(tmp_path: Path) -> None:
    paths = [video(tmp_path / f"{name}.avi", frames) for name, frames in (("a", 5), ("b", 7))]
    shutil.copy(paths[0], tmp_path / "c.avi")
    clips = [Clip(f"x/p/{path.stem}", video=path) for path in (*paths, tmp_path / "c.avi")]
    assert found(*clips) == [("x/p/a", "x/p/c")]


def test_many_copies_are_counted_and_the_first_named(tmp_path: Path) -> None:
    pairs = {f"x/p{n:02d}/{name}": [noise(tmp_path / f"{n}{name}.png", n)] for n in range(13) for name in "ab"}
    lines = told(find_copies(pairs))
    assert lines[0] == "  identical pictures in 13 groups of samples:"
    assert lines[1].startswith("    x/p00/a (")
    assert len(lines) == 12
    assert lines[-1] == "    and 3 groups more"
    assert told([]) == []
