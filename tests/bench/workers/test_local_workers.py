"""A Ray of our own has a worker for each core, as far as memory holds them."""

from __future__ import annotations

import pytest

from bench.workers import local_workers as module
from bench.workers.local_workers import local_workers, told_of_workers


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return the cores and GiB of memory of this machine, which a test may change."""
    sizes = {"cores": 16.0, "GiB": 64.0}
    monkeypatch.setattr(module, "usable_cores", lambda: int(sizes["cores"]))
    monkeypatch.setattr(module, "usable_memory", lambda: int(sizes["GiB"] * 2**30))
    return sizes


def test_a_machine_with_memory_has_a_worker_for_each_core_and_nothing_is_said(machine: dict[str, float]) -> None:
    assert (local_workers(None), told_of_workers(None)) == (16, "")


def test_memory_that_holds_fewer_is_said(machine: dict[str, float]) -> None:
    machine["GiB"] = 4.0
    assert local_workers(None) == 5
    assert told_of_workers(None) == (
        "5 workers for 16 cores: 4.0 GiB of memory hold no more (--workers takes another number)."
    )


def test_there_is_one_at_least(machine: dict[str, float]) -> None:
    machine["GiB"] = 0.5
    assert local_workers(None) == 1
    assert told_of_workers(None).startswith("one worker for 16 cores: ")
    machine["cores"] = 1
    assert (local_workers(None), told_of_workers(None)) == (1, "")


def test_who_asks_for_a_number_gets_it(machine: dict[str, float]) -> None:
    machine["GiB"] = 1.0
    assert (local_workers(7), told_of_workers(7)) == (7, "")
