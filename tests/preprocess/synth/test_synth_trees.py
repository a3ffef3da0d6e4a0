"""Rendered databases on disk: read as real ones, whole or not there, not rendered twice."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from openpyxl import load_workbook

from preprocess.base.errors import DataError, UsageError
from preprocess.datasets import RawDataset, read_source
from preprocess.labels.tasks import TASKS, labels
from preprocess.synth import default
from preprocess.synth.databases import LIKE, Options, crop_box, plan
from preprocess.synth.sheets import objective_class
from preprocess.synth.trees import read_options, render, rendered_film

pytestmark = pytest.mark.slow

OPTIONS = {like: Options(like, subjects=2, clips=2.0) for like in LIKE}
FRAME = {
    "casme2": r"CASME2_RAW_selected/sub\d\d/EP\d\d_\d\df?/img[1-9]\d*\.jpg",
    "samm": r"(\d{3})/\1_\d_\d+/\1_\d{4,5}\.jpg",
    "smic": r"HS/(s\d+)/micro/(negative/\1_ne|positive/\1_po|surprise/\1_sur)_\d\d/image\d{6,}\.bmp",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds one small rendered database of each kind."""
    root = tmp_path_factory.mktemp("rendered")
    for like, options in OPTIONS.items():
        assert render(options, root / like)
    return root


@pytest.fixture(scope="module")
def read(root: Path) -> dict[str, RawDataset]:
    return {dataset.name.removeprefix("synth_"): dataset for dataset in read_source(root)}


@pytest.mark.parametrize("like", LIKE)
def test_files_are_called_as_in_the_real_database(root: Path, like: str) -> None:
    files = [path.relative_to(root / like).as_posix() for path in (root / like).rglob("*") if path.is_file()]
    images = [name for name in files if name.endswith(LIKE[like].suffix)]
    assert all(re.fullmatch(FRAME[like], name) for name in images)
    clips = plan(OPTIONS[like])
    assert len(images) == sum(clip.last - clip.first + 1 for clip in clips)
    others = {"casme2": ["CASME2-coding-20140508.xlsx"], "samm": ["SAMM_Micro_FACS_Codes_v2.xlsx"], "smic": []}
    rest = [name for name in files if name not in images and not name.endswith(".lnk")]
    assert sorted(rest) == sorted([*others[like], "synthetic.json"])
    image = cv2.imread(str(root / like / images[0]), cv2.IMREAD_UNCHANGED)
    camera = LIKE[like].camera
    assert image is not None
    assert image.shape == (camera.height, camera.width) + (() if camera.grey else (3,))
    assert image.std() > 20


@pytest.mark.parametrize("like", LIKE)
def test_an_adapter_reads_it_as_the_real_one(read: dict[str, RawDataset], like: str) -> None:
    dataset, clips = read[like], plan(OPTIONS[like])
    assert dataset.synthetic
    assert dataset.name == f"synth_{like}"
    assert len(dataset.samples) == len(clips)
    assert dataset.samples["subject"].str.startswith(f"synth_{like}/").all()
    assert set(dataset.samples["fps"]) == {LIKE[like].camera.fps}
    by_place = {(row.onset, row.offset, row.emotion.lower()): row for row in dataset.samples.itertuples()}
    for clip in clips:
        row = by_place[clip.onset, clip.offset, clip.emotion.lower()]
        found = dataset.clips[str(row.sample_id)]
        assert found.missing == []
        assert (clip.coded_apex is None) == (found.apex is None)
        assert clip.coded_apex in (None, found.apex)
    assert set(labels(TASKS.get("megc3"), dataset.samples)) <= {-1, 0, 1, 2}


def test_sheets_have_the_quirks_of_the_real_ones(root: Path) -> None:
    casme2 = load_workbook(root / "casme2" / "CASME2-coding-20140508.xlsx").active
    samm = load_workbook(root / "samm" / "SAMM_Micro_FACS_Codes_v2.xlsx").active
    assert casme2 is not None
    assert samm is not None
    rows = list(casme2.values)
    assert rows[0][2] is rows[0][6] is None
    assert [row[4] for row in rows].count("/") == 1
    assert all(isinstance(row[0], str) for row in rows[1:]), "ids are text: 01"
    rows = list(samm.values)
    assert rows[13][:3] == ("Subject", "Filename", "Inducement Code")
    assert "SYNTHETIC" in str(rows[0][0])
    for row in rows[14:]:
        assert row[6] == row[5] - row[3] + 1
        assert row[10] in range(1, 8)
    assert list((root / "casme2").rglob("*.lnk")), "a stray file"


def test_objective_classes_follow_the_units() -> None:
    assert [objective_class(facs) for facs in ("6+12", "1+2", "4", "9", "R1", "20", "14", "L14+4")] == [
        1, 2, 3, 4, 5, 6, 7, 7
    ]  # fmt: skip


@pytest.mark.parametrize("like", LIKE)
def test_frames_on_disk_are_those_of_the_film(root: Path, like: str) -> None:
    truth = json.loads((root / like / "synthetic.json").read_text())
    assert truth["synthetic"] is True
    name, facts = next(iter(truth["clips"].items()))
    film, clip = rendered_film(root / like, name)
    assert (clip.onset, clip.apex, clip.offset) == (facts["onset"], facts["true_apex"], facts["offset"])
    for number in (clip.onset, clip.apex, clip.last):
        path = root / like / clip.folder / LIKE[like].file_name(clip, number)
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        frame = film.frame(number - clip.onset)
        frame = frame if frame.ndim == 2 else frame[..., ::-1]
        assert stored is not None
        assert np.abs(stored.astype(int) - frame).mean() < (3 if path.suffix == ".jpg" else 1e-9)
    with pytest.raises(DataError, match="has no clip 'nobody/nothing'"):
        rendered_film(root / like, "nobody/nothing")


