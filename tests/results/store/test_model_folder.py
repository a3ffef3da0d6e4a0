"""A model's folder: whole or not there, and every edit of it is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preprocess.base.errors import StoreError
from preprocess.base.hashing import digest
from results.store.model_folder import CARD, CONFIGURATION, WEIGHTS, read_model, write_model

WEIGHTS_HELD = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T, "count": np.array(7)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "models" / "mine", {"model": "tiny", "mean": [0.1]}, WEIGHTS_HELD, "# card\n")
    return tmp_path / "models" / "mine"


def test_what_was_written_comes_back(folder: Path) -> None:
    stored = read_model(folder)
    assert stored.configuration == {"model": "tiny", "mean": [0.1], "format": 1}
    assert stored.weights.keys() == WEIGHTS_HELD.keys()
    for name, array in WEIGHTS_HELD.items():
        np.testing.assert_array_equal(stored.weights[name], array)
    assert [path.name for path in folder.parent.iterdir()] == ["mine"], "nothing else is left beside it"


@pytest.mark.parametrize("name", [CONFIGURATION, WEIGHTS, CARD])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(StoreError, match=rf"mine is no complete model: {name} is missing"):
        read_model(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_an_edited_file_is_named(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=rf"{name} was edited or is damaged"):
        read_model(folder)


def edited(folder: Path, **changes: Any) -> None:
    told = json.loads((folder / CONFIGURATION).read_text())
    (folder / CONFIGURATION).write_text(json.dumps({**told, **changes}))


def test_an_edited_configuration_is_found(folder: Path) -> None:
    edited(folder, mean=[0.2])
    with pytest.raises(StoreError, match=r"model\.json was edited"):
        read_model(folder)


def test_another_format_is_told(folder: Path) -> None:
    edited(folder, format=2)
    with pytest.raises(StoreError, match="is of format 2, and this version of merbench reads 1"):
        read_model(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", "{'a': 1}", '{"files": 3, "hash": ""}'])
def test_what_is_no_configuration_is_told(folder: Path, content: str) -> None:
    (folder / CONFIGURATION).write_text(content)
    with pytest.raises(StoreError, match=r"model\.json is no configuration of a model"):
        read_model(folder)


def test_weights_that_are_sealed_but_no_safetensors_are_told(folder: Path) -> None:
    import hashlib

    (folder / WEIGHTS).write_bytes(b"weights")
    told = json.loads((folder / CONFIGURATION).read_text())
    told["files"][WEIGHTS] = hashlib.sha256(b"weights").hexdigest()
    told["hash"] = digest({name: value for name, value in told.items() if name != "hash"})
    (folder / CONFIGURATION).write_text(json.dumps(told))
    with pytest.raises(StoreError, match=r"weights\.safetensors is no whole safetensors file"):
        read_model(folder)


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="notes exists and holds files"):
        write_model(tmp_path / "notes", {}, WEIGHTS_HELD, "")
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "mine.txt"]


def test_a_state_that_safetensors_cannot_hold_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    trees: dict[str, Any] = {"trees": np.array([object()])}
    with pytest.raises(StoreError, match="its state 'trees' is an array of object, and safetensors holds arrays"):
        write_model(tmp_path / "mine", {}, trees, "")
    listed: dict[str, Any] = {"names": ["a"]}
    with pytest.raises(StoreError, match="its state 'names' is a list"):
        write_model(tmp_path / "mine", {}, listed, "")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == CARD:
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match=r"mine failed: No space left on device\. Nothing is left there"):
        write_model(tmp_path / "mine", {}, WEIGHTS_HELD, "")
    assert list(tmp_path.iterdir()) == []
