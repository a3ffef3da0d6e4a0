"""Published numbers, held against what can be read: of all clips, and task by task."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flow_trees import CLIPS, FlowTree
from more_trees import Rows, images, workbook
from trees import CASME2_HEADER, casme2, casme2_row, samm, samm_row, smic

from preprocess.datasets import read_source

# Emotions of CASME II's sheet of 2014, with how often each stands there.
OF_2014 = {"others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7, "fear": 2}
NOT_IN_MEGC2019 = ("sub04/EP12_01f", "sub05/EP09_05f")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def notes(root: Path, variant: str | None = None) -> list[str]:
    return list(read_source(root, None, variant)[0].notes)


def copy(root: Path, rows: Rows, sheet: str = "CASME2-coding-20140508") -> Path:
    """Write a sheet and a frame a clip; no frame is looked at here, so that it may be empty."""
    workbook(root / f"{sheet}.xlsx", {"Sheet1": [CASME2_HEADER, *rows]})
    for row in rows:
        folder = root / "CASME2_RAW_selected" / f"sub{int(row[0]):02d}" / row[1]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"img{row[3]}.jpg").touch()
    return root


def published(emotions: dict[str, int] = OF_2014) -> Rows:
    """Rows like CASME II's: as many people and clips of each emotion, with the two that MEGC 2019 left out."""
    rows = []
    for word, count in emotions.items():
        # Two people have neither a negative, a positive nor a surprised clip.
        people = 24 if word in ("disgust", "repression", "happiness", "surprise") else 26
        rows += [casme2_row(1 + number % people, f"{word}_{number}", (1, 1, 1), "4", word) for number in range(count)]
    places = [number for number, row in enumerate(rows) if row[1] in ("disgust_3", "disgust_4")]
    for place, name in zip(places, NOT_IN_MEGC2019, strict=True):
        rows[place][1] = name.split("/")[1]
    return rows


def test_a_whole_copy_is_told_nothing(root: Path) -> None:
    assert notes(copy(root, published())) == []


def test_clips_that_are_lost_are_missing_from_the_whole_and_from_each_task(root: Path) -> None:
    raw = copy(root, published()) / "CASME2_RAW_selected"
    for name in ("sub01/happiness_0", "sub02/others_1"):
        shutil.rmtree(raw / name)
    megc3, emotion5, whole, left_out = notes(root)
    assert whole.startswith(
        "casme2: 253 samples of 26 subjects (255 annotated clips of 26 subjects); published are 255"
    )
    assert megc3 == "megc3: 144 samples of 24 subjects; MEGC2019 has 145 of 24 subjects; missing sub01/happiness_0"
    assert emotion5 == (
        "emotion5: 244 samples of 26 subjects; Yan et al. 2014 has 246 of 26 subjects; "
        "missing sub02/others_1, sub01/happiness_0"
    )
    assert left_out.startswith("2 rows have no clip folder and are left out: sub02/others_1 (CASME2-coding-20140508")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["no frames", "frames elsewhere", "frames that cannot be", "contradiction"])
def test_a_clip_that_is_lost_in_another_way_is_missing_as_well(how: str, root: Path) -> None:
    rows = list(published())
    folder = copy(root, rows) / "CASME2_RAW_selected" / "sub01" / "happiness_0"
    (place,) = [number for number, row in enumerate(rows) if row[1] == "happiness_0"]
    if how == "no frames":
        (folder / "img1.jpg").unlink()
    elif how == "frames elsewhere":
        (folder / "img1.jpg").rename(folder / "img9.jpg")
    elif how == "frames that cannot be":
        rows[place] = casme2_row("01", "happiness_0", (3, 1, 2), "4", "happiness")
    else:
        rows.append(casme2_row("01", "happiness_0", (1, 1, 1), "12", "happiness"))
    workbook(root / "CASME2-coding-20140508.xlsx", {"Sheet1": [CASME2_HEADER, *rows]})
    (megc3,) = [note for note in notes(root) if note.startswith("megc3: ")]
    assert megc3.endswith("MEGC2019 has 145 of 24 subjects; missing sub01/happiness_0")


def test_rows_that_the_sheet_itself_lacks_are_counted(root: Path) -> None:
    megc3, emotion5, whole = notes(copy(root, published()[:-20]))
    assert whole.startswith(
        "casme2: 235 annotated clips of 26 subjects; published are 255 of 26 subjects (sheet of 2014"
    )
    assert "missing" not in whole, "nothing was lost that the annotation names"
    assert megc3.endswith("MEGC2019 has 145 of 24 subjects; missing 11 that no row of the annotation names")
    assert emotion5.endswith("246 of 26 subjects; missing 11 that no row of the annotation names")


