"""The adapters of CAS(ME)^2, CAS(ME)^3, 4DME, DFME, AFEW, Oulu-CASIA and CK+ on real files in their true layouts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import more_trees
import numpy as np
import pandas as pd
import pytest

from preprocess.base.errors import DataError
from preprocess.datasets import RawDataset, detect, read_source
from preprocess.labels.tasks import TASKS, labels
from preprocess.views.dataset_report import report


def read(path: Path, variant: str | None = None) -> dict[str, RawDataset]:
    return {dataset.name: dataset for dataset in read_source(path, variant=variant)}


def rows(dataset: RawDataset, *columns: str) -> list[tuple[Any, ...]]:
    """The table's values in the given columns, None where there is none."""
    cells = dataset.samples[list(columns)].astype(object)
    return [tuple(row) for row in cells.where(cells.notna(), None).itertuples(index=False)]


def note(dataset: RawDataset, words: str) -> str:
    """The one note that holds the words."""
    (found,) = [line for line in dataset.notes if words in line]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "adapter", "names"),
    [
        (more_trees.casme_sq, "casme_sq", {"casme_sq", "casme_sq_macro"}),
        (more_trees.casme3, "casme3", {"casme3"}),
        (more_trees.casme3_macro, "casme3", {"casme3", "casme3_macro"}),
        (more_trees.casme3_c, "casme3_c", {"casme3_c"}),
        (more_trees.four_dme, "4dme", {"4dme"}),
        (more_trees.dfme, "dfme", {"dfme"}),
        (more_trees.afew, "afew", {"afew"}),
        (more_trees.oulu_casia, "oulu_casia", {"oulu_casia"}),
        (more_trees.ckplus, "ckplus", {"ckplus"}),
    ],
)
def test_a_database_is_found_below_a_folder_and_read_whole(
    build: Callable[[Path], Path], adapter: str, names: set[str], tmp_path: Path
) -> None:
    build(tmp_path / "disk" / "databases" / "copy")
    assert {found.adapter for found in detect(tmp_path)} == {adapter}
    assert not any(found.missing for found in detect(tmp_path))
    datasets = read(tmp_path)
    assert set(datasets) == names
    for dataset in datasets.values():
        assert set(dataset.clips) == set(dataset.samples["sample_id"])
        assert not dataset.synthetic
        assert note(dataset, f"{dataset.name}: "), "the published count is another one"
        assert not any("cannot be used" in line for line in report(dataset.samples, {}))


@pytest.mark.slow
def test_databases_side_by_side(tmp_path: Path) -> None:
    for name in ("casme_sq", "casme3_macro", "casme3_c", "four_dme", "dfme", "afew", "oulu_casia", "ckplus"):
        getattr(more_trees, name)(tmp_path / name)
    found = sorted(read(tmp_path))
    of_casme = ["casme3", "casme3_c", "casme3_macro", "casme_sq", "casme_sq_macro"]
    assert found == ["4dme", "afew", *of_casme, "ckplus", "dfme", "oulu_casia"]


# CAS(ME)^2


def test_casme_sq_from_raw_recordings(tmp_path: Path) -> None:
    datasets = read(more_trees.casme_sq(tmp_path))
    columns = ("sample_id", "subject", "clip", "onset", "apex", "offset", "emotion", "action_units", "repaired")
    assert rows(datasets["casme_sq"], *columns) == [
        ("casme_sq/s15/disgust1_2", "casme_sq/s15", "disgust1_2", 3, 5, 8, "negative", "4+L10", None),
        ("casme_sq/s16/happy4_1", "casme_sq/s16", "happy4_1", 10, 12, 14, "positive", "6+12", None),
    ]
    assert rows(datasets["casme_sq_macro"], *columns) == [
        ("casme_sq_macro/s15/anger1_1", "casme_sq/s15", "anger1_1", 557, 572, 608, "negative", "4+7", None),
        (
            *("casme_sq_macro/s15/disgust1_3", "casme_sq/s15", "disgust1_3", 20, 24, 24, "others", "14"),
            "offset 0 -> apex (its end was not coded)",
        ),
    ]
    clip = datasets["casme_sq"].clips["casme_sq/s15/disgust1_2"]
    assert clip.numbers == list(range(3, 9))
    assert len(clip.files) == 30, "the whole recording, so that a step can look around the expression"
    assert clip.fps == 30.0
    assert labels(TASKS.get("emotion4"), datasets["casme_sq_macro"].samples).tolist() == [0, 3]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["selected", "cropped"])
