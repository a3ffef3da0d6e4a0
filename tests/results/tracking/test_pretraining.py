"""Pretrained networks in MLflow: a run each with its learning curve, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.store.pretrained import PretrainedStore
from results.tracking.points import series
from results.tracking.pretraining import EXPERIMENT, track_pretrained
from results.tracking.sync import open_tracking

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


@pytest.mark.slow
def test_a_pretrained_network_has_a_run_with_its_curve_once(tmp_path: Path) -> None:
    root, said = str(tmp_path / "runs"), list[str]()
    networks = PretrainedStore(root)
    networks.write(KEY, TOLD, {"weight": np.zeros(2, np.float32)}, "# card\n")
    uri = open_tracking(None, root)
    assert uri is not None
    for _ in range(2):
        track_pretrained(uri, root, said.append)
    assert len(said) == 1
    assert "1 of 1 pretrained networks logged" in said[0]
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert run.info.run_name == "tiny[epochs=1200] · ckplus · abababababab"
    assert run.info.end_time - run.info.start_time == 60_000
    assert run.data.tags["people"] == "1"
    assert run.data.params["optimizer"] == "adam"
    history = sorted(client.get_metric_history(run.info.run_id, "train_loss"), key=lambda one: one.step)
    assert [one.step for one in history][::399] == [1, 1200]
    assert all(one.value == 1 / one.step for one in history)
    lines = (Path(client.download_artifacts(run.info.run_id, "curve.csv"))).read_text().splitlines()
    assert (len(lines), lines[0], lines[2]) == (1201, "epoch,train_loss", "2,0.5")


@pytest.mark.parametrize(("length", "steps"), [(0, []), (1, [1]), (3, [1, 2, 3]), (9, [1, 3, 5, 7, 9])])
def test_a_long_curve_is_thinned_from_end_to_end(length: int, steps: list[int]) -> None:
    points = series("loss", [float(value) for value in range(length)], 7, most=5)
    assert [(one.step, one.value, one.milliseconds) for one in points] == [(step, step - 1.0, 7) for step in steps]
