"""Feature shards: complete after any interruption, re-made only where something changed, never silently damaged."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn_flow import drawn_datasets
from flow_trees import FlowTree

from preprocess.base.errors import DataError, StoreError
from preprocess.datasets import RawDataset, RawFeature, read_source
from preprocess.samples.table import COLUMNS
from preprocess.shards import pace
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset

FEATURE = "flow_uvs_28"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the shards go."""
    return tmp_path / "shards"


def casme2(tree: FlowTree) -> RawDataset:
    """The tree's CASME II part: subjects sub01 (2 clips) and sub02 (1 clip)."""
    return read_source(tree.root)[0]


def counts(prepared: PreparedDataset) -> tuple[int, int, int]:
    """Shards made, reused, repaired."""
    return prepared.made, prepared.reused, prepared.repaired


def with_feature(raw: RawDataset, **changes: object) -> RawDataset:
    """The dataset with parts of its feature replaced."""
    feature = dataclasses.replace(raw.features[FEATURE], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(raw, features={FEATURE: feature})


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, hidden ones included, but not how long it took to make them."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != pace.FILE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def shard(root: Path, subject: str) -> Path:
    """A shard of the CASME II part."""
    return root / "casme2" / FEATURE / f"subject={subject}" / "part.parquet"


def test_load_gives_every_sample_its_own_tensor(tree: FlowTree, root: Path) -> None:
    prepared = prepare(casme2(tree), root, [FEATURE])
    values = prepared.load(FEATURE)
    assert values.shape == (3, 3, 28, 28)
    assert values.dtype == np.uint8
    assert values.flags.c_contiguous
    for row, sample_id in enumerate(prepared.samples["sample_id"]):
        _, subject, clip = sample_id.split("/")
        np.testing.assert_array_equal(values[row], FlowTree.tensor(subject, clip))


def test_load_joins_by_sample_id_not_by_position(tree: FlowTree, root: Path) -> None:
    prepared = prepare(casme2(tree), root, [FEATURE])
    turned = dataclasses.replace(prepared, samples=prepared.samples.iloc[::-1])
    np.testing.assert_array_equal(turned.load(FEATURE), prepared.load(FEATURE)[::-1])


def test_layout_on_disk(tree: FlowTree, root: Path) -> None:
    """Other programs read these files: names, columns, tensor type and metadata are a contract."""
    prepared = prepare(casme2(tree), root, [FEATURE])
    assert sorted(files(root)) == [
        "casme2/flow_uvs_28/manifest.json",
        "casme2/flow_uvs_28/subject=sub01/part.parquet",
        "casme2/flow_uvs_28/subject=sub02/part.parquet",
        "casme2/samples.parquet",
    ]
    table = pq.read_table(shard(root, "sub01"), partitioning=None)
    assert table["sample_id"].to_pylist() == ["casme2/sub01/EP02_01f", "casme2/sub01/EP19_05f"]
    assert table.schema.field("tensor").type == pa.fixed_shape_tensor(pa.uint8(), (3, 28, 28))
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert json.loads(metadata["merbench.recipe"])["channels"] == ["u", "v", "strain"]
    assert metadata["merbench.recipe_hash"] == prepared.features[FEATURE].recipe_hash
    manifest = json.loads((root / "casme2" / FEATURE / "manifest.json").read_text())
    entry = manifest["subjects"]["sub01"]
    assert entry["sha256"] == hashlib.sha256(shard(root, "sub01").read_bytes()).hexdigest()
    assert (entry["rows"], entry["made_from"]) == (2, metadata["merbench.made_from"])
    samples = pq.read_table(root / "casme2" / "samples.parquet")
    assert samples.column_names == list(COLUMNS)
    assert samples["emotion"].to_pylist() == ["positive", "negative", "surprise"]


def test_a_second_run_makes_and_writes_nothing(tree: FlowTree, root: Path) -> None:
    first = prepare(casme2(tree), root, [FEATURE])
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    second = prepare(casme2(tree), root, [FEATURE, FEATURE])
    assert counts(first) == (2, 0, 0)
    assert counts(second) == (0, 2, 0)
    assert second.warnings == first.warnings == []
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_changed_image_re_makes_its_subject_only(tree: FlowTree, root: Path) -> None:
    first = prepare(casme2(tree), root, [FEATURE])
    tree.put("sub02", 2, "EP01_11f", tensor=np.full((3, 28, 28), 7, np.uint8))
    second = prepare(casme2(tree), root, [FEATURE])
    assert counts(second) == (1, 1, 0)
    assert second.warnings == ["casme2/flow_uvs_28: the source files changed; made again for: sub02."]
    assert (second.load(FEATURE)[2] == 7).all()
    assert second.features[FEATURE].fingerprint != first.features[FEATURE].fingerprint
    assert second.fingerprint == first.fingerprint


def test_a_changed_label_changes_the_samples_and_no_tensor(tree: FlowTree, root: Path) -> None:
    first = prepare(casme2(tree), root, [FEATURE])
    tree.place("sub02", 0, "EP01_11f").parent.mkdir()
    tree.place("sub02", 2, "EP01_11f").rename(tree.place("sub02", 0, "EP01_11f"))
    second = prepare(casme2(tree), root, [FEATURE])
    assert counts(second) == (0, 2, 0)
    assert second.fingerprint != first.fingerprint
    assert second.features[FEATURE].fingerprint == first.features[FEATURE].fingerprint
    assert pq.read_table(root / "casme2" / "samples.parquet")["emotion"].to_pylist()[2] == "negative"


def test_a_new_clip_and_a_new_subject(tree: FlowTree, root: Path) -> None:
    prepare(casme2(tree), root, [FEATURE])
    tree.put("sub01", 0, "EP30_01")
    tree.put("sub03", 0, "EP01_01")
    second = prepare(casme2(tree), root, [FEATURE])
    assert counts(second) == (2, 1, 0)
    assert len(second.load(FEATURE)) == 5


def test_a_subject_that_left_the_source_is_removed(tree: FlowTree, root: Path) -> None:
    prepare(casme2(tree), root, [FEATURE])
    shutil.rmtree(tree.root / "sub02")
    second = prepare(casme2(tree), root, [FEATURE])
    assert not shard(root, "sub02").parent.exists()
    assert second.warnings == ["casme2/flow_uvs_28: removed the shards of subjects no longer in the source: sub02."]
    assert len(second.load(FEATURE)) == 2


def test_a_changed_recipe_re_makes_everything(tree: FlowTree, root: Path) -> None:
    raw = casme2(tree)
    first = prepare(raw, root, [FEATURE])
    changed = with_feature(raw, recipe={**raw.features[FEATURE].recipe, "version": 2})
    second = prepare(changed, root, [FEATURE])
    assert counts(second) == (2, 0, 0)
    assert second.warnings == ["casme2/flow_uvs_28: the recipe changed; made again for: sub01, sub02."]
    assert second.features[FEATURE].recipe_hash != first.features[FEATURE].recipe_hash
    assert second.features[FEATURE].fingerprint == first.features[FEATURE].fingerprint


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """Another subject's shard in this one's place: readable, whole, and wrong."""
    shutil.copy(shard(path.parents[3], "sub02"), path)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip_a_byte, cut_in_half, empty, swap, Path.unlink])
