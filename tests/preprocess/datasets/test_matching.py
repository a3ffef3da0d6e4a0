"""A clip is what the sheet names: its folder is found by that name, whatever form the name has."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import openpyxl
import pytest
from copies import Copies
from more_trees import images, workbook
from test_every_database import PLUG_IN, WITH_SHEET
from trees import CASME2_HEADER, CASME2_ROWS, casme2, casme2_row, mmew

from preprocess.base.errors import DataError
from preprocess.base.plugins import load_plugins
from preprocess.datasets import RawDataset, detect, read_source
from preprocess.datasets._records import clip_key, loose_clip_key

# What may stand in place of a clip's name NAME.
ODD = ("{}_02_9", "{}f.old", "neu {} (ä)")
# No cell names a folder. casme3_c: the sheet counts a person's expressions, and the folder is a letter. samm_long: the
# sheet names expressions, 006_1_2, and the folder is that of the recording, 006_1.
UNNAMED = ("casme3_c", "samm_long")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def notes(root: Path) -> str:
    return "\n".join(note for dataset in read_source(root) for note in dataset.notes)


def ids(datasets: list[RawDataset]) -> set[str]:
    return {sample_id for dataset in datasets for sample_id in dataset.clips}


def rename_cells(sheet: Path, old: str, new: str) -> int:
    """Write another text into all cells of a workbook that hold ``old``; return how many."""
    book = openpyxl.load_workbook(sheet)
    cells = [cell for tab in book.worksheets for row in tab.iter_rows() for cell in row if str(cell.value) == old]
    for cell in cells:
        cell.value = new
    book.save(sheet)
    return len(cells)


def named_folder(name: str, root: Path) -> tuple[Path, Path]:
    """Return the sheet, and the folder of a clip whose name stands in a cell of it, in any of the database's forms."""
    for found in detect(root, name):
        assert found.sheet is not None
        book = openpyxl.load_workbook(found.sheet, read_only=True)
        cells = {str(cell) for tab in book.worksheets for row in tab.iter_rows(values_only=True) for cell in row}
        for dataset in read_source(root, name, found.variant):
            for clip in dataset.clips.values():
                place = clip.files[clip.numbers[0]].parent
                while place != found.root:
                    if place.name in cells:
                        return found.sheet, place
                    place = place.parent
    raise AssertionError(f"no cell of {name} names a folder")


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", [name for name in WITH_SHEET if name not in UNNAMED])
def test_a_clip_of_an_odd_name_is_found_in_every_database(name: str, odd: str, root: Path, copies: Copies) -> None:
    load_plugins([str(PLUG_IN)])
    copies.write(name, root)
    sheet, folder = named_folder(name, root)
    # Another variant may hold whole recordings, which are called otherwise.
    variants = [found.variant for found in detect(root, name) if any(found.root.rglob(folder.name))]
    before = {variant: ids(read_source(root, name, variant)) for variant in variants}
    new = odd.format(folder.name)
    assert rename_cells(sheet, folder.name, new)
    for place in [place for place in root.rglob(folder.name) if place.is_dir()]:
        place.rename(place.with_name(new))
    for variant in variants:
        datasets = read_source(root, name, variant)
        assert len(ids(datasets)) == len(before[variant])
        assert not any(new in note for dataset in datasets for note in dataset.notes)


def test_the_three_clips_of_casme2_that_a_pattern_of_its_names_loses(root: Path) -> None:
    rows = [casme2_row("07", f"EP06_02_0{take}", (1, 2, 3), "4", "disgust") for take in (1, 2)]
    casme2(root, [*CASME2_ROWS, *rows, casme2_row("09", "EP09f", (1, 2, 3), "12", "happiness")])
    odd = {"casme2/sub07/EP06_02_01", "casme2/sub07/EP06_02_02", "casme2/sub09/EP09f"}
    assert odd < ids(read_source(root))
    assert len(ids(read_source(root))) == len(CASME2_ROWS) + 3
    assert "left out" not in notes(root)
    assert "unusual" not in notes(root), "their names are those of the sheet"


def test_a_copy_of_odd_names_only_is_recognised_where_its_sheet_lies(root: Path) -> None:
    workbook(
        root / "CASME2-coding-20140508.xlsx",
        {"Sheet1": [CASME2_HEADER, casme2_row("07", "EP06_02_01", (1, 2, 3), "4", "disgust")]},
    )
    images(root / "CASME2_RAW_selected" / "sub07" / "EP06_02_01", (1, 2, 3), "img{}.jpg")
    assert ids(read_source(root)) == {"casme2/sub07/EP06_02_01"}
    (root / "CASME2-coding-20140508.xlsx").rename(root / "mine.txt")
    assert detect(root) == [], "without it nothing says that these are clips"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["subject 1", "subject01", "participant_001", "01"])