def test_casme_sq_keeps_its_sample_ids_in_every_form(variant: str, tmp_path: Path) -> None:
    more_trees.casme_sq(tmp_path, variants=("rawpic", "selectedpic", "cropped"))
    raw, other = read(tmp_path), read(tmp_path, variant)
    ids = other["casme_sq"].samples["sample_id"].tolist()
    assert ids == ["casme_sq/s15/disgust1_2"]
    assert set(ids) <= set(raw["casme_sq"].clips)
    assert "rows have no clip folder and are left out" in note(other["casme_sq"], "s16/happy4_1")
    assert any("casme_sq:raw,final is read" in line for line in raw["casme_sq"].notes)


def test_casme_sq_without_its_naming_rules(tmp_path: Path) -> None:
    more_trees.casme_sq(tmp_path)
    sheet = tmp_path / "CAS(ME)^2code_final.xlsx"
    more_trees.workbook(sheet, {"CASFEcode_final": more_trees.CASME_SQ_ROWS})
    with pytest.raises(DataError, match=r"code_final\.xlsx: the workbook has the tabs CASFEcode_final; expected"):
        read(tmp_path)


# CAS(ME)^3


def test_casme3_tells_the_expressions_of_one_recording_apart(tmp_path: Path) -> None:
    dataset = read(more_trees.casme3(tmp_path))["casme3"]
    assert rows(dataset, "sample_id", "subject", "clip", "onset", "apex", "offset", "objective_class") == [
        ("casme3/spNO.1/a@10", "casme3/spNO.1", "a", 10, 14, 18, "III"),
        ("casme3/spNO.1/a@30", "casme3/spNO.1", "a", 30, None, 36, "I"),
        ("casme3/spNO.1/b@5", "casme3/spNO.1", "b", 5, 8, 9, "VII"),
    ]
    assert dataset.clips["casme3/spNO.1/b@5"].missing == [5, 6, 7], "the first frames of a recording are not there"
    assert "1 clips have none of the frames" in note(dataset, "spNO.2/c")
    assert not any("depth" in line for line in dataset.notes)
    assert all(path.parent.name == "color" for path in dataset.clips["casme3/spNO.1/a@10"].files.values())
    assert labels(TASKS.get("emotion4"), dataset.samples).tolist() == [0, 1, 3]
    assert labels(TASKS.get("objective5"), dataset.samples).tolist() == [2, 0, -1]


def test_casme3_with_both_versions_of_its_sheet(tmp_path: Path) -> None:
    more_trees.casme3(tmp_path, [*more_trees.CASME3_ROWS, ["spNO.9", "m", 9, 9, 11, "4", "III", "sad"]], "v1")
    more_trees.casme3(tmp_path)
    assert len(read(tmp_path)["casme3"].samples) == 3
    older = read(tmp_path, "v1")["casme3"]
    assert "casme3/spNO.9/m@9" in older.clips
    assert "published are 921 of 95 subjects" in note(older, "published")


def test_casme3_as_its_download_unpacks(tmp_path: Path) -> None:
    """The sheets lie two levels above the people, in a folder of their own."""
    more_trees.casme3_macro(tmp_path)
    (tmp_path / "data").mkdir()
    shutil.move(tmp_path / "part_A", tmp_path / "data" / "part_A")
    assert set(read(tmp_path)) == {"casme3", "casme3_macro"}
    assert set(read(tmp_path / "data" / "part_A")) == {"casme3", "casme3_macro"}


def long_sheet(mistakes: dict[int, list[Any]], length: int) -> list[list[Any]]:
    """Rows of people whose recordings are not there, but for the given ones."""
    filler = [
        ["spNO.500", "a", 10 * number, 10 * number, 10 * number + 5, "4", "III", "fear"] for number in range(length)
    ]
    return [mistakes.get(number, row) for number, row in enumerate(filler)]