@pytest.mark.parametrize("manifest", [True, False], ids=["with manifest", "without"])
def test_a_damaged_shard_is_named_and_made_again(
    tree: FlowTree, root: Path, damage: Callable[[Path], None], manifest: bool
) -> None:
    first = prepare(casme2(tree), root, [FEATURE])
    before = files(root)
    damage(shard(root, "sub01"))
    if not manifest:
        (root / "casme2" / FEATURE / "manifest.json").unlink()
    second = prepare(casme2(tree), root, [FEATURE])
    # Without a manifest nothing tells that a missing or foreign shard was ever a good one.
    told = manifest or damage not in (swap, Path.unlink)
    assert counts(second) == ((0, 1, 1) if told else (1, 1, 0))
    assert [str(shard(root, "sub01")) in warning for warning in second.warnings] == ([True] if told else [])
    assert files(root) == before
    np.testing.assert_array_equal(second.load(FEATURE), first.load(FEATURE))


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 99}', '{"format": 2, "recipe_hash": "x", "subjects": 3}']
)
def test_a_damaged_manifest_costs_a_check_and_no_work(tree: FlowTree, root: Path, content: str) -> None:
    prepare(casme2(tree), root, [FEATURE])
    before = files(root)
    path = root / "casme2" / FEATURE / "manifest.json"
    path.write_text(content)
    second = prepare(casme2(tree), root, [FEATURE])
    assert counts(second) == (0, 2, 0)
    assert [str(path) in warning for warning in second.warnings] == [True]
    assert files(root) == before


def test_load_refuses_a_shard_that_changed_after_it_was_prepared(tree: FlowTree, root: Path) -> None:
    prepared = prepare(casme2(tree), root, [FEATURE])
    flip_a_byte(shard(root, "sub01"))
    with pytest.raises(DataError, match="was changed or damaged after it was prepared") as caught:
        prepared.load(FEATURE)
    assert str(shard(root, "sub01")) in str(caught.value)
    shard(root, "sub01").unlink()
    with pytest.raises(DataError, match=r"part\.parquet is not there\. Run again"):
        prepared.load(FEATURE)


