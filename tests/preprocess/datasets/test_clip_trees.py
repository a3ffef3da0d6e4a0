"""Folders of clips as they lie on disks: padding, strays, links, doubles."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from more_trees import afew, images
from trees import CASME2_ROWS, casme2, casme2_row, samm, smic

from preprocess.base.errors import DataError, UsageError
from preprocess.datasets import describe, detect, read_source
from preprocess.datasets._detect import FOLDERS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def notes(root: Path) -> str:
    return "\n".join(note for dataset in read_source(root) for note in dataset.notes)


def test_frames_are_found_by_their_number_however_it_is_padded(root: Path) -> None:
    folder = casme2(root) / "CASME2_RAW_selected" / "sub01" / "EP02_01f"
    (folder / "img46.jpg").rename(folder / "img0046.jpg")
    (folder / "img47.jpg").rename(folder / "img00047.jpg")
    clip = read_source(root)[0].clips["casme2/sub01/EP02_01f"]
    assert clip.numbers == list(range(46, 61))
    assert clip.files[46] == folder / "img0046.jpg"


def test_strays_are_no_frames(root: Path) -> None:
    folder = casme2(root) / "CASME2_RAW_selected" / "sub01" / "EP02_01f"
    for name in ("Thumbs.db", "._img46.jpg", "img46.jpg.tmp", "img46 - Copy.jpg", "readme 47.txt", "copy of img46.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / ".hidden").mkdir()
    clip = read_source(root)[0].clips["casme2/sub01/EP02_01f"]
    assert sorted(clip.files) == list(range(46, 61))
    assert "img46" not in notes(root)


def test_two_files_of_one_number_are_told_and_one_is_taken(root: Path) -> None:
    folder = casme2(root) / "CASME2_RAW_selected" / "sub01" / "EP02_01f"
    shutil.copy(folder / "img46.jpg", folder / "img046.jpg")
    assert read_source(root)[0].clips["casme2/sub01/EP02_01f"].files[46] == folder / "img46.jpg"
    assert "img46.jpg and img046.jpg are both frame 46; img46.jpg was taken" in notes(root)


def test_two_folders_of_one_clip_are_an_error_that_names_both(root: Path) -> None:
    subject = casme2(root) / "CASME2_RAW_selected" / "sub01"
    shutil.copytree(subject / "EP02_01f", subject / "EP2_1f")
    with pytest.raises(DataError, match=r"Two clips of one name: .*EP02_01f and .*EP2_1f"):
        read_source(root)


def test_a_folder_whose_padding_differs_from_the_sheet_is_the_same_clip(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    (raw / "sub04").rename(raw / "sub4")
    (raw / "sub4" / "EP12_01f").rename(raw / "sub4" / "EP12_1f")
    ids = set(read_source(root)[0].samples["sample_id"])
    assert "casme2/sub04/EP12_1f" in ids
    assert len(ids) == len(CASME2_ROWS)


def test_folders_with_odd_names_are_told(root: Path) -> None:
    raw = casme2(root) / "CASME2_RAW_selected"
    images(raw / "subject 27" / "EP02_01f", range(3), "img{}.jpg")
    images(raw / "sub01" / "EP02_01f copy", range(3), "img{}.jpg")
    images(raw / "sub01" / "EP02_01f.old", range(3), "img{}.jpg")
    assert "subject 27" in notes(root)
    assert "sub01/EP02_01f copy" in notes(root)
    assert "sub01/EP02_01f.old" in notes(root)
    assert "3 folders are not named like clips and are left out" in notes(root)
    assert "have no row in the sheet" not in notes(root), "a folder is told once"


def test_a_frame_that_is_a_link_out_of_the_root_is_read(root: Path) -> None:
    folder = casme2(root) / "CASME2_RAW_selected" / "sub01" / "EP02_01f"
    shutil.move(folder / "img46.jpg", root.parent / "img46.jpg")
    (folder / "img46.jpg").symlink_to(root.parent / "img46.jpg")
    assert read_source(root)[0].clips["casme2/sub01/EP02_01f"].files[46].read_bytes()


def test_a_link_within_the_root_is_followed(root: Path) -> None:
    folder = casme2(root) / "CASME2_RAW_selected" / "sub01" / "EP02_01f"
    (folder / "img46.jpg").rename(folder / "onset.jpg")
    (folder / "img46.jpg").symlink_to(folder / "onset.jpg")
    assert not read_source(root)[0].clips["casme2/sub01/EP02_01f"].missing


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_named(root: Path) -> None:
    folder = casme2(root) / "CASME2_RAW_selected" / "sub01" / "EP02_01f"
    folder.chmod(0)
    try:
        with pytest.raises(DataError, match=f"Folder {folder} cannot be read"):
            read_source(root)
    finally:
        folder.chmod(0o755)


def test_samm_numbers_of_four_and_five_digits_in_one_clip(root: Path) -> None:
    clip = read_source(samm(root))[0].clips["samm/006/006_1_2"]
    assert [clip.files[number].name for number in (9999, 10000)] == ["006_9999.jpg", "006_10000.jpg"]
    assert not clip.missing


def test_smic_takes_everything_from_names(root: Path) -> None:
    dataset = read_source(smic(root))[0]
    rows = dataset.samples.set_index("sample_id")
    assert list(rows.index) == ["smic/s01/s01_ne_01", "smic/s01/s01_po_02", "smic/s03/s03_sur_01", "smic/s20/s20_ne_11"]
    last = rows.loc["smic/s20/s20_ne_11"]
    assert (last["onset"], last["offset"], last["emotion"]) == (17_000_000, 17_000_005, "negative")
    assert rows["apex"].isna().all()


def test_a_smic_clip_whose_name_contradicts_its_folder_is_left_out(root: Path) -> None:
    folder = smic(root) / "SMIC_all_raw" / "HS" / "s1" / "micro"
    (folder / "surprise").mkdir()
    (folder / "negative" / "s1_ne_01").rename(folder / "surprise" / "s1_ne_01")
    dataset = read_source(root)[0]
    assert "smic/s01/s01_ne_01" not in dataset.clips
    assert any("1 clips have no label and are left out: s1/micro/surprise/s1_ne_01" in note for note in dataset.notes)


def test_the_cameras_of_smic_are_told_by_their_folder(root: Path) -> None:
    smic(root)
    smic(root, "VIS", clips=["s11_ne_01"])
    datasets = {dataset.name: dataset for dataset in read_source(root)}
    assert set(datasets) == {"smic", "smic_vis"}
    assert list(datasets["smic_vis"].samples["subject"]) == ["smic/s11"]
    assert list(datasets["smic_vis"].clips) == ["smic_vis/s11/s11_ne_01"]
    assert datasets["smic_vis"].clips["smic_vis/s11/s11_ne_01"].fps == 25.0


def test_a_copy_in_a_copy_is_found(root: Path) -> None:
    casme2(root, frames={"CASME2_RAW_selected/CASME2_RAW_selected": "img{}.jpg"})
    (found,) = detect(root)
    assert found.root == root / "CASME2_RAW_selected" / "CASME2_RAW_selected"
    assert found.sheet == root / "CASME2-coding-20140508.xlsx"


@pytest.mark.parametrize("below", ["", "CASME2_RAW_selected", "annotation", "CASME2_RAW_selected/coding"])
def test_the_sheet_may_lie_in_the_root_beside_it_or_one_below(below: str, root: Path) -> None:
    casme2(root)
    sheet = root / "CASME2-coding-20140508.xlsx"
    (root / below).mkdir(exist_ok=True)
    shutil.move(sheet, root / below / "CASME2-coding-20140508.xlsx")
    for path in (root, root / "CASME2_RAW_selected"):
        (found,) = detect(path)
        assert found.sheet == root / below / "CASME2-coding-20140508.xlsx"


def test_raw_is_preferred_to_cropped_with_a_note(root: Path) -> None:
    casme2(root, frames={"CASME2_RAW_selected": "img{}.jpg", "Cropped": "reg_img{}.jpg"})
    (dataset,) = read_source(root)
    assert dataset.clips["casme2/sub01/EP02_01f"].files[46].name == "img46.jpg"
    assert any("casme2:raw,2014 is read; casme2:cropped,2014 in" in note for note in dataset.notes)
    (cropped,) = read_source(root, "casme2", "cropped")
    assert cropped.clips["casme2/sub01/EP02_01f"].files[46].name == "reg_img46.jpg"
    with pytest.raises(UsageError, match=r"is of variant 'long'. Found: casme2:cropped,2014; casme2:raw,2014"):
        read_source(root, "casme2", "long")


def test_a_cropped_copy_is_told_by_its_folder_too(root: Path) -> None:
    casme2(root, frames={"Cropped": "img{}.jpg"})
    assert [describe(found) for found in detect(root)] == ["casme2:cropped,2014"]
    samm(root / "b", folder="SAMM_CROP")
    assert [describe(found) for found in detect(root / "b")] == ["samm:cropped,v2"]


def test_a_half_copied_variant_does_not_hide_the_whole_one(root: Path) -> None:
    casme2(root / "old", sheets=())
    casme2(root / "new")
    (dataset,) = read_source(root)
    assert dataset.clips["casme2/sub01/EP02_01f"].files[46].is_relative_to(root / "new")
    assert any(str(root / "old") in note for note in dataset.notes)


def test_one_database_twice_is_an_error_that_names_both(root: Path) -> None:
    casme2(root / "a")
    casme2(root / "b")
    with pytest.raises(DataError, match=rf"lies there twice \(raw\): {root}/a/\S+ and {root}/b/\S+\. "):
        read_source(root)


def test_recordings_and_flow_images_of_one_database_are_an_error_that_names_both(root: Path) -> None:
    from trees import flow_tree

    casme2(root / "a")
    flow_tree(root / "b")
    with pytest.raises(DataError, match=r"casme2 lies in .* twice: .*a/CASME2_RAW_selected \(casme2\) and .*flow_tree"):
        read_source(root)
    assert {one.name for one in read_source(root, "casme2")} == {"casme2"}


def test_the_search_ends(root: Path) -> None:
    casme2(root / "1/2/3/4/5/6/7")
    with pytest.raises(DataError, match=r"No dataset was recognised .* down to 6 levels"):
        read_source(root)
    assert FOLDERS > 1000


def test_clip_folders_without_any_frame_are_recognised_as_incomplete(root: Path) -> None:
    casme2(root)
    for file in root.rglob("*.jpg"):
        file.unlink()
    with pytest.raises(DataError, match="missing frames: clip folders are there"):
        read_source(root)


def test_folders_that_are_merely_called_alike_are_no_database(root: Path) -> None:
    for name in ("sub01/anat", "sub01/func", "001/001_1_1", "P001/Anger", "disgust/S03-01-002"):
        (root / "scans" / name).mkdir(parents=True)
    assert detect(root) == []
    casme2(root / "faces")
    assert [dataset.name for dataset in read_source(root)] == ["casme2"]


def test_subjects_of_one_number_are_one_person(root: Path) -> None:
    rows = [casme2_row(1, "EP01_01", (1, 2, 3), "4", "disgust"), casme2_row("01", "EP01_02", (1, 2, 3), "4", "fear")]
    casme2(root, rows)
    assert set(read_source(root)[0].samples["subject"]) == {"casme2/sub01"}


def test_frames_that_are_skipped_by_their_ending_are_told(root: Path) -> None:
    folder = casme2(root) / "CASME2_RAW_selected" / "sub01" / "EP02_01f"
    (folder / "img50.jpg").rename(folder / "img50.TIF")
    (folder / "img51.jpg").rename(folder / "img51.tif")
    (folder / "notes.txt").write_text("no frame by its name either")
    assert "1 clips have files that are skipped by their ending: sub01/EP02_01f: 2 .tif" in notes(root)


def test_videos_that_are_skipped_by_their_ending_are_told(root: Path) -> None:
    afew(root)
    (root / "Train_AFEW" / "Angry" / "1.wmv").write_bytes(b"\x30\x26")
    told = "1 files are skipped by their ending, which is none of a video's (avi, mp4, mov, mkv, webm, m4v, mts)"
    assert f"{told}: Train_AFEW/Angry/1.wmv" in notes(root)


def test_a_link_tells_a_cropped_copy_by_its_own_name_and_by_the_folders(root: Path) -> None:
    casme2(root / "a", frames={"Cropped": "img{}.jpg"})
    casme2(root / "b", frames={"CASME2_RAW_selected": "img{}.jpg"})
    links = root.parent / "links"
    for name, target in {"one/casme2": "a/Cropped", "two/casme2_cropped": "b/CASME2_RAW_selected"}.items():
        (links / name).parent.mkdir(parents=True)
        (links / name).symlink_to(root / target)
        assert [found.variant for found in detect((links / name).parent)] == ["cropped"]


def test_folders_that_lead_to_each_other_are_searched_once(root: Path) -> None:
    casme2(root / "a")
    (root / "b").mkdir()
    (root / "a" / "across").symlink_to(root / "b")
    (root / "b" / "across").symlink_to(root / "a")
    assert len(detect(root)) == 1