def test_a_subject_of_an_odd_name_is_told_by_its_number(name: str, root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    before = ids(read_source(root))
    (raw / "sub01").rename(raw / name)
    assert ids(read_source(root)) == before
    assert "2 clips lie in a folder of an unusual name: sub01/EP02_01f (" in notes(root)
    assert f"{name}/EP02_01f" in notes(root)


@pytest.mark.parametrize("name", ["sub01 v2", "2 of sub01", "sub01_02", "backup"])
def test_a_subject_that_a_name_does_not_tell_is_never_guessed(name: str, root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    images(raw / "sub02" / "EP01_01", [1], "img{}.jpg")
    (raw / "sub01").rename(raw / name)
    told = notes(root)
    assert not {one for one in ids(read_source(root)) if "EP02_01f" in one}
    assert "2 rows name clips whose folder lies with another subject, and are left out: sub01/EP02_01f" in told
    assert f"{name}/EP02_01f" in told
    assert "rows have no clip folder" not in told, "it is there"


def test_a_named_folder_is_preferred_to_an_odd_one(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    shutil.copytree(raw / "sub01", raw / "copy of 1")
    clip = read_source(root)[0].clips["casme2/sub01/EP02_01f"]
    assert clip.files[46].parent == raw / "sub01" / "EP02_01f"
    assert "1 folders are not named like clips and are left out: copy of 1" in notes(root)


def test_two_odd_folders_of_one_clip_are_an_error_that_names_both(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    (raw / "sub01").rename(raw / "subject 1")
    shutil.copytree(raw / "subject 1", raw / "copy of 1")
    with pytest.raises(DataError, match=r"Two clips of one name: .*copy of 1/EP02_01f and .*subject 1/EP02_01f"):
        read_source(root)


@pytest.mark.parametrize("name", ["EP02-01f", "EP02 01f", "ep2_1F", unicodedata.normalize("NFD", "EP02_01f")])
def test_punctuation_case_and_padding_make_no_other_clip(name: str, root: Path) -> None:
    subject = casme2(root) / "CASME2_RAW_selected" / "sub01"
    (subject / "EP02_01f").rename(subject / name)
    assert len(ids(read_source(root))) == len(CASME2_ROWS)
    assert "left out" not in notes(root)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["{}.avi", "{}.MP4", "sub{:02d}/{}", "sub{:02d}_{}", "raw\\sub{:02d}\\{}", "sub{}_{}.jpg"]
)
def test_a_row_may_have_path_ending_or_subject_with_the_name(name: str, root: Path) -> None:
    before = ids(read_source(casme2(root)))
    rows = [
        [row[0], name.format(int(row[0]), row[1]) if "sub" in name else name.format(row[1]), *row[2:]]
        for row in CASME2_ROWS
    ]
    workbook(root / "CASME2-coding-20140508.xlsx", {"Sheet1": [CASME2_HEADER, *rows]})
    assert ids(read_source(root)) == before
    assert "left out" not in notes(root)


def test_the_exact_name_is_preferred_to_one_of_other_punctuation(root: Path) -> None:
    subject = casme2(root) / "CASME2_RAW_selected" / "sub01"
    images(subject / "EP02-01f", range(46, 50), "img{}.jpg")
    clip = read_source(root)[0].clips["casme2/sub01/EP02_01f"]
    assert clip.files[46].parent == subject / "EP02_01f"
    assert "sub01/EP02-01f" in notes(root)


def test_numbers_that_are_parted_differently_are_other_clips() -> None:
    assert clip_key("EP01_11") == clip_key("ep1_011")
    assert loose_clip_key("EP1-11") == loose_clip_key("EP01_11") != loose_clip_key("EP11-1")
    assert clip_key(unicodedata.normalize("NFD", "Clip ä")) == clip_key("clipä")


def test_a_class_folder_of_an_odd_name_loses_no_clip(root: Path) -> None:
    folder = mmew(root) / "Micro_Expression"
    before = ids(read_source(root))
    (folder / "disgust").rename(folder / "disgust (1)")
    assert ids(read_source(root)) == before
    assert "disgust (1)/S03-01-002" in notes(root)


def test_other_folders_beside_the_subjects_are_told_once(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    for name in ("figures/old/2014", "figures/new/2019"):
        images(raw / name, range(3), "img{}.jpg")
    (raw / "empty").mkdir()
    assert "2 folders are not named like clips and are left out: empty; figures" in notes(root)
    assert "no row in the sheet" not in notes(root)


def test_an_odd_link_out_of_the_root_harms_nobody(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    images(root.parent / "elsewhere" / "EP02_01f", range(46, 50), "img{}.jpg")
    (raw / "my link").symlink_to(root.parent / "elsewhere")
    assert len(ids(read_source(root))) == len(CASME2_ROWS)
    assert "my link" in notes(root)


@pytest.mark.parametrize("name", WITH_SHEET)
def test_no_form_of_a_database_is_seen_where_another_one_lies(name: str, root: Path, copies: Copies) -> None:
    load_plugins([str(PLUG_IN)])
    copies.write(name, root)
    roots = [found.root for found in detect(root, name)]
    assert len(roots) == len(set(roots)), "one form a folder"
