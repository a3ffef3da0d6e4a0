"""What the code imports, and what `pyproject.toml` says that it needs, are the same packages."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("bench", "cluster", "mer_models", "preprocess", "results")


def imported() -> Iterator[str]:
    """Yield the top-level names of all imports, at any depth of the code."""
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0]


def test_whatever_is_imported_is_declared() -> None:
    """A package that only another package brings may go with that one's next version."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    brought: set[str] = set()
    for line in needed:
        files = importlib.metadata.files(re.split(r"[^\w.-]", line)[0])
        assert files
        brought |= {file.parts[0].partition(".")[0] for file in files}
    others = set(imported()) - sys.stdlib_module_names - {*ROOMS, "merbench"}
    assert {"torch", "yaml", "cv2"} <= others
    assert not others - brought