class Interrupted(BaseException):
    """Stands for whatever may end a run."""


def stop_at(raw: RawDataset, sample_id: str) -> RawDataset:
    """The dataset, with a computation that ends the run at one sample."""
    compute = raw.features[FEATURE].compute

    def interrupted(name: str) -> np.ndarray:
        if name == sample_id:
            raise Interrupted(name)
        return compute(name)

    return with_feature(raw, compute=interrupted)


def test_an_interrupted_run_leaves_nothing_half_written_and_is_gone_on_with(tree: FlowTree, root: Path) -> None:
    raw = casme2(tree)
    with pytest.raises(Interrupted):
        prepare(stop_at(raw, "casme2/sub02/EP01_11f"), root, [FEATURE])
    assert sorted(files(root)) == ["casme2/flow_uvs_28/subject=sub01/part.parquet", "casme2/samples.parquet"]
    second = prepare(raw, root, [FEATURE])
    assert counts(second) == (1, 1, 0)
    assert second.warnings == []
    undisturbed = prepare(raw, root.parent / "other", [FEATURE])
    assert files(root) == files(root.parent / "other")
    np.testing.assert_array_equal(second.load(FEATURE), undisturbed.load(FEATURE))


def test_an_interrupted_change_is_gone_on_with(tree: FlowTree, root: Path) -> None:
    """The old manifest vouches for neither half; the shards' own hashes tell which is which."""
    raw = casme2(tree)
    prepare(raw, root, [FEATURE])
    changed = with_feature(raw, recipe={**raw.features[FEATURE].recipe, "version": 2})
    with pytest.raises(Interrupted):
        prepare(stop_at(changed, "casme2/sub02/EP01_11f"), root, [FEATURE])
    second = prepare(changed, root, [FEATURE])
    assert counts(second) == (1, 1, 0)
    assert prepare(changed, root, [FEATURE]).warnings == []


def test_moving_data_and_shards_changes_no_fingerprint(tree: FlowTree, root: Path, tmp_path: Path) -> None:
    first = prepare(casme2(tree), root, [FEATURE])
    root.rename(tmp_path / "shards elsewhere")
    shutil.move(tree.root, tmp_path / "data elsewhere")
    moved = prepare(read_source(tmp_path / "data elsewhere")[0], tmp_path / "shards elsewhere", [FEATURE])
    assert counts(moved) == (0, 2, 0)
    assert moved.fingerprint == first.fingerprint
    assert moved.features == first.features
    text = b"".join(files(tmp_path / "shards elsewhere").values())
    assert str(tmp_path).encode() not in text


def test_fingerprints_do_not_depend_on_reading_order(tree: FlowTree, root: Path) -> None:
    raw = casme2(tree)
    turned = dataclasses.replace(raw, samples=raw.samples.iloc[::-1].reset_index(drop=True))
    first, second = prepare(raw, root / "a", [FEATURE]), prepare(turned, root / "b", [FEATURE])
    assert first.fingerprint == second.fingerprint
    assert first.features == second.features
    np.testing.assert_array_equal(first.load(FEATURE), second.load(FEATURE)[::-1])


def test_progress_counts_the_clips_to_make(tree: FlowTree, root: Path) -> None:
    seen: list[tuple[int, int]] = []
    prepare(casme2(tree), root, [FEATURE], progress=lambda *step: seen.append(step))
    assert seen == [(0, 3), (2, 3), (3, 3)]
    tree.put("sub02", 0, "EP30_01")
    prepare(casme2(tree), root, [FEATURE], progress=lambda *step: seen.append(step))
    assert seen[3:] == [(0, 2), (2, 2)]
    prepare(casme2(tree), root, [FEATURE], progress=lambda *step: seen.append(step))
    assert len(seen) == 5


def test_unknown_feature(tree: FlowTree, root: Path) -> None:
    with pytest.raises(DataError, match="Dataset casme2 has no feature 'apex_224'; it has: flow_uvs_28"):
        prepare(casme2(tree), root, ["apex_224"])
    assert not root.exists()
    prepared = prepare(casme2(tree), root, [])
    with pytest.raises(DataError, match="has no feature 'flow_uvs_28' prepared; it has: none"):
        prepared.load(FEATURE)


