"""The sheet that lies nearest to the clips is read, and never that of a neighbour."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from more_trees import workbook
from trees import CASME2_HEADER, CASME2_ROWS, casme2, mmew, samm

from preprocess.base.errors import DataError
from preprocess.datasets import RawDataset, detect, read_source

NEWER, OLDER = "CASME2-coding-20190701.xlsx", "CASME2-coding-20140508.xlsx"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "CASME2"


def sheet(path: Path, emotion: str) -> Path:
    """Write a sheet of CASME II in which every clip shows one emotion."""
    rows = [[*row[:8], emotion] for row in CASME2_ROWS]
    return workbook(path, {"Sheet1": [CASME2_HEADER, *rows]})


def read(root: Path, variant: str | None = None) -> RawDataset:
    (dataset,) = read_source(root, "casme2", variant)
    return dataset


def emotion(root: Path) -> str:
    """Return the one emotion of the clips, which tells the sheet."""
    (word,) = read(root).samples["emotion"].unique()
    return str(word)


# Nearer places come first. Each is named from the folder of the copy, which holds CASME2_RAW_selected.
PLACES = ("CASME2_RAW_selected", ".", "annotation", "..", "../labels")


# The folder above is as near as one below.
NEARER = [
    (one, two) for number, one in enumerate(PLACES) for two in PLACES[number + 1 :] if (one, two) != (PLACES[2], "..")
]


@pytest.mark.slow
@pytest.mark.parametrize(("near", "far"), NEARER)
def test_a_nearer_sheet_is_preferred_to_a_newer_one(near: str, far: str, root: Path) -> None:
    casme2(root, sheets=())
    chosen = sheet(root / near / OLDER, "disgust")
    other = sheet(root / far / NEWER, "surprise")
    assert emotion(root) == "disgust"
    (note,) = [note for note in read(root).notes if "is read" in note]
    assert f"{chosen.parent.resolve().name}/{OLDER}" in note, "the path taken is told"
    assert f"{other.parent.resolve().name}/{NEWER}" in note, "and the other one"
    assert [path.resolve() for path in read(root).sheets] == [chosen.resolve()]


def test_of_equally_near_sheets_the_newer_one_is_read(root: Path) -> None:
    casme2(root, sheets=())
    sheet(root / OLDER, "disgust")
    sheet(root / NEWER, "surprise")
    sheet(root / "CASME2_RAW_selected" / "coding" / NEWER, "fear")
    assert emotion(root) == "fear"
    (root / "CASME2_RAW_selected" / "coding" / NEWER).unlink()
    assert emotion(root) == "surprise"


def test_a_farther_version_can_be_asked_for_by_name(root: Path) -> None:
    casme2(root, sheets=())
    sheet(root / "CASME2_RAW_selected" / OLDER, "disgust")
    sheet(root / NEWER, "surprise")
    assert set(read(root, "2019").samples["emotion"]) == {"surprise"}


def test_two_files_of_one_version_are_both_told(root: Path) -> None:
    casme2(root, sheets=())
    sheet(root / OLDER, "disgust")
    sheet(root / "CASME2-coding-20140508 (my copy).xlsx", "fear")
    assert emotion(root) == "disgust"
    (note,) = [note for note in read(root).notes if "not read" in note]
    assert note.startswith(f"sheet {root / OLDER} is read, the nearest; not read: ")
    assert "(my copy).xlsx" in note


@pytest.mark.parametrize("neighbour", ["../CASME2 of a friend", "../other", "../CASME2_RAW_selected"])
def test_the_sheet_of_a_neighbours_copy_is_never_read(neighbour: str, root: Path) -> None:
    casme2(root, sheets=())
    casme2(root / neighbour, sheets=())
    sheet(root / neighbour / NEWER, "surprise")
    with pytest.raises(DataError) as caught:
        read_source(root)
    assert "missing sheet: none in" in str(caught.value)
    assert "with another copy of the database: " in str(caught.value)
    assert f"{NEWER}. Rename it, or name it: --sheet casme2=FILE" in str(caught.value)
    sheet(root / OLDER, "disgust")
    assert emotion(root) == "disgust"


def test_another_copy_of_the_clips_beside_these_keeps_its_sheet(root: Path) -> None:
    casme2(root, sheets=(), frames={"mine": "img{}.jpg", "theirs": "img{}.jpg"})
    sheet(root / "theirs" / NEWER, "surprise")
    sheet(root.parent / OLDER, "disgust")
    assert emotion(root / "mine") == "disgust"
    assert emotion(root / "theirs") == "surprise"


def test_another_variant_of_the_same_copy_may_hold_the_sheet(root: Path) -> None:
    casme2(root, sheets=(), frames={"CASME2_RAW_selected": "img{}.jpg", "Cropped": "reg_img{}.jpg"})
    sheet(root / "CASME2_RAW_selected" / OLDER, "disgust")
    assert set(read(root, "cropped").samples["emotion"]) == {"disgust"}


def test_a_folder_of_sheets_is_looked_into_whatever_folders_of_clips_are_called(tmp_path: Path) -> None:
    mmew(tmp_path)
    for place in ("annotation", "Micro_Expression/annotation"):
        (tmp_path / place).mkdir()
        (next(tmp_path.rglob("MMEW_Micro_Exp.xlsx"))).rename(tmp_path / place / "MMEW_Micro_Exp.xlsx")
        assert len(read_source(tmp_path)[0].samples) == 3


def test_a_sheet_whose_clips_are_not_there_does_not_keep_others_from_being_read(tmp_path: Path) -> None:
    casme2(tmp_path / "CASME2")
    shutil.copy(samm(tmp_path.parent / "elsewhere") / "SAMM_Micro_FACS_Codes_v2.xlsx", tmp_path / "CASME2")
    (dataset,) = read_source(tmp_path)
    assert dataset.name == "casme2"
    (note,) = [note for note in dataset.notes if note.startswith("samm")]
    assert "missing clips: expected SAMM/006" in note
    with pytest.raises(DataError, match="samm was recognised but cannot be read"):
        read_source(tmp_path, "samm")


def test_detect_names_the_sheet_that_would_be_read_and_the_others(root: Path) -> None:
    casme2(root, sheets=())
    near = sheet(root / OLDER, "disgust")
    far = sheet(root.parent / OLDER, "surprise")
    (found,) = detect(root.parent)
    assert (found.sheet, found.others) == (near, (far,))


@pytest.mark.parametrize(
    "place", ["..", "../neighbour", "../neighbour/sub01", "../neighbour/CASME2_RAW_selected/sub01"]
)
def test_a_loop_beside_the_data_harms_nobody(place: str, root: Path) -> None:
    casme2(root, sheets=())
    sheet(root.parent / OLDER, "disgust")
    (root / place).mkdir(parents=True, exist_ok=True)
    (root / place / "itself").symlink_to("itself")
    assert emotion(root) == "disgust"
