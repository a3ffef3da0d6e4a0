"""Progress: one line that tells how far a run is, on a terminal and where there is none."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.console.progress import ClipProgress, RunProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the clock that the progress reads: a list of one number of seconds."""
    now = [100.0]
    monkeypatch.setattr("bench.console.progress.time.monotonic", lambda: now[0])
    return now


def progress(terminal: bool = False, total: int = 40) -> tuple[RunProgress, io.StringIO]:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=terminal, width=160)
    return RunProgress(console, total), printed


def test_the_line_tells_done_running_failed_left_and_best(clock: list[float]) -> None:
    shown, _ = progress()
    assert shown.line() == "folds 0/40 done · 0 running · 0 failed · time left not known yet"
    clock[0] += 30
    shown.update(4, 0, 4)
    assert "time left not known yet" in shown.line(), "the first report also paid for starting the workers"
    clock[0] += 10
    shown.update(13, 1, 4)
    shown.best("ststnet UF1 0.650 (casme2, loso)")
    assert shown.line() == (
        "folds 13/40 done · 4 running · 1 failed · about 26 s left · best ststnet UF1 0.650 (casme2, loso)"
    )


def test_the_time_left_is_not_told_from_a_few_quick_folds(clock: list[float]) -> None:
    shown, _ = progress()
    shown.update(1, 0, 4)
    clock[0] += 1
    shown.update(30, 0, 4)
    assert "time left not known yet" in shown.line()
    clock[0] += 28
    assert "about 10 s left" in shown.line()


def test_the_last_line_is_printed_once(clock: list[float]) -> None:
    shown, printed = progress()
    shown.update(40, 0, 4)
    shown.update(40, 0, 4)
    assert printed.getvalue().count("folds 40/40 done") == 1


def test_at_the_end_it_tells_how_long_it_took(clock: list[float]) -> None:
    shown, _ = progress()
    clock[0] += 3700
    shown.update(38, 2, 4)
    assert shown.line() == "folds 38/40 done · 0 running · 2 failed · took 1 h 01 min"


def test_no_more_folds_run_than_are_left(clock: list[float]) -> None:
    shown, _ = progress()
    shown.update(35, 3, 16)
    assert "· 2 running ·" in shown.line()


def test_without_a_terminal_plain_lines_come_now_and_then(clock: list[float]) -> None:
    shown, printed = progress()
    with shown.shown():
        for done in range(1, 41):
            clock[0] += 1
            shown.update(done, 0, 4)
    lines = printed.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/40", "11/40", "21/40", "31/40", "40/40"]
    assert "\x1b" not in printed.getvalue()


def test_on_a_terminal_the_line_is_live(clock: list[float]) -> None:
    shown, printed = progress(terminal=True)
    with shown.shown():
        shown.update(40, 0, 4)
    assert "\x1b" in printed.getvalue()
    assert "folds 40/40 done" in printed.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_models_hyper_parameters_are_no_markup(clock: list[float], terminal: bool) -> None:
    shown, printed = progress(terminal)
    shown.best("ststnet[lr=0.5] UF1 0.650")
    with shown.shown():
        shown.update(40, 0, 4)
    assert "ststnet[lr=0.5] UF1 0.650" in printed.getvalue()


def clip_progress(terminal: bool = False) -> tuple[ClipProgress, io.StringIO]:
    printed = io.StringIO()
    return ClipProgress(Console(file=printed, force_terminal=terminal, width=160)), printed


def test_clips_are_told_with_their_pace_and_the_time_left(clock: list[float]) -> None:
    shown, printed = clip_progress()
    shown(0, 100)
    for _ in range(6):
        clock[0] += 4
        shown(min(100, int(clock[0] - 100) // 4 * 10), 100)
    assert printed.getvalue().splitlines() == [
        "preparing: 30/100 clips · 2.5 clips/s · about 28 s left",
        "preparing: 60/100 clips · 2.5 clips/s · about 16 s left",
    ]


def test_other_things_are_counted_by_their_name(clock: list[float]) -> None:
    printed = io.StringIO()
    shown = ClipProgress(Console(file=printed, width=160), "spotting", "recordings")
    for done in (0, 3, 6):
        shown(done, 12)
        clock[0] += 12
    assert printed.getvalue().splitlines() == [
        "spotting: 3/12 recordings",
        "spotting: 6/12 recordings · 0.2 recordings/s · about 24 s left",
    ]


def test_quick_work_shows_no_progress(clock: list[float]) -> None:
    shown, printed = clip_progress()
    for done in range(0, 101, 10):
        shown(done, 100)
        clock[0] += 0.5
    assert printed.getvalue() == ""


def test_a_terminal_shows_a_bar_that_leaves_nothing_behind(clock: list[float]) -> None:
    progress, printed = clip_progress(terminal=True)
    with progress.shown() as shown:
        shown(0, 100)
        clock[0] += 10
        shown(40, 100)
        clock[0] += 10
        shown(80, 100)
    assert "80/100 clips · 4.0 clips/s · about 5 s left" in printed.getvalue()
    assert printed.getvalue().endswith("\x1b[2K")