def test_casme3_mends_the_known_mistakes_and_says_so(tmp_path: Path) -> None:
    wrong = {
        128: ["spNO.149", "d", 112, 83, 170, "4", "III", "disgust"],
        708: ["spNO.213", "a", 20, 30, 3460, "4", "III", "disgust"],
        749: ["spNO.216", "d", 3647, 2650, 2655, "12", "I", "happy"],
        750: ["spNO.216", "e", 0, 0, 9, "12", "I", "happy"],
        751: ["spNO.216", "f", 30, 20, 40, "12", "I", "happy"],
        796: ["spNO.217", "g", 1840, 1842, 0, "12", "I", "happy"],
        798: ["spNO.217", "h", 2400, 2401, 0, "12", "I", "happy"],
    }
    more_trees.casme3(tmp_path, list(wrong.values()))
    sheet = tmp_path / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    more_trees.workbook(sheet, {"Sheet1": [more_trees.CASME3_HEADER, *long_sheet(wrong, 800)]})
    for person, clip, first, last in (
        ("149", "d", 112, 171),
        ("216", "d", 2647, 2656),
        ("217", "g", 1840, 1846),
        ("217", "h", 2400, 2404),
    ):
        more_trees.images(tmp_path / "part_A" / f"spNO.{person}" / clip / "color", range(first, last), "{}.jpg")
    dataset = read(tmp_path)["casme3"]
    frames = {name: tuple(rest) for name, *rest in rows(dataset, "sample_id", "onset", "apex", "offset")}
    assert frames == {
        "casme3/spNO.149/d@112": (112, 160, 170),
        "casme3/spNO.213/a@20": (20, 30, 34),
        "casme3/spNO.216/d@2647": (2647, 2650, 2655),
        "casme3/spNO.216/e@1": (1, None, 9),
        "casme3/spNO.217/g@1840": (1840, 1842, 1845),
        "casme3/spNO.217/h@2400": (2400, 2401, 2403),
    }
    repaired = dict(rows(dataset, "sample_id", "repaired"))
    assert repaired["casme3/spNO.149/d@112"].startswith("apex 83 -> 160 (frames out of order; public code of")
    assert repaired["casme3/spNO.216/e@1"].count("0 -> 1 ") == 2
    assert "; apex 1 -> none (it is the onset" in repaired["casme3/spNO.216/e@1"], "all that was done, in order"
    assert "spNO.216/f" in note(dataset, "numbers that cannot be"), "an unknown mistake is no sample"


def test_dfme_with_codes_of_the_head_and_a_cell_that_cannot_be_read(tmp_path: Path) -> None:
    """One such cell made action units impossible for the whole database."""
    table = [list(row) for row in more_trees.DFME_TRAIN]
    for row, cell in zip(table, ["1+2+5+M58", "4+AD38", "6+smile"], strict=True):
        row[-1] = cell
    samples = read(more_trees.dfme(tmp_path, table, None))["dfme"].samples
    assert samples["action_units"].tolist() == ["1+2+5+M58", "4+AD38", "6+smile"], "as the coders wrote it"
    au12 = TASKS.get("au12")
    index = labels(au12, samples)
    assert [[au12.classes[place] for place in np.flatnonzero(row > 0)] for row in index] == [
        ["AU1", "AU2", "AU5"],
        ["AU4"],
        [],
    ]
    assert index.min(axis=1).tolist() == [0, 0, -1]
    lines = report(samples, {})
    assert any(line.startswith("  task au12: AU1 1, AU2 1, AU4 1") for line in lines)
    assert any(
        "dfme/sub0010/sub0010_01: the action units '6+smile' cannot be read at 'smile'" in line for line in lines
    )


