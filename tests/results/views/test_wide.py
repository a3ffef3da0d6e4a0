"""The field's table: a line a model, its parts beside each other, in the terminal, as Markdown and as LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from example_studies import example_study

from preprocess.base.errors import UsageError
from results.scores.leaderboard import Leaderboard, Row, build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.watched import STAMP
from results.views.columns import COLUMNS, interval, number
from results.views.leaderboard_text import SHAPED, render

pytestmark = pytest.mark.usefixtures("built_in_columns")

COMPOSITE = {"casme2": 9, "samm": 8, "smic": 8}
LONG_NAME = "htnet[as_published=True,epochs=30]"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    store = OutcomeStore(tmp_path_factory.mktemp("runs"), create=True)
    studies = [
        (example_study("ststnet", COMPOSITE), 0.7, 25),
        (example_study("htnet", COMPOSITE, params={"epochs": 30, "as_published": True}), 0.65, 25),
        (example_study("majority", COMPOSITE), 0.0, 25),
        (example_study("off_apexnet", COMPOSITE), 0.5, 20),
        (example_study("ststnet", COMPOSITE, selection="oracle"), 0.9, 25),
        (example_study("ststnet", {"casme2": 9}), 0.8, 9),
        (example_study("majority", {"casme2": 9}), 0.1, 9),
        (example_study("majority", {"faces": 4}, synthetic=True, seed=3), 0.3, 4),
    ]
    for study, hit_rate, folds in studies:
        store.write_card(study.card)
        for outcome in study.outcomes(hit_rate)[:folds]:
            store.write_outcome(study.card, outcome)
    return build_leaderboard(store, rng=np.random.default_rng(0), resamples=50)


def scored(board: Leaderboard) -> list[Row]:
    return [row for row in board.rows if row.uf1 is not None]


def body(board: Leaderboard, width: int) -> str:
    """Return the tables without the summary above them."""
    return render(board, "table", width).partition("\n\n")[2]


@pytest.mark.parametrize("format", SHAPED)
def test_every_score_and_interval_is_there(board: Leaderboard, format: str) -> None:
    text = body(board, 120) if format == "table" else render(board, format)
    for row in scored(board):
        for told in (number(row.uf1), number(row.uar), interval(row.uf1_low, row.uf1_high)):
            assert told in text, row


@pytest.mark.parametrize("format", SHAPED)
def test_counts_people_task_selection_and_seeds_stand_beside(board: Leaderboard, format: str) -> None:
    text = " ".join(render(board, format, 200).split())
    for row in board.rows:
        counts = f"{row.n_samples} samples, {row.n_subjects} subjects ("
        assert counts in text
        assert row.task in text
    assert "SYNTHETIC DATA" in text
    assert "eeds: 3" in text if format == "latex" else "seeds 3" in text
    assert STAMP in text
    assert "20/25" in text


def test_a_model_has_one_line_with_its_parts_in_the_order_of_the_field(board: Leaderboard) -> None:
    lines = body(board, 120).splitlines()
    assert any(re.fullmatch(r" +full +smic +casme2 +samm", line) for line in lines)
    by_part = {row.part: row for row in scored(board) if row.label == LONG_NAME}
    (line,) = (line for line in lines if LONG_NAME in line and number(by_part["full"].uf1) in line)
    shown = re.findall(r"\.\d{4}", line)
    assert shown == [number(v) for p in ("full", "smic", "casme2", "samm") for v in (by_part[p].uf1, by_part[p].uar)]
    below = lines[lines.index(line) + 1]
    assert re.findall(r"\[.*?\]", below) == [
        interval(by_part[p].uf1_low, by_part[p].uf1_high) for p in ("full", "smic", "casme2", "samm")
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_parts_that_do_not_fit_stand_below_and_no_number_is_cut(board: Leaderboard, width: int) -> None:
    text = render(board, "table", width)
    assert max(map(len, text.splitlines())) <= width
    for row in scored(board):
        assert re.search(rf"(?<!\S){re.escape(number(row.uf1))}(?!\S)", text), row


def test_what_is_the_same_for_all_models_stands_above_their_table(board: Leaderboard) -> None:
    lines = body(board, 120).splitlines()
    assert "selection last · seeds 0" in lines
    (columns,) = {line for line in lines if line.startswith(("#", " #", "  #")) and "selection" in line}
    assert "seeds" not in columns


@pytest.mark.parametrize("format", ["md", "latex"])
def test_the_best_group_of_each_column_is_bold(board: Leaderboard, format: str) -> None:
    bold = {"md": r"\*\*(\S+?)\*\*", "latex": r"\\textbf\{(\S+?)\}"}[format]
    expected = sorted(number(row.uf1) for row in board.rows if row.rank == 1)
    assert sorted(re.findall(bold, render(board, format))) == expected
    assert len(expected) > len({(row.dataset, row.part) for row in scored(board)}), "somebody is tied"


def test_markdown_has_equal_columns_and_the_names_of_the_field(board: Leaderboard) -> None:
    text = render(board, "md")
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "| Full UF1 | Full UAR | SMIC UF1 | SMIC UAR | CASME II UF1 | CASME II UAR | SAMM UF1 | SAMM UAR |" in text
    assert "- CASME II: 36 samples, 9 subjects" in text


def test_latex_has_a_table_a_benchmark_with_as_many_cells_as_columns(board: Leaderboard) -> None:
    text = render(board, "latex")
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL)
    assert len(tables) == 3
    for columns, lines in tables:
        for line in lines.splitlines():
            if line.endswith(r"\\"):
                spans = sum(int(wide) - 1 for wide in re.findall(r"\\multicolumn\{(\d)\}", line))
                assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(columns), line
    assert r"htnet[as\_published=True,epochs=30]" in text
    assert r"\multicolumn{2}{c}{CASME II}" in text
    assert text.count("{") == text.count("}")


@pytest.fixture(scope="module")
def many_parts(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    """Return a board of one composite of ten datasets, of models with long names, two selections and seeds."""
    store = OutcomeStore(tmp_path_factory.mktemp("many"), create=True)
    datasets = {f"casme{number}_macro": 2 for number in range(10)}
    studies = [
        example_study("ststnet", datasets, averaged=True),
        example_study("htnet", datasets, averaged=True, params={"as_published": True, "dim": 256, "input": "unit"}),
        example_study("off_apexnet", datasets, averaged=True, selection="validation", seed=3),
    ]
    for study in studies:
        store.write_card(study.card)
        for outcome in study.outcomes():
            store.write_outcome(study.card, outcome)
    return build_leaderboard(store, rng=np.random.default_rng(0), resamples=50)


def test_latex_has_parts_that_do_not_fit_beside_each_other_in_tables_of_their_own(many_parts: Leaderboard) -> None:
    text = render(many_parts, "latex")
    tables = text.split(r"\begin{table}")[1:]
    assert len(tables) > 2
    parts = [row.part for row in many_parts.rows if row.model == "ststnet"]
    assert len(parts) == 12
    told = [re.findall(r"\\multicolumn\{2\}\{c\}\{([a-zA-Z]\S*?)\}", table) for table in tables]
    assert [name.replace(r"\_", "_").lower() for names in told for name in names] == parts
    assert max(map(len, told)) - min(map(len, told)) <= 1
    for number_of, table in enumerate(tables):
        assert (", continued. " in table) == (number_of > 0)
        assert "ststnet" in table
        assert "as\\_\\allowbreak{}published=\\allowbreak{}True" in table
    for row in scored(many_parts):
        assert number(row.uf1) in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a LaTeX engine, pdflatex with booktabs")
@pytest.mark.parametrize(("which", "shape"), [("board", "wide"), ("board", "long"), ("many_parts", "wide")])
def test_latex_compiles_and_fits_the_page(
    which: str, shape: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    board: Leaderboard = request.getfixturevalue(which)
    head = r"\documentclass[a4paper]{article}\usepackage[margin=25mm]{geometry}\usepackage[T1]{fontenc}"
    text = "\n".join(
        [head, r"\usepackage{booktabs}\begin{document}", render(board, "latex", shape=shape), r"\end{document}"]
    )
    (tmp_path / "board.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "board.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="latin-1", timeout=120)
    assert done.returncode == 0, done.stdout
    if shape == "wide":
        assert "Overfull" not in done.stdout


def test_equal_warnings_of_models_and_parts_stand_once(board: Leaderboard) -> None:
    lines = " ".join(body(board, 200).split())
    assert lines.count("the interval has no width") == 1
    assert "majority, last (full, casme2, samm, smic): every resample" in lines


def test_a_column_that_somebody_added_stands_behind_the_scores(
    board: Leaderboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(COLUMNS, "_entries", {**COLUMNS._entries, "mine": COLUMNS.get("accuracy")})
    for format in SHAPED:
        text = render(board, format, 140)
        assert "acc" in text
        assert number(next(row for row in scored(board) if row.label == LONG_NAME).accuracy) in text


class TestSummary:
    def test_it_has_a_line_a_model_and_a_column_a_benchmark(self, board: Leaderboard) -> None:
        lines = render(board, "table", 120).splitlines()
        assert lines[0] == "Summary: UF1 and rank"
        end = lines.index("")
        cells = {line.split()[0]: line.split()[1:] for line in lines[5:end]}
        assert list(cells) == ["majority", "ststnet", LONG_NAME, "off_apexnet"]
        full = {(row.label, row.dataset): row for row in board.rows if row.part == "full" and not row.stamp}
        for label, dataset in full:
            row = full[label, dataset]
            assert (number(row.uf1) if row.uf1 is not None else "20/25") in cells[label]
        assert cells["off_apexnet"] == ["–", "20/25", "–"]
        assert "oracle" not in "".join(lines[:end])
        assert lines[2].split()[-1] == "(synthetic)"

    def test_many_benchmarks_are_numbered_where_names_do_not_fit(self, board: Leaderboard) -> None:
        lines = render(board, "table", 50).splitlines()
        assert lines[2:5] == ["[1] casme2 · loso", "[2] casme2+samm+smic · cde", "[3] faces (synthetic) · loso"]
        assert lines[5].split() == ["model", "[1]", "[2]", "[3]"]

    def test_one_benchmark_needs_none(self, board: Leaderboard) -> None:
        rows = [row for row in board.rows if row.dataset == "casme2"]
        assert render(Leaderboard(rows, [], []), "table", 120).startswith("casme2 · task megc3 · protocol loso\n")


def test_a_shape_is_known_and_of_a_format_that_has_several(board: Leaderboard) -> None:
    with pytest.raises(UsageError, match=r"Unknown shape 'lnog'\. Did you mean: long"):
        render(board, "md", shape="lnog")
    with pytest.raises(UsageError, match="csv has one shape"):
        render(board, "csv", shape="long")
