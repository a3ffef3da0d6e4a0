"""Frames of a clip, read one at a time: image files of any kind, or a video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from preprocess.base.recent import Recent
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.integrity import damage

if TYPE_CHECKING:
    import numpy as np

COLORS = ("grey", "rgb")

IMAGE_ENDINGS = ("jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp")
"""What files of frames may end in; databases take those that they were published with."""

VIDEO_ENDINGS = ("avi", "mp4", "mov", "mkv", "webm", "m4v", "mts")
"""What videos may end in, in any case of letters, wherever videos are looked for."""


MOST_BYTES = 2**27
"""Of decoded image files that are kept, since the features of a clip look at the same ones: 400 frames of 640 x 480."""


@dataclass(frozen=True)
class FrameCount:
    """What the frames of a clip are like.

    Attributes
    ----------
    readable : how many can be read.
    missing : the numbers of those that have no file.
    damaged : the numbers of those that cannot be decoded.
    """

    readable: int
    missing: tuple[int, ...]
    damaged: tuple[int, ...]


class FrameReader:
    """Reads the frames of one clip by number; use it in a ``with`` statement.

    Image files that were decoded last are kept for all readers, up to ``MOST_BYTES``. A video is decoded forwards, and
    from its start again for an earlier frame: ask for frames in rising order; one decoded frame is held at most.

    Parameters
    ----------
    clip : the clip to read.
    color : "grey" for (H, W) uint8, "rgb" for (H, W, 3) uint8, whatever the files hold.
    """

    def __init__(self, clip: Clip, color: str = "grey") -> None:
        if color not in COLORS:
            raise ValueError(f"color is {color!r}; expected one of {', '.join(COLORS)}")
        self.clip = clip
        self.color = color
        self._capture: Any = None
        self._position = 0
        self._numbers: list[int] | None = None

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def numbers(self) -> list[int]:
        """The numbers, in order, of the frames from onset to offset that exist; ClipError where there is none."""
        if self._numbers is None:
            self._numbers = self._video_numbers() if self.clip.video is not None else self.clip.numbers
        if not self._numbers:
            onset, offset = self.clip.onset, self.clip.offset
            span = "" if onset is None or offset is None else f" from onset {onset} to offset {offset}"
            raise ClipError(f"{self.clip.sample_id}: no frame{span} is there. Complete the copy of the database.")
        return self._numbers

    def read(self, number: int) -> np.ndarray:
        """Return a frame, an array that cannot be written where it comes from an image file.

        Raises
        ------
        ClipError : it is missing or damaged; the message names the file and the frame.
        """
        if self.clip.video is not None:
            return self._video_frame(number, self.clip.video)
        path = self.clip.files.get(number)
        if path is None:
            raise ClipError(f"{self.clip.sample_id}: frame {number} is missing. Complete the copy of the database.")
        place = f"{self.clip.sample_id}: frame {number}"
        try:
            facts = path.stat()
        except OSError:
            return decode_image(path, self.color, place)
        key = path, self.color, facts.st_size, facts.st_mtime_ns, facts.st_ino
        return _DECODED.get(key, lambda: decode_image(path, self.color, place))

    def read_nearest(self, number: int, avoid: Iterable[int] = ()) -> tuple[int, np.ndarray]:
        """Return the frame nearest to a number that lies from onset to offset and can be read.

        Parameters
        ----------
        number : the number to come near to.
        avoid : numbers that must not be taken.

        Returns
        -------
        The frame's own number and the frame. Of two equally near ones it is the earlier.

        Raises
        ------
        ClipError : none can be read; it is the error of the nearest one.
        """
        first: ClipError | None = None
        refused = set(avoid)
        for candidate in sorted(self.numbers, key=lambda one: (abs(one - number), one)):
            if candidate in refused:
                continue
            try:
                return candidate, self.read(candidate)
            except ClipError as error:
                first = first or error
        raise first or ClipError(f"{self.clip.sample_id}: no frame can take the place of frame {number}.")

    def close(self) -> None:
        """Release the video."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
        self._position = 0

    def _video_numbers(self) -> list[int]:
        # The container's own count is an estimate: only decoding tells how many frames there are.
        self._open()
        count = 0
        while self._capture.grab():
            count += 1
        self.close()
        if count == 0:
            raise ClipError(f"{self.clip.sample_id}: the video {self.clip.video} holds no frame that can be decoded.")
        low = self.clip.onset or 0
        high = count - 1 if self.clip.offset is None else min(self.clip.offset, count - 1)
        if low > high:
            raise ClipError(
                f"{self.clip.sample_id}: the onset is frame {low}, but the video {self.clip.video} has the frames 0 to "
                f"{count - 1} only. Correct the annotation, or restore the video."
            )
        return list(range(low, high + 1))

    def _open(self) -> None:
        import cv2

        self.close()
        # Absolute, for FFmpeg takes what stands before a colon, as in ``a:b.mp4``, for a protocol.
        path = str(Path(self.clip.video or "").absolute())
        if not Path(path).is_file():
            raise ClipError(f"{self.clip.sample_id}: the video {path} is missing. Complete the copy of the database.")
        self._capture = cv2.VideoCapture(path)
        if not self._capture.isOpened():
            self.close()
            raise ClipError(
                f"{self.clip.sample_id}: the video {path} cannot be opened ({Path(path).stat().st_size} bytes). "
                "Restore it from the original copy, or convert it to a format that OpenCV reads."
            )

    def _video_frame(self, number: int, video: Path) -> np.ndarray:
        import cv2

        if self._capture is None or number < self._position:
            self._open()
        while self._position < number and self._capture.grab():
            self._position += 1
        read, picture = self._capture.read() if self._position == number else (False, None)
        if not read or picture is None:
            end = self._position
            self.close()
            raise ClipError(f"{self.clip.sample_id}: frame {number}: the video {video} ends after {end} frames.")
        self._position += 1
        return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY if self.color == "grey" else cv2.COLOR_BGR2RGB)


