"""Every printed score stands with what it depends on, in every format and width."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from example_studies import example_study

from preprocess.base.errors import UsageError
from results.scores.leaderboard import Leaderboard, Row, build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.watched import STAMP
from results.views.columns import COLUMNS, column, interval, number, number_ranges
from results.views.leaderboard_text import FORMATS, render
from results.views.text import table

pytestmark = pytest.mark.usefixtures("built_in_columns")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    store = OutcomeStore(tmp_path_factory.mktemp("runs"), create=True)
    datasets = {"casme2": 3, "samm": 4}
    studies = [
        *((example_study(datasets=datasets, seed=seed), 0.6, 7) for seed in range(3)),
        (example_study(datasets=datasets, selection="oracle"), 0.9, 7),
        (example_study("htnet", datasets, params={"epochs": 30, "as_published": True}), 0.5, 7),
        (example_study("off_apexnet", datasets), 0.5, 6),
        (example_study("flow_svm", {"faces": 4}, labels=(0, 1), synthetic=True), 0.7, 4),
    ]
    for study, hit_rate, folds in studies:
        store.write_card(study.card)
        for outcome in study.outcomes(hit_rate)[:folds]:
            store.write_outcome(study.card, outcome)
    return build_leaderboard(store, rng=np.random.default_rng(0), resamples=50)


def long(leaderboard: Leaderboard, format: str, width: int | None = None) -> str:
    """Return the shape that has a line for each row, without the summary at its head."""
    text = render(leaderboard, format, width, "long")
    return text.partition("\n\n")[2] if text.startswith("Summary") else text


def numbers(row: Row) -> list[str]:
    return [number(value) for value in (row.uf1, row.uar, row.accuracy) if value is not None]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_table_fits_and_cuts_no_number(board: Leaderboard, width: int) -> None:
    text = long(board, "table", width)
    assert max(map(len, text.splitlines())) <= width
    for row in board.rows:
        for shown in numbers(row):
            assert re.search(rf"(?<!\S){re.escape(shown)}(?!\S)", text), (row, shown)


def test_a_terminal_too_narrow_still_gets_whole_numbers(board: Leaderboard) -> None:
    text = long(board, "table", 30)
    assert all(shown in text for row in board.rows for shown in numbers(row))


def test_a_long_model_name_is_folded_not_cut(board: Leaderboard) -> None:
    assert "htnet[as_published=True,epochs=30]" in long(board, "table", 120)
    folded = long(board, "table", 80)
    cells = [line[3:20].strip() for line in folded.splitlines()]
    assert "htnet[as_published=True,epochs=30]" in "".join(cells)


def test_every_score_stands_under_its_task_counts_and_classes(board: Leaderboard) -> None:
    lines = long(board, "table", 120).splitlines()
    for row in board.rows:
        if row.uf1 is None:
            continue
        place = next(n for n, line in enumerate(lines) if number(row.uf1) in line and row.label in line)
        line = lines[place]
        above = lines[: place + 1]
        section = next(above[n - 1] for n in range(place, 0, -1) if set(above[n]) == {"="})
        part = next(text for text in reversed(above) if " samples, " in text)
        assert section.startswith(f"{row.dataset} · task {row.task} · protocol {row.protocol}")
        counts = ", ".join(f"{name} {count}" for name, count in row.class_counts.items())
        assert part == f"{row.part}: {row.n_samples} samples, {row.n_subjects} subjects ({counts})"
        assert row.selection in line
        assert f" {number_ranges(row.seeds)} " in line
        assert interval(row.uf1_low, row.uf1_high) in line


@pytest.mark.parametrize("format", ["table", "md", "latex"])
def test_rows_that_cannot_be_told_from_the_best_share_its_rank(board: Leaderboard, format: str) -> None:
    tied = [row for row in board.rows if row.tied]
    assert {row.label for row in tied} == {"ststnet", "htnet[as_published=True,epochs=30]"}
    text = long(board, format, 200)
    # The last one is in the note that says what it means.
    assert len(re.findall(r"(?<!F)1 =", text)) == len(tied) + 1
    lines = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    assert [(line["rank"], line["tied"]) for line in lines if line["tied"] == "true"] == [("1", "true")] * len(tied)


def test_an_incomplete_row_shows_its_folds_and_no_number(board: Leaderboard) -> None:
    lines = [line for line in long(board, "table", 120).splitlines() if "off_apexnet" in line and "│" not in line]
    assert len(lines) == 3
    for line in lines:
        assert "6/7" in line
        assert not re.search(r"\.\d{3}", line)


def test_oracle_rows_stand_in_a_stamped_block(board: Leaderboard) -> None:
    lines = long(board, "table", 120).splitlines()
    stamps = [n for n, line in enumerate(lines) if STAMP in line]
    oracle = [n for n, line in enumerate(lines) if "oracle* " in line and "ststnet" in line]
    assert len(stamps) == len(oracle) == 3
    for stamp, row in zip(stamps, oracle, strict=True):
        assert row == stamp + 3
        assert lines[row].strip().startswith("–")


def test_synthetic_data_is_stamped(board: Leaderboard) -> None:
    assert "faces · task megc3 · protocol loso · SYNTHETIC DATA" in long(board, "table", 120)
    assert "| faces (synthetic) |" in long(board, "md")
    assert any("Synthetic data" in note for note in board.notes)


@pytest.mark.parametrize("format", ["md", "latex"])
def test_each_line_of_a_flat_table_tells_all(board: Leaderboard, format: str) -> None:
    text = long(board, format).replace("\\_", "_")
    lines = [line for line in text.splitlines() if re.search(r"[|&] megc3", line)]
    assert len(lines) == len(board.rows)
    for line, row in zip(lines, board.rows, strict=True):
        for word in (row.dataset, row.part, row.task, row.protocol, row.label, row.selection, number_ranges(row.seeds)):
            assert word in line
        for count in (row.n_samples, row.n_subjects, *row.class_counts.values(), f"{row.folds_done}/{row.folds_total}"):
            assert str(count) in line
        assert all(shown in line for shown in numbers(row))
    assert STAMP in text


def test_markdown_has_equal_columns(board: Leaderboard) -> None:
    rows = [line for line in long(board, "md").splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert set(rows[1]) == set("|-: ")


def test_latex_is_escaped_and_balanced(board: Leaderboard) -> None:
    text = long(board, "latex")
    assert "htnet[as\\_published=True,epochs=30]" in text
    assert not re.search(r"(?<!\\)[%_#]", text)
    columns = re.search(r"begin\{tabular\}\{([lr]+)\}", text)
    assert columns
    for line in text.splitlines():
        if line.endswith(r"\\") and "multicolumn" not in line:
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns[1]) - 1


def test_csv_has_the_fields_of_a_row_in_full_precision(board: Leaderboard) -> None:
    rows = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    assert len(rows) == len(board.rows)
    for line, row in zip(rows, board.rows, strict=True):
        assert (line["model"], line["part"], line["n_samples"]) == (row.model, row.part, str(row.n_samples))
        assert line["uf1"] == ("" if row.uf1 is None else repr(row.uf1))
        assert json.loads(line["class_counts"]) == row.class_counts
        assert json.loads(line["seeds"]) == row.seeds


def test_json_is_the_leaderboard(board: Leaderboard) -> None:
    assert json.loads(render(board, "json")) == json.loads(json.dumps(board.to_json()))


def test_an_unknown_format_names_the_known_ones(board: Leaderboard) -> None:
    with pytest.raises(UsageError, match="Did you mean: latex"):
        render(board, "latx")


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_leaderboard_renders(format: str) -> None:
    assert render(Leaderboard([], [], []), format, 80)


@pytest.mark.parametrize("format", FORMATS)
def test_text_ends_with_one_newline_and_has_no_trailing_blanks(board: Leaderboard, format: str) -> None:
    text = render(board, format, 100)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not re.search(r"[ \t]+$", text, flags=re.MULTILINE)


def test_a_registered_column_is_printed(board: Leaderboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COLUMNS, "_entries", dict(COLUMNS._entries))
    monkeypatch.setattr(COLUMNS, "_origins", dict(COLUMNS._origins))

    @column("minority F1", "right")
    def minority_f1(row: Row) -> str:
        return number(min(row.f1_per_class.values()) if row.f1_per_class else None)

    for format in ("table", "md", "latex"):
        text = render(board, format, 120)
        assert "minority F1" in text
        assert minority_f1(board.rows[0]) in text


@pytest.mark.parametrize(
    ("seeds", "text"), [([0], "0"), ([1, 0], "0,1"), ([4, 0, 1, 2], "0-2,4"), ([0, 1, 2, 7, 8, 9], "0-2,7-9"), ([], "")]
)
def test_seeds_are_shortened(seeds: list[int], text: str) -> None:
    assert number_ranges(seeds) == text


@pytest.mark.parametrize(("value", "text"), [(0.73529, ".7353"), (1.0, "1.0000"), (0.0, ".0000"), (None, "–")])
def test_scores_are_printed_as_the_field_does(value: float | None, text: str) -> None:
    assert number(value) == text


def test_wide_characters_keep_the_columns_in_line() -> None:
    lines = table([("name", "left"), ("n", "right")], [("惊讶", "1"), ("abcd", "22")])
    assert lines[2:] == ["惊讶   1", "abcd  22"]


def test_an_interval_has_both_ends_or_a_dash() -> None:
    assert interval(0.6912, 1.0) == "[.691, 1.000]"
    assert interval(None, None) == "–"
