"""Flow-image trees: the quirks of copies in the wild, every bad input, and the real data."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from flow_trees import FlowTree, write_png
from renaming import rename_all

from preprocess.base.errors import DataError
from preprocess.datasets import RawDataset, detect, read_source
from preprocess.labels.tasks import TASKS, labels
from preprocess.samples.table import samples_fingerprint

FEATURE = "flow_uvs_28"


def read(path: Path) -> dict[str, RawDataset]:
    """The datasets at ``path`` by name."""
    return {dataset.name: dataset for dataset in read_source(path)}


def test_three_databases_are_told_by_the_subjects_names(tree: FlowTree) -> None:
    found = read(tree.root)
    ids = {name: dataset.samples["sample_id"].tolist() for name, dataset in found.items()}
    assert ids == {
        "casme2": ["casme2/sub01/EP02_01f", "casme2/sub01/EP19_05f", "casme2/sub02/EP01_11f"],
        "samm": ["samm/006/006_1_2", "samm/006/006_3_5"],
        "smic": ["smic/s01/s01_ne_01", "smic/s03/s03_po_01"],
    }
    assert found["casme2"].samples["subject"].tolist() == ["casme2/sub01", "casme2/sub01", "casme2/sub02"]
    assert found["casme2"].samples["emotion"].tolist() == ["positive", "negative", "surprise"]
    assert not any(dataset.synthetic for dataset in found.values())


def test_channels_are_u_v_strain(tree: FlowTree) -> None:
    """u lies in the red channel, v in the green, strain in the blue one; OpenCV reads them the other way round."""
    feature = read(tree.root)["samm"].features[FEATURE]
    tensor = feature.compute("samm/006/006_1_2")
    assert tensor.shape == feature.shape == (3, 28, 28)
    assert str(tensor.dtype) == feature.dtype == "uint8"
    np.testing.assert_array_equal(tensor, FlowTree.tensor("006", "006_1_2"))
    assert feature.recipe["channels"] == ["u", "v", "strain"]


def test_the_tree_may_lie_one_folder_below_the_path(tree: FlowTree) -> None:
    (tree.root.parent / "README.md").write_text("a file beside the tree")
    (tree.root.parent / "papers").mkdir()
    assert [found.adapter for found in detect(tree.root.parent)] == ["flow_tree"]
    assert read(tree.root.parent).keys() == read(tree.root).keys()


def test_a_copy_elsewhere_under_other_spellings_is_the_same_data(tree: FlowTree, tmp_path: Path) -> None:
    before = read(tree.root)
    copy = FlowTree(tmp_path / "copy")
    shutil.copytree(tree.root, copy.root)
    copy.place("sub01", 1, "EP02_01f").rename(copy.place("sub01", 1, "EP02_01f", ".PNG"))
    (copy.root / "s01").rename(copy.root / "s1")
    folder = copy.root / "s1" / "u_test" / "0"
    (folder / "s01_s01_ne_01 .png").rename(folder / "s1_s1_ne_01.png")
    after = read(copy.root)
    for name, dataset in before.items():
        assert samples_fingerprint(dataset.samples) == samples_fingerprint(after[name].samples)
        for sample_id in dataset.samples["sample_id"]:
            old, new = dataset.features[FEATURE], after[name].features[FEATURE]
            assert old.source_fingerprint(sample_id) == new.source_fingerprint(sample_id)


def test_what_is_not_data_is_ignored(tree: FlowTree) -> None:
    label = tree.root / "sub01" / "u_test" / "0"
    for name in ("Thumbs.db", ".DS_Store", "._sub01_EP19_05f .png"):
        (label / name).write_bytes(b"not an image")
    (tree.root / "sub01" / "u_test" / "2").mkdir()
    (tree.root / "__MACOSX").mkdir()
    (tree.root / "labels.csv").write_text("a,b\n")
    train = tree.root / "sub01" / "u_train" / "0"
    train.mkdir(parents=True)
    (train / "sub02_EP01_11f .png").write_bytes(b"never read")
    assert len(read(tree.root)["casme2"].samples) == 3


def expect_error(path: Path, message: str, place: Path) -> None:
    """Reading must fail with the message and name the place."""
    with pytest.raises(DataError, match=message) as caught:
        read_source(path, "flow_tree")
    assert str(place) in str(caught.value)


def test_no_subjects(tmp_path: Path) -> None:
    (tmp_path / "three_norm_u_v_os" / "notes").mkdir(parents=True)
    expect_error(tmp_path, "No dataset was recognised in", tmp_path)


def test_two_trees_side_by_side(tree: FlowTree) -> None:
    shutil.copytree(tree.root, tree.root.parent / "another")
    expect_error(tree.root.parent, "flow_tree lies there twice", tree.root.parent / "another")


@pytest.mark.parametrize("name", ["disgust", "3", "-1", "01", "1.0"])
def test_a_label_folder_that_is_no_label(tree: FlowTree, name: str) -> None:
    path = tree.put("sub01", name, "EP07_01")
    expect_error(tree.root, rf"'{name}' is not a label. Expected 0 \(negative\)", path.parent)


@pytest.mark.parametrize("name", ["subject1", "sub1", "person", "06", "0061"])
def test_a_subject_of_unclear_database(tree: FlowTree, name: str) -> None:
    tree.put(name, 0, "EP07_01")
    expect_error(tree.root, "does not tell its database. Expected a name such as sub01", tree.root / name)


def test_a_subject_without_u_test(tree: FlowTree) -> None:
    (tree.root / "sub09" / "u_train" / "0").mkdir(parents=True)
    expect_error(tree.root, "has no u_test folder", tree.root / "sub09")


def test_a_subject_without_clips(tree: FlowTree) -> None:
    (tree.root / "sub09" / "u_test" / "0").mkdir(parents=True)
    expect_error(tree.root, "holds no PNG file", tree.root / "sub09")


@pytest.mark.parametrize("content", [b"", b"not a PNG at all", "half"])
def test_an_unreadable_png(tree: FlowTree, content: bytes | str) -> None:
    path = tree.place("006", 0, "006_1_2")
    path.write_bytes(path.read_bytes()[:900] if isinstance(content, str) else content)
    expect_error(tree.root, "is not a readable PNG", path)


def test_a_png_with_a_flipped_byte(tree: FlowTree) -> None:
    path = tree.place("006", 0, "006_1_2")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    expect_error(tree.root, "is not a readable PNG", path)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((28, 30, 3), np.uint8, r"is 30x28 pixels with 3 channel\(s\) of uint8; expected 28x28 with 3 channels"),
        ((28, 28), np.uint8, r"28x28 pixels with 1 channel\(s\)"),
        ((28, 28, 4), np.uint8, r"28x28 pixels with 4 channel\(s\)"),
        ((28, 28, 3), np.uint16, r"3 channel\(s\) of uint16"),
    ],
)
def test_a_png_of_the_wrong_size_or_type(
    tree: FlowTree, shape: tuple[int, ...], dtype: type[np.generic], message: str
) -> None:
    path = write_png(tree.place("006", 0, "006_1_2"), np.zeros(shape, dtype))
    expect_error(tree.root, message, path)


def test_the_same_clip_under_two_labels(tree: FlowTree) -> None:
    path = tree.put("sub01", 2, "EP02_01f")
    expect_error(tree.root, "Sample casme2/sub01/EP02_01f is there twice", path)
    expect_error(tree.root, "is there twice", tree.place("sub01", 1, "EP02_01f"))


def test_the_same_clip_with_and_without_the_space(tree: FlowTree) -> None:
    path = tree.put("sub01", 1, "EP02_01f", ending=".png")
    expect_error(tree.root, "is there twice", path)
    expect_error(tree.root, "is there twice", tree.place("sub01", 1, "EP02_01f", " .png"))


def test_the_same_smic_clip_under_two_spellings_of_its_subject(tree: FlowTree) -> None:
    path = tree.put("s1", 0, "s1_ne_01")
    expect_error(tree.root, "Sample smic/s01/s01_ne_01 is there twice", path)


@pytest.mark.parametrize("name", ["sub02_EP01_01.png", "EP01_01.png", "sub01.png", "sub01_ .png"])
def test_a_file_that_does_not_begin_with_its_subject(tree: FlowTree, name: str) -> None:
    path = tree.place("sub01", 0, "x").with_name(name)
    shutil.copy(tree.place("sub01", 1, "EP02_01f"), path)
    expect_error(tree.root, r"does not begin with its subject. Expected sub01_<clip>\.png", path)


def test_a_png_outside_a_label_folder(tree: FlowTree) -> None:
    path = tree.root / "sub01" / "u_test" / "sub01_EP09_01.png"
    shutil.copy(tree.place("sub01", 1, "EP02_01f"), path)
    expect_error(tree.root, "lies outside a label folder", path)


def test_a_folder_inside_a_label_folder(tree: FlowTree) -> None:
    path = tree.root / "sub01" / "u_test" / "0" / "more"
    path.mkdir()
    expect_error(tree.root, "is a folder inside a label folder", path)


@pytest.mark.parametrize("level", ["subject", "u_test", "label", "file"])
def test_a_link_out_of_the_tree_is_followed_and_told(tree: FlowTree, tmp_path: Path, level: str) -> None:
    outside = FlowTree(tmp_path / "outside")
    target = outside.put("sub09", 0, "EP01_01")
    steps = {"file": 0, "label": 1, "u_test": 2, "subject": 3}[level]
    link = tree.place("sub09", 0, "EP01_01")
    for _ in range(steps):
        link, target = link.parent, target.parent
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    found = read(tree.root)["casme2"]
    assert "casme2/sub09/EP01_01" in found.samples["sample_id"].tolist()
    told = f"{link} is a link to {target}, and was followed"
    assert (told in found.notes) == (level != "file")


def test_a_link_that_leads_back_is_refused(tree: FlowTree) -> None:
    (tree.root / "sub09").mkdir()
    link = tree.root / "sub09" / "u_test"
    link.symlink_to(tree.root)
    expect_error(tree.root, "in which it lies itself: a loop", link)


def test_names_may_be_in_capitals(tree: FlowTree) -> None:
    before = {name: found.samples["sample_id"].tolist() for name, found in read(tree.root).items()}
    rename_all(tree.root, str.upper)
    assert (tree.root / "SUB01" / "U_TEST").is_dir()
    assert {name: found.samples["sample_id"].tolist() for name, found in read(tree.root).items()} == before


def test_a_link_to_the_whole_tree_is_the_users_own_choice(tree: FlowTree, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(tree.root)
    assert len(read(tmp_path / "shortcut")["casme2"].samples) == 3


def test_real_data(megc2019_flow: Path) -> None:
    found = read(megc2019_flow)
    sizes = {name: (len(data.samples), data.samples["subject"].nunique()) for name, data in found.items()}
    assert sizes == {"casme2": (145, 24), "samm": (133, 28), "smic": (164, 16)}
    counts = sum(np.bincount(labels(TASKS.get("megc3"), data.samples), minlength=3) for data in found.values())
    assert np.asarray(counts).tolist() == [250, 109, 83]
    for known in ("casme2/sub01/EP02_01f", "casme2/sub09/EP09f", "samm/006/006_1_2", "smic/s20/s20_ne_02"):
        assert known in found[known.partition("/")[0]].samples["sample_id"].tolist()


def test_real_data_strain_is_the_third_channel(megc2019_flow: Path) -> None:
    """Strain computed from the first two channels must follow the third one, and no other."""
    dataset = read(megc2019_flow)["casme2"]
    feature = dataset.features[FEATURE]
    agreement = np.zeros(3)
    for sample_id in dataset.samples["sample_id"][:40]:
        tensor = feature.compute(sample_id).astype(float)
        for third in range(3):
            u, v = (tensor[channel] for channel in range(3) if channel != third)
            (u_y, u_x), (v_y, v_x) = np.gradient(u), np.gradient(v)
            strain = np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2)
            agreement[third] += np.corrcoef(strain.ravel(), tensor[third].ravel())[0, 1] / 40
    assert agreement.argmax() == 2
    assert agreement[2] > 0.5


def test_opencv_writes_what_the_tests_mean(tmp_path: Path) -> None:
    """The tests' own writer puts u into the red channel, as the real images have it."""
    tensor = np.stack([np.full((28, 28), value, np.uint8) for value in (10, 20, 30)])
    path = FlowTree(tmp_path).put("sub01", 0, "x", tensor=tensor)
    blue_green_red = cv2.imread(str(path))
    assert blue_green_red is not None
    assert blue_green_red[0, 0].tolist() == [30, 20, 10]
