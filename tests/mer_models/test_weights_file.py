"""A file of weights counts by what is in it: neither its name nor its folder is part of a key."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mer_models._parts.weights_file import by_content


def test_equal_files_count_as_one_wherever_they_lie_and_a_changed_one_as_another(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pth", tmp_path / "elsewhere" / "b.safetensors"
    second.parent.mkdir()
    for file in (first, second):
        file.write_bytes(b"weights")
    assert by_content(str(first)) == by_content(str(second)) == f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
    first.write_bytes(b"others!!")
    assert by_content(str(first)) != by_content(str(second))


@pytest.mark.parametrize("value", ["none", "default", 3, True, None, 0.5, "gone.pth", "a.pth/b"])
def test_other_values_count_as_they_are(value: object) -> None:
    assert by_content(value) == value
