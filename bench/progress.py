"""Live progress of a run: folds done, running and failed, time left, current best."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

PLAIN_SECONDS = 10.0
"""Where there is no terminal, a line is printed at most this often."""

JUDGE_SECONDS = 5.0
"""The time left is not told earlier than this after the first folds: quick models often come first."""


class RunProgress:
    """Counts folds and shows them: one live line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, total: int, workers: int) -> None:
        self._console = console
        self._total = total
        self._workers = workers
        self._done = self._failed = 0
        self._best = ""
        self._start = time.monotonic()
        self._first: tuple[float, int] | None = None
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

    def update(self, done: int, failed: int) -> None:
        """Take up the counts so far."""
        self._done, self._failed = done, failed
        self._bar.update(self._task, completed=done + failed)
        now = time.monotonic()
        if self._first is None and done + failed:
            self._first = (now, done + failed)
        finished = done + failed >= self._total
        news = (done, failed) != self._last_counts
        if not self._console.is_terminal and news and (now - self._last_line >= PLAIN_SECONDS or finished):
            self._last_line, self._last_counts = now, (done, failed)
            self._console.print(self.line(), highlight=False, markup=False, soft_wrap=True)

    def best(self, text: str) -> None:
        """Take up the best finished study so far."""
        self._best = text

    def line(self) -> str:
        """Return the progress in one line of plain text."""
        left = self._total - self._done - self._failed
        parts = [f"folds {self._done}/{self._total} done", f"{min(self._workers, left)} running"]
        parts.append(f"{self._failed} failed")
        if left:
            seconds = self._seconds_left()
            parts.append("time left not known yet" if seconds is None else f"about {_duration(seconds)} left")
        else:
            parts.append(f"took {_duration(time.monotonic() - self._start)}")
        if self._best:
            parts.append(f"best {self._best}")
        return " · ".join(parts)

    def _seconds_left(self) -> float | None:
        """Judge by the folds after the first report: those before it also paid for starting the workers."""
        if self._first is None or self._done + self._failed <= self._first[1]:
            return None
        seconds, finished = time.monotonic() - self._first[0], self._done + self._failed
        if seconds < JUDGE_SECONDS:
            return None
        return seconds / (finished - self._first[1]) * (self._total - finished)

    def _render(self) -> Table:
        grid = Table.grid()
        grid.add_row(self._bar)
        grid.add_row(Text(self.line()))  # a Text, because a model's [lr=0.5] is no markup
        return grid


def _duration(seconds: float) -> str:
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
