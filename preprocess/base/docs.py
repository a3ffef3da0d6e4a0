"""What a docstring says first."""

from __future__ import annotations


def first_line(of: object) -> str:
    """Return the first line of the docstring of a function or class; "" where it has none."""
    return (of.__doc__ or "").strip().partition("\n")[0]
