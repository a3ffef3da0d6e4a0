"""A line of text on a person's console."""

from __future__ import annotations

from rich.console import Console


def say(console: Console, text: str) -> None:
    """Print one line as it is: no colours, no markup, no emoji for :names:, not folded: logs can be searched."""
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)
