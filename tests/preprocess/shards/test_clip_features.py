"""Features made from recordings: made once, made again only where something changed, clips that cannot be used told."""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from flow_trees import FlowTree
from recordings import calls, frame_file, mean_recipe, read_recordings, write_frame, write_recordings

from bench.console.prepared import describe
from preprocess.base.errors import DataError, UsageError
from preprocess.datasets import read_source
from preprocess.faces.face import Face
from preprocess.recipes import FEATURES
from preprocess.samples.frames import FrameReader, decode_image
from preprocess.shards import pace
from preprocess.shards.features import choose, feature_of, offered
from preprocess.shards.prepare import prepare, prepare_all
from preprocess.shards.prepared import PreparedDataset
from preprocess.steps import STEPS, Step, Work

TESTS = Path(__file__).parents[1]


class FakeFinder:
    """Finds the same face in every clip and counts how often it is asked."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def find(self, clip: object, detector: str = "hog") -> Face:
        self.found.append(clip.sample_id)  # type: ignore[attr-defined]
        return Face(np.zeros((68, 2), np.float32), (0, 0, 8, 8), 1, "cnn")


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Register the test's steps and two recipes, ``mean`` and ``mean_more``, and return the steps' folder of notes."""
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setenv("MERBENCH_TEST_NOTES", str(folder))
    for registry in (STEPS, FEATURES):
        registry.names()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_origins", dict(registry._origins))
    monkeypatch.delitem(sys.modules, "clip_steps_plug_in", raising=False)
    importlib.import_module("clip_steps_plug_in")
    for recipe in (mean_recipe(), mean_recipe("mean_more", add=1000)):
        FEATURES.add(recipe.name, recipe, origin="the test")
    yield folder
    sys.modules.pop("clip_steps_plug_in", None)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Return a database of recordings: s1 with three clips, s2 with one, s3 with two."""
    write_recordings(tmp_path / "films")
    return tmp_path / "films"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "shards"


def counts(prepared: PreparedDataset) -> tuple[int, int, int]:
    return prepared.made, prepared.reused, prepared.repaired


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != pace.FILE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_recordings_offer_every_recipe_and_a_flow_tree_only_its_own(notes: Path, films: Path, tree: FlowTree) -> None:
    flow = read_source(tree.root)[0]
    assert set(offered(read_recordings(films))) == set(FEATURES.names())
    assert offered(flow) == ["flow_uvs_28"]
    with pytest.raises(DataError, match=r"Dataset casme2 has no feature 'mean'; it has: flow_uvs_28\.") as caught:
        feature_of(flow, "mean")
    assert "merbench prepare --data PATH --features mean" in str(caught.value)


def test_patterns_pick_what_each_dataset_offers_and_names_must_be_had_by_all(
    notes: Path, films: Path, tree: FlowTree
) -> None:
    both = [read_recordings(films), read_source(tree.root)[0]]
    assert choose(both, ["mean*", "flow_uvs_28"]) == {
        "films": ["mean", "mean_more", "flow_uvs_28"],
        "casme2": ["flow_uvs_28"],
    }
    with pytest.raises(DataError, match="Dataset casme2 has no feature 'mean'"):
        choose(both, ["mean"])
    with pytest.raises(UsageError, match=r"Unknown feature 'meen'\. Did you mean: mean"):
        choose(both, ["meen"])


def test_every_sample_gets_the_tensor_of_its_own_frames(notes: Path, films: Path, root: Path) -> None:
    raw = read_recordings(films)
    prepared = prepare(raw, root, ["mean", "mean_more"])
    assert counts(prepared) == (6, 0, 0)
    assert prepared.clips_made == 6
    for row, sample_id in enumerate(prepared.samples["sample_id"]):
        with FrameReader(raw.clips[sample_id]) as reader:
            frames = [reader.read(number) for number in reader.numbers]
        np.testing.assert_array_equal(prepared.load("mean")[row], np.mean(frames, axis=0).astype(np.float32))
    np.testing.assert_allclose(prepared.load("mean_more"), prepared.load("mean") + 1000)


def test_a_process_holds_no_frame_once_its_clips_are_done(
    notes: Path, films: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray's workers live on while the folds are trained."""
    frames: list[weakref.ref[np.ndarray]] = []

    def decoded(*given: Any) -> np.ndarray:
        picture = decode_image(*given)
        frames.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr("preprocess.samples.frames.decode_image", decoded)
    assert counts(prepare(read_recordings(films), root, ["mean", "mean_more"])) == (6, 0, 0)
    gc.collect()
    assert frames
    assert not any(frame() is not None for frame in frames)


