"""Rule 7 over nodes: the same run on one, two and three of them gives the same bits, as on a machine without Ray."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn_flow import write_drawn_tree
from jobs import BIN, SECONDS, actors_of, start_node
from local_runs import without_ray
from small_runs import digests

from cluster.head import Head, local_head
from results.store.outcome_store import OutcomeStore

pytestmark = [pytest.mark.ray, pytest.mark.slow]

NODES = 3


@pytest.fixture
def head() -> Iterator[Head]:
    """Run a head that trains nothing itself."""
    with local_head(num_cpus=0) as running:
        yield running


def test_7_the_number_of_nodes_changes_no_outcome(
    head: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_drawn_tree(tmp_path / "drawn")
    options = ["run", "--data", str(data), "--models", "flow_svm,ststnet", "--protocols", "cde", "--epochs", "3"]
    options += ["--selection", "last,validation,oracle", "--tracking-uri", "off", "--results"]
    assert without_ray(monkeypatch, capsys)(*options, str(tmp_path / "alone")).status == 0
    expected = digests_in(tmp_path / "alone")
    assert len(expected) > 60
    environment = {**os.environ, **head.environment}

    with contextlib.ExitStack() as nodes:
        known: set[str] = set()
        for count in range(1, NODES + 1):
            nodes.enter_context(start_node(head, num_cpus=1))
            results = tmp_path / f"on_{count}"
            command = [str(BIN / "merbench"), *options, str(results), "--address", head.address]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
            assert done.returncode == 0, done.stdout + done.stderr
            assert digests_in(results) == expected, f"on {count} nodes"
            actors = [actor for actor in actors_of(head.environment) if actor["actor_id"] not in known]
            known |= {actor["actor_id"] for actor in actors}
            assert len({actor["node_id"] for actor in actors if "Trainable" in actor["class_name"]}) == count


def digests_in(results: Path) -> dict[str, str]:
    """Return fold key -> digest of its result, of all folds in a results folder."""
    store = OutcomeStore(results)
    return digests(store, store.cards())
