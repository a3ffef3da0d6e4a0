"""What must hold for every registered database, on a small true copy of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from copies import Copies, all_of
from renaming import mixed, rename_all, spread_junk
from trees import TREES

from bench.checks.kinds import checks_for
from preprocess.base.errors import DataError
from preprocess.base.plugins import load_plugins, unload_plugins
from preprocess.base.registry import noting
from preprocess.datasets import DATASETS, RawDataset, detect, read_source
from preprocess.labels.emotions import ANNOTATIONS
from preprocess.labels.tasks import TASKS, add_emotion_task, labels
from preprocess.samples.table import samples_fingerprint
from preprocess.views.dataset_report import report

PLUG_IN = Path(__file__).parents[1] / "dataset_plug_in.py"
"""A dataset as a user adds it; all tests try it, as they would try one more file in ``preprocess/datasets``."""

load_plugins([str(PLUG_IN)])
NAMES = DATASETS.names()
DECLARED = {name: database for name in NAMES if (database := DATASETS.get(name).database)}
WITH_SHEET = [name for name, database in DECLARED.items() if database.sheets]
FRAME_FOLDERS = [name for name, database in DECLARED.items() if all(tree.frames for tree in database.trees)]
COUNTED = [name for name, database in DECLARED.items() if database.counts]
ANNOTATED = ANNOTATIONS.names()
unload_plugins()


@pytest.fixture(autouse=True)
def plug_in() -> None:
    load_plugins([str(PLUG_IN)])


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


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_there_is_a_copy_to_test_with(name: str) -> None:
    declared = DECLARED.get(name)
    assert name in TREES or (declared and declared.example), f"Let Database(example=...) write a small copy of {name}."


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_copy_passes_the_checks_of_a_dataset(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    for check in checks_for("dataset", name, [f"{name}={root}"]):
        check.run()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_is_recognised_at_any_depth_and_taken_for_nothing_else(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root / "databases" / "copy")
    found = detect(root)
    assert {one.adapter for one in found} == {name}
    assert all(not one.missing and one.variant for one in found)
    assert DATASETS.get(name).variants == () or {one.variant for one in found} <= set(DATASETS.get(name).variants)


@pytest.mark.slow
@pytest.mark.parametrize("name", DECLARED)
def test_every_sample_has_a_clip_whose_frames_can_be_decoded(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
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


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_report_counts_its_samples(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    for dataset in read_source(root):
        lines = report(dataset.samples, dataset.features, dataset.clips, dataset.notes)
        assert lines[0].startswith(f"{dataset.name}: {len(dataset.samples)} samples, ")
        assert any(line.startswith("  task ") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_place_does_not_count(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    here = {dataset.name: samples_fingerprint(dataset.samples) for dataset in read_source(root)}
    shutil.move(root, root.parent / "elsewhere")
    there = {dataset.name: samples_fingerprint(dataset.samples) for dataset in read_source(root.parent / "elsewhere")}
    assert here == there


@pytest.mark.slow
@pytest.mark.parametrize("change", [str.upper, str.lower, mixed])
@pytest.mark.parametrize("name", NAMES)
def test_names_may_be_in_any_letters(name: str, change: Callable[[str], str], root: Path, copies: Copies) -> None:
    before = copies.contents(name)
    copies.write(name, root)
    rename_all(root, change)
    assert all_of(root) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_computers_leave_behind_changes_nothing(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    before = copies.contents(name), [dataset.notes for dataset in read_source(root)]
    spread_junk(root)
    assert (all_of(root), [dataset.notes for dataset in read_source(root)]) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"clips", "flow_tree"}))
def test_a_link_that_leads_back_is_refused_within_a_tree_whatever_it_is_called(
    name: str, root: Path, copies: Copies
) -> None:
    copies.write(name, root)
    clip = next(iter(read_source(root)[0].clips.values()))
    folder = clip.video.parent if clip.video else clip.files[clip.numbers[0]].parent.parent
    (folder / "of mine").symlink_to(folder.parent)
    with pytest.raises(DataError, match=r"of mine is a link to .*, in which it lies itself: a loop. Remove the link"):
        read_source(root)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_links_to_databases_is_read_and_the_links_are_told(name: str, root: Path, copies: Copies) -> None:
    before = copies.contents(name)
    copies.write(name, root)
    links = root.parent / "links"
    links.mkdir()
    for path in root.iterdir():
        # Sheets stay behind, where they are found, too.
        if path.is_dir() or path.name == "clips.csv":
            (links / path.name).symlink_to(path)
    assert all_of(links) == before
    linked = [str(found.root) for found in detect(links) if found.root.is_symlink()]
    notes = [note for dataset in read_source(links) for note in dataset.notes]
    assert any(f"{root} is a link to" in note for root in linked for note in notes) == bool(linked)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_database_behind_a_link_of_any_name_is_read(name: str, root: Path, copies: Copies) -> None:
    before = copies.contents(name)
    copies.write(name, root)
    links = root.parent / "links"
    links.mkdir()
    (links / "mine").symlink_to(root)
    assert all_of(links) == before
    assert all(any("mine is a link to" in note for note in dataset.notes) for dataset in read_source(links))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_link_that_leads_back_is_refused(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root / "copy")
    (root / "again").symlink_to(root.parent)
    with pytest.raises(DataError, match=r"data/again is a link to .*, in which it lies itself: a loop"):
        read_source(root)
    (root / "again").unlink()
    (root / "itself").symlink_to(root / "itself")
    with pytest.raises(DataError, match=r"itself is a link that leads back to itself. Remove the link"):
        read_source(root)


@pytest.mark.slow
@pytest.mark.parametrize("name", DECLARED)
def test_a_rendered_copy_says_that_it_is(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    (root / "Synthetic.JSON").write_text("{}")
    for dataset in read_source(root):
        assert dataset.synthetic
        assert dataset.name.startswith("synth_")
        assert dataset.samples["subject"].str.startswith("synth_").all()
        assert not any("published" in note for note in dataset.notes)


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_a_count_that_differs_from_the_published_one_is_told(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    notes = [note for dataset in read_source(root) for note in dataset.notes]
    assert any("annotated clips of" in note and "published are" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("name", FRAME_FOLDERS)
def test_a_clip_that_lies_elsewhere_is_followed_and_told(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    before = {dataset.name: samples_fingerprint(dataset.samples) for dataset in read_source(root)}
    folder = first_folder(read_source(root))
    shutil.move(folder, root.parent / "outside")
    folder.symlink_to(root.parent / "outside")
    after = read_source(root)
    assert {dataset.name: samples_fingerprint(dataset.samples) for dataset in after} == before
    told = [note for dataset in after for note in dataset.notes if "links, which were followed" in note]
    assert any(f"{folder.name} -> {root.parent / 'outside'}" in note for note in told)


@pytest.mark.slow
@pytest.mark.parametrize("name", FRAME_FOLDERS)
def test_an_emptied_clip_is_left_out_and_told(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
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
def test_without_its_sheet_it_says_what_was_looked_for(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    for number, file in enumerate([*root.rglob("*.xls*"), *root.rglob("*.csv")]):
        file.rename(file.with_name(f"annotation of mine {number}{file.suffix}"))
    with pytest.raises(DataError, match=f"{name} was recognised but cannot be read") as caught:
        read_source(root, name)
    assert "missing sheet: none in" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_SHEET)
@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "no columns"])
def test_a_damaged_sheet_is_named(name: str, damage: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
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
def test_without_its_frames_it_says_what_is_missing(name: str, root: Path, copies: Copies) -> None:
    copies.write(name, root)
    sheet = sheet_of(name, root)
    (root.parent / "sheet only").mkdir()
    shutil.copy(sheet, root.parent / "sheet only")
    with pytest.raises(DataError, match="missing clips: expected"):
        read_source(root.parent / "sheet only", name)


@pytest.mark.slow
def test_all_databases_below_one_folder_are_read_together(root: Path, copies: Copies) -> None:
    for name in DECLARED:
        copies.write(name, root / f"disk of {name}" / name)
    datasets = read_source(root)
    together = {dataset.name: samples_fingerprint(dataset.samples) for dataset in datasets}
    alone = {
        dataset.name: samples_fingerprint(dataset.samples)
        for name in DECLARED
        for dataset in read_source(root / f"disk of {name}")
    }
    assert together == alone
    assert {"casme2", "samm", "smic", "smic_vis", "casme3", "casme_sq_macro", "ckplus"} <= set(together)
    macro = {dataset.name for dataset in datasets if dataset.macro}
    assert macro == {name for database in DECLARED.values() for name in database.macro} & set(together)
    assert {"afew", "ckplus", "oulu_casia", "casme_sq_macro"} <= macro


def test_a_dataset_of_one_short_file_has_its_words_and_tasks_with_it(root: Path, copies: Copies) -> None:
    assert len(PLUG_IN.read_text().splitlines()) <= 60
    copies.write("smiles", root)
    (dataset,) = read_source(root)
    fitting = {name: labels(task, dataset.samples).tolist() for name, task in TASKS.items() if task.mapping("smiles")}
    assert fitting.pop("au12") == [[-1] * 12] * 4
    # Sorted: gloom, joy, rage, shock.
    assert fitting.items() >= {"emotion3": [0, 1, 0, 2], "binary": [0, 1, 0, -1]}.items()
    assert "megc3" not in fitting
    with pytest.raises(DataError, match="megc3 is not made for dataset smiles, only for: casme2, samm, smic"):
        labels(TASKS.get("megc3"), dataset.samples)


def test_a_new_task_takes_every_dataset_that_has_a_word_for_each_of_its_classes() -> None:
    with noting() as noted:
        add_emotion_task("mine", {"low": ("sadness", "fear"), "angry": ("anger",)}, "a test", origin=__name__)
    mapping = TASKS.get("mine").mapping
    noted[0].undo()
    assert mapping("smiles") == {"froh": None, "traurig": "low", "verblüfft": None, "wütend": "angry"}
    assert mapping("oulu_casia")["anger"] == "angry"
    assert mapping("synth_samm")["fear"] == "low"
    assert mapping("casme2") == {}, "nobody annotated anger"
    assert mapping("of_unknown_words") == {}


@pytest.mark.parametrize("name", ANNOTATED)
def test_the_words_of_a_dataset_pass_their_checks(name: str) -> None:
    for check in checks_for("annotation", name):
        check.run()