def test_an_apex_that_is_the_onset_was_not_annotated(tmp_path: Path) -> None:
    table = [
        ["spNO.1", "a", 20, 20, 36, "R12", "I", "happy"],
        ["spNO.1", "b", 20, 36, 36, "R12", "I", "happy"],
        ["spNO.2", "c", 20, 20, 20, "1+2", "II", "surprise"],
        ["spNO.2", "d", 20, 28, 36, "1+2", "II", "surprise"],
    ]
    dataset = read(more_trees.casme3(tmp_path, table))["casme3"]
    assert rows(dataset, "sample_id", "onset", "apex", "offset") == [
        ("casme3/spNO.1/a@20", 20, None, 36),
        ("casme3/spNO.1/b@20", 20, 36, 36),
        ("casme3/spNO.2/c@20", 20, 20, 20),
        ("casme3/spNO.2/d@20", 20, 28, 36),
    ]
    apexes = [clip.apex for _, clip in sorted(dataset.clips.items())]
    assert apexes == [None, 36, 20, 28], "table and clips say the same"
    first, *others = dataset.samples["repaired"]
    assert first == (
        "apex 20 -> none (it is the onset, where nothing has moved yet: taken as not annotated, so it is spotted)"
    )
    assert pd.isna(others).all()
    assert "  frames: apex missing for 1" in report(dataset.samples, {}, dataset.clips)


def test_casme3_macro_from_the_old_workbook(tmp_path: Path) -> None:
    datasets = read(more_trees.casme3_macro(tmp_path))
    assert rows(
        datasets["casme3_macro"], "sample_id", "subject", "onset", "offset", "emotion", "action_units", "split"
    ) == [
        ("casme3_macro/spNO.1/a@20", "casme3/spNO.1", 20, 33, None, "6+12", None),
        ("casme3_macro/spNO.2/c@8", "casme3/spNO.2", 8, 30, None, "1+2", None),
    ]
    assert set(datasets["casme3"].samples["split"].isna()) == {True}
    assert "spNO.1/b" in note(datasets["casme3_macro"], "numbers that cannot be"), "its apex is 0"


