"""``merbench predict``: a clear result, or a clear reason, for whatever people film."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filmed import RATE, filmed, write
from local_runs import LocalRuns, Said, without_ray
from small_runs import WHOLE_TREE, write_flow_tree

from preprocess.base.hashing import digest
from results.store.model_folder import CONFIGURATION, FORMAT

pytestmark = pytest.mark.slow
CLASSES = ("negative", "positive", "surprise")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a network that was fitted on drawn flow images."""
    folder = tmp_path_factory.mktemp("models")
    tree = write_flow_tree(folder / "tree", WHOLE_TREE)
    with pytest.MonkeyPatch.context() as patch:
        from rich.console import Console

        from bench.commands.fit import fit
        from bench.config import RunConfig

        without_ray(patch, None)  # type: ignore[arg-type]
        config = RunConfig(data=[str(tree)], results=str(folder / "runs"), epochs=2)
        assert fit(config, "ststnet", None, folder / "mine", Console(quiet=True)) == 0
    return folder / "mine"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no pictures, which takes most of the time."""

    def write_recording(storage: Any, name: str, *facts: Any) -> None:
        storage.write(name, b"")

    monkeypatch.setattr("bench.commands.predict.write_recording", write_recording)
    monkeypatch.setattr("bench.commands.predict.view_clip", lambda clip, finder: None)


@pytest.fixture
def predict(merbench: LocalRuns, model: Path, tmp_path: Path) -> Any:
    def run(*words: Any, model: Path = model) -> Said:
        return merbench("predict", *map(str, words), "--model", str(model), "--out", str(tmp_path / "out"))

    return run


def told(tmp_path: Path) -> list[dict[str, Any]]:
    recordings: list[dict[str, Any]] = json.loads((tmp_path / "out" / "predictions.json").read_text())["recordings"]
    return recordings


def rows(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "out" / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_expressions_are_found_within_a_tenth_of_a_second_and_classified(predict: Any, tmp_path: Path) -> None:
    pictures, shown = filmed()
    said = predict(write(tmp_path / "film.avi", pictures))
    assert said.status == 0, said.err
    (recording,) = told(tmp_path)
    assert (recording["frames"], recording["fps"], recording["size"]) == (len(pictures), RATE, [320, 240])
    assert recording["seen"] > 0.95
    found = recording["expressions"]
    assert len(found) == len(shown)
    for one, true in zip(found, shown, strict=True):
        for moment in ("onset", "apex", "offset"):
            assert abs(one[moment] - getattr(true, moment)) <= 0.1 * RATE, (moment, one, true)
            assert one["seconds"][moment] == pytest.approx(one[moment] / RATE)
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert one["predicted"] == [max(one["probabilities"], key=one["probabilities"].get)]
        assert one["predicted"] == [max(one["scores"], key=one["scores"].get)]
    table = rows(tmp_path)
    assert [int(row["apex"]) for row in table] == [one["apex"] for one in found]
    assert [float(row["probability_positive"]) for row in table] == [one["probabilities"]["positive"] for one in found]
    picture = cv2.imread(str(tmp_path / "out" / recording["picture"]))
    assert picture.shape[0] > 500
    assert "note: flow_uvs_28 of casme2, samm was made by others" in said.out


def test_of_given_frames_those_that_are_missing_are_found(predict: Any, undrawn: None, tmp_path: Path) -> None:
    pictures, (true, _) = filmed()
    film = write(tmp_path / "film.avi", pictures)
    assert predict(film, "--onset", true.onset, "--offset", true.offset).status == 0
    (one,) = told(tmp_path)[0]["expressions"]
    assert (one["onset"], one["offset"], one["strength"]) == (true.onset, true.offset, None)
    assert abs(one["apex"] - true.apex) <= 0.1 * RATE


def test_an_expression_without_an_offset_ends_as_long_after_the_apex() -> None:
    from bench.commands.predict import Asked
    from preprocess.spotting.recordings import Span

    assert Asked(onset=10, apex=16).span == Span(10, 16, 22)
    assert Asked(onset=10, apex=16, offset=30).span == Span(10, 16, 30)
    assert Asked(onset=10, offset=30).span == Span(10, None, 30)
    assert Asked(fps=25.0).span is None


def test_the_features_are_those_that_a_dataset_of_the_same_frames_has(
    predict: Any, undrawn: None, model: Path, tmp_path: Path
) -> None:
    """Known frames of a folder of pictures, as clips.csv would name them, give the scores of the recipe's feature."""
    from bench.plan.predicting import load_fitted
    from preprocess.faces.finder import face_finder
    from preprocess.recipes import FEATURES
    from preprocess.samples.clip import Clip

    pictures, (true, _) = filmed()
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, picture in enumerate(pictures[: true.offset + 1]):
        assert cv2.imwrite(str(folder / f"img{number}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    words = ["--fps", RATE, "--onset", true.onset, "--apex", true.apex, "--offset", true.offset]
    assert predict(folder, *words).status == 0
    (one,) = told(tmp_path)[0]["expressions"]
    files = {number: folder / f"img{number}.png" for number in range(true.offset + 1)}
    clip = Clip("own/one/clip", files, None, true.onset, true.apex, true.offset, RATE)
    tensor = FEATURES.get("flow_uvs_28").compute(clip, face_finder()).tensor
    assert tensor is not None
    (scores,) = load_fitted(model, "cpu").scores({"flow_uvs_28": tensor[None]}, ["one"])
    assert list(one["scores"].values()) == pytest.approx(scores.tolist(), abs=1e-5)


def test_each_recording_that_cannot_be_used_is_told_and_the_others_are_read(
    predict: Any, undrawn: None, tmp_path: Path
) -> None:
    grass = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video")
    whole = write(tmp_path / "whole.mp4", filmed()[0][:40]).read_bytes()
    (folder / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    write(folder / "grass.avi", [grass] * 20)
    write(folder / "still.avi", [filmed()[0][0]] * 15)
    said = predict(folder)
    assert said.status == 1
    reasons = {Path(one["path"]).stem: (one["failed"], one["reason"]) for one in told(tmp_path)}
    assert [*reasons] == ["empty", "grass", "still", "text", "torn"]
    assert not reasons["still"][0]
    for name in ("empty", "text", "torn"):
        failed, reason = reasons[name]
        assert failed
        assert f"{name}.mp4 cannot be opened" in reason
        assert f"NOT USED: {reason}" in said.out
    assert reasons["grass"][0]
    assert reasons["grass"][1].startswith("no face was found in")
    assert len(rows(tmp_path)) == 5


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--apex", "9"], "--apex 9: expected --onset with --apex, --offset or both"),
        (["--onset", "9", "--apex", "9"], "expected frame numbers from 0 on, in this order, none twice"),
        (["--onset", "9", "--apex", "20", "--offset", "15"], "expected frame numbers from 0 on, in this order"),
        (["--fps", "0"], "--fps 0: expected a number above 0"),
        (["NOWHERE.mp4"], "NOWHERE.mp4 does not exist; expected a video, or a folder of frames or videos"),
    ],
)
def test_what_cannot_be_obeyed_is_told_and_nothing_is_written(
    predict: Any, tmp_path: Path, words: list[str], reason: str
) -> None:
    said = predict(write(tmp_path / "film.avi", filmed()[0][:2]), *words)
    assert (said.status, reason in said.err) == (2, True), said.err
    assert not (tmp_path / "out").exists()


def test_frames_beyond_the_end_are_told(predict: Any, tmp_path: Path) -> None:
    said = predict(write(tmp_path / "film.avi", filmed()[0][:20]), "--onset", 5, "--apex", 500)
    assert said.status == 1
    assert "film.avi ends after 20 frames" in told(tmp_path)[0]["reason"]


def test_a_folder_without_a_rate_is_told(predict: Any, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), filmed()[0][0])
    assert predict(tmp_path / "frames").status == 1
    assert "do not say" not in told(tmp_path)[0]["reason"]
    assert told(tmp_path)[0]["reason"].endswith("Give it with --fps.")


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors", "MODEL_CARD.md"])
def test_an_incomplete_model_folder_is_told_and_nothing_is_written(
    predict: Any, model: Path, tmp_path: Path, name: str
) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    (copy / name).unlink()
    said = predict(write(tmp_path / "film.avi", filmed()[0][:2]), model=copy)
    assert (said.status, f"copy is no complete model: {name} is missing" in said.err) == (2, True), said.err
    assert not (tmp_path / "out").exists()


def resealed(folder: Path, **changes: Any) -> None:
    """Change a configuration and seal it anew: what another version of the program may have written."""
    configuration = json.loads((folder / CONFIGURATION).read_text())
    body = {**{name: value for name, value in configuration.items() if name != "hash"}, "format": FORMAT, **changes}
    (folder / CONFIGURATION).write_text(json.dumps({**body, "hash": digest(body)}))


def test_a_feature_that_is_made_otherwise_here_is_refused(predict: Any, model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    features = json.loads((copy / CONFIGURATION).read_text())["features"]
    features["flow_uvs_28"]["recipe"]["version"] = 99
    resealed(copy, features=features)
    said = predict(write(tmp_path / "film.avi", filmed()[0][:2]), model=copy)
    assert said.status == 2
    assert "the feature flow_uvs_28 is made otherwise here than when the model was fitted" in said.err


def test_weights_of_another_network_are_refused(predict: Any, model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    resealed(copy, task={"name": "five", "classes": list("abcde"), "multilabel": False})
    said = predict(write(tmp_path / "film.avi", filmed()[0][:2]), model=copy)
    assert said.status == 2
    assert "the weights are not those of ststnet" in said.err
