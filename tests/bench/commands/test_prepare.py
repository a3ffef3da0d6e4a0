"""``merbench prepare`` and ``inspect`` on a rendered database: what is made, told and drawn; a run takes it up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
from local_runs import LocalRuns

from bench.config import DEFAULT_FEATURES, DEFAULT_MODELS
from mer_models.registry import MODELS
from preprocess.recipes import FEATURES
from preprocess.synth.databases import Options
from preprocess.synth.trees import render

RECIPES = """
flow_small:
  version: 1
  summary: onset-apex flow of a small face
  shape: [2, 14, 14]
  axes: chw
  dtype: float32
  steps:
    - face: {size: [64, 64]}
    - select: {frames: onset_apex}
    - load
    - flow: {method: farneback}
    - flow_tensor: {channels: [u, v], size: 14, normalise: raw}
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database like CASME II of two people."""
    root = tmp_path_factory.mktemp("rendered") / "casme2"
    render(Options("casme2", subjects=2, clips=2), root)
    return root


@pytest.fixture
def database(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the database, in a folder of its own that is also the working folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(rendered, tmp_path / "casme2", copy_function=shutil.copy2))


def clips(database: Path) -> list[dict[str, Any]]:
    """Return what the renderer tells of the clips, by sample id."""
    facts = json.loads((database / "synthetic.json").read_text())["clips"]
    return [{"sample_id": f"synth_casme2/{name}", **fact} for name, fact in sorted(facts.items())]


@pytest.mark.slow
def test_shards_are_made_once_and_a_contact_sheet_is_drawn(merbench: LocalRuns, database: Path) -> None:
    unknown = merbench("datasets", "report", "casme2", "--results", "runs")
    assert "quality: not measured yet; `merbench prepare` measures it" in unknown.out
    first = merbench("prepare", "--data", "casme2", "--features", "flow_uvs_28")
    count = len(clips(database))
    assert first.status == 0
    assert f"synth_casme2: {count} samples, 2 subjects (2 shards made, 0 kept, 0 repaired)" in first.out
    assert f"faces found by: hog {count}" in first.out
    sheet = Path("runs/shards/synth_casme2/contact_sheet.png")
    assert f"contact sheet: {sheet.absolute()}" in first.out
    picture = cv2.imread(str(sheet))
    assert picture.shape[0] > 100 * count
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    second = merbench("prepare", "--data", "casme2", "--features", "flow_uvs_28")
    assert "(0 shards made, 2 kept, 0 repaired)" in second.out
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == before
    known = merbench("datasets", "report", "casme2", "--results", "runs")
    for said in (first.out, known.out):
        assert f"quality: 0 of {count} clips are beyond the usual" in said
        assert ": face by hog, outside 0%, motion " in said


@pytest.mark.slow
def test_a_clip_that_cannot_be_used_is_told_by_prepare_and_left_out_of_the_run(
    merbench: LocalRuns, database: Path
) -> None:
    *_, lost = clips(database)
    for path in (database / lost["folder"]).iterdir():
        path.write_bytes(b"")
    count = len(clips(database))
    said = merbench("prepare", "--data", "casme2")
    assert said.status == 0
    assert f"1 of {count} samples have no flow_uvs_28 and are left out:" in said.out
    assert lost["sample_id"] in said.out
    run = merbench("run", "--data", "casme2", "--models", "flow_svm", "--protocols", "loso", "--tracking-uri", "off")
    assert f"1 of {count} samples have no flow_uvs_28 and are left out:" in run.out
    assert "(0 shards made, 2 kept, 0 repaired)" in run.out


@pytest.mark.slow
def test_recipes_of_a_file(merbench: LocalRuns, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FEATURES.names()
    monkeypatch.setattr(FEATURES, "_entries", dict(FEATURES._entries))
    monkeypatch.setattr(FEATURES, "_origins", dict(FEATURES._origins))
    Path("mine.yaml").write_text(RECIPES)
    said = merbench("prepare", "--data", "casme2", "--recipes", "mine.yaml", "--features", "flow_small")
    assert said.status == 0
    assert len(list(Path("runs/shards/synth_casme2/flow_small").rglob("part.parquet"))) == 2
    Path("bad.yaml").write_text(RECIPES.replace("farneback", "magic").replace("flow_small", "flow_magic"))
    said = merbench("prepare", "--data", "casme2", "--recipes", "bad.yaml", "--features", "flow_magic")
    assert said.status == 2
    assert "magic" in said.err
    said = merbench("run", "--data", "casme2", "--recipes", "absent.yaml")
    assert said.status == 2
    assert "absent.yaml cannot be read" in said.err


def test_bad_names_are_told_before_anything_is_written(merbench: LocalRuns, database: Path, tree: Path) -> None:
    said = merbench("prepare", "--data", "casme2", "--features", "flow_uvs_29")
    assert said.status == 2
    assert "Unknown feature 'flow_uvs_29'. Did you mean: " in said.err
    said = merbench("prepare", "--data", str(tree), "--features", "biwoof")
    assert said.status == 2
    assert "Dataset casme2 has no feature 'biwoof'; it has: flow_uvs_28." in said.err
    assert "merbench prepare --data PATH --features biwoof" in said.err
    assert not Path("runs").exists()


def test_a_tree_without_recordings_has_no_contact_sheet(merbench: LocalRuns, tree: Path, tmp_path: Path) -> None:
    said = merbench("prepare", "--data", str(tree), "--results", str(tmp_path / "out"))
    assert said.status == 0
    assert "no contact sheet: this copy brings no recordings" in said.out


def test_an_interruption_is_no_traceback(merbench: LocalRuns, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.workers.clip_threads.make", interrupted)
    for verb in (("prepare",), ("run", "--models", "flow_svm", "--tracking-uri", "off")):
        said = merbench(*verb, "--data", "casme2")
        assert said.status == 130
        assert "Interrupted. The shards made so far are kept" in said.out


@pytest.mark.slow
def test_inspect_draws_one_clip(merbench: LocalRuns, database: Path) -> None:
    first = clips(database)[0]
    said = merbench("inspect", first["sample_id"], "--data", "casme2", "--out", "clip.png")
    assert said.status == 0
    assert said.out.splitlines()[-1] == "clip.png"
    assert min(cv2.imread("clip.png").shape[:2]) > 400
    said = merbench("inspect", f"{first['sample_id']}x", "--data", "casme2")
    assert said.status == 2
    assert first["sample_id"] in said.err
    assert "Did you mean" in said.err


def test_inspect_of_a_clip_that_cannot_be_drawn(merbench: LocalRuns, database: Path, tree: Path) -> None:
    first = clips(database)[0]
    for path in (database / first["folder"]).iterdir():
        path.write_bytes(b"")
    said = merbench("inspect", first["sample_id"], "--data", "casme2", "--out", "clip.png")
    assert said.status == 2
    assert said.err.startswith(f"error: {first['sample_id']}: ")
    said = merbench("inspect", "casme2/sub01/EP00_1", "--data", str(tree), "--out", "clip.png")
    assert said.status == 2
    assert "casme2 brings no recordings" in said.err
    assert not Path("clip.png").exists()


def test_the_default_features_are_what_the_default_models_need() -> None:
    assert {feature for name in DEFAULT_MODELS for feature in MODELS.get(name).features} == set(DEFAULT_FEATURES)