def test_a_clips_features_are_made_together_with_one_finder(
    notes: Path, films: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a clip's face is found once, and no more than one clip is in memory."""
    finder = FakeFinder()
    monkeypatch.setattr("preprocess.faces.finder.face_finder", lambda: finder)
    known = STEPS.get("test_mean")
    threads = []

    def looks(work: Work, *, add: int = 0) -> Work:
        threads.append(cv2.getNumThreads())
        return dataclasses.replace(known.run(work, add=add), face=work.finder.find(work.clip))

    monkeypatch.setitem(STEPS._entries, "test_mean", Step("test_mean", 1, looks, ""))
    before = cv2.getNumThreads()
    prepared = prepare(read_recordings(films), root, ["mean", "mean_more"])
    said = calls(notes)
    assert said[:4] == ["films/s1/a1 +0", "films/s1/a1 +1000", "films/s1/a2 +0", "films/s1/a2 +1000"]
    assert len(said) == len(finder.found) == 12
    assert set(threads) == {1}
    assert cv2.getNumThreads() == before
    assert prepared.features["mean"].remarks.faces["films/s2/b1"] == "cnn"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axes", "shape", "tensor", "constant"),
    [
        ("chw", (2, 3, 3), np.stack([np.zeros((3, 3)), np.full((3, 3), 127)]), True),
        ("chw", (2, 3, 3), np.stack([np.zeros((3, 3)), np.eye(3)]), False),
        ("thw", (2, 1, 1), np.array([[[0]], [[1]]]), False),
        ("f", (4,), np.full(4, 0.25), True),
        ("f", (4,), np.array([0.25, 0.25, 0.25, 0.5]), False),
        ("vx", (2, 2), np.array([[1, 2], [1, 2]]), False),
        ("f", (1,), np.zeros(1), False),
    ],
    ids=["blank pictures", "one picture", "single pixels", "numbers", "other numbers", "points", "one number"],
)
def test_a_constant_tensor_is_noted_with_its_clip(
    notes: Path,
    films: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    axes: str,
    shape: tuple[int, ...],
    tensor: np.ndarray,
    constant: bool,
) -> None:
    def draws(work: Work) -> Work:
        own = work.clip.sample_id == "films/s2/b1"
        other = np.arange(tensor.size).reshape(shape)
        return dataclasses.replace(work, tensor=(tensor if own else other).astype(np.float32))

    STEPS.add("draws", Step("draws", 1, draws, ""), "this test")
    recipe = dataclasses.replace(mean_recipe("drawn"), shape=shape, axes=axes, steps=(("draws", {}),))
    FEATURES.add("drawn", recipe, origin="this test")
    prepared = prepare(read_recordings(films), root, ["drawn"])
    told = {"films/s2/b1": ["drawn is constant, so it tells nothing of this clip"]} if constant else {}
    assert prepared.features["drawn"].remarks.notes == told
    assert any("1 x drawn is constant" in line for line in describe(prepared)) == constant


def test_a_frame_under_two_samples_is_told(notes: Path, films: Path, root: Path) -> None:
    shutil.copy(frame_file(films, "s1", "a2", 2), frame_file(films, "s3", "c1", 2))
    prepared = prepare(read_recordings(films), root, ["mean"])
    (one,) = prepared.copies
    assert one.sample_ids == ("films/s1/a2", "films/s3/c1")
    assert one.files == (frame_file(films, "s1", "a2", 2), frame_file(films, "s3", "c1", 2))
    assert f"    {one}" in describe(prepared)


def test_a_second_run_looks_at_no_frame_and_writes_nothing(notes: Path, films: Path, root: Path) -> None:
    first = prepare(read_recordings(films), root, ["mean"])
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    calls(notes)
    second = prepare(read_recordings(films), root, ["mean"])
    assert counts(second) == (0, 3, 0)
    assert second.clips_made == 0
    assert calls(notes) == []
    assert second.features == first.features
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_overwrite_makes_everything_again(notes: Path, films: Path, root: Path) -> None:
    prepare(read_recordings(films), root, ["mean"])
    calls(notes)
    again = prepare(read_recordings(films), root, ["mean"], overwrite=True)
    assert counts(again) == (3, 0, 0)
    assert len(calls(notes)) == 6


def change_frame(films: Path) -> None:
    write_frame(films, "s3", "c2", 2, seed=1)


def touch_frame(films: Path) -> None:
    """The same bytes with another time: nobody reads the frames to find out."""
    os.utime(frame_file(films, "s3", "c2", 2), ns=(1, 1))


def add_frame(films: Path) -> None:
    write_frame(films, "s3", "c2", 4)


def remove_clip(films: Path) -> None:
    shutil.rmtree(films / "s3" / "c2")