def video_rate(path: Path) -> float | None:
    """Return the frames per second that a video file says it has; None where it says nothing of use."""
    import cv2

    capture = cv2.VideoCapture(str(path.absolute()))
    try:
        rate = float(capture.get(cv2.CAP_PROP_FPS)) if capture.isOpened() else 0.0
    finally:
        capture.release()
    return rate if 0 < rate < 1e6 else None


def count_frames(clip: Clip) -> FrameCount:
    """Decode every frame of a clip, one after the other, to find those that are missing or damaged.

    Raises
    ------
    ClipError : a video cannot be opened, or the clip has no frame at all.
    """
    damaged = []
    with FrameReader(clip) as reader:
        numbers = reader.numbers
        for number in numbers:
            try:
                reader.read(number)
            except ClipError:
                damaged.append(number)
    missing = clip.missing
    if clip.video is not None and clip.offset is not None:
        missing = list(range(numbers[-1] + 1, clip.offset + 1))
    return FrameCount(len(numbers) - len(damaged), tuple(missing), tuple(damaged))


def decode_image(path: Path, color: str, place: str) -> np.ndarray:
    """Read one image file.

    Parameters
    ----------
    path : the file.
    color : "grey" or "rgb".
    place : what the file is, for messages: "casme2/sub01/EP02_01f: frame 7".

    Returns
    -------
    (H, W) uint8 for "grey", (H, W, 3) uint8 for "rgb", which cannot be written.

    Raises
    ------
    ClipError : the file cannot be read, is empty, is cut short, or is no image; the message names it.
    """
    import cv2
    import numpy as np

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ClipError(f"{place}: {path} cannot be read: {error.strerror}.") from error
    reason = damage(content)
    picture = None
    if reason is None:
        flag = cv2.IMREAD_GRAYSCALE if color == "grey" else cv2.IMREAD_COLOR
        try:
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
        except cv2.error as error:
            reason = f"cannot be decoded ({error.err})"
    if picture is None:
        reason = reason or "is not an image that OpenCV can decode"
        raise ClipError(f"{place}: {path} {reason} ({len(content)} bytes). Restore the file from the original copy.")
    picture = picture if color == "grey" else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    picture.setflags(write=False)
    return picture


def forget_frames() -> None:
    """Give back the memory of the frames that are kept, for a process that lives on when its clips are done."""
    _DECODED.clear()


_DECODED: Recent[np.ndarray] = Recent(MOST_BYTES, lambda picture: picture.nbytes)
