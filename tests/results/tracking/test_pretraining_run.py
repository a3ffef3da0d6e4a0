"""Pretrained networks in MLflow: a run each with its learning curve, once."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.store.pretrained import PretrainedStore
from results.tracking.client import FoundRun, RunContent
from results.tracking.points import series
from results.tracking.pretraining import EXPERIMENT, PRETRAINED_TAG, track_pretrained

KEY = "ab" * 32
TOLD: dict[str, Any] = {
    "model": "tiny",
    "label": "tiny[epochs=1200]",
    "hyperparameters": {"epochs": 1200, "optimizer": "adam"},
    "task": {"name": "emotion3"},
    "trained_on": {"datasets": {"ckplus": {}}, "people": ["ckplus/S005"], "samples": 9, "synthetic": False},
    "curves": {"train_loss": [1 / epoch for epoch in range(1, 1201)]},
    "provenance": {"finished_at": "2026-11-21T10:00:00+00:00", "seconds": 60.0, "git": "abc", "device": "cpu"},
}


class Noted:
    """Takes the place of a tracker: keeps the runs that are written, by the tag that tells them apart."""

    def __init__(self) -> None:
        self.runs: dict[str, list[tuple[RunContent, str]]] = {}

    def alone(self) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    def find_all(self, experiment: str, tag: str) -> dict[str, list[FoundRun]]:
        assert (experiment, tag) == (EXPERIMENT, PRETRAINED_TAG)
        return {key: [FoundRun(key, content) for _, content in found] for key, found in self.runs.items()}

    def remove(self, run_id: str) -> None:
        self.runs[run_id].pop()

    def write(self, experiment: str, identity: tuple[str, str], content: RunContent, digest: str) -> None:
        assert experiment == EXPERIMENT
        self.runs.setdefault(identity[1], []).append((content, digest))


def test_a_pretrained_network_has_a_run_with_its_curve_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, said, tracker = str(tmp_path / "runs"), list[str](), Noted()
    monkeypatch.setattr("results.tracking.pretraining.Tracker", lambda uri: tracker)
    monkeypatch.setattr("results.tracking.pretraining.open_tracking", lambda uri, results: uri)
    networks = PretrainedStore(root)
    for weights in (np.zeros(2, np.float32), np.ones(2, np.float32)):
        networks.write(KEY, TOLD, {"weight": weights}, "# card\n")
        for _ in range(2):
            track_pretrained("http://127.0.0.1:5000", root, said.append)
    assert len(said) == 2, "once for each training"
    assert "1 of 1 pretrained networks logged" in said[0]
    ((run, _),) = tracker.runs[KEY]
    assert run.name == "tiny[epochs=1200] · ckplus · abababababab"
    assert run.ended - run.started == 60_000
    assert (run.tags["people"], run.tags["kind"], run.params["optimizer"]) == ("1", "pretraining", "adam")
    assert [one.step for one in run.metrics][::399] == [1, 1200]
    assert all((one.name, one.value) == ("train_loss", 1 / one.step) for one in run.metrics)
    lines = run.files["curve.csv"].decode().splitlines()
    assert (len(lines), lines[0], lines[2]) == (1201, "epoch,train_loss", "2,0.5")
    assert run.files["people.txt"] == b"ckplus/S005\n"


@pytest.mark.parametrize(("length", "steps"), [(0, []), (1, [1]), (3, [1, 2, 3]), (9, [1, 3, 5, 7, 9])])
def test_a_long_curve_is_thinned_from_end_to_end(length: int, steps: list[int]) -> None:
    points = series("loss", [float(value) for value in range(length)], 7, most=5)
    assert [(one.step, one.value, one.milliseconds) for one in points] == [(step, step - 1.0, 7) for step in steps]
