"""Making shards: in threads of this process while little is to do, else on Ray Data over the CPUs of the cluster.

One job a subject. Threads need no start, and OpenCV works outside of Python's lock; a cluster has more cores.
"""

from __future__ import annotations

import os
import pickle
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.workers.clip_threads import ClipThreads
from bench.workers.ray_session import RaySession
from preprocess.base.errors import DataError, MerError
from preprocess.base.machine import usable_cores
from preprocess.base.plugins import Shipment, receive, shipment
from preprocess.base.scoped import muted
from preprocess.shards.making import Broken, Execute, MadeShard, Result, SubjectJob, make

RETRIES = 3
"""How often a subject is given out again after its worker or node died; bugs in a step are never retried."""

WORTH_RAY = 60.0
"""Seconds left in this process above which Ray is used: starting it and its workers takes about ten, of all cores."""

LOOK_SECONDS = 1.0
"""While no subject is done, it is judged so often whether the rest is worth Ray."""

MOST_THREADS = 4


@dataclass(frozen=True)
class _Made:
    """A worker's answer: what it made, without the job, which the driver has."""

    shards: tuple[MadeShard, ...]
    broken: tuple[Broken, ...]
    seconds: float


@dataclass(frozen=True)
class _Unseen:
    """A worker's answer where it does not see a clip's frames."""

    path: Path
    node: str


def here_or_on_ray(
    session: RaySession, workers: int | None = None, worth_ray: float = WORTH_RAY, threads: int | None = None
) -> Execute:
    """Return a function that carries out jobs: in threads of this process when little is left to do, else on Ray.

    It makes a few of the smallest subjects in this process first; the time they take tells how much work is left. Where
    they alone take so long that the rest must be worth Ray, it does not wait for them. The shards are the same bytes in
    both ways.

    Parameters
    ----------
    session : connects to Ray when it is needed.
    workers : the most jobs at a time; None for one a core, or one a CPU of Ray.
    worth_ray : how many seconds of work must be left for Ray to be used.
    threads : how many threads this process uses; None for the number that ``here_threads`` returns.
    """

    def execute(jobs: Sequence[SubjectJob]) -> Iterator[Result]:
        number = here_threads(workers) if threads is None else threads
        ordered = sorted(jobs, key=lambda job: job.size)
        # The largest of what comes after the first few are given out first, so that nobody waits for the last.
        pool = ClipThreads([*ordered[: 2 * number], *reversed(ordered[2 * number :])], number)
        done, start = 0, time.monotonic()
        with pool:
            while pool.due:
                result = pool.next(LOOK_SECONDS)
                if result is not None:
                    yield result
                    done += 1
                    took, size = result.seconds, result.job.size
                    # The first ones also pay for loading the models: they say little unless they took long.
                    told = done > number or took > worth_ray / 4
                else:
                    # Those at hand take at least as long as they have taken so far.
                    took, size = time.monotonic() - start, ordered[:number][-1].size
                    told = not done and took > worth_ray / 10
                left = sum(job.size for job in pool.waiting)
                if told and took / size * left / number > worth_ray and session.spreads():
                    for made in make_on_ray(pool.take_back(), workers):
                        yield made
                        yield from pool.ready()

    return execute


def here_threads(workers: int | None) -> int:
    """Return how many threads make clips in this process: a few, since more would wait for the interpreter's lock."""
    return min(MOST_THREADS, usable_cores(), workers or MOST_THREADS)


def make_on_ray(jobs: Sequence[SubjectJob], workers: int | None = None) -> Iterator[Result]:
    """Carry out jobs on the connected Ray and yield each result as soon as it is there.

    A subject whose worker ended too often is returned as broken.

    Parameters
    ----------
    jobs : one a subject.
    workers : the most jobs at a time; None for one a CPU of Ray.

    Raises
    ------
    DataError : a node does not see the raw data.
    MerError : what ``make`` raised in a worker.
    """
    with _quietly():
        yield from _made_on_ray(jobs, workers)


def _made_on_ray(jobs: Sequence[SubjectJob], workers: int | None) -> Iterator[Result]:
    import ray.data
    from ray.util.annotations import RayDeprecationWarning

    ordered = sorted(jobs, key=lambda job: job.size, reverse=True)
    items = [{"number": number, "job": pickle.dumps(job)} for number, job in enumerate(ordered)]
    strategy = ray.data.TaskPoolStrategy(size=workers)
    with warnings.catch_warnings():
        # Without max_retries, a subject that kills its worker would be given out for ever; nothing else sets it yet.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
            _make,  # type: ignore[arg-type]
            fn_kwargs={"plugins": shipment()},
            compute=strategy,
            num_cpus=1,
            max_retries=RETRIES,
        )
    missing = set(range(len(ordered)))
    for row in dataset.iter_rows():
        missing.discard(row["number"])
        yield _result(ordered[row["number"]], pickle.loads(row["answer"]))
    for number in sorted(missing):
        job = ordered[number]
        error = f"its worker ended {RETRIES + 1} times without an answer (out of memory, or a crash in a library)"
        yield Result(job, (), (Broken(f"{job.dataset}/{job.subject}", error),), 0.0)


def _result(job: SubjectJob, answer: Any) -> Result:
    """Turn a worker's answer into a result; raise the error that it is."""
    if isinstance(answer, MerError):
        raise answer
    if isinstance(answer, _Unseen):
        if not answer.path.exists():
            # It has gone since it was judged, here too: the clip is skipped as any other whose frames are missing.
            return make(job)
        raise DataError(
            f"Node {answer.node} does not see {answer.path}. The raw data must lie at the same path on every node: put "
            "it on storage that all nodes share (NFS, a mounted bucket), or run without --address where it lies."
        )
    return Result(job, answer.shards, answer.broken, answer.seconds)


def _make(row: dict[str, Any], plugins: Shipment) -> dict[str, Any]:
    """Carry out one job in a worker. Errors are answers: Ray Data takes an exception for a lost block."""
    try:
        receive(plugins)
        job: SubjectJob = pickle.loads(row["job"])
        answer: Any = _first_unseen(job) or _made(job)
    except MerError as error:
        answer = error
    return {"number": row["number"], "answer": pickle.dumps(answer)}


def _made(job: SubjectJob) -> _Made:
    try:
        result = make(job)
    except MerError:
        raise
    except Exception as error:
        return _Made((), (Broken.by(error, f"{job.dataset}/{job.subject}"),), 0.0)
    return _Made(result.shards, result.broken, result.seconds)


def _first_unseen(job: SubjectJob) -> _Unseen | None:
    for clip in job.clips:
        path = clip.video or next(iter(clip.files.values()), None)
        if path is not None and not os.path.exists(path):
            return _Unseen(path, socket.gethostname())
    return None


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Ray Data's bars and logs off the console inside the block: progress is told in clips."""
    from ray.data import DataContext

    context = DataContext.get_current()
    # A subject that is lost must not end the others' work; it is told when they are done.
    mine = {"enable_progress_bars": False, "print_on_execution_start": False, "max_errored_blocks": -1}
    before = {name: getattr(context, name) for name in mine}
    try:
        with muted("ray.data"):
            for name, value in mine.items():
                setattr(context, name, value)
            yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
