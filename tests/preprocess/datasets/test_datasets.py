"""Finding the adapter for a folder, and what the room costs to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from preprocess.base.errors import DataError, UsageError
from preprocess.datasets import DATASETS, Adapter, Found, detect, read_source


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_adapter_says_what_it_reads(name: str, tmp_path: Path) -> None:
    adapter = DATASETS.get(name)
    assert adapter.name == name
    assert adapter.description
    assert adapter.layout
    assert adapter.find(tmp_path) == []


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_adapter_refuses_an_empty_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        read_source(tmp_path, name)


def test_nothing_recognised_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "holiday_pictures").mkdir()
    with pytest.raises(DataError) as caught:
        read_source(tmp_path)
    message = str(caught.value)
    assert f"No dataset was recognised in {tmp_path}" in message
    assert "flow_tree: <root>/<subject>/u_test/" in message


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        read_source(tmp_path / "nowhere")


def test_a_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"data\.zip is a file; expected a folder"):
        read_source(tmp_path / "data.zip", "flow_tree")


def test_unknown_adapter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Unknown dataset 'flow_tre'. Did you mean: flow_tree\?"):
        read_source(tmp_path, "flow_tre")


def test_two_layouts_at_once_must_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def adapter(name: str) -> Adapter:
        return Adapter(name, "for a test", "anything", find=lambda path: [Found(name, path)], read=lambda path: [])

    DATASETS.names()
    for kept in ("_entries", "_origins", "_registrants"):
        monkeypatch.setattr(DATASETS, kept, {})
    for name in ("one", "two"):
        DATASETS.add(name, adapter(name), origin="the test")
    assert [found.adapter for found in detect(tmp_path)] == ["one", "two"]
    with pytest.raises(DataError, match=f"one={tmp_path} or two={tmp_path}"):
        read_source(tmp_path)
    assert read_source(tmp_path, "two") == []


def test_registries_load_without_heavy_imports() -> None:
    """``--help`` and ``list`` need names only; pandas, OpenCV and Parquet cost most of a second."""
    code = (
        "import sys; from preprocess.datasets import DATASETS; from preprocess.labels.tasks import TASKS; "
        "import preprocess.shards.prepare; "
        "DATASETS.names(), TASKS.names(); print(sorted({'numpy', 'pandas', 'cv2', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
