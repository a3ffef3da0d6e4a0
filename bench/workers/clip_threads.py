"""Making shards in threads of this process."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType

from preprocess.shards.making import Result, SubjectJob, make, one_thread


class ClipThreads:
    """Threads that carry out jobs, in the given order, as long as the ``with`` block lasts.

    When the block is left early, for example by Ctrl-C, each thread finishes its current clip, and leaves the rest of
    its subject.

    Parameters
    ----------
    jobs : one a subject.
    threads : the most threads; there are never more than jobs.

    Attributes
    ----------
    waiting : the jobs that no thread has begun.
    """

    def __init__(self, jobs: Sequence[SubjectJob], threads: int) -> None:
        self.waiting = deque(jobs)
        self._due = len(self.waiting)
        self._stop = threading.Event()
        self._done: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(threads, self._due))]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> ClipThreads:
        self._stack.enter_context(one_thread())
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.take_back()
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._stack.close()

    @property
    def due(self) -> bool:
        """Whether a result is still to come."""
        return self._due > 0

    def next(self, seconds: float | None = None) -> Result | None:
        """Return a result as soon as there is one; raise what ``make`` raised.

        Parameters
        ----------
        seconds : how long to wait; None for as long as it takes.

        Returns
        -------
        The result; None where none came in time.
        """
        try:
            result = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self._due -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def results(self) -> Iterator[Result]:
        """Yield each job's result as soon as it is there; raise what ``make`` raised."""
        while self.due:
            result = self.next()
            if result is not None:
                yield result

    def ready(self) -> Iterator[Result]:
        """Yield the results that are there, as ``results`` does."""
        while self.due and (result := self.next(0)) is not None:
            yield result

    def take_back(self) -> list[SubjectJob]:
        """Return the jobs that no thread has begun; none begins them any more."""
        taken: list[SubjectJob] = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self.waiting.popleft())
        self._due -= len(taken)
        return taken

    def _work(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                job = self.waiting.popleft()
                try:
                    self._done.put(make(job, self._stop))
                except BaseException as error:
                    self._done.put(error)
