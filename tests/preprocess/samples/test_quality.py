"""What is measured of clips, and which is told first."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import portraits
import pytest

from preprocess.base.errors import DataError
from preprocess.base.storage import LocalStorage
from preprocess.samples.quality import badness, blur_of, merged, told, told_worst, worst_first
from preprocess.shards.stored import stored_quality

CLIPS = {
    "d/a/good": {"outside": 0.0, "motion": 0.01, "blur": 0.4},
    "d/a/cut": {"outside": 0.3, "motion": 0.01, "blur": 0.4},
    "d/b/moved": {"outside": 0.0, "motion": 0.4, "blur": 0.4, "spread mouth": 0.02, "spread eyes": 0.01},
    "d/b/soft": {"outside": 0.02, "motion": 0.01, "blur": 0.6},
}


def test_the_worst_comes_first_by_its_worst_measure() -> None:
    assert worst_first(CLIPS) == ["d/b/moved", "d/a/cut", "d/b/soft", "d/a/good"]
    assert [badness(CLIPS[name]) > 1 for name in CLIPS] == [False, True, True, True]
    assert badness({"spread mouth": 0.1}) == pytest.approx(2)


def test_a_report_names_what_is_beyond_the_usual_and_how_the_face_was_found() -> None:
    title, *lines = told_worst(CLIPS, {"d/a/cut": "cnn"}, 2)
    assert title.startswith("quality: 3 of 4 clips are beyond the usual (blur 0.50, motion 5.0%, outside 5%")
    assert lines == [
        "  d/b/moved: outside 0%, motion 40.0%!, blur 0.40, spread mouth 2.0%",
        "  d/a/cut: face by cnn, outside 30%!, motion 1.0%, blur 0.40",
        "  and 1 more",
    ]
    assert told_worst({}, {}, 3) == []
    (title, best) = told_worst({"d/a/good": CLIPS["d/a/good"]}, {}, 3)
    assert title.startswith("quality: 0 of 1 clips")
    assert best == f"  d/a/good: {told(CLIPS['d/a/good'])}"


def test_the_features_of_a_clip_count_by_the_worst() -> None:
    both = merged([{"a": {"blur": 0.4, "outside": 0.1}}, {"a": {"blur": 0.5}, "b": {"motion": 0.1}}])
    assert both == {"a": {"blur": 0.5, "outside": 0.1}, "b": {"motion": 0.1}}


def test_a_softer_picture_of_any_size_is_more_blurred() -> None:
    face = cv2.cvtColor(portraits.frame(noise=2.0), cv2.COLOR_RGB2GRAY)[90:390, 180:480]
    softer = [blur_of(face if sigma == 0 else cv2.GaussianBlur(face, (0, 0), sigma)) for sigma in (0, 2, 4, 8)]
    assert softer == sorted(softer)
    assert softer[-1] > softer[0] + 0.2
    assert blur_of(np.zeros((30, 40), np.uint8)) >= 0


def test_what_earlier_preparations_measured_is_read_from_their_manifests(tmp_path: Path) -> None:
    assert stored_quality(LocalStorage(tmp_path), "nothing") == ({}, {})
    for feature, blur in (("one", 0.3), ("two", 0.6)):
        remarks = {"quality": {"d/a/x": {"blur": blur}}, "faces": {"d/a/x": "hog"}}
        (tmp_path / feature).mkdir()
        manifest = {"subjects": {"a": {"remarks": remarks}, "b": {}}}
        (tmp_path / feature / "manifest.json").write_text(json.dumps(manifest))
    assert stored_quality(LocalStorage(tmp_path.parent), tmp_path.name) == ({"d/a/x": {"blur": 0.6}}, {"d/a/x": "hog"})
    (tmp_path / "one" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"one/manifest\.json cannot be read .*Remove it"):
        stored_quality(LocalStorage(tmp_path.parent), tmp_path.name)
