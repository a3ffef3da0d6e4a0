"""A Ray that is started ahead, while nobody needs it yet; no Ray starts here."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.workers.capacity import Capacity
from bench.workers.local_ray import NoRay
from bench.workers.ray_session import PRELOAD, Cluster, RaySession
from bench.workers.turn import turn

CLUSTER = Cluster(local=True, address="local", capacity=Capacity(({"CPU": 2.0},), fixed=True))


class Starts:
    """Takes the place of ``ray_session``. go : a start waits for it; error : what ends the start."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.error: Exception | None = None
        self.events: list[str] = []

    @contextlib.contextmanager
    def __call__(self, address: str | None, cpus: int | None, say: Callable[[str], None]) -> Iterator[Cluster]:
        self.events.append(f"start {address} {cpus} {os.environ.get(PRELOAD)}")
        self.go.wait(30)
        say("it took a second attempt")
        if self.error:
            raise self.error
        yield CLUSTER
        self.events.append("end")


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Starts:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    starts = Starts()
    monkeypatch.setattr("bench.workers.ray_session.ray_session", starts)
    return starts


def test_it_starts_beside_other_work_and_says_nothing_before_it_is_asked_for(starts: Starts) -> None:
    said, interval = list[str](), sys.getswitchinterval()
    with RaySession(None, 2, said.append, preload=True) as session:
        session.start_ahead()
        session.start_ahead()
        assert sys.getswitchinterval() < interval, "the threads share Python"
        # Here a run reads data and plans: the start waits for what comes next, so it is no part of this thread.
        starts.go.set()
        while "it took a second attempt" not in session._ahead._said:  # type: ignore[union-attr]
            pass
        assert said == []
        assert session.cluster() is session.cluster() is CLUSTER
        assert said == ["it took a second attempt"]
        assert starts.events == ["start local 2 bench.workers.preloaded"]
        assert sys.getswitchinterval() == interval
    assert starts.events[1:] == ["end"]
    assert PRELOAD not in os.environ


def test_it_ends_beside_what_is_left_to_do(starts: Starts) -> None:
    starts.go.set()
    with RaySession(None, 2, print) as session:
        session.leave()
        session.start_ahead()
        session.cluster()
        assert starts.events[1:] == []
        session.leave()
        deadline = time.monotonic() + 30
        while starts.events[1:] != ["end"]:
            assert time.monotonic() < deadline, "it waits for the end of the block"
            time.sleep(0.01)
    assert starts.events[1:] == ["end"]


def test_a_start_that_failed_is_an_error_only_where_ray_is_needed(starts: Starts) -> None:
    starts.error = NoRay("Ray did not start on this machine")
    starts.go.set()
    with RaySession(None, 2, print) as session:
        session.start_ahead()
    with RaySession(None, 2, print) as session:
        session.start_ahead()
        with pytest.raises(NoRay, match="did not start"):
            session.cluster()


@pytest.mark.parametrize("up_before", [True, False])
def test_an_error_meanwhile_leaves_no_ray_and_makes_no_second_attempt(starts: Starts, up_before: bool) -> None:
    with contextlib.suppress(ValueError), RaySession(None, 2, print) as session:
        session.start_ahead()
        if up_before:
            starts.go.set()
            session.cluster()
        else:
            threading.Timer(0.2, starts.go.set).start()
        raise ValueError("wrong data")
    assert starts.events[1:] == (["end"] if up_before else [])


@pytest.mark.parametrize("address", ["10.0.0.1:6379", None])
def test_a_cluster_is_joined_when_it_is_needed(
    starts: Starts, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not address:
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    starts.go.set()
    with RaySession(address, None, print) as session:
        session.start_ahead()
        assert starts.events == []
        session.cluster()
        assert starts.events == ["start 10.0.0.1:6379 None None"]


def test_workers_import_in_turn(tmp_path: Path) -> None:
    inside: list[int] = []

    def work(number: int) -> None:
        with turn(tmp_path, number, places=2):
            inside.append(number)
            time.sleep(0.2)
            inside.append(-number)

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert inside.index(3) > inside.index(-1), "they share a place"
    assert inside.index(2) < inside.index(-1), "these do not"
