"""Models that wait for a node are told once, when nodes had time to come."""

from __future__ import annotations

import pytest

from bench.workers import homeless
from bench.workers.capacity import Capacity, NodeType
from bench.workers.homeless import PATIENCE_SECONDS, Homeless


def test_what_fits_nowhere_is_told_once_and_not_before_nodes_had_time_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homeless, "alive_nodes", lambda: ({"CPU": 0.0}, {"CPU": 4.0}, {"CPU": 4.0}))
    types = (NodeType("cpu", {"CPU": 4}, 8),)
    monkeypatch.setattr(homeless, "connected_capacity", lambda: Capacity((), types))
    now, said = [100.0], list[str]()
    callback = Homeless({"majority": {"CPU": 1}, "ststnet": {"CPU": 1, "GPU": 0.25}}, said.append, lambda: now[0])

    callback.on_step_begin(0, [])
    assert said == []

    now[0] += PATIENCE_SECONDS
    callback.on_step_begin(1, [])
    now[0] += PATIENCE_SECONDS
    callback.on_step_begin(2, [])

    assert said == [
        "ststnet waits for a node with 1 CPU, 0.25 GPUs; those that are there: a node with 4 CPUs; those that may "
        "come: cpu (4 CPUs; at most 8). On the head, `ray status` tells what the autoscaler does."
    ]
