"""Two published sources of CASME II's objective classes: which is taken, and why, is told; the other can be named."""

from __future__ import annotations

from pathlib import Path

import pytest
from more_trees import Rows, workbook
from trees import CASME2_HEADER, casme2, casme2_row

from preprocess.base.errors import DataError, UsageError
from preprocess.datasets import Given, RawDataset, read_source
from preprocess.labels.tasks import TASKS, labels

# A clip's class in the sheet's own column, and in the sheet of objective classes.
CLASSES = {"EP01_01": ("7", "3"), "EP01_02": ("1", "1"), "EP01_03": ("VI", "2"), "EP01_04": ("3", "7")}
ROWS: Rows = [casme2_row("01", clip, (1, 2, 3), "4", "others") for clip in CLASSES]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """CASME II with the sheet of 2019, which has a column of classes, and with the sheet of objective classes."""
    root = casme2(tmp_path / "data", [*ROWS, casme2_row("02", "EP09_09", (1, 2, 3), "4", "fear")], sheets=())
    rows = [[*row, CLASSES[row[1]][0]] for row in ROWS]
    rows += [[*casme2_row("02", "EP09_09", (1, 2, 3), "4", "fear"), "5"]]
    workbook(root / "CASME2-coding-20190701.xlsx", {"Sheet1": [[*CASME2_HEADER, "Objective Class"], *rows]})
    objective(root / "CASME2-ObjectiveClasses.xlsx")
    return root


def objective(path: Path) -> Path:
    rows = [["1", clip, two] for clip, (_, two) in CLASSES.items()]
    return workbook(path, {"Sheet1": [["Subject", "Filename", "Objective Class"], *rows]})


def read(root: Path, variant: str | None = None, given: Given | None = None) -> RawDataset:
    (dataset,) = read_source(root, "casme2", variant, {"casme2": given} if given else {})
    return dataset


def classes(dataset: RawDataset) -> list[str | None]:
    column = dataset.samples["objective_class"].astype(object)
    return column.where(column.notna(), None).tolist()


def note(dataset: RawDataset) -> str:
    (found,) = [note for note in dataset.notes if note.startswith("objective class")]
    return found


def test_the_sheet_whose_rows_are_read_is_taken_and_both_counts_are_told(root: Path) -> None:
    dataset = read(root)
    assert classes(dataset) == ["7", "1", "VI", "3", "5"]
    assert note(dataset) == (
        "objective class: that of CASME2-coding-20190701.xlsx (objective5: 3 clips) is taken, for it is the sheet "
        "whose rows are read; CASME2-ObjectiveClasses.xlsx (objective5: 3 clips) differs for 4 of 5 clips "
        "(to take that: --data casme2:objective=PATH)"
    )


@pytest.mark.parametrize("variant", ["objective", "raw,objective", "2019,objective", "raw, 2019 , objective"])
def test_the_other_source_is_taken_whole_where_it_is_named(variant: str, root: Path) -> None:
    dataset = read(root, variant)
    assert classes(dataset) == ["3", "1", "2", "7", None], "the two sources are never mixed"
    assert "that of CASME2-ObjectiveClasses.xlsx (objective5: 3 clips) is taken, for casme2:objective was" in note(
        dataset
    )
    assert "CASME2-coding-20190701.xlsx (objective5: 3 clips) differs for 4 of 5 clips" in note(dataset)
    assert labels(TASKS.get("objective5"), dataset.samples).tolist() == [2, 0, 1, -1, -1]


def test_a_source_that_is_given_is_named(root: Path, tmp_path: Path) -> None:
    (root / "CASME2-ObjectiveClasses.xlsx").unlink()
    file = objective(tmp_path / "elsewhere" / "classes of 2018.xlsx")
    for version in ("objective", ""):
        assert classes(read(root, None, Given({version: file}))) == ["3", "1", "2", "7", None]


def test_one_source_alone_needs_no_note(root: Path) -> None:
    (root / "CASME2-coding-20190701.xlsx").unlink()
    workbook(root / "CASME2-coding-20140508.xlsx", {"Sheet1": [CASME2_HEADER, *ROWS]})
    dataset = read(root)
    assert classes(dataset) == ["3", "1", "2", "7"]
    assert not any(line.startswith("objective class") for line in dataset.notes)
    assert [file.name for file in dataset.sheets] == ["CASME2-coding-20140508.xlsx", "CASME2-ObjectiveClasses.xlsx"]


def test_a_source_that_was_named_and_is_not_there_is_an_error(root: Path) -> None:
    (root / "CASME2-ObjectiveClasses.xlsx").unlink()
    with pytest.raises(DataError) as caught:
        read(root, "objective")
    message = str(caught.value)
    assert "casme2:objective was asked for, and no sheet like CASME2-ObjectiveClasses.xlsx lies in or near" in message
    assert "--sheet casme2:objective=FILE" in message
    with pytest.raises(UsageError, match="is of variant 'subjective'"):
        read(root, "subjective")


def test_two_files_of_the_other_source_are_both_told(root: Path) -> None:
    objective(root / "CASME2-ObjectiveClasses (2).xlsx")
    (told,) = [line for line in read(root).notes if "not read" in line]
    assert told.startswith(f"sheet {root / 'CASME2-ObjectiveClasses.xlsx'} is read, the nearest; not read: ")


def test_both_published_counts_are_known(root: Path) -> None:
    (count,) = [line for line in read(root).notes if line.startswith("objective5: ")]
    assert "MEGC2018 has 185 of 26 subjects, or the sheet of 2019 in its own column has 174" in count
