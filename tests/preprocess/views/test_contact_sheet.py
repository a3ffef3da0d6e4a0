"""Contact sheets: which clips are shown, what is drawn of them, colours that tell directions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from moving_heads import FARTHEST, goes, moving_clip
from recordings import read_recordings, write_recordings

from preprocess.base.errors import StoreError
from preprocess.base.storage import LocalStorage
from preprocess.faces.face import Face, FaceFinder
from preprocess.faces.finder import DlibFaceFinder
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.table import samples_table
from preprocess.synth.databases import Options, plan
from preprocess.views.clip_view import flow_colours, view_clip
from preprocess.views.contact_sheet import ROWS, choose_rows, write_clip, write_contact_sheet


class Blind(FaceFinder):
    """Finds no face, as dlib does in noise after ten seconds."""

    def find(self, clip: Clip, detector: str = "hog") -> Face:
        raise ClipError(f"{clip.sample_id}: no face was found; tried nothing.")


def samples(people: int, clips: int) -> object:
    emotions = ("disgust", "happiness", "others", "surprise")
    return samples_table(
        [
            {
                "sample_id": f"d/p{person:02d}/c{clip}",
                "dataset": "d",
                "subject": f"d/p{person:02d}",
                "clip": f"c{clip}",
                "emotion": emotions[clip % 4] if person else None,
            }
            for person in range(people)
            for clip in range(clips)
        ]
    )


def test_rows_are_spread_over_emotions_and_people() -> None:
    table = samples(people=20, clips=8)
    chosen = choose_rows(table)  # type: ignore[arg-type]
    assert len(chosen) == len(set(chosen)) == ROWS
    emotion = dict(zip(table["sample_id"], table["emotion"].fillna("?"), strict=True))  # type: ignore[index]
    assert set(Counter(emotion[sample_id] for sample_id in chosen).values()) <= {2, 3}
    assert len({sample_id.split("/")[1] for sample_id in chosen}) >= 4
    assert len({emotion[sample_id] for sample_id in choose_rows(table, count=5)}) == 5  # type: ignore[arg-type]
    assert sorted(choose_rows(samples(people=2, clips=2))) == [  # type: ignore[arg-type]
        "d/p00/c0",
        "d/p00/c1",
        "d/p01/c0",
        "d/p01/c1",
    ]


def test_clips_of_bad_quality_come_first_and_take_half_of_the_rows_at_most() -> None:
    table = samples(people=20, clips=8)
    bad = {f"d/p{person:02d}/c1": {"outside": 0.1 * person} for person in range(1, 9)}
    good = {"d/p10/c1": {"outside": 0.01}, "d/gone/c1": {"outside": 0.9}}
    chosen = choose_rows(table, quality=bad | good)  # type: ignore[arg-type]
    assert chosen[: ROWS // 2] == [f"d/p{person:02d}/c1" for person in range(8, 2, -1)]
    assert len(chosen) == len(set(chosen)) == ROWS
    assert sorted(choose_rows(samples(people=1, clips=2), quality={"d/p00/c0": {"blur": 0.9}})) == [  # type: ignore[arg-type]
        "d/p00/c0",
        "d/p00/c1",
    ]


def test_hue_is_the_direction_and_strength_the_length() -> None:
    flow = np.zeros((1, 5, 2), np.float32)
    flow[0, 1:, :] = [[2, 0], [0, 2], [-2, 0], [1, 0]]
    still, right, down, left, half = flow_colours(flow, 2.0)[0].astype(int)
    assert still.tolist() == [255, 255, 255]
    assert right.tolist() == [255, 0, 0]
    assert len({tuple(right), tuple(down), tuple(left)}) == 3
    assert half[0] == 255
    assert abs(half[1] - 127) <= 1


@pytest.mark.slow
def test_a_clip_that_cannot_be_used_has_its_row_with_the_reason(tmp_path: Path) -> None:
    """Noise shows no face: every row says so, and the sheet is drawn all the same."""
    write_recordings(tmp_path / "films", {"s1": ("a1", "a2")})
    raw = read_recordings(tmp_path / "films")
    path = tmp_path / "sheet.png"
    write_contact_sheet(LocalStorage(path.parent), path.name, raw.name, raw.samples, raw.clips, Blind())
    picture = cv2.imread(str(path))
    labels = picture[:, : picture.shape[1] // 4]
    red = (labels[..., 2].astype(int) - labels[..., 1] > 100).sum()
    assert red > 200, "the reasons are written in red"


def test_errors_of_drawing(tmp_path: Path) -> None:
    write_recordings(tmp_path / "films", {"s1": ("a1",)})
    raw = read_recordings(tmp_path / "films")
    clip = raw.clips["films/s1/a1"]
    with pytest.raises(ClipError, match="films/s1/a1: no face was found"):
        write_clip(tmp_path / "clip.png", clip, "?", Blind())
    (tmp_path / "occupied").write_text("a file, not a folder")
    with pytest.raises(StoreError, match=r"Cannot write .* A file stands where"):
        write_contact_sheet(LocalStorage(tmp_path / "occupied"), "sheet.png", raw.name, raw.samples, raw.clips, Blind())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films", "occupied"]


@pytest.mark.slow
def test_the_outline_goes_with_a_head_that_moves(tmp_path: Path) -> None:
    options = Options("casme2", subjects=1, clips=1.0)
    planned = plan(options)[0]
    head = goes(FARTHEST["all at once"], planned.apex - planned.onset)
    clip, film = moving_clip(options, planned, tmp_path / "frames", head)
    view = view_clip(clip, DlibFaceFinder())
    assert view.outlines is not None
    for outline, number in zip(view.outlines, view.numbers, strict=True):
        pose = film.pose(number - planned.onset)
        eyes_nose_and_mouth = film.landmarks[27:] @ pose[:, :2].T + pose[:, 2]
        assert all(cv2.pointPolygonTest(outline, point, False) > 0 for point in eyes_nose_and_mouth.tolist())
    write_clip(tmp_path / "clip.png", clip, "?", DlibFaceFinder())
    picture = cv2.imread(str(tmp_path / "clip.png")).astype(int)
    green = (picture[..., 1] > 200) & (picture[..., 2] < 120) & (picture[..., 0] < 120)
    columns = np.flatnonzero(green.any(axis=0)) / picture.shape[1]
    assert columns.min() < 0.25, "in the onset"
    assert ((columns > 0.25) & (columns < 0.45)).any(), "and in the apex"


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["a$b$", "$\\foo{$ 50%", "größe 表情 #1?"])
def test_a_clip_may_be_called_anything(name: str, tmp_path: Path) -> None:
    write_recordings(tmp_path / "films", {"s1": (name,)})
    dataset = read_recordings(tmp_path / "films")
    path = tmp_path / f"sheet of {name}.png"
    write_contact_sheet(
        LocalStorage(path.parent), path.name, f"films of {name}", dataset.samples, dataset.clips, Blind()
    )
    assert cv2.imread(str(path)) is not None
