"""Identical pictures under two samples: always told, and refused where one is trained on and the other tested."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from local_runs import LocalRuns
from small_runs import FEATURE, WHOLE_TREE, folds_of, hand_fold, plan_of, study_data, trained, write_flow_tree

from bench.console.prepared import describe, describe_outstanding
from bench.study.assemble import assemble
from bench.study.data import Copy
from bench.study.sources import survey_datasets
from preprocess.base.errors import HonestyError
from preprocess.datasets import read_source
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepare import prepare_all
from preprocess.shards.prepared import PreparedDataset

DATA = study_data(subjects=4, clips=3)  # rows 0-2 are p00, 3-5 p01, 6-8 p02, 9-11 p03


@pytest.fixture
def pictures(tree: Path) -> dict[str, Path]:
    """Return the pictures of the tree by sample id."""
    found = {}
    for path in sorted(tree.glob("*/u_test/*/*.png")):
        subject, _, clip = path.stem.partition("_")
        found[f"{'casme2' if subject.startswith('sub') else 'samm'}/{subject}/{clip}"] = path
    return found


def prepared(tree: Path) -> list[PreparedDataset]:
    datasets = read_source(tree)
    shards = tree.parent / "shards"
    return prepare_all(datasets, shards, {dataset.name: [FEATURE] for dataset in datasets})


def two_people(pictures: dict[str, Path]) -> tuple[str, str]:
    """Return a sample of one person of CASME II, and one of another."""
    ids = [name for name in pictures if name.startswith("casme2/")]
    return ids[0], next(name for name in ids if name.split("/")[1] != ids[0].split("/")[1])


def copied(pictures: dict[str, Path], first: str, second: str) -> None:
    shutil.copy(pictures[first], pictures[second])


def written_otherwise(pictures: dict[str, Path], first: str, second: str) -> None:
    """The same picture, in a file of other bytes."""
    picture = cv2.imread(str(pictures[first]))
    assert picture is not None
    assert cv2.imwrite(str(pictures[second]), picture, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert pictures[first].read_bytes() != pictures[second].read_bytes()


@pytest.mark.parametrize("copy", [copied, written_otherwise])
@pytest.mark.parametrize("protocol", ["loso", "cde"])
def test_a_picture_of_two_people_is_refused(tree: Path, pictures: dict[str, Path], copy: object, protocol: str) -> None:
    first, second = two_people(pictures)
    copy(pictures, first, second)  # type: ignore[operator]
    with pytest.raises(HonestyError, match="the same picture is trained on and tested on: ") as caught:
        plan_of(prepared(tree), models=["ststnet"], protocols=[protocol])
    message = str(caught.value)
    for sample in (first, second):
        where = str(pictures[sample]) if copy is copied else f"all of {FEATURE} is equal"
        assert f"{sample} ({where})" in message
    assert "remove the other sample from the data" in message


def test_a_picture_of_two_databases_is_refused_where_both_are_in_one_study(
    tree: Path, pictures: dict[str, Path]
) -> None:
    first, second = (next(name for name in pictures if name.startswith(part)) for part in ("casme2/", "samm/"))
    copied(pictures, first, second)
    datasets = prepared(tree)
    assert plan_of(datasets, protocols=["loso"]).trainings, "each by itself has it once"
    for dataset in datasets:
        assert any(first in line and second in line for line in describe(dataset))
    with pytest.raises(HonestyError, match="the same picture"):
        plan_of(datasets, protocols=["cde"])


def test_a_picture_of_two_clips_of_one_person_is_told(tree: Path, pictures: dict[str, Path]) -> None:
    first, second = [name for name in pictures if name.startswith("casme2/sub01/")][:2]
    copied(pictures, first, second)
    datasets = prepared(tree)
    assert plan_of(datasets, protocols=["loso", "cde"]).trainings
    lines = describe(datasets[0])
    at = lines.index("  identical pictures in 1 groups of samples:")
    assert lines[at + 1] == f"    {first} ({pictures[first]}) = {second} ({pictures[second]})"
    assert not any("equal in" in line for line in lines), "told once"
    assert describe(datasets[1]) == [line for line in describe(datasets[1]) if "identical" not in line]
    (surveyed, _) = survey_datasets(read_source(tree), [FEATURE], tree.parent / "none")
    assert lines[at + 1] in describe_outstanding(surveyed)


def test_equal_tensors_of_other_files_are_told(tree: Path, pictures: dict[str, Path]) -> None:
    first, second = [name for name in pictures if name.startswith("casme2/sub01/")][:2]
    written_otherwise(pictures, first, second)
    (casme2, _) = prepared(tree)
    assert f"  {FEATURE} is equal in 1 groups of samples: {first} = {second}" in describe(casme2)


@pytest.mark.parametrize("planes", [(0, 0, 0), (127, 127, 0)])
def test_still_clips_are_no_copies(tree: Path, pictures: dict[str, Path], planes: tuple[int, int, int]) -> None:
    """Whoever does not move has the same flow as anybody else who does not."""
    for sample in two_people(pictures):
        assert cv2.imwrite(str(pictures[sample]), np.full((28, 28, 3), planes, np.uint8))
    datasets = prepared(tree)
    assert plan_of(datasets).trainings
    assert not any("identical" in line or "equal in" in line for line in describe(datasets[0]))
    assert any("2 x flow_uvs_28 is constant" in line for line in describe(datasets[0]))


def test_only_samples_of_the_study_count(tree: Path, pictures: dict[str, Path]) -> None:
    first, second = two_people(pictures)
    copied(pictures, first, second)
    (casme2, _) = prepared(tree)
    task = TASKS.get("megc3")
    (copy,) = assemble([casme2], task, [FEATURE]).copies
    assert len(copy.rows) == 2
    without = dataclasses.replace(casme2, samples=casme2.samples[casme2.samples["sample_id"] != second])
    assert assemble([without], task, []).copies == ()


def test_all_features_of_a_study_must_be_equal(tree: Path, pictures: dict[str, Path]) -> None:
    first, second = two_people(pictures)
    written_otherwise(pictures, first, second)
    (casme2, _) = prepared(tree)
    other = dataclasses.replace(
        casme2.features[FEATURE], tensors={name: name for name in casme2.features[FEATURE].tensors}
    )
    both = dataclasses.replace(
        casme2, features={FEATURE: casme2.features[FEATURE], "other": other}, contents={FEATURE: {}, "other": {}}
    )
    task = TASKS.get("megc3")
    assert len(assemble([both], task, [FEATURE]).copies) == 1
    assert assemble([both], task, [FEATURE, "other"]).copies == ()


def test_shards_of_an_older_manifest_are_looked_at_again_and_kept(tree: Path, pictures: dict[str, Path]) -> None:
    first, second = two_people(pictures)
    written_otherwise(pictures, first, second)
    prepared(tree)
    manifest = tree.parent / "shards" / "casme2" / FEATURE / "manifest.json"
    content = json.loads(manifest.read_text())
    for entry in content["subjects"].values():
        del entry["tensors"]
    manifest.write_text(json.dumps(content))
    (casme2, _) = prepared(tree)
    assert (casme2.made, casme2.repaired) == (0, 0)
    assert any(f"{FEATURE} is equal in 1 groups" in line for line in describe(casme2))
    assert all("tensors" in entry for entry in json.loads(manifest.read_text())["subjects"].values())


@pytest.mark.parametrize(
    ("train", "validation", "test", "roles"),
    [
        ([3, 4, 5, 6, 7, 8], [9, 10, 11], [0, 1, 2], "trained on and tested on: three .* and one .*"),
        ([6, 7, 8], [3, 4, 5], [0, 1, 2], "validated on and tested on: three .* and one .*"),
        ([3, 4, 5], [0, 1, 2], [6, 7, 8], "trained on and validated on: three .* and one .*"),
        ([6, 7, 8], [], [0, 1, 2], ""),
        ([6, 7, 8], [], [0, 1, 2, 3, 4, 5], ""),
    ],
)
def test_a_fold_that_tears_copies_apart_is_refused(
    train: list[int], validation: list[int], test: list[int], roles: str
) -> None:
    copies = [Copy((1, 3), ("one (a.png)", "three (b.png)"))]
    fold = hand_fold(DATA, train, validation, test, name="torn")
    fold.check(DATA.subjects)
    if not roles:
        fold.check(DATA.subjects, copies)
        return
    with pytest.raises(HonestyError, match=f"Fold 'torn': the same picture is {roles}"):
        fold.check(DATA.subjects, copies)


def test_nothing_is_trained_of_a_pack_with_such_a_fold(tiny: str) -> None:
    data = dataclasses.replace(DATA, copies=(Copy((1, 3), ("one", "three")),))
    with pytest.raises(HonestyError, match="the same picture"):
        trained(tiny, data, folds_of(data)[:2])
    assert trained(tiny, data, folds_of(data)[2:], epochs=1), "neither is held out there"


def test_report_prepare_and_run_tell(tmp_path: Path, merbench: LocalRuns) -> None:
    tree = write_flow_tree(tmp_path / "tree", WHOLE_TREE)
    first, second = (min(tree.glob(f"{place}/*.png")) for place in ("sub01/u_test/0", "sub02/u_test/1"))
    shutil.copy(first, second)
    told = f"({first}) = casme2/sub02/"
    assert told in merbench("datasets", "report", str(tree)).out
    assert told in merbench("prepare", "--data", str(tree), "--results", str(tmp_path / "r")).out
    run = merbench("run", "--data", str(tree), "--results", str(tmp_path / "r"), "--models", "majority")
    assert run.status == 2
    assert told in run.out
    assert f"({second})" in run.err
    assert "the same picture is trained on and tested on" in run.err
