"""What is said where typer cannot read a command line: one error line, as for every other mistake."""

from __future__ import annotations

from typing import Any

import typer

from preprocess.base.errors import did_you_mean

Misused: Any = typer.BadParameter.__base__
"""What typer raises for every command line that it cannot read; its newer versions have a click of their own."""


def misuse(error: Any) -> str:
    """Return what is wrong with a command line, near names, and where to look; a bare ``merbench`` gets its help."""
    text = error.format_message().strip().replace("Input should be", "expected")
    if text.startswith("Usage:"):
        return text
    if error.ctx is None:
        return f"error: {text}"
    command = error.ctx.command_path
    if text.startswith("No such option"):
        known = [
            name for one in error.ctx.command.params for name in (*one.opts, *one.secondary_opts) if name[0] == "-"
        ]
        text = f"There is no option {error.option_name}. {did_you_mean(error.option_name, known)}"
    elif text.startswith("No such command") and "Did you mean" not in text:
        text = f"{text} {did_you_mean('', error.ctx.command.list_commands(error.ctx))}"
    text = text if text[-1] in ".?" else f"{text}."
    return f"error: {command}: {text} See `{command} --help`."
