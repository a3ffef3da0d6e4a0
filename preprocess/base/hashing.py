"""Canonical hashes: equal content gives an equal key, whatever the order, path, host or platform."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """Return ``value`` as JSON with sorted keys and no white space; NaN and infinity are refused with ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:
    """Return the sha256 (64 hex digits) of ``value``'s canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_bytes(*chunks: bytes) -> str:
    """Return the sha256 (64 hex digits) of the chunks, each preceded by its length so that borders count."""
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(len(chunk).to_bytes(8, "little"))
        state.update(chunk)
    return state.hexdigest()


def digest_strings(strings: Iterable[str]) -> str:
    """Return the sha256 (64 hex digits) of a set of strings; their order does not count."""
    return hashlib.sha256("\n".join(sorted(strings)).encode()).hexdigest()


def code_fingerprint(paths: Iterable[Path | str]) -> str:
    """Return a sha256 over Python source files that ignores comments, docstrings, layout and where the files lie."""
    return digest(sorted([Path(path).name, _bare_source(Path(path))] for path in paths))


def _bare_source(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            # A body must not become empty, and one without a docstring must come out the same.
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
