"""Fixtures of the bench room's tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from drawn_flow import drawn_datasets
from local_runs import LocalRuns, without_ray
from small_runs import WHOLE_TREE, write_flow_tree

from bench.engine.selection import SELECTIONS
from bench.study.protocols import PROTOCOLS
from mer_models.registry import MODELS
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_store import OutcomeStore

PEOPLE = ("p01", "p02", "p03", "p04", "p05")


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> list[PreparedDataset]:
    """Return the drawn datasets ``synth_a`` and ``synth_b``, cut to five people each, with their shards."""
    shards = tmp_path_factory.mktemp("shards")
    prepared = []
    for raw in drawn_datasets():
        kept = raw.samples["subject"].isin([f"{raw.name}/{person}" for person in PEOPLE])
        fewer = dataclasses.replace(raw, samples=raw.samples[kept].reset_index(drop=True))
        prepared.append(prepare(fewer, shards, ["flow_uvs_28"]))
    return prepared


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    """Return an empty store."""
    return OutcomeStore(tmp_path / "runs", create=True)


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models, protocols, selections and tasks that the test registers are forgotten when it ends."""
    for registry in (MODELS, PROTOCOLS, SELECTIONS, TASKS):
        registry.names()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_origins", dict(registry._origins))


@pytest.fixture
def tiny(registries: None) -> str:
    """Return the name of a small network with batch normalisation and dropout that trains in milliseconds."""
    from throwaway_models import register_network

    return register_network()


@pytest.fixture
def merbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> LocalRuns:
    """Return the command line; a run trains in this process instead of on Ray."""
    return without_ray(monkeypatch, capsys)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a flow-image tree of three people of CASME II and two of SAMM who all show every class."""
    return write_flow_tree(tmp_path / "tree", WHOLE_TREE)
