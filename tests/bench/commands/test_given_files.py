"""``--sheet``, ``--columns`` and ``--apex`` on the command line and in a YAML file, for all commands that read data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from local_runs import LocalRuns

from bench.config import RunConfig, load_config
from bench.study.sources import read_datasets
from preprocess.base.errors import UsageError
from preprocess.synth.databases import Options
from preprocess.synth.trees import render

COMMANDS = {
    "run": ["--tracking-uri", "off", "--models", "majority", "--protocols", "cde", "--tasks", "emotion3"],
    "plan": ["--models", "majority", "--protocols", "cde", "--tasks", "emotion3"],
    "prepare": ["--features", "flow_uvs_28"],
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return databases like CASME II and SMIC, of two people each; the sheet lies elsewhere, with other headings."""
    root = tmp_path_factory.mktemp("rendered")
    render(Options("casme2", subjects=2, clips=2), root / "data" / "casme2")
    render(Options("smic", subjects=2, clips=2), root / "data" / "smic")
    sheet = root / "data" / "casme2" / "CASME2-coding-20140508.xlsx"
    book = openpyxl.load_workbook(sheet)
    (tab,) = book.worksheets
    for cell in tab[1]:
        cell.value = {"ApexFrame": "Peak", "Filename": "Sequence"}.get(str(cell.value), cell.value)
    book.save(root / "labels of mine.xlsx")
    sheet.unlink()
    dataset = read_datasets(RunConfig(data=[f"smic={root / 'data'}"]))[0]
    lines = [
        f"{row.subject.partition('/')[2]},{row.clip},{row.onset + 3}\n"
        for row in dataset.samples.itertuples(index=False)
    ]
    (root / "apexes.csv").write_text("subject,clip,apex\n" + "".join(lines))
    return root


@pytest.fixture
def root(rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy in the working folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(rendered, tmp_path / "here"))


OPTIONS = ["--data", "here/data", "--sheet", "casme2=here/labels of mine.xlsx", "--columns", "casme2.apex=Peak"]
OPTIONS += ["--columns", "casme2.clip=Sequence", "--apex", "smic=here/apexes.csv"]
YAML = """
data: here/data
sheet: {casme2: here/labels of mine.xlsx}
columns:
  casme2: {apex: Peak, clip: Sequence}
apex: [smic=here/apexes.csv]
"""


def given(how: str) -> list[str]:
    if how == "options":
        return OPTIONS
    Path("sweep.yaml").write_text(YAML)
    return ["--config", "sweep.yaml"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("plan", "options"),
        ("plan", "yaml"),
        pytest.param("run", "yaml", marks=pytest.mark.slow),
        pytest.param("prepare", "options", marks=pytest.mark.slow),
    ],
)
def test_every_command_reads_them_from_both(command: str, how: str, root: Path, merbench: LocalRuns) -> None:
    said = merbench(command, *given(how), "--results", "runs", *COMMANDS[command])
    assert said.status == 0, said.err
    assert "synth_casme2: 5 samples" in said.out
    assert "note: 5 apexes are of here/apexes.csv, a list by others than the database's authors" in said.out
    assert bool(list(Path("runs/shards").rglob("*.parquet"))) == (command != "plan")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["options", "yaml"])
def test_the_report_marks_them_and_names_the_files(how: str, root: Path, merbench: LocalRuns) -> None:
    said = merbench("datasets", "report", *given(how))
    assert said.status == 0, said.err
    assert "  annotation: here/labels of mine.xlsx" in said.out
    assert "  annotation: here/apexes.csv" in said.out
    assert said.out.count("(apexes.csv, a list by others than the database's authors)") == 5
    one = merbench("datasets", "report", "here/data/casme2", *OPTIONS[2:8])
    assert one.out.startswith("synth_casme2: 5 samples")


def test_detect_shows_the_sheet_that_was_given(root: Path, merbench: LocalRuns) -> None:
    assert "missing sheet: none in" in merbench("datasets", "detect", "here/data").out
    said = merbench("datasets", "detect", "here/data", *OPTIONS[2:8])
    assert said.status == 0, said.err
    assert "here/labels of mine.xlsx" in said.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sheet", "casme2"], "--sheet: given 'casme2', expected NAME=VALUE, for example casme2=my_sheet.csv."),
        (["--sheet", "casme2=nowhere.csv"], "nowhere.csv does not exist; expected a file."),
        (["--sheet", "casme2=here"], "here is a folder; expected a file."),
        (["--sheet", "casme9=here/apexes.csv"], "--sheet casme9: Unknown dataset 'casme9'. Did you mean: casme"),
        (["--sheet", "samm=here/apexes.csv"], "missing column"),
        (["--apex", "smic_vis=here/apexes.csv"], "it was not read, for the data given holds no clips of smic_vis"),
        (["--columns", "apex=Peak"], "--columns apex=Peak: expected ADAPTER.FIELD=HEADING"),
    ],
)
def test_what_cannot_be_is_refused(options: list[str], told: str, root: Path, merbench: LocalRuns) -> None:
    said = merbench("datasets", "report", "smic=here/data", *options)
    assert said.status == 2
    assert told in said.err


def test_files_without_data_are_refused(root: Path, merbench: LocalRuns) -> None:
    said = merbench("plan", "--apex", "smic=here/apexes.csv", "--results", "runs")
    assert said.status == 2
    assert "--apex: no data was given that this could be about. Give --data PATH." in said.err


@pytest.mark.parametrize(
    "value",
    [
        "casme2:2014=/a b=c.csv",
        ["casme2:2014=/a b=c.csv"],
        {"casme2:2014": "/a b=c.csv"},
    ],
)
def test_a_file_may_be_given_in_every_form(value: Any) -> None:
    assert RunConfig(sheet=value).sheet == {"casme2:2014": "/a b=c.csv"}


def test_headings_may_be_nested_or_not(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    for text in ("columns: {casme2: {apex: 1}}", "columns: {casme2.apex: 1}", "columns: casme2.apex=1"):
        file.write_text(text)
        assert load_config(file, {}).columns == {"casme2.apex": "1"}
    file.write_text("sheet: 3\n")
    with pytest.raises(UsageError, match=r"run\.yaml, line 1: sheet: given '3', expected NAME=VALUE"):
        load_config(file, {})
