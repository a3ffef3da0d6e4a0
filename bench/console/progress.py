"""Live progress: clips rendered and prepared; folds done, running and failed, time left, current best."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from bench.console.say import say

PLAIN_SECONDS = 10.0
"""Where there is no terminal, a line is printed at most this often."""

JUDGE_SECONDS = 5.0
"""The time left is not told earlier than this after the first folds: quick models often come first."""


class Pace:
    """How fast things get done. The first report is left out: its time includes the start of the workers."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)

    def note(self, finished: int) -> None:
        """Note how many are finished now."""
        self._last = (time.monotonic(), finished)
        if self._first is None and finished:
            self._first = self._last

    def per_second(self) -> float | None:
        """Return how many finish in a second, None where that is not known yet."""
        if self._first is None or self._last[1] <= self._first[1]:
            return None
        seconds = time.monotonic() - self._first[0]
        return None if seconds < JUDGE_SECONDS else (self._last[1] - self._first[1]) / seconds


class ClipProgress:
    """Counts clips while they are worked on, and shows the counts: a bar on a terminal, plain lines elsewhere.

    Parameters
    ----------
    console : where the counts are shown.
    what : what is done with the clips; it stands before the counts, such as ``rendering``.
    of : what is counted, where that are no clips.
    """

    def __init__(self, console: Console, what: str = "preparing", of: str = "clips") -> None:
        self._console = console
        self._what, self._of = what, of
        self._pace = Pace()
        self._last_line = time.monotonic()
        self._bar: Progress | None = None
        self._task = TaskID(0)

    @contextlib.contextmanager
    def shown(self) -> Iterator[ClipProgress]:
        """Show the progress, once there is any, for the duration of the block."""
        try:
            yield self
        finally:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def __call__(self, done: int, total: int) -> None:
        """Note the counts so far."""
        self._pace.note(done)
        if self._console.is_terminal:
            self._show_bar(done, total)
        elif time.monotonic() - self._last_line >= PLAIN_SECONDS:
            self._last_line = time.monotonic()
            say(self._console, f"{self._what}: {self.line(done, total)}")

    def line(self, done: int, total: int) -> str:
        """Return the progress in one line of plain text."""
        rate = self._pace.per_second()
        if not rate:
            return f"{done}/{total} {self._of}"
        return f"{done}/{total} {self._of} · {rate:.1f} {self._of}/s · about {duration((total - done) / rate)} left"

    def _show_bar(self, done: int, total: int) -> None:
        if self._bar is None:
            columns = (TextColumn(self._what), BarColumn(bar_width=24), TextColumn("{task.description}"))
            self._bar = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
            self._task = self._bar.add_task("", total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total, description=self.line(done, total))


class RunProgress:
    """Counts folds and shows them: one live line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = self._failed = self._workers = 0
        self._before = (0, 0)
        self._best = ""
        self._start = time.monotonic()
        self._pace = Pace()
        self._last_line = float("-inf")
        self._last_counts = (0, 0)
        self._bar = Progress(
            TextColumn("folds"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._task = self._bar.add_task("folds", total=total)
        self._live: Live | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[RunProgress]:
        """Show the progress for the duration of the block."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(console=self._console, refresh_per_second=4, get_renderable=self._render) as self._live:
            yield self
        self._live = None

    def expect(self, left: int) -> None:
        """Note how many folds are still to come: what they are may have depended on those that are over."""
        self._before = (self._done, self._failed)
        self._total = self._done + self._failed + left
        self._bar.update(self._task, total=self._total)

    def update(self, done: int, failed: int, workers: int) -> None:
        """Note the counts since ``expect``. workers : how many train now, each a fold at a time."""
        done, failed = done + self._before[0], failed + self._before[1]
        self._done, self._failed, self._workers = done, failed, workers
        self._bar.update(self._task, completed=done + failed)
        now = time.monotonic()
        self._pace.note(done + failed)
        finished = done + failed >= self._total
        news = (done, failed) != self._last_counts
        if not self._console.is_terminal and news and (now - self._last_line >= PLAIN_SECONDS or finished):
            self._last_line, self._last_counts = now, (done, failed)
            say(self._console, self.line())

    def best(self, text: str) -> None:
        """Note the best finished study so far."""
        self._best = text

    def line(self) -> str:
        """Return the progress in one line of plain text."""
        left = self._total - self._done - self._failed
        parts = [f"folds {self._done}/{self._total} done", f"{min(self._workers, left)} running"]
        parts.append(f"{self._failed} failed")
        if left:
            seconds = self._seconds_left()
            parts.append("time left not known yet" if seconds is None else f"about {duration(seconds)} left")
        else:
            parts.append(f"took {duration(time.monotonic() - self._start)}")
        if self._best:
            parts.append(f"best {self._best}")
        return " · ".join(parts)

    def _seconds_left(self) -> float | None:
        rate = self._pace.per_second()
        return None if rate is None else (self._total - self._done - self._failed) / rate

    def _render(self) -> Table:
        grid = Table.grid()
        grid.add_row(self._bar)
        grid.add_row(Text(self.line()))  # a Text, because a model's [lr=0.5] is no markup
        return grid


def duration(seconds: float) -> str:
    """Return a duration as people write it: ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
