"""Flow images with several pictures a clip: features of one clip, in trees of any shape, joined with their labels."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import works
from flow_trees import CLIPS, FlowTree, write_png
from renaming import rename_all

from bench.console.prepared import describe
from preprocess.base.errors import DataError
from preprocess.datasets import RawDataset, detect, read_source
from preprocess.labels.tasks import TASKS, labels
from preprocess.recipes import FEATURES as RECIPES
from preprocess.shards.prepare import prepare

FEATURES = ("flow_uvs_28", "flow_uvs_apex_offset_28", "direction_map_28", "direction_map_apex_offset_28")
SUFFIXES = ("", "_1", "_2", "_3")
# CASME II has one clip whose own name ends as that of a picture does.
ALL_CLIPS = (*CLIPS, ("sub03", 2, "EP01_2"), ("sub07", 0, "EP06_02_01"), ("sub07", 0, "EP06_02_02"))
IDS = {
    "casme2/sub01/EP02_01f": "positive",
    "casme2/sub01/EP19_05f": "negative",
    "casme2/sub02/EP01_11f": "surprise",
    "casme2/sub03/EP01_2": "surprise",
    "casme2/sub07/EP06_02_01": "negative",
    "casme2/sub07/EP06_02_02": "negative",
    "samm/006/006_1_2": "negative",
    "samm/006/006_3_5": "surprise",
    "smic/s01/s01_ne_01": "negative",
    "smic/s03/s03_po_01": "positive",
}


def picture(subject: str, clip: str, suffix: str) -> np.ndarray:
    """The (3, 28, 28) uint8 values of a clip's picture."""
    return FlowTree.tensor(subject, clip + suffix)


