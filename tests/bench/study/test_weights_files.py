"""Which file of a folder is for whom: exactly one for each who is held out, by its name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.study.weights_files import find_weights
from preprocess.base.errors import UsageError

PEOPLE = ["casme2/sub01", "casme2/sub02", "samm/006", "smic/s01"]
PLAIN = ["sub01.pth", "sub02.pth", "006.pth", "s01.pth"]


def folder(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    "names",
    [
        PLAIN,
        ["SUB01.pth", "Sub02.pt", "006.safetensors", "S01.weights"],
        ["casme2/sub01.pth", "casme2/sub02.pth", "samm/006.pth", "smic/s01.pth"],
        ["casme2_sub01.pth", "casme2-sub02.pth", "samm.006.pth", "smic s01.pth"],
        ["sub01/best.pth", "sub02/best.pth", "006/best.pth", "s01/best.pth"],
        ["ststnet_sub01_epoch800.pth", "ststnet_sub02_epoch800.pth", "ststnet_006_epoch800.pth", "best-s01.pth"],
        [*PLAIN, "README.md", "log.txt", ".sub01.pth", ".old/sub01.pth"],
    ],
)
def test_a_file_is_for_whom_its_name_tells(tmp_path: Path, names: list[str]) -> None:
    found = find_weights(str(folder(tmp_path, names)))
    assert found.by_fold
    expected = dict(zip(PEOPLE, names[:4], strict=True))
    assert {fold: file.relative_to(tmp_path).as_posix() for fold, file in found.of_folds(PEOPLE).items()} == expected


def test_people_of_one_id_in_two_datasets_are_told_apart_by_the_dataset(tmp_path: Path) -> None:
    people = ["casme/sub01", "casme2/sub01"]
    found = find_weights(str(folder(tmp_path, ["casme_sub01.pth", "casme2_sub01.pth"]))).of_folds(people)
    assert [found[one].name for one in people] == ["casme_sub01.pth", "casme2_sub01.pth"]


def test_one_file_is_for_all(tmp_path: Path) -> None:
    file = folder(tmp_path, ["sub01.pth"]) / "sub01.pth"
    found = find_weights(str(file))
    assert (found.by_fold, found.name) == (False, "sub01.pth")
    assert found.of_folds(PEOPLE) == dict.fromkeys(PEOPLE, file)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (PLAIN[1:], r"no file for casme2/sub01; it has 3 of the 4 that are held out\. Expected .* such as sub01\.pth"),
        (["sub01.pth"], r"no file for casme2/sub02, samm/006, smic/s01; it has 1 of the 4"),
        ([*PLAIN, "best_s01.pt"], r"best_s01\.pt, s01\.pth are all named for smic/s01; expected one file"),
        ([*PLAIN, "s02.pth"], r"s02\.pth is named for nobody who is held out \(casme2/sub01, .*Rename the file"),
        ([*PLAIN, "sub010.pth"], r"sub010\.pth is named for nobody"),
        ([*PLAIN, "sub01_sub02.pth"], r"sub01_sub02\.pth may be for casme2/sub01, casme2/sub02\. .* casme2_sub01\.pth"),
    ],
)
def test_missing_doubled_unknown_and_ambiguous_files_are_named(tmp_path: Path, names: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        find_weights(str(folder(tmp_path, names))).of_folds(PEOPLE)


def test_an_id_of_two_datasets_alone_does_not_tell_whose_it_is(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"sub01\.pth may be for casme/sub01, casme2/sub01\. Give its name the dataset"
    ):
        find_weights(str(folder(tmp_path, ["sub01.pth"]))).of_folds(["casme/sub01", "casme2/sub01"])


def test_folds_of_one_name_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several folds of this protocol hold out samm"):
        find_weights(str(folder(tmp_path, ["samm.pth"]))).of_folds(["casme2", "samm", "samm"])


def test_a_path_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist; expected a folder or a file"):
        find_weights(str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"no file of weights lies there; expected \.safetensors, \.pth"):
        find_weights(str(folder(tmp_path, ["README.md"])))
