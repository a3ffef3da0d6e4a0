"""Reading frames: every kind of file, missing and damaged ones, videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import portraits
import pytest

from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.frames import FrameReader, count_frames, forget_frames
from preprocess.samples.integrity import damage
from preprocess.views.dataset_report import decoded_frames


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return portraits.frame()[::2, ::2]


def video(path: Path, length: int = 12) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (160, 120))
    assert writer.isOpened()
    for level in range(length):
        writer.write(np.full((120, 160, 3), 20 * level, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg", ".tif"])
@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_colour_and_grey_files_of_any_kind_give_what_is_asked_for(
    tmp_path: Path, picture: np.ndarray, suffix: str, color: str
) -> None:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [picture, grey], suffix=suffix))
    with FrameReader(clip, color) as reader:
        frames = [reader.read(number) for number in reader.numbers]
    wanted = [grey, grey] if color == "grey" else [picture, np.repeat(grey[..., None], 3, axis=2)]
    for frame, expected in zip(frames, wanted, strict=True):
        assert frame.dtype == np.uint8
        assert frame.shape == expected.shape
        assert np.abs(frame.astype(int) - expected).mean() < 2.5


def test_a_file_is_decoded_once_for_all_features_and_again_once_it_changed(
    tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = portraits.write_frames(tmp_path, [picture])
    decoded = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *given: decoded.append(given[1]) or decode(*given))

    def frame(color: str) -> np.ndarray:
        with FrameReader(portraits.clip_of(files), color) as reader:
            return reader.read(1)

    np.testing.assert_array_equal(frame("grey"), frame("grey"))
    assert frame("rgb").ndim == 3
    assert len(decoded) == 2, "one a kind of picture"
    with pytest.raises(ValueError, match="read-only"):
        frame("grey")[0] = 0
    forget_frames()
    assert frame("grey").ndim == 2
    assert len(decoded) == 3
    portraits.write_frames(tmp_path, [255 - picture])
    assert frame("grey").mean() == pytest.approx(255 - cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).mean(), abs=1)
    files[1].unlink()
    with pytest.raises(ClipError, match=r"img1.* cannot be read"):
        frame("grey")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, picture: np.ndarray, suffix: str, kept: float) -> None:
    files = portraits.write_frames(tmp_path, [picture] * 3, suffix=suffix)
    content = files[2].read_bytes()
    assert damage(content) is None
    files[2].write_bytes(content[: int(len(content) * kept)])
    assert damage(files[2].read_bytes()) is not None
    with (
        pytest.raises(ClipError, match=r"casme2/sub01/EP01: frame 2: .*img2") as caught,
        FrameReader(portraits.clip_of(files)) as reader,
    ):
        reader.read(2)
    assert ("empty" in str(caught.value)) == (kept == 0.0)


def test_a_jpeg_with_bytes_after_its_end_or_a_thumbnail_inside_is_whole(tmp_path: Path, picture: np.ndarray) -> None:
    content = portraits.write_frames(tmp_path, [picture], suffix=".jpg")[1].read_bytes()
    assert damage(content + bytes(100)) is None
    thumbnail = b"\xff\xe1\x00\x0cExif" + b"\xff\xda\x00\x00\xff\xd9"
    with_thumbnail = content[:2] + thumbnail + content[2:]
    assert damage(with_thumbnail) is None
    assert damage(with_thumbnail[:-300]) is not None


def test_a_png_with_a_flipped_byte_is_damaged(tmp_path: Path, picture: np.ndarray) -> None:
    content = bytearray(portraits.write_frames(tmp_path, [picture])[1].read_bytes())
    content[len(content) // 2] ^= 0xFF
    assert "checksum" in str(damage(bytes(content)))


def test_text_in_place_of_an_image_is_named(tmp_path: Path, picture: np.ndarray) -> None:
    files = portraits.write_frames(tmp_path, [picture])
    files[1].write_text("not a picture")
    with FrameReader(portraits.clip_of(files)) as reader, pytest.raises(ClipError, match="not an image"):
        reader.read(1)


def test_missing_and_damaged_frames_are_counted(tmp_path: Path, picture: np.ndarray) -> None:
    files = portraits.write_frames(tmp_path, [picture] * 8, first=5)
    del files[7], files[12]
    files[9].write_bytes(files[9].read_bytes()[:-20])
    count = count_frames(portraits.clip_of(files, onset=5, offset=12))
    assert (count.readable, count.missing, count.damaged) == (5, (7, 12), (9,))


def test_the_nearest_readable_frame_inside_the_expression_stands_in(tmp_path: Path, picture: np.ndarray) -> None:
    files = portraits.write_frames(tmp_path, [picture] * 9)
    files[3].write_bytes(b"")
    files[2].write_bytes(b"")
    with FrameReader(portraits.clip_of(files, onset=3, offset=8)) as reader:
        assert reader.read_nearest(3)[0] == 4, "frame 1 is outside of onset..offset"
        assert reader.read_nearest(6)[0] == 6
        assert reader.read_nearest(6, avoid=[6])[0] == 5


def test_a_clip_without_frames_between_onset_and_offset_is_refused(tmp_path: Path, picture: np.ndarray) -> None:
    clip = portraits.clip_of(portraits.write_frames(tmp_path, [picture]), onset=50, offset=60)
    with pytest.raises(ClipError, match="no frame from onset 50 to offset 60"):
        count_frames(clip)


def test_a_video_is_read_by_number_in_any_order(tmp_path: Path) -> None:
    clip = Clip("afew/x/v", video=video(tmp_path / "v.avi"))
    with FrameReader(clip) as reader:
        assert reader.numbers == list(range(12))
        for number in (3, 4, 4, 9, 0, 11):
            assert abs(float(reader.read(number).mean()) - 20 * number) < 4
        with pytest.raises(ClipError, match="ends after 12 frames"):
            reader.read(12)


def test_a_video_shorter_than_its_annotation_counts_the_rest_as_missing(tmp_path: Path) -> None:
    count = count_frames(Clip("afew/x/v", video=video(tmp_path / "v.avi"), onset=4, offset=14))
    assert (count.readable, count.missing) == (8, (12, 13, 14))


@pytest.mark.parametrize("content", [b"", b"no video at all", None])
def test_a_video_that_does_not_open_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "v.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClipError, match=r"afew/x/v: the video .*v\.avi (cannot be opened|is missing)"):
        count_frames(Clip("afew/x/v", video=path))


def test_a_report_on_request_names_every_damaged_frame_and_unusable_clip(tmp_path: Path, picture: np.ndarray) -> None:
    sound = portraits.clip_of(portraits.write_frames(tmp_path / "a", [picture] * 3))
    files = portraits.write_frames(tmp_path / "b", [picture] * 4)
    for number in (2, 4):
        files[number].write_bytes(files[number].read_bytes()[:-20])
    broken = Clip("afew/x/v", video=tmp_path / "absent.avi")
    lines = decoded_frames({"x/a": sound, "x/b": portraits.clip_of(files), "x/v": broken})
    assert lines[:2] == ["  decoded: 5 frames can be read, 2 are damaged", "    x/b: damaged 2, 4"]
    assert lines[2].startswith("    afew/x/v: the video")
    assert len(lines) == 3