@pytest.mark.parametrize(
    ("tensor", "dtype", "message"),
    [
        (
            np.zeros((3, 28, 28), np.float32),
            "uint8",
            r"casme2/sub01/EP02_01f is float32 \(3, 28, 28\); .* promised uint8",
        ),
        (np.zeros((28, 28, 3), np.uint8), "uint8", r"is uint8 \(28, 28, 3\); its adapter promised uint8 \(3, 28, 28\)"),
        (np.full((3, 28, 28), np.nan, np.float32), "float32", "casme2/sub01/EP02_01f holds NaN or infinite values"),
    ],
)
def test_a_tensor_that_is_not_what_its_adapter_promised(
    tree: FlowTree, root: Path, tensor: np.ndarray, dtype: str, message: str
) -> None:
    raw = with_feature(casme2(tree), compute=lambda sample_id: tensor, dtype=dtype)
    with pytest.raises(DataError, match=message):
        prepare(raw, root, [FEATURE])
    assert not (root / "casme2" / FEATURE).exists()


def test_a_samples_table_of_another_dataset(tree: FlowTree, root: Path) -> None:
    with pytest.raises(DataError, match="Dataset samm: its samples table is of casme2"):
        prepare(dataclasses.replace(casme2(tree), name="samm"), root, [FEATURE])


def test_two_features_of_other_types_and_odd_subject_names(root: Path) -> None:
    """Float tensors keep their bits, and an id that no folder could be called by is encoded in the folder's name."""
    from preprocess.samples.table import samples_table

    ids = ("a:b", "ü 1", "..")
    samples = samples_table(
        [{"sample_id": f"x/{name}/c", "dataset": "x", "subject": f"x/{name}", "clip": "c"} for name in ids]
    )
    draws = {f"x/{name}/c": np.random.default_rng(7 + len(name)).normal(size=(2, 5)) for name in ids}

    def feature(dtype: str) -> RawFeature:
        return RawFeature(
            {"v": 1}, (2, 5), dtype, lambda name: "0" * 64, lambda name: draws[name].astype(dtype), axes="tf"
        )

    raw = RawDataset("x", samples, True, {"single": feature("float32"), "double": feature("float64")})
    prepared = prepare(raw, root, ["single", "double"])
    assert counts(prepared) == (6, 0, 0)
    assert sorted(path.name for path in (root / "x" / "single").glob("subject=*")) == [
        "subject=%C3%BC%201",
        "subject=..",
        "subject=a%3Ab",
    ]
    for name, dtype in (("single", np.float32), ("double", np.float64)):
        expected = np.stack([draws[sample_id].astype(dtype) for sample_id in samples["sample_id"]])
        np.testing.assert_array_equal(prepared.load(name), expected)
    assert prepared.features["single"].fingerprint != prepared.features["double"].fingerprint
    assert counts(prepare(raw, root, ["single", "double"])) == (0, 6, 0)


def test_a_root_that_cannot_be_written(tree: FlowTree, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file, not a folder")
    with pytest.raises(StoreError, match=r"Cannot write .*A file stands where a folder is wanted") as caught:
        prepare(casme2(tree), tmp_path / "occupied", [FEATURE])
    assert str(tmp_path / "occupied") in str(caught.value)


FULL_DISK = """
import resource, sys
from preprocess.base.errors import StoreError
sys.path.insert(0, sys.argv[1])
from drawn_flow import drawn_datasets
from preprocess.shards.prepare import prepare
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
try:
    prepare(drawn_datasets()[0], sys.argv[2], ["flow_uvs_28"])
except StoreError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_disk_that_is_full_in_the_middle(root: Path) -> None:
    """A limit on file size makes the kernel refuse part of a write, as a full disk does."""
    command = [sys.executable, "-c", FULL_DISK, str(Path(__file__).parents[2]), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{root}/synth_a/flow_uvs_28/subject=" in done.stdout
    assert ": File too large. Raise the limit on file sizes" in done.stdout
    assert not list(root.rglob("*.tmp"))
    whole = prepare(drawn_datasets()[0], root, [FEATURE])
    assert whole.repaired == 0
    assert whole.warnings == []


@pytest.mark.slow
def test_real_data(megc2019_flow: Path, root: Path) -> None:
    raws = read_source(megc2019_flow)
    first = [prepare(raw, root, [FEATURE]) for raw in raws]
    assert [counts(prepared) for prepared in first] == [(24, 0, 0), (28, 0, 0), (16, 0, 0)]
    assert [prepared.load(FEATURE).shape for prepared in first] == [(n, 3, 28, 28) for n in (145, 133, 164)]
    again = [prepare(raw, root, [FEATURE]) for raw in raws]
    assert [counts(prepared) for prepared in again] == [(0, 24, 0), (0, 28, 0), (0, 16, 0)]
    assert [prepared.fingerprint for prepared in again] == [prepared.fingerprint for prepared in first]
    for raw, prepared in zip(raws, again, strict=True):
        values = prepared.load(FEATURE)
        for row in (0, len(values) // 2, len(values) - 1):
            sample_id = prepared.samples["sample_id"][row]
            np.testing.assert_array_equal(values[row], raw.features[FEATURE].compute(sample_id))