def put(folder: Path, subject: str, clip: str, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    for suffix in suffixes:
        image = picture(subject, clip, suffix).transpose(1, 2, 0)[..., ::-1]
        write_png(folder / f"{subject}_{clip}{suffix} .png", image)


def table(path: Path, clips: tuple[tuple[str, int, str], ...] = ALL_CLIPS) -> Path:
    """Write a table of labels as CausalNet has it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["dataset", "sub", "filename_o", "label", "apex", "imagename", "sub_filename"])
        for subject, label, clip in clips:
            writer.writerow(["any", subject, clip, label, "", f"{subject}_{clip}.jpg", ""])
    return path


def build(root: Path, shape: str, suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """Write all clips in a tree of a shape, with what tells their labels."""
    for subject, label, clip in ALL_CLIPS:
        below = {
            "flat": Path(),
            "labels": Path(str(label)),
            "subjects": Path(subject),
            "subjects and labels": Path(subject, str(label)),
            "tree": Path(subject, "u_test", str(label)),
        }[shape]
        put(root / "pictures" / below, subject, clip, suffixes)
    if shape in ("flat", "subjects"):
        table(root / "combined_3_class2_for_optical_flow.csv")
    return root


def read(path: Path) -> dict[str, RawDataset]:
    return {dataset.name: dataset for dataset in read_source(path)}


def emotions(datasets: dict[str, RawDataset]) -> dict[str, str]:
    return {
        sample_id: emotion
        for dataset in datasets.values()
        for sample_id, emotion in zip(dataset.samples["sample_id"], dataset.samples["emotion"], strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("shape", ["flat", "labels", "subjects", "subjects and labels", "tree"])
def test_pictures_of_one_clip_are_its_features(tmp_path: Path, shape: str, count: int) -> None:
    found = read(build(tmp_path, shape, SUFFIXES[:count]))
    assert emotions(found) == IDS
    for dataset in found.values():
        assert tuple(dataset.features) == FEATURES[:count]
        for sample_id in dataset.samples["sample_id"]:
            _, subject, clip = sample_id.split("/")
            for name, suffix in zip(FEATURES, SUFFIXES[:count], strict=False):
                tensor = dataset.features[name].compute(sample_id)
                np.testing.assert_array_equal(tensor, picture(subject, clip, suffix))


def test_each_kind_of_picture_is_a_feature_of_its_own_recipe(tmp_path: Path) -> None:
    (dataset, *_) = read_source(build(tmp_path, "flat"))
    recipes = {name: feature.recipe for name, feature in dataset.features.items()}
    assert {recipe["name"] for recipe in recipes.values()} == set(FEATURES)
    flow, backwards, first_map, _ = (dataset.features[name].layout.content for name in FEATURES)
    assert flow == backwards
    assert (flow.u, flow.u_range, flow.no_mirror) == (0, "sample", "")
    assert first_map.u is None
    assert first_map.no_mirror, "its zero is not that of the flow"
    prepared = prepare(dataset, tmp_path / "shards", FEATURES)
    assert prepared.made == 4 * 4, "four features of four people"
    assert "left out" not in "\n".join(describe(prepared))


def test_recordings_give_the_same_features_as_the_pictures(tmp_path: Path) -> None:
    """A model that takes one takes the other: shape, type, axes, and what augmentation knows of them."""
    (dataset, *_) = read_source(build(tmp_path, "flat"))
    for name in FEATURES:
        ready, made = dataset.features[name], RECIPES.get(name)
        assert (ready.shape, ready.dtype, ready.layout) == (made.shape, made.dtype, made.layout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffixes", "seen"),
    [
        (("", "_1", "_2"), r"6 clips have 3 \(X, X_1, X_2\), such as casme2/sub01/EP02_01f \(.*sub01_EP02_01f \.png"),
        (("", "_2"), r"6 clips have 2 \(X, X_2\)"),
        (("_1", "_2", "_3"), r"5 clips have 3 \(X_1, X_2, X_3\)"),
        (("", "_1", "_2", "_3", "_4"), r"6 clips have 5 \(X, X_1, X_2, X_3, X_4\)"),
        (("", "_0"), r"6 clips have 2 \(X, X_0\)"),
        (("", "_flow"), r"6 clips have 2 \(X, X_flow\)"),
        (("_u", "_v", "_os"), r"5 clips have 3 \(X_os, X_u, X_v\)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", ["flat", "tree"])
def test_a_number_of_pictures_that_fits_nothing_known_is_refused(
    tmp_path: Path, shape: str, suffixes: tuple[str, ...], seen: str
) -> None:
    with pytest.raises(DataError, match=seen) as caught:
        read(build(tmp_path, shape, suffixes))
    assert "Expected as many for every clip: 1 (onset-apex flow); 2 (onset-apex flow, apex-offset flow); 4 (" in str(
        caught.value
    )


def test_a_clip_that_lacks_a_picture_is_named(tmp_path: Path) -> None:
    build(tmp_path, "tree")
    (tmp_path / "pictures" / "006" / "u_test" / "0" / "006_006_1_2_2 .png").unlink()
    with pytest.raises(
        DataError, match=r"The clips of samm .*1 clips have 3 \(X, X_1, X_3\), such as samm/006/006_1_2 "
    ):
        read(tmp_path)


def test_a_picture_under_another_label_than_its_clip(tmp_path: Path) -> None:
    build(tmp_path, "tree")
    tests = tmp_path / "pictures" / "006" / "u_test"
    (tests / "0" / "006_006_1_2_2 .png").rename(tests / "2" / "006_006_1_2_2 .png")
    with pytest.raises(DataError, match=r"Sample samm/006/006_1_2 is there twice: .*006_1_2_2"):
        read(tmp_path)


def test_the_databases_may_have_different_numbers_of_pictures(tmp_path: Path) -> None:
    build(tmp_path, "flat")
    for path in (tmp_path / "pictures").glob("006_006_?_?_[123] .png"):
        path.unlink()
    found = read(tmp_path)
    assert emotions(found) == IDS
    assert {name: len(dataset.features) for name, dataset in found.items()} == {"casme2": 4, "samm": 1, "smic": 4}


# Labels of pictures in one folder


@pytest.mark.parametrize("where", ["here/tree", "tree", "other/tree"])
def test_labels_from_a_tree_with_label_folders_near_by(tmp_path: Path, where: str) -> None:
    """As users of CausalNet have it: both in one folder, or each in a folder of its own."""
    tmp_path = tmp_path / "here"
    build(tmp_path, "flat")
    (tmp_path / "combined_3_class2_for_optical_flow.csv").unlink()
    tree = FlowTree(tmp_path.parent / where)
    for subject, label, clip in ALL_CLIPS:
        tree.put(subject.replace("s01", "s1"), label, clip)
    found = read(tmp_path / "pictures")
    assert emotions(found) == IDS
    assert any(str(tree.root) in note for note in found["casme2"].notes)


@pytest.mark.parametrize("where", ["inside", "beside", "two above"])
def test_the_nearest_table_tells_the_labels(tmp_path: Path, where: str) -> None:
    build(tmp_path / "more", "flat")
    own = tmp_path / "more" / "combined_3_class2_for_optical_flow.csv"
    folder = {"inside": tmp_path / "more" / "pictures", "beside": tmp_path / "more", "two above": tmp_path}[where]
    shutil.move(own, folder / "labels.csv")
    table(tmp_path / "zz.csv" if where != "two above" else tmp_path / "more" / "zz.csv", (("sub99", 1, "EP09_01"),))
    (folder / "other.csv").write_text("a,b\n1,2\n")
    (folder / "empty.csv").write_text("")
    assert [found.sheet for found in detect(tmp_path)] == [folder / "labels.csv"]
    assert emotions(read(tmp_path)) == IDS


def test_a_table_without_headings_and_with_plain_numbers(tmp_path: Path) -> None:
    build(tmp_path, "flat")
    rows = [f"{'samm' if s[0] == '0' else 'casme2'},{s.removeprefix('00')},{c},{label}.0" for s, label, c in ALL_CLIPS]
    (tmp_path / "combined_3_class2_for_optical_flow.csv").write_text("\n".join(rows))
    assert emotions(read(tmp_path)) == IDS


def test_clips_without_a_label_and_rows_without_a_picture_are_noted(tmp_path: Path) -> None:
    build(tmp_path, "flat")
    rows = tuple(row for row in ALL_CLIPS if row[2] != "EP01_2")
    table(tmp_path / "combined_3_class2_for_optical_flow.csv", (*rows, ("sub11", 0, "EP13_02f")))
    write_png(tmp_path / "pictures" / "overview.png", np.zeros((9, 9, 3), np.uint8))
    found = read(tmp_path)
    assert emotions(found) == {name: emotion for name, emotion in IDS.items() if not name.endswith("EP01_2")}
    notes = "\n".join(found["casme2"].notes)
    assert "1 clips have no label and are left out: casme2/sub03/EP01_2" in notes
    assert "have no picture and are left out: sub11/EP13_02f" in notes
    assert "1 files are not named like the picture of a clip and are left out: " in notes
    assert "overview.png" in notes


def test_no_labels_at_all(tmp_path: Path) -> None:
    tmp_path = tmp_path / "away" / "from the other tests"
    build(tmp_path, "flat")
    (tmp_path / "combined_3_class2_for_optical_flow.csv").unlink()
    with pytest.raises(DataError, match="missing labels: no table") as caught:
        read(tmp_path)
    assert str(tmp_path / "pictures") in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((*ALL_CLIPS, ("006", 1, "006_1_2")), "row 12: 006 006_1_2 has another label further up"),
        (((*ALL_CLIPS[:-1], ("sub07", 3, "EP06_02_02"))), "row 11: '3' is not a label"),
    ],
)
def test_a_table_with_wrong_labels(tmp_path: Path, rows: tuple[tuple[str, int, str], ...], message: str) -> None:
    build(tmp_path, "flat")
    path = table(tmp_path / "combined_3_class2_for_optical_flow.csv", rows)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert str(path) in str(caught.value)


def test_two_tables_that_disagree(tmp_path: Path) -> None:
    build(tmp_path, "flat")
    table(tmp_path / "a.csv", (("006", 1, "006_1_2"),))
    with pytest.raises(
        DataError, match=r"a\.csv calls .*006_1_2 positive, and .*flow\.csv calls it negative"
    ) as caught:
        read(tmp_path)
    assert "Leave only the one" in str(caught.value)


def test_a_picture_in_the_folder_of_another_subject(tmp_path: Path) -> None:
    build(tmp_path, "subjects")
    put(tmp_path / "pictures" / "sub02", "sub01", "EP09_01", ("",))
    with pytest.raises(DataError, match=r"sub01_EP09_01 \.png is of subject sub01, and lies in the folder of sub02"):
        read(tmp_path)


def test_linked_folders_of_pictures_are_followed_and_told(tmp_path: Path) -> None:
    build(tmp_path, "subjects")
    linked, outside = tmp_path / "pictures" / "sub02", tmp_path.parent / f"{tmp_path.name}_outside"
    shutil.move(linked, outside)
    linked.symlink_to(outside)
    found = read(tmp_path)
    assert emotions(found) == IDS
    assert f"{linked} is a link to {outside}, and was followed" in found["casme2"].notes


def test_names_may_be_in_capitals(tmp_path: Path) -> None:
    build(tmp_path, "subjects and labels")
    rename_all(tmp_path, str.upper)
    assert (tmp_path / "PICTURES" / "SUB01").is_dir()
    assert emotions(read(tmp_path)) == IDS


def test_frames_of_recordings_are_no_flow_images(tmp_path: Path) -> None:
    for number in range(5560, 5564):
        write_png(tmp_path / "SAMM" / "006" / "006_1_2" / f"006_{number:05d}.png", np.zeros((28, 28, 3), np.uint8))
    assert [found for found in detect(tmp_path) if found.adapter == "flow_tree"] == []


def test_a_tree_with_label_folders_is_preferred_to_pictures_beside_it(tmp_path: Path) -> None:
    """Copies of HTNet's and CausalNet's data hold both; the tree is what their code reads."""
    build(tmp_path, "flat")
    tree = FlowTree(tmp_path / "three_norm_u_v_os")
    for subject, label, clip in ALL_CLIPS:
        tree.put(subject, label, clip)
    found = read(tmp_path)
    assert emotions(found) == IDS
    assert tuple(found["samm"].features) == FEATURES[:1]
    assert any(f"flow_tree:flat in {tmp_path / 'pictures'} is not" in note for note in found["samm"].notes)
    flat = {dataset.name: dataset for dataset in read_source(tmp_path, "flow_tree", "flat")}
    assert tuple(flat["samm"].features) == FEATURES


@pytest.mark.slow
def test_real_pictures_of_the_composite(megc2019_causal: Path) -> None:
    """442 clips of four pictures each, of which another copy has one."""
    found = read(megc2019_causal)
    sizes = {name: (len(data.samples), data.samples["subject"].nunique()) for name, data in found.items()}
    assert sizes == {"casme2": (145, 24), "samm": (133, 28), "smic": (164, 16)}
    counts = sum(np.bincount(labels(TASKS.get("megc3"), data.samples), minlength=3) for data in found.values())
    assert np.asarray(counts).tolist() == [250, 109, 83]
    assert {tuple(data.features) for data in found.values()} == {FEATURES}
    assert "casme2/sub03/EP01_2" in found["casme2"].samples["sample_id"].tolist()


@pytest.mark.slow
def test_real_direction_maps_are_the_directions_of_the_real_flow(megc2019_causal: Path) -> None:
    """Of the data that tony19980810/CausalNet@7bdf163face0 is trained on."""
    pairs = [(FEATURES[0], FEATURES[2]), (FEATURES[1], FEATURES[3])]
    compared = 0
    for dataset in read(megc2019_causal).values():
        for sample_id in dataset.samples["sample_id"]:
            for flow, directions in pairs:
                work = works.work_of(tensor=dataset.features[flow].compute(sample_id))
                found = works.tensor("direction_map", work)
                np.testing.assert_array_equal(found, dataset.features[directions].compute(sample_id))
                compared += 1
    assert compared == 2 * 442
