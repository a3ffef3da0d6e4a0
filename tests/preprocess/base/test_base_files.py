"""Atomic files: a reader sees the old content or the new one, and a failed write leaves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from preprocess.base.files import atomic_path, write_atomic


def test_writes_into_folders_that_do_not_exist_yet(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.bin"
    write_atomic(target, b"content")
    assert target.read_bytes() == b"content"
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_an_error_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    write_atomic(target, b"old")

    def interrupted() -> None:
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half of the n")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        interrupted()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_the_new_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
        # Renaming is atomic within one file system only.
        assert temporary.parent == target.parent
    assert target.read_bytes() == b"new"


def test_a_reader_that_has_the_old_file_open_goes_on_reading_it(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    write_atomic(target, b"old")
    with target.open("rb") as reader:
        write_atomic(target, b"new and longer")
        assert reader.read() == b"old"
    assert target.read_bytes() == b"new and longer"


def test_the_file_gets_ordinary_permissions(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file.bin", b"x")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(previous)
    assert (tmp_path / "file.bin").stat().st_mode & 0o777 == 0o640
