"""Canonical hashes: equal for equal content, different for different content, the same on every machine."""

from __future__ import annotations

import pytest

from preprocess.base.hashing import canonical_json, digest, digest_bytes, digest_strings


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None, "é"]}) == '{"a":[1.5,null,"\\u00e9"],"b":1}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_digest_is_pinned() -> None:
    """Keys of stored outcomes are made of it, so it must never change."""
    assert digest({"model": "ststnet", "seed": 0}) == "0d7acc259d8d4eba5f2fb4edd945073ab517421e7af10b666e0ddaf187f99a0f"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_without_a_json_form_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest({"lr": value})


def test_borders_between_chunks_count() -> None:
    assert digest_bytes(b"ab", b"c") != digest_bytes(b"a", b"bc")
    assert digest_bytes(b"ab") != digest_bytes(b"ab", b"")


def test_a_set_of_strings_has_no_order() -> None:
    assert digest_strings(["b", "a"]) == digest_strings(("a", "b")) != digest_strings(["a"])
