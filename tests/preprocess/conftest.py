"""Fixtures of the preprocess room's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from copies import Copies
from flow_trees import CLIPS, FlowTree


@pytest.fixture
def tree(tmp_path: Path) -> FlowTree:
    """A small sound tree with 2 subjects of CASME II, 1 of SAMM and 2 of SMIC."""
    result = FlowTree(tmp_path / "data" / "three_norm_u_v_os")
    for subject, label, clip in CLIPS:
        result.put(subject, label, clip)
    return result


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("copies"))