@pytest.mark.parametrize("like", LIKE)
def test_a_cropped_variant_shows_the_same_films_tightly_and_is_read_as_such(like: str, tmp_path: Path) -> None:
    options = replace(OPTIONS[like], subjects=1, clips=1.0, variant="cropped")
    render(options, tmp_path)
    (dataset,) = read_source(tmp_path, variant="cropped")
    (clip,) = dataset.clips.values()
    (truth,) = plan(options)
    film, _ = rendered_film(tmp_path, truth.name)
    number, path = next(iter(clip.files.items()))
    stored = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    frame = film.frame(number - truth.onset)[crop_box(film)]
    grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    assert stored is not None
    assert np.abs(stored.astype(int) - grey).mean() < 3
    height, width = grey.shape
    assert 1.1 < height / width < 1.3
    assert clip.registered == (like != "samm"), "SAMM's own copies are not cropped"
    assert options.digest() != replace(options, variant="raw").digest()


def test_registered_crops_are_aligned_where_data_say_so(tmp_path: Path) -> None:
    render(replace(OPTIONS["smic"], subjects=1, clips=1.0, variant="cropped"), tmp_path)
    (as_face,) = read_source(tmp_path)
    assert "used so; to align faces in them instead: --data smic:cropped,align=PATH" in as_face.notes[0]
    (aligned,) = read_source(tmp_path, "smic", "cropped,align")
    assert [clip.registered for clip in aligned.clips.values()] == [False]
    assert "aligned once more" in aligned.notes[0]


def test_frames_that_are_aligned_anyway_need_no_word_for_it(root: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no crops that its authors registered.*Leave out the word 'align'"):
        read_source(root / "smic", "smic", "align")


def test_what_is_there_is_not_rendered_again(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (root / "smic").rglob("*")}
    assert render(OPTIONS["smic"], root / "smic") is False
    assert {path: path.stat().st_mtime_ns for path in (root / "smic").rglob("*")} == before
    assert read_options(root / "smic") == OPTIONS["smic"]


def test_threads_and_runs_give_equal_files(root: Path, tmp_path: Path) -> None:
    render(OPTIONS["smic"], tmp_path / "again", threads=1)
    names = sorted(path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*.bmp"))
    assert names == sorted(path.relative_to(root / "smic") for path in (root / "smic").rglob("*.bmp"))
    assert all((tmp_path / "again" / name).read_bytes() == (root / "smic" / name).read_bytes() for name in names)


def test_a_folder_that_holds_something_else_is_left_alone(root: Path, tmp_path: Path) -> None:
    other = Options("smic", subjects=2, clips=2.0, seed=5)
    with pytest.raises(DataError, match=r"is not the database asked for .*Remove it, or choose another folder"):
        render(other, root / "smic")
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="is not the database asked for"):
        render(other, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError):
        render(other, tmp_path / "file" / "below")
    (tmp_path / "old").mkdir()
    facts = {"options": {**other.as_json(), "version": 0}}
    (tmp_path / "old" / "synthetic.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match="was rendered by version 0"):
        render(other, tmp_path / "old")


KILLED = """
import sys
from pathlib import Path
from preprocess.synth.databases import Options
from preprocess.synth.trees import render
render(Options("smic", subjects=8, clips=6.0), Path(sys.argv[1]))
"""


def test_a_killed_rendering_leaves_no_database_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    out = tmp_path / "tree"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(out)])
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("*.bmp")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert list(tmp_path.glob(".tree.*.tmp"))

    options = Options("smic", subjects=1, clips=2.0)
    assert render(options, out)
    assert not list(tmp_path.glob(".tree.*.tmp"))
    assert len(read_source(out)[0].samples) == len(plan(options))


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes
    written: list[Path] = []

    def full(self: Path, content: bytes) -> int:
        written.append(self)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match=r"No space left on device.*make room or choose another folder"):
        render(OPTIONS["smic"], tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == [".tree.lock"]


def test_the_default_lies_in_the_cache_and_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(default, "DEFAULT", (OPTIONS["smic"], Options("samm", subjects=1, clips=2.0)))
    told: list[tuple[int, int]] = []
    root = default.make_default(progress=lambda done, total: told.append((done, total)))
    assert root.parent == tmp_path / "merbench"
    total = len(plan(OPTIONS["smic"])) + len(plan(Options("samm", subjects=1, clips=2.0)))
    assert told[-1] == (total, total)
    assert told == sorted(told)
    assert [dataset.name for dataset in read_source(root)] == ["synth_samm", "synth_smic"]
    told.clear()
    assert default.make_default(progress=lambda done, total: told.append((done, total))) == root
    assert told == []


def test_without_a_home_the_default_lies_with_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "new"))
    assert default.default_folder().parent == tmp_path / "new" / ".cache" / "merbench"
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))
    assert default.default_folder().parent == tmp_path / f"merbench-{os.getuid()}"


def test_the_default_is_small_and_unbalanced_like_the_composite() -> None:
    plans = [(options, plan(options)) for options in default.DEFAULT]
    clips = [clip for _, found in plans for clip in found]
    assert {options.like for options, _ in plans} == set(LIKE)
    assert 18 <= len({(options.like, clip.subject) for options, found in plans for clip in found}) <= 24
    assert 130 <= len(clips) <= 165
    assert sum(clip.last - clip.first + 1 for clip in clips) < 10_000
