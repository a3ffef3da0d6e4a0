"""Looking at what is to be made: nothing is made or written, and an estimate says what it stands on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flow_trees import FlowTree

from preprocess.base.errors import DataError
from preprocess.base.storage import LocalStorage
from preprocess.datasets import RawDataset, read_source
from preprocess.shards.pace import FILE, Pace, read_pace, write_pace
from preprocess.shards.prepare import prepare, survey_all
from preprocess.shards.prepared import PreparedDataset

FEATURE = "flow_uvs_28"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "shards"


def casme2(tree: FlowTree) -> RawDataset:
    return next(raw for raw in read_source(tree.root) if raw.name == "casme2")


def survey(raw: RawDataset, root: Path) -> PreparedDataset:
    (found,) = survey_all([raw], root, {raw.name: [FEATURE]})
    return found


def state(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_where_nothing_is_there_everything_is_outstanding_and_the_time_is_not_known(tree: FlowTree, root: Path) -> None:
    found = survey(casme2(tree), root)
    (one,) = found.outstanding
    assert (one.feature, one.clips, one.reasons, one.pace) == (FEATURE, 3, {"not made yet": 3}, None)
    assert found.features[FEATURE].fingerprint == ""
    assert found.features[FEATURE].shape == (3, 28, 28)
    assert not root.exists()


def test_what_is_whole_is_told_as_prepare_tells_it(tree: FlowTree, root: Path) -> None:
    prepared = prepare(casme2(tree), root, [FEATURE])
    before = state(root)
    found = survey(casme2(tree), root)
    assert found.outstanding == ()
    assert found.features == prepared.features
    assert found.fingerprint == prepared.fingerprint
    assert state(root) == before


def test_only_the_shard_that_is_damaged_is_outstanding_and_it_is_not_mended(tree: FlowTree, root: Path) -> None:
    prepare(casme2(tree), root, [FEATURE])
    path = root / "casme2" / FEATURE / "subject=sub01" / "part.parquet"
    path.write_bytes(path.read_bytes()[:-7])
    before = state(root)
    (one,) = survey(casme2(tree), root).outstanding
    assert one.reasons == {"its bytes do not match the manifest's checksum": 2}
    assert one.pace is not None
    assert (one.pace.dataset, one.pace.clips) == ("casme2", 3)
    assert state(root) == before


def test_an_unknown_feature_is_refused(tree: FlowTree, root: Path) -> None:
    with pytest.raises(DataError, match="has no feature 'biwoof'"):
        survey_all([casme2(tree)], root, {"casme2": ["biwoof"]})


def test_the_pace_is_of_the_dataset_itself_before_another_and_of_the_same_recipe_only(root: Path) -> None:
    write_pace(LocalStorage(root), f"samm/{FEATURE}", "recipe", 10, 5.0)
    assert read_pace(LocalStorage(root), "casme2", FEATURE, "recipe") == Pace("samm", 10, 5.0)
    write_pace(LocalStorage(root), f"casme2/{FEATURE}", "recipe", 4, 1.0)
    pace = read_pace(LocalStorage(root), "casme2", FEATURE, "recipe")
    assert pace == Pace("casme2", 4, 1.0)
    assert pace.per_clip == 0.25
    assert read_pace(LocalStorage(root), "casme2", FEATURE, "another recipe") is None
    assert read_pace(LocalStorage(root), "casme2", "another", "recipe") is None


@pytest.mark.parametrize("content", ["", "[]", '{"recipe_hash": "recipe", "clips": 0, "seconds": 1}', "{}"])
def test_a_pace_that_cannot_be_read_is_not_known(root: Path, content: str) -> None:
    write_pace(LocalStorage(root), f"casme2/{FEATURE}", "recipe", 4, 1.0)
    (root / "casme2" / FEATURE / FILE).write_text(content)
    assert read_pace(LocalStorage(root), "casme2", FEATURE, "recipe") is None


def test_a_run_that_makes_nothing_leaves_the_pace_of_the_one_that_did(tree: FlowTree, root: Path) -> None:
    prepare(casme2(tree), root, [FEATURE])
    path = root / "casme2" / FEATURE / FILE
    content = path.read_text()
    prepare(casme2(tree), root, [FEATURE])
    assert path.read_text() == content
    shutil.rmtree(path.parent / "subject=sub02")
    prepare(casme2(tree), root, [FEATURE])
    assert '"clips": 1' in path.read_text()