def test_zeros_before_numbers_make_no_other_list_of_clips(root: Path) -> None:
    raw = copy(root, published()) / "CASME2_RAW_selected"
    (place,) = raw.glob("*/EP09_05f")
    place.rename(place.with_name("EP9_5f"))
    assert notes(root) == [], "it is the clip that MEGC 2019 left out"


@pytest.mark.slow
def test_where_copies_differ_both_numbers_are_known_and_told(root: Path) -> None:
    of_2019 = {**OF_2014, "surprise": 28, "sadness": 4}
    for emotions in (of_2019, {**of_2019, "fear": 1}):
        shutil.rmtree(root, ignore_errors=True)
        copy(root, published(emotions), "CASME2-coding-20190701")
        assert not any("annotated clips" in note for note in notes(root)), "254 and 255 rows both circulate"
    copy(root, published()[:200], "CASME2-coding-20190701")
    (whole,) = [note for note in notes(root) if "annotated clips" in note]
    assert "published are 254 of 26 subjects (sheet of 2019" in whole
    assert " or 255 of 26 subjects (other copies of the sheet of 2019)" in whole


def test_numbers_belong_to_the_sheet_that_is_read(root: Path) -> None:
    copy(root, published())
    workbook(root / "CASME2-coding-20140508.xlsx", {"Sheet1": [CASME2_HEADER, *published()[:-1]]})
    assert any("254 annotated clips of 26 subjects; published are 255" in note for note in notes(root))
    (root / "CASME2-coding-20140508.xlsx").rename(root / "CASME2-coding-20190701.xlsx")
    assert not any("annotated clips" in note for note in notes(root))


def test_numbers_of_smic_and_samm(root: Path) -> None:
    assert any(
        note == "megc3: 4 samples of 3 subjects; MEGC2019 has 164 of 16 subjects; "
        "missing 160 that no row of the annotation names"
        for note in notes(smic(root / "smic"))
    )
    rows = [samm_row("006_1_2", (1, 2, 3), "4", "Anger", 3), samm_row("037_3_1", (1, 2, 3), "4", "Other", 7)]
    tree = samm(root / "samm", rows) / "SAMM"
    shutil.rmtree(tree / "006")
    told = notes(root / "samm")
    assert any(
        note.startswith("megc3: 0 samples of 0 subjects; MEGC2019 has 133 of 28 subjects; missing") for note in told
    )
    assert any("objective5: 0 samples" in note and "missing 006/006_1_2 and 67 that no row" in note for note in told)


def test_a_task_without_any_annotation_is_not_missed(root: Path) -> None:
    assert not any(note.startswith("objective5") for note in notes(casme2(root)))


def test_expressions_of_one_clip_are_missing_by_their_onset(root: Path) -> None:
    rows = [*published()[:-1], casme2_row("01", "happiness_0", (5, 6, 7), "12", "happiness")]
    shutil.rmtree(copy(root, rows) / "CASME2_RAW_selected" / "sub01" / "happiness_0")
    (megc3,) = [note for note in notes(root) if note.startswith("megc3: ")]
    assert megc3.endswith("; missing sub01/happiness_0@1, sub01/happiness_0@5")


def test_many_lost_clips_are_counted_and_some_named(root: Path) -> None:
    raw = copy(root, published()) / "CASME2_RAW_selected"
    shutil.rmtree(raw)
    images(raw / "sub01" / "happiness_0", [1], "img{}.jpg")
    megc3, _, whole, *_ = notes(root)
    assert whole.startswith("casme2: 1 samples of 1 subjects (255 annotated clips of 26 subjects); ")
    assert megc3.endswith(" and 124 more")


def test_flow_images_are_counted_as_well(tmp_path: Path) -> None:
    tree = FlowTree(tmp_path / "three_norm_u_v_os")
    for subject, label, clip in CLIPS:
        tree.put(subject, label, clip)
    of_megc2019 = {"casme2": 145, "samm": 133, "smic": 164}
    for dataset in read_source(tmp_path):
        (megc3,) = [note for note in dataset.notes if note.startswith("megc3: ")]
        assert megc3.startswith(f"megc3: {len(dataset.samples)} samples of ")
        assert f"; MEGC2019 has {of_megc2019[dataset.name]} of" in megc3
