"""Canonical hashes: equal content gives an equal key, whatever the order, path, host or platform."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def canonical_json(value: Any) -> str:
    """Return a value as JSON with sorted keys and no white space.

    Raises
    ------
    ValueError : the value holds NaN or infinity.
    TypeError : the value holds something that JSON cannot.
    """
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
    """Return the sha256 (64 hex digits) of strings, whatever their order."""
    return hashlib.sha256("\n".join(sorted(strings)).encode()).hexdigest()
