"""Moved key frames: how far, to which side, and what keeps them inside of the clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from preprocess.base.errors import UsageError
from preprocess.samples.clip import Clip, ClipError, Frames
from preprocess.samples.shift import Shift, moved, parse_shift


def clip(name: str, onset: int | None, apex: int | None, offset: int | None, first: int = 1, last: int = 60) -> Clip:
    frames = Frames(Path("somewhere"), {number: f"{number}.png" for number in range(first, last + 1)})
    return Clip(f"casme2/sub01/{name}", frames, onset=onset, apex=apex, offset=offset)


def test_with_room_both_key_frames_move_by_the_whole_amount_each_to_its_own_side() -> None:
    sides = set()
    for number in range(40):
        one = moved(clip(f"c{number}", 20, 30, 40), Shift(3))
        assert not one.clamped
        assert (one.clip.offset, one.clip.sample_id) == (40, f"casme2/sub01/c{number}")
        sides.add((one.clip.onset - 20, one.clip.apex - 30))
    assert sides == {(-3, -3), (-3, 3), (3, -3), (3, 3)}


def test_a_clip_errs_to_the_same_side_whatever_the_amount() -> None:
    for number in range(20):
        one = clip(f"c{number}", 20, 30, 45)
        small, large = moved(one, Shift(1)).clip, moved(one, Shift(4)).clip
        assert 4 * (small.onset - 20) == large.onset - 20
        assert 4 * (small.apex - 30) == large.apex - 30
        assert moved(one, Shift(4)).clip == large


def test_no_key_frame_leaves_the_clip_or_passes_the_other() -> None:
    rng = np.random.default_rng(0)
    clamped = 0
    for number in range(400):
        onset, apex, offset = sorted(rng.integers(3, 30, 3).tolist())
        amount = int(rng.integers(1, 12))
        one = moved(clip(f"c{number}", onset, apex, offset, first=3, last=35), Shift(amount))
        new_onset, new_apex = one.clip.onset, one.clip.apex
        assert new_onset is not None
        assert new_apex is not None
        assert 3 <= new_onset <= new_apex <= offset
        assert new_apex - new_onset >= min(1, apex - onset)
        ways = abs(new_onset - onset), abs(new_apex - apex)
        assert max(ways) <= amount
        assert one.clamped == (min(ways) < amount)
        clamped += one.clamped
    assert 0 < clamped < 400


def test_an_onset_that_is_the_first_frame_there_is_goes_no_further() -> None:
    ones = [moved(clip(f"c{number}", 1, 30, 40), Shift(2)) for number in range(20)]
    assert {one.clip.onset for one in ones} == {1, 3}
    assert {one.clip.onset == 1 for one in ones if one.clamped} == {True}


def test_an_apex_that_nobody_annotated_is_left_to_be_found() -> None:
    for number in range(20):
        one = moved(clip(f"c{number}", 20, None, 40), Shift(2)).clip
        assert one.apex is None
        assert one.onset in (18, 22)


def test_a_clip_that_is_a_whole_recording_begins_at_its_first_frame() -> None:
    ones = [moved(clip(f"c{number}", None, None, None, first=5, last=24), Shift(3)) for number in range(20)]
    assert {(one.clip.onset, one.clamped) for one in ones} == {(5, True), (8, False)}


def test_a_video_ends_with_its_last_frame_where_nobody_says_so(tmp_path: Path) -> None:
    file = tmp_path / "smile.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (32, 32))
    for number in range(12):
        writer.write(np.full((32, 32, 3), 20 * number, np.uint8))
    writer.release()
    whole = [moved(Clip(f"mine/a/c{number}", video=file), Shift(3)) for number in range(20)]
    assert {(one.clip.onset, one.clamped) for one in whole} == {(0, True), (3, False)}
    coded = [moved(Clip(f"mine/a/c{number}", video=file, onset=4, apex=10), Shift(3)).clip for number in range(20)]
    assert {(one.onset, one.apex) for one in coded} == {(1, 7), (1, 11), (7, 8), (7, 11)}
    with pytest.raises(ClipError, match="is missing"):
        moved(Clip("mine/a/c0", video=tmp_path / "gone.avi"), Shift(1))


@pytest.mark.parametrize(("text", "length", "frames"), [("2", 7, 2), ("5%", 40, 2), ("5%", 9, 1), ("12.5%", 20, 3)])
def test_a_share_is_of_the_way_from_onset_to_offset_and_at_least_a_frame(text: str, length: int, frames: int) -> None:
    assert parse_shift(text).frames(length) == frames
    assert parse_shift(text).name == text


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "0%", "51%", "two", "", "5%%", "1e3", "٣ %x"])
def test_what_is_no_shift_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number of frames from 1, such as 2, or a share of the clip"):
        parse_shift(text)
