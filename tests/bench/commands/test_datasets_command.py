"""``merbench datasets`` and the sources that ``--data`` takes, on real trees."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest
from local_runs import LocalRuns

from bench.config import RunConfig
from bench.console.waiting import telling
from bench.study.sources import parse_source, read_datasets
from preprocess.base.errors import DataError

HEADER = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units"]
HEADER += ["Estimated Emotion"]
ROWS = [
    ["01", "EP02_01f", None, 3, 5, 6, None, "12", "happiness"],
    ["02", "EP01_11f", None, 1, 2, 3, None, "4", "fear"],
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two clips of CASME II, raw and cropped."""
    root = tmp_path / "databases"
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (HEADER, *ROWS):
        book.active.append(row)
    for folder, name in (("CASME2_RAW_selected", "img"), ("Cropped", "reg_img")):
        for subject, clip, _, onset, _, offset, *_ in ROWS:
            place = root / "CASME2" / folder / f"sub{subject}" / str(clip)
            place.mkdir(parents=True)
            for number in range(onset, offset + 1):  # type: ignore[call-overload]
                assert cv2.imwrite(str(place / f"{name}{number}.jpg"), np.zeros((8, 8, 3), np.uint8))
    book.save(root / "CASME2" / "CASME2-coding-20140508.xlsx")
    return root


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/data", ("/data", None, None)),
        ("casme2=/data", ("/data", "casme2", None)),
        ("4dme=data", ("data", "4dme", None)),
        ("casme2:cropped=/data", ("/data", "casme2", "cropped")),
        ("casme2:raw,2014=/data/x=y", ("/data/x=y", "casme2", "raw,2014")),
        ("/data/x=y", ("/data/x=y", None, None)),
        ("./x=y", ("x=y", None, None)),
        ("casme2=C:\\data", ("C:\\data", "casme2", None)),
        ("C:\\data=2014", ("C:\\data=2014", None, None)),
        ("C:/data=2014", ("C:/data=2014", None, None)),
    ],
)
def test_a_source_names_adapter_variant_and_path(source: str, expected: tuple[str, str | None, str | None]) -> None:
    path, *rest = parse_source(source)
    assert (str(path), *rest) == expected


def test_a_folder_may_be_called_like_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "version=2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_source("version=2") == (Path("version=2"), None, None)


def test_a_run_reads_the_variant_that_its_source_names(data: Path) -> None:
    (raw,) = read_datasets(RunConfig(data=[str(data)]))
    (cropped,) = read_datasets(RunConfig(data=[f"casme2:cropped={data}"]))
    assert raw.clips["casme2/sub01/EP02_01f"].files[3].name == "img3.jpg"
    assert cropped.clips["casme2/sub01/EP02_01f"].files[3].name == "reg_img3.jpg"
    with pytest.raises(DataError, match="Dataset casme2 comes from two of the sources"):
        read_datasets(RunConfig(data=[str(data), f"casme2:cropped={data}"]))


def test_detect_prints_what_lies_there(merbench: LocalRuns, data: Path) -> None:
    done = merbench("datasets", "detect", str(data))
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["casme2:raw,2014", "casme2:cropped,2014"]
    assert str(data / "CASME2" / "CASME2_RAW_selected") in lines[2]
    assert "CASME2-coding-20140508.xlsx" in lines[2]


def test_detect_says_what_is_missing(merbench: LocalRuns, data: Path) -> None:
    (data / "CASME2" / "CASME2-coding-20140508.xlsx").unlink()
    done = merbench("datasets", "detect", str(data))
    assert done.status == 1
    assert "CASME2_RAW_selected: missing sheet: none in" in done.out


def test_detect_tells_the_links_that_it_followed(merbench: LocalRuns, data: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "mine").symlink_to(data)
    said = merbench("datasets", "detect", str(tmp_path / "links"))
    assert said.status == 0
    assert said.out.count(f"{tmp_path}/links/mine is a link to {data}, and was followed") == 1
    assert "not read" not in said.out, "one sheet, reached in two ways"
    (tmp_path / "databases behind a link").symlink_to(data)
    said = merbench("datasets", "detect", str(tmp_path / "databases behind a link"))
    assert "not read" not in said.out
    assert "is a link to" not in said.out, "it was given"


def test_detect_finds_nothing(merbench: LocalRuns, tmp_path: Path) -> None:
    done = merbench("datasets", "detect", str(tmp_path))
    assert done.status == 2
    assert f"error: No database was recognised under {tmp_path}." in done.err
    assert merbench("datasets", "detect", str(tmp_path / "nowhere")).status == 2


def test_report_of_a_path_and_of_a_name(merbench: LocalRuns, data: Path) -> None:
    done = merbench("datasets", "report", f"casme2:cropped={data}")
    assert done.status == 0, done.err
    assert done.out.startswith("casme2: 2 samples, 2 subjects (1 to 1 samples each)\n  task ")
    assert "  files: 7 frames of 2 clips from onset to offset; none missing" in done.out
    assert "  note: casme2: 2 annotated clips of 2 subjects; published are 255 of 26 subjects" in done.out
    named = merbench("datasets", "report", "casme2", "--data", str(data))
    assert named.out.startswith("casme2: 2 samples")
    unknown = merbench("datasets", "report", "casme3", "--data", str(data))
    assert unknown.status == 2
    assert "no dataset 'casme3' in the data given" in unknown.err


def test_a_slow_disk_is_not_silence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.console.waiting.SILENCE_S", 0.05)
    with telling("reading /slow"):
        deadline = time.monotonic() + 10
        said = ""
        while not said and time.monotonic() < deadline:
            time.sleep(0.02)
            said = capsys.readouterr().err
    assert said.startswith("reading /slow ... 0 s")
    monkeypatch.setattr("bench.console.waiting.SILENCE_S", 60.0)
    with telling("reading /fast"):
        pass
    assert capsys.readouterr().err == ""
