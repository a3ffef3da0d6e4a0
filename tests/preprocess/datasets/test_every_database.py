"""What must hold for every registered database, on a small true copy of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest
from trees import TREES

from preprocess.base.errors import DataError
from preprocess.datasets import DATASETS, RawDataset, detect, read_source
from preprocess.samples.table import samples_fingerprint
from preprocess.views.dataset_report import report

NAMES = DATASETS.names()
RECORDINGS = [name for name in NAMES if name != "flow_tree"]
# Of the others the folders, or files beside the clips, are the annotation.
WITH_SHEET = [
    name for name in RECORDINGS if name not in ("afew", "ckplus", "oulu_casia", "smic", "smic_nir", "smic_vis")
]
FRAME_FOLDERS = [name for name in RECORDINGS if name != "afew"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def sheet_of(name: str, root: Path) -> Path:
    sheet = detect(root, name)[0].sheet
    assert sheet is not None
    return sheet


def first_folder(datasets: list[RawDataset]) -> Path:
    """The folder of the first clip."""
    clips = [clip for dataset in datasets for clip in dataset.clips.values()]
    return clips[0].files[clips[0].numbers[0]].parent


@pytest.mark.parametrize("name", NAMES)
def test_there_is_a_copy_to_test_with(name: str) -> None:
    assert name in TREES, f"Write a small copy of {name} in tests/preprocess/ and add it to TREES."


@pytest.mark.parametrize("name", NAMES)
def test_it_is_recognised_at_any_depth_and_taken_for_nothing_else(name: str, root: Path) -> None:
    TREES[name](root / "databases" / "copy")
    found = detect(root)
    assert {one.adapter for one in found} == {name}
    assert all(not one.missing and one.variant for one in found)
    assert DATASETS.get(name).variants == () or {one.variant for one in found} <= set(DATASETS.get(name).variants)


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_sample_has_a_clip_whose_frames_can_be_decoded(name: str, root: Path) -> None:
    TREES[name](root)
    for dataset in read_source(root):
        assert len(dataset.clips) > 0
        assert set(dataset.clips) == set(dataset.samples["sample_id"])
        assert set(dataset.samples["dataset"]) == {dataset.name}
        for row in dataset.samples.itertuples():
            clip = dataset.clips[row.sample_id]
            assert clip.sample_id == row.sample_id
            if clip.video is not None:
                assert cv2.VideoCapture(str(clip.video)).read()[0]
                continue
            assert (clip.onset, clip.offset) == (row.onset, row.offset)
            assert len(clip.numbers) + len(clip.missing) == clip.offset - clip.onset + 1
            assert cv2.imread(str(clip.files[clip.numbers[-1]])) is not None
            assert len(clip.fingerprint()) == 64


@pytest.mark.parametrize("name", NAMES)
def test_the_report_counts_its_samples(name: str, root: Path) -> None:
    TREES[name](root)
    for dataset in read_source(root):
        lines = report(dataset.samples, dataset.features, dataset.clips, dataset.notes)
        assert lines[0].startswith(f"{dataset.name}: {len(dataset.samples)} samples, ")
        assert any(line.startswith("  task ") for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_the_place_does_not_count(name: str, root: Path) -> None:
    TREES[name](root)
    here = {dataset.name: samples_fingerprint(dataset.samples) for dataset in read_source(root)}
    shutil.move(root, root.parent / "elsewhere")
    there = {dataset.name: samples_fingerprint(dataset.samples) for dataset in read_source(root.parent / "elsewhere")}
    assert here == there


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_rendered_copy_says_that_it_is(name: str, root: Path) -> None:
    TREES[name](root)
    (root / "synthetic.json").write_text("{}")
    for dataset in read_source(root):
        assert dataset.synthetic
        assert dataset.name.startswith("synth_")
        assert dataset.samples["subject"].str.startswith("synth_").all()
        assert not any("published" in note for note in dataset.notes)


@pytest.mark.parametrize("name", [name for name in RECORDINGS if not name.endswith("_long")])
def test_a_count_that_differs_from_the_published_one_is_told(name: str, root: Path) -> None:
    TREES[name](root)
    notes = [note for dataset in read_source(root) for note in dataset.notes]
    assert any("annotated clips of" in note and "published are" in note for note in notes)


@pytest.mark.parametrize("name", FRAME_FOLDERS)
def test_a_clip_that_lies_elsewhere_is_refused(name: str, root: Path) -> None:
    TREES[name](root)
    folder = first_folder(read_source(root))
    shutil.move(folder, root.parent / "outside")
    folder.symlink_to(root.parent / "outside")
    with pytest.raises(DataError, match="is a link to") as caught:
        read_source(root)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", FRAME_FOLDERS)
def test_an_emptied_clip_is_left_out_and_told(name: str, root: Path) -> None:
    TREES[name](root)
    before = read_source(root)
    folder = first_folder(before)
    lost = {
        clip.sample_id
        for dataset in before
        for clip in dataset.clips.values()
        if clip.files and clip.files[clip.numbers[0]].parent == folder
    }
    for file in folder.iterdir():
        file.unlink()
    after = read_source(root)
    assert {id_ for one in before for id_ in one.clips} - {id_ for one in after for id_ in one.clips} == lost
    notes = [note for dataset in after for note in dataset.notes]
    assert any("have no frames and are left out" in note and next(iter(lost)).split("/")[1] in note for note in notes)


@pytest.mark.parametrize("name", WITH_SHEET)
def test_without_its_sheet_it_says_what_was_looked_for(name: str, root: Path) -> None:
    TREES[name](root)
    for number, file in enumerate(root.rglob("*.xls*")):
        file.rename(file.with_name(f"annotation of mine {number}{file.suffix}"))
    with pytest.raises(DataError, match=f"{name} was recognised but cannot be read") as caught:
        read_source(root, name)
    assert "missing sheet: none in" in str(caught.value)


@pytest.mark.parametrize("name", WITH_SHEET)
@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "no columns"])
def test_a_damaged_sheet_is_named(name: str, damage: str, root: Path) -> None:
    TREES[name](root)
    sheet = sheet_of(name, root)
    content = sheet.read_bytes()
    if damage == "no columns":
        from more_trees import workbook

        sheet.unlink()
        workbook(sheet, {"Sheet1": [["holiday", "pictures"], [1, 2]]})
    else:
        sheet.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "text": b"see the paper"}[damage])
    with pytest.raises(DataError) as caught:
        read_source(root)
    assert sheet.name in str(caught.value)


@pytest.mark.parametrize("name", WITH_SHEET)
def test_without_its_frames_it_says_what_is_missing(name: str, root: Path) -> None:
    TREES[name](root)
    sheet = sheet_of(name, root)
    (root.parent / "sheet only").mkdir()
    shutil.copy(sheet, root.parent / "sheet only")
    with pytest.raises(DataError, match="missing clips: expected"):
        read_source(root.parent / "sheet only", name)


def test_all_databases_below_one_folder_are_read_together(root: Path) -> None:
    for name in RECORDINGS:
        TREES[name](root / f"disk of {name}" / name)
    datasets = read_source(root)
    together = {dataset.name: samples_fingerprint(dataset.samples) for dataset in datasets}
    alone = {
        dataset.name: samples_fingerprint(dataset.samples)
        for name in RECORDINGS
        for dataset in read_source(root / f"disk of {name}")
    }
    assert together == alone
    assert {"casme2", "samm", "smic", "smic_vis", "casme3", "casme_sq_macro", "ckplus"} <= set(together)
    macro = {dataset.name for dataset in datasets if dataset.macro}
    assert macro == {"afew", "ckplus", "oulu_casia", "casme_sq_macro", "casme3_macro"} & set(together)
