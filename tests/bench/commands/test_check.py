"""``merbench check``: what it says of files of a user, and its exit status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_runs import LocalRuns
from test_pages import example

from preprocess.base.plugins import unload_plugins
from results.views.columns import COLUMNS


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a plug-in registered is removed when the test ends."""
    yield
    unload_plugins()


def written(folder: Path, page: str, right: str = "", wrong: str = "") -> str:
    """Write the example of a page, with a fault where one is given, and return the file's name."""
    folder.mkdir(exist_ok=True)
    file = folder / f"my_{page}.py"
    file.write_text(example(page).replace(right, wrong) if right else example(page), encoding="utf-8")
    return str(file)


def test_several_files_and_folders_are_checked_together(merbench: LocalRuns, tmp_path: Path) -> None:
    written(tmp_path / "mine", "column")
    written(tmp_path / "mine", "task")
    said = merbench("check", written(tmp_path, "protocol"), str(tmp_path / "mine"))
    assert said.status == 0, said.err
    titles = [line for line in said.out.splitlines() if not line.startswith(" ")]
    assert titles[:-1] == ["protocol two-halves", "column uf1_of_seeds", "task smile"]
    assert titles[-1].endswith("checks, 0 failed")
    assert "  ok         Nobody is trained and tested on in one fold." in said.out


def test_a_failed_check_is_status_1_and_the_other_checks_go_on(merbench: LocalRuns, tmp_path: Path) -> None:
    file = written(tmp_path, "column", "    if row.uf1_per_seed is None:\n        return MISSING\n", "")
    said = merbench("check", file)
    assert said.status == 1
    assert "  FAILED     It gives one line of text for every kind of row.\n             TypeError: " in said.out
    assert "             The same as above." in said.out, "nobody reads the same reason twice"
    assert "  ok         It has a header of one line, and is aligned to a side." in said.out


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import numpy\nnumpy.no_such_thing\n", r"my_file.py, line 2: AttributeError: module 'numpy' has no attribute"),
        ("def f(:\n", "my_file.py, line 1: SyntaxError"),
        ("x = 3\n", "registers nothing"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_status_2(merbench: LocalRuns, tmp_path: Path, code: str, message: str) -> None:
    (tmp_path / "my_file.py").write_text(code, encoding="utf-8")
    said = merbench("check", str(tmp_path / "my_file.py"))
    assert said.status == 2
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_dataset_is_tried_on_the_data_given(merbench: LocalRuns, tmp_path: Path) -> None:
    file = written(tmp_path, "dataset")
    empty = tmp_path / "empty"
    empty.mkdir()
    said = merbench("check", file, "--data", str(empty))
    assert said.status == 1
    assert f"It does not find itself in {empty}. Expected: glances_frames/p1/<clip>/frame1.png" in said.out


def test_a_dataset_without_any_copy_says_what_to_give(merbench: LocalRuns, tmp_path: Path) -> None:
    said = merbench("check", written(tmp_path, "dataset", "        example=example,\n", ""))
    assert "  not tried  It is found in its folder by the layout alone" in said.out
    assert "there is no copy to try: give --data PATH" in said.out


def test_registries_are_as_before_when_plug_ins_are_unloaded(merbench: LocalRuns, tmp_path: Path) -> None:
    before = COLUMNS.names()
    merbench("check", written(tmp_path, "column"))
    assert set(COLUMNS.names()) - set(before) == {"uf1_of_seeds"}
    unload_plugins()
    assert COLUMNS.names() == before
