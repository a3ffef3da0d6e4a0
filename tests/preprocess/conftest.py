"""Fixtures of the preprocess room's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_trees import CLIPS, FlowTree


@pytest.fixture
def tree(tmp_path: Path) -> FlowTree:
    """A small sound tree with 2 subjects of CASME II, 1 of SAMM and 2 of SMIC."""
    result = FlowTree(tmp_path / "data" / "three_norm_u_v_os")
    for subject, label, clip in CLIPS:
        result.put(subject, label, clip)
    return result