@pytest.mark.parametrize("change", [change_frame, touch_frame, add_frame, remove_clip])
def test_a_changed_clip_re_makes_its_subject_only(notes: Path, films: Path, root: Path, change: object) -> None:
    prepare(read_recordings(films), root, ["mean"])
    calls(notes)
    change(films)  # type: ignore[operator]
    second = prepare(read_recordings(films), root, ["mean"])
    assert counts(second) == (1, 2, 0)
    assert second.warnings == ["films/mean: the source files changed; made again for: s3."]
    assert {call.split("/")[1] for call in calls(notes)} == {"s3"}
    fresh = prepare(read_recordings(films), root.parent / "fresh", ["mean"])
    assert second.features == fresh.features


def test_a_changed_annotation_re_makes_its_subject(notes: Path, films: Path, root: Path) -> None:
    raw = read_recordings(films)
    prepare(raw, root, ["mean"])
    clip = raw.clips["films/s1/a2"]
    clips = {**raw.clips, clip.sample_id: dataclasses.replace(clip, apex=3)}
    assert counts(prepare(dataclasses.replace(raw, clips=clips), root, ["mean"])) == (1, 2, 0)


def test_a_raised_version_of_a_step_re_makes_everything(
    notes: Path, films: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(read_recordings(films), root, ["mean"])
    step = STEPS.get("test_mean")
    monkeypatch.setitem(STEPS._entries, "test_mean", dataclasses.replace(step, version=2))
    second = prepare(read_recordings(films), root, ["mean"])
    assert counts(second) == (3, 0, 0)
    assert second.warnings == ["films/mean: the recipe changed; made again for: s1, s2, s3."]
    assert second.features["mean"].recipe_hash != first.features["mean"].recipe_hash


def damage(films: Path) -> None:
    """Cut one frame of s1/a2 short."""
    path = frame_file(films, "s1", "a2", 2)
    path.write_bytes(path.read_bytes()[:40])


def test_a_clip_that_cannot_be_used_is_left_out_told_and_not_tried_again(notes: Path, films: Path, root: Path) -> None:
    whole = prepare(read_recordings(films), root.parent / "whole", ["mean"])
    damage(films)
    prepared = prepare(read_recordings(films), root, ["mean"])
    assert list(prepared.skipped["mean"]) == ["films/s1/a2"]
    assert "films/s1/a2: frame 2" in prepared.skipped["mean"]["films/s1/a2"]
    keep = prepared.usable(["mean"])
    assert keep.tolist() == [True, False, True, True, True, True]
    np.testing.assert_array_equal(prepared.load("mean", keep), whole.load("mean")[keep])
    assert prepared.features["mean"].fingerprint != whole.features["mean"].fingerprint
    manifest = json.loads((root / "films" / "mean" / "manifest.json").read_text())
    assert list(manifest["subjects"]["s1"]["remarks"]["skipped"]) == ["films/s1/a2"]
    assert manifest["subjects"]["s1"]["rows"] == 2
    calls(notes)
    again = prepare(read_recordings(films), root, ["mean"])
    assert calls(notes) == []
    assert again.features == prepared.features


def test_a_skipped_sample_is_never_loaded_as_if_it_were_there(notes: Path, films: Path, root: Path) -> None:
    damage(films)
    prepared = prepare(read_recordings(films), root, ["mean"])
    with pytest.raises(DataError, match="Sample films/s1/a2 has no mean: films/s1/a2: frame 2"):
        prepared.load("mean")


def test_a_restored_clip_comes_back(notes: Path, films: Path, root: Path) -> None:
    damage(films)
    prepare(read_recordings(films), root, ["mean"])
    write_frame(films, "s1", "a2", 2)
    second = prepare(read_recordings(films), root, ["mean"])
    assert counts(second) == (1, 2, 0)
    assert second.skipped == {"mean": {}}
    whole = prepare(read_recordings(films), root.parent / "whole", ["mean"])
    assert second.features == whole.features


def test_what_is_known_of_clips_survives_the_loss_of_the_manifest(notes: Path, films: Path, root: Path) -> None:
    damage(films)
    first = prepare(read_recordings(films), root, ["mean"])
    before = files(root)
    (root / "films" / "mean" / "manifest.json").write_text("{")
    calls(notes)
    second = prepare(read_recordings(films), root, ["mean"])
    assert calls(notes) == []
    assert second.features == first.features
    assert files(root) == before


def test_a_subject_without_any_usable_clip(notes: Path, films: Path, root: Path) -> None:
    for number in (1, 2, 3):
        frame_file(films, "s2", "b1", number).write_bytes(b"")
    prepared = prepare(read_recordings(films), root, ["mean"])
    assert list(prepared.skipped["mean"]) == ["films/s2/b1"]
    assert prepared.load("mean", prepared.usable(["mean"])).shape == (5, 8, 8)
    assert counts(prepare(read_recordings(films), root, ["mean"])) == (0, 3, 0)


def test_notes_of_the_steps_are_kept(notes: Path, films: Path, root: Path) -> None:
    prepare(read_recordings(films), root, ["mean"])
    again = prepare(read_recordings(films), root, ["mean"])
    assert again.features["mean"].remarks.notes["films/s2/b1"] == ["3 frames averaged"]


def test_a_bug_in_a_step_costs_no_sample_and_no_other_work(notes: Path, films: Path, root: Path) -> None:
    """A clip must not drop out of a benchmark because a program is wrong."""
    (notes / "bug-a2").touch()
    with pytest.raises(DataError, match=r"films/s1/a2, feature mean: ZeroDivisionError: a bug of the step") as caught:
        prepare(read_recordings(films), root, ["mean"])
    assert "clip_steps_plug_in.py" in str(caught.value)
    assert sorted(path.parent.name for path in root.rglob("part.parquet")) == ["subject=s2", "subject=s3"]
    (notes / "bug-a2").unlink()
    calls(notes)
    mended = prepare(read_recordings(films), root, ["mean"])
    assert counts(mended) == (1, 2, 0)
    assert mended.skipped == {"mean": {}}
    assert len(calls(notes)) == 3


def test_too_little_memory_is_no_bug_of_a_step(notes: Path, films: Path, root: Path) -> None:
    (notes / "memory-a2").touch()
    with pytest.raises(
        DataError, match=r"films/s1/a2, feature mean: there is not enough memory \(std::bad_a"
    ) as caught:
        prepare(read_recordings(films), root, ["mean"])
    assert "The clip is not at fault, so no clip was left out for it." in str(caught.value)
    assert str(caught.value).endswith("give more memory, or fewer --workers, or name other features, and run again.")
    assert sorted(path.parent.name for path in root.rglob("part.parquet")) == ["subject=s2", "subject=s3"]


def test_not_a_number_is_a_bug_of_the_recipe(notes: Path, films: Path, root: Path) -> None:
    (notes / "nan-c1").touch()
    with pytest.raises(DataError, match="films/s3/c1, feature mean: ArithmeticError: the tensor holds NaN or infinite"):
        prepare(read_recordings(films), root, ["mean"])
    assert not list(root.rglob("subject=s3/part.parquet"))


def test_a_recipe_that_does_not_give_what_it_promises(notes: Path, films: Path, root: Path) -> None:
    FEATURES.add("wide", mean_recipe("wide", shape=(9, 9)), origin="the test")
    with pytest.raises(DataError, match=r"Feature wide of films/s1/a1 is float32 \(8, 8\); its recipe promises"):
        prepare(read_recordings(films), root, ["wide"])
    assert not list(root.rglob("part.parquet"))


def test_several_databases_in_one_pass(notes: Path, films: Path, root: Path, tmp_path: Path) -> None:
    write_recordings(tmp_path / "others", {"p1": ("x", "y")})
    both = [read_recordings(films), read_recordings(tmp_path / "others", "others")]
    seen: list[tuple[int, int]] = []
    first, second = prepare_all(
        both, root, {"films": ["mean"], "others": ["mean", "mean_more"]}, lambda *step: seen.append(step)
    )
    assert (counts(first), counts(second)) == ((3, 0, 0), (2, 0, 0))
    assert (seen[0], seen[-1]) == ((0, 8), (8, 8))
    assert set(second.features) == {"mean", "mean_more"}


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import clip_steps_plug_in
from recordings import mean_recipe, read_recordings
from preprocess.recipes import FEATURES
from preprocess.shards.prepare import prepare
FEATURES.add("mean", mean_recipe(), origin="the test")
prepare(read_recordings(Path(sys.argv[2])), sys.argv[3], ["mean"])
"""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_is_gone_on_with(notes: Path, films: Path, root: Path) -> None:
    (notes / "slow").touch()
    command = [sys.executable, "-c", RUN, str(TESTS), str(films), str(root)]
    running = subprocess.Popen(command, cwd=TESTS.parents[1])
    limit = time.monotonic() + 60
    while not list(root.rglob("part.parquet")) and time.monotonic() < limit:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    there = {path.parent.name for path in root.rglob("part.parquet")}
    assert there == {"subject=s1"}
    (notes / "slow").unlink()
    calls(notes)
    second = prepare(read_recordings(films), root, ["mean"])
    assert counts(second) == (2, 1, 0)
    assert {call.split("/")[1] for call in calls(notes)} == {"s2", "s3"}
    undisturbed = prepare(read_recordings(films), root.parent / "undisturbed", ["mean"])
    assert second.features == undisturbed.features
    assert files(root) == files(root.parent / "undisturbed")