def test_casme3_macro_alone(tmp_path: Path) -> None:
    more_trees.casme3_macro(tmp_path)
    (tmp_path / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx").unlink()
    datasets = read(tmp_path)
    assert set(datasets) == {"casme3_macro"}
    assert note(datasets["casme3_macro"], "parts of the database have no sheet")


def test_casme3_part_c(tmp_path: Path) -> None:
    dataset = read(more_trees.casme3_c(tmp_path))["casme3_c"]
    assert rows(dataset, "sample_id", "subject", "onset", "apex", "offset", "emotion") == [
        ("casme3_c/01/1", "casme3_c/01", 10, None, 14, "negative"),
        ("casme3_c/01/2", "casme3_c/01", 20, None, 23, "positive"),
        ("casme3_c/11/1", "casme3_c/11", 9, None, 12, "surprise"),
    ]
    assert dataset.samples["action_units"][0] == "4，7", "as the coders wrote it"
    au12 = TASKS.get("au12")
    shown = [[au12.classes[place] for place in np.flatnonzero(row)] for row in labels(au12, dataset.samples)]
    assert shown == [["AU4", "AU7"], ["AU12"], ["AU1", "AU2"]]


# 4DME


def test_four_dme(tmp_path: Path) -> None:
    dataset = read(more_trees.four_dme(tmp_path))["4dme"]
    assert rows(dataset, "sample_id", "onset", "apex", "emotion", "action_units") == [
        ("4dme/S01/S01_1st_001_01_1", 100, 104, "Negative", "AU4(k)+L7"),
        ("4dme/S01/S01_1st_001_02_1", 50, 52, "Positive+Surprise", "AU1+2"),
        ("4dme/S02/S02_1st_003_01_1", 7, 9, "Positive", "AUR12"),
    ]
    assert labels(TASKS.get("emotion3"), dataset.samples).tolist() == [0, -1, 1]
    au12 = TASKS.get("au12")
    first = labels(au12, dataset.samples)[0]
    assert [au12.classes[place] for place in np.flatnonzero(first)] == ["AU7"], "(k) does not move, and does not count"


def test_four_dme_in_folders_that_are_not_sorted_by_person(tmp_path: Path) -> None:
    more_trees.four_dme(tmp_path)
    for folder in list((tmp_path / "gray_micro").glob("*/*")):
        shutil.move(folder, tmp_path / "gray_micro" / folder.name)
    for folder in (tmp_path / "gray_micro").glob("S0?"):
        folder.rmdir()
    assert len(read(tmp_path)["4dme"].samples) == 3


def swapped_sheet(corrected: bool) -> list[list[Any]]:
    """267 rows; 144 and 145 hold each other's labels unless corrected. Frames are there for three of them."""
    table = [
        more_trees.four_dme_row("S01", f"S01_x{number}", (1, 2, 3), "AU12", (0, 0, 0, 0, 1), ["Positive"])
        for number in range(267)
    ]
    table[144] = more_trees.four_dme_row("S01", "S01_x144", (1, 2, 3), "AU4", (0, 0, 1, 0, 0), ["Negative"])
    table[145] = more_trees.four_dme_row("S01", "S01_x145", (1, 2, 3), "AU1", (1, 0, 0, 0, 0), ["Surprise"])
    if not corrected:
        labels_from = more_trees.FOUR_DME_HEADER.index("AUs")
        first, second = table[144][labels_from:], table[145][labels_from:]
        table[144][labels_from:], table[145][labels_from:] = second, first
    return table


@pytest.mark.parametrize("corrected", [False, True])
def test_four_dme_puts_two_swapped_rows_right(corrected: bool, tmp_path: Path) -> None:
    table = swapped_sheet(corrected)
    more_trees.four_dme(tmp_path, table[143:146])
    more_trees.workbook(
        tmp_path / "4DME_Labelling_Micro_release v1.xlsx", {"Sheet1": [more_trees.FOUR_DME_HEADER, *table]}
    )
    dataset = read(tmp_path)["4dme"]
    assert rows(dataset, "clip", "emotion", "action_units") == [
        ("S01_x143", "Positive", "AU12"),
        ("S01_x144", "Negative", "AU4"),
        ("S01_x145", "Surprise", "AU1"),
    ]
    assert dataset.samples["repaired"].notna().tolist() == [False, not corrected, not corrected]


def test_four_dme_with_a_column_missing(tmp_path: Path) -> None:
    more_trees.four_dme(tmp_path)
    heading = ["Surprised" if name == "Surprise" else name for name in more_trees.FOUR_DME_HEADER]
    sheet = tmp_path / "4DME_Labelling_Micro_release v1.xlsx"
    more_trees.workbook(sheet, {"Sheet1": [heading, *more_trees.FOUR_DME_ROWS]})
    with pytest.raises(DataError, match=r"release v1\.xlsx.*lacks the headings Surprise\."):
        read(tmp_path)


# DFME


def test_dfme_with_a_test_set(tmp_path: Path) -> None:
    dataset = read(more_trees.dfme(tmp_path))["dfme"]
    assert rows(dataset, "sample_id", "subject", "emotion", "fps", "split") == [
        ("dfme/sub0003/sub0003_01", "dfme/sub0003", "disgust", 500.0, "train"),
        ("dfme/sub0003/sub0003_02", "dfme/sub0003", "contempt", 300.0, "train"),
        ("dfme/sub0010/sub0010_01", "dfme/sub0010", "happiness", 200.0, "train"),
        ("dfme/sub0500/a_001", "dfme/sub0500", None, 200.0, "test"),
    ]
    assert labels(TASKS.get("emotion7"), dataset.samples).tolist() == [4, 5, 0, -1]
    assert note(dataset, "no sheet").endswith(": test A")
    assert [(found.variant, found.version) for found in detect(tmp_path)] == [("raw", "train")]


def test_dfme_training_set_alone(tmp_path: Path) -> None:
    dataset = read(more_trees.dfme(tmp_path, test_b=None))["dfme"]
    assert set(dataset.samples["split"]) == {"train"}
    assert "published are 1856 of 176 subjects" in note(dataset, "published")


def test_dfme_test_set_alone(tmp_path: Path) -> None:
    more_trees.dfme(tmp_path)
    shutil.rmtree(tmp_path / "DFME_train")
    (tmp_path / "training_full_with_AU.xlsx").unlink()
    dataset = read(tmp_path)["dfme"]
    assert rows(dataset, "sample_id", "split") == [("dfme/sub0500/a_001", "test")]


# Macro-expressions


def test_afew_counts_its_two_sets_as_subjects(tmp_path: Path) -> None:
    dataset = read(more_trees.afew(tmp_path))["afew"]
    assert rows(dataset, "sample_id", "subject", "emotion", "split", "onset") == [
        ("afew/train/000046280", "afew/train", "Angry", "train", None),
        ("afew/train/001234567", "afew/train", "Neutral", "train", None),
        ("afew/val/000149120", "afew/val", "Happy", "validation", None),
    ]
    clip = dataset.clips["afew/train/001234567"]
    assert clip.video is not None
    assert clip.video.name == "001234567.avi"
    assert labels(TASKS.get("emotion7_neutral"), dataset.samples).tolist() == [0, 4, 3]


def test_afew_as_aligned_faces_has_the_same_clips(tmp_path: Path) -> None:
    videos = read(more_trees.afew(tmp_path / "videos"))["afew"]
    for set_, emotion, clip in (("train", "Angry", "000046280"), ("val", "Happy", "000149120")):
        folder = tmp_path / "faces" / f"{set_}_afew" / emotion / clip
        more_trees.images(folder, range(1, 5), f"{clip}_{{:03d}}.jpg")
    faces = read(tmp_path / "faces")["afew"]
    columns = ("sample_id", "subject", "emotion", "split")
    assert set(rows(faces, *columns)) < set(rows(videos, *columns))
    assert faces.clips["afew/val/000149120"].numbers == [1, 2, 3, 4]


def test_oulu_casia_ends_at_the_apex(tmp_path: Path) -> None:
    more_trees.oulu_casia(tmp_path, "NI", "Dark")
    dataset = read(more_trees.oulu_casia(tmp_path))["oulu_casia"]
    assert rows(dataset, "sample_id", "subject", "emotion", "onset", "apex", "offset") == [
        ("oulu_casia/P001/Anger", "oulu_casia/P001", "Anger", 0, 8, 8),
        ("oulu_casia/P001/Surprise", "oulu_casia/P001", "Surprise", 0, 11, 11),
        ("oulu_casia/P002/Anger", "oulu_casia/P002", "Anger", 0, 6, 6),
    ]
    assert "oulu_casia:VL-Strong is read; oulu_casia:NI-Dark" in note(dataset, "NI-Dark")
    dark = read(tmp_path, "NI-Dark")["oulu_casia"]
    assert all("Dark" in path.parts for path in dark.clips["oulu_casia/P001/Anger"].files.values())


def test_ckplus_reads_labels_and_counts_what_has_none(tmp_path: Path) -> None:
    dataset = read(more_trees.ckplus(tmp_path))["ckplus"]
    assert rows(dataset, "sample_id", "subject", "emotion", "onset", "apex", "offset") == [
        ("ckplus/S005/001", "ckplus/S005", "disgust", 1, 11, 11),
        ("ckplus/S010/002", "ckplus/S010", "surprise", 1, 11, 11),
    ]
    assert "2 clips have no label and are left out: S010/004; S999/001" in note(dataset, "no label")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "happy", "9.0", "-1", "3.5", "nan"])
