"""The frames of a folder, of which a clip may be the whole or a short piece."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocess.samples.clip import Clip, Frames

NUMBERS = [8, 9, 10, 12, 40, 41, 7]


@pytest.mark.parametrize(
    ("onset", "offset", "numbers", "missing"),
    [
        (9, 13, [9, 10, 12], [11, 13]),
        (9, 41, [9, 10, 12, 40, 41], [11, *range(13, 40)]),
        (50, 51, [], [50, 51]),
        (None, None, [7, 8, 9, 10, 12, 40, 41], []),
        (10, None, [10, 12, 40, 41], []),
    ],
)
@pytest.mark.parametrize("kind", [Frames, dict])
def test_numbers_are_those_from_onset_to_offset(
    kind: type, onset: int | None, offset: int | None, numbers: list[int], missing: list[int]
) -> None:
    names = {number: f"{number}.jpg" for number in NUMBERS}
    folder = Path("/clips")
    files = Frames(folder, names) if kind is Frames else {number: folder / name for number, name in names.items()}
    clip = Clip("x/1/a", files, onset=onset, offset=offset)
    assert clip.numbers == numbers
    assert clip.missing == missing
    assert clip.ends == (7, 41)
    assert clip.files[41] == folder / "41.jpg"
