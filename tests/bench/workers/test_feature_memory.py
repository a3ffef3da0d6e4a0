"""How much of the features a worker may hold: a share of what its node, its container or its own limit leaves it."""

from __future__ import annotations

import dataclasses
import resource
from typing import Any

import numpy as np
import pytest
from small_runs import FEATURE, plan_of, study_data

from bench.workers import feature_memory as module
from bench.workers.feature_memory import feature_memory, in_words, larger_than_memory, told_of_plan
from mer_models.registry import MODELS, ModelInfo
from preprocess.shards.prepared import PreparedDataset

GIB = 2**30
NETWORK = MODELS.get("ststnet")


@pytest.fixture(autouse=True)
def node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the node have 64 GiB for us, and the process no limits."""
    monkeypatch.setattr(module, "usable_memory", lambda: 64 * GIB)
    monkeypatch.setattr(module.resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)


def with_cpus(cpus: int) -> ModelInfo:
    return dataclasses.replace(NETWORK, resources=dataclasses.replace(NETWORK.resources, cpus=cpus))


def test_a_worker_may_hold_a_quarter_of_its_part_of_the_node() -> None:
    assert feature_memory(None, with_cpus(1), "cpu", 8) == 64 * GIB // 8 // 4
    assert feature_memory(None, with_cpus(4), "cpu", 8) == 64 * GIB // 2 // 4
    assert feature_memory(None, with_cpus(4), "cpu", 1) == 64 * GIB // 4, "never more than there is"


def test_what_was_asked_for_holds_wherever_it_is() -> None:
    assert feature_memory(0, NETWORK, "cpu", 8) == 0
    assert feature_memory(5000, NETWORK, "cuda", 8) == 5000


def test_a_processs_own_limit_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {resource.RLIMIT_DATA: 2 * GIB, resource.RLIMIT_AS: 6 * GIB}
    monkeypatch.setattr(module.resource, "getrlimit", lambda which: (limits[which], limits[which]))
    assert feature_memory(None, with_cpus(1), "cpu", 8) == 2 * GIB // 4
    assert feature_memory(None, with_cpus(1), "cpu", 64) == 64 * GIB // 64 // 4


def test_a_person_reads_which_features_are_larger_than_what_a_worker_may_hold() -> None:
    data = study_data(datasets=("two", "one"))
    size = data.features[FEATURE].nbytes
    assert larger_than_memory(NETWORK, data, size) == ""
    told = larger_than_memory(NETWORK, data, size - 1)
    assert told.startswith(
        f"features of one+two are larger ({FEATURE} {size / 1000:.1f} kB) than what a worker may hold"
    )
    assert told.endswith("batches are read from disk as they are needed; no number changes by it")


def test_of_an_estimator_it_is_told_that_it_needs_them_all() -> None:
    data = study_data()
    told = larger_than_memory(MODELS.get("flow_svm"), data, 0)
    floats = 4 * np.prod(data.features[FEATURE].shape)
    assert told.endswith(f"(0 B), and flow_svm takes all samples at once: {floats / 1000:.1f} kB in each worker")


def test_a_plan_tells_it_once_and_of_what_is_to_be_trained_alone(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic, models=["ststnet", "off_apexnet"], protocols=["loso", "cde"])
    told = told_of_plan(plan, 0, 2)
    assert [text.split(" are ")[0] for text in told] == [
        f"features of {names}" for names in ("synth_a", "synth_b", "synth_a+synth_b")
    ]
    assert told_of_plan(plan, None, 2) == []
    for planned in plan.trainings:
        planned.todo = []
    assert told_of_plan(plan, 0, 2) == []


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_360_000_000, "12.4 GB"), (3e12, "3.0 TB")]
)
def test_sizes_are_told_as_people_say_them(size: Any, text: str) -> None:
    assert in_words(int(size)) == text