def test_ckplus_with_a_label_that_is_none(text: str, tmp_path: Path) -> None:
    more_trees.ckplus(tmp_path)
    (file,) = (tmp_path / "Emotion" / "S005" / "001").iterdir()
    file.write_text(text)
    with pytest.raises(DataError, match=rf"{file.name} holds '{text}'; expected one number from 0 to 7"):
        read(tmp_path)


def test_ckplus_without_its_labels(tmp_path: Path) -> None:
    shutil.rmtree(more_trees.ckplus(tmp_path) / "Emotion")
    with pytest.raises(DataError, match="Emotion is not there: without it no sequence"):
        read(tmp_path)


def test_a_rendered_tree_gives_a_rendered_dataset(tmp_path: Path) -> None:
    more_trees.casme_sq(tmp_path)
    (tmp_path / "synthetic.json").write_text("{}")
    datasets = read(tmp_path)
    assert set(datasets) == {"synth_casme_sq", "synth_casme_sq_macro"}
    assert all(dataset.synthetic for dataset in datasets.values())
    assert rows(datasets["synth_casme_sq_macro"], "subject")[0] == ("synth_casme_sq/s15",)
    assert labels(TASKS.get("emotion3"), datasets["synth_casme_sq"].samples).tolist() == [0, 1]
    assert {name for name, dataset in datasets.items() if dataset.macro} == {"synth_casme_sq_macro"}
