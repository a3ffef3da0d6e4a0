"""``merbench check``: whether what a file registers does what the benchmark relies on."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.checks.check import Verdict, carried_out
from bench.checks.kinds import checks_for
from preprocess.base.plugins import load_plugins

WIDTH = len("not tried")


def check(plugins: Sequence[str], data: Sequence[str], say: Callable[[str], None]) -> int:
    """Check everything that plug-ins register, and say of each check what came of it.

    Parameters
    ----------
    plugins : files, folders or modules, as for ``--plugins``.
    data : sources, as for ``--data``, on which datasets are tried.
    say : prints a line.

    Returns
    -------
    The exit status: 0 where nothing failed, 1 otherwise.

    Raises
    ------
    UsageError : a plug-in cannot be loaded, or registers nothing.
    """
    verdicts: list[Verdict] = []
    for registered in load_plugins(plugins):
        kind, name = registered.kind.replace("_", " "), registered.name
        checks = checks_for(registered.kind, name, data)
        say(f"{kind} {name}" + ("" if checks else ": there are no checks of this kind"))
        file = getattr(sys.modules.get(registered.module), "__file__", None)
        told: set[str] = set()
        for verdict in carried_out(checks, Path(file) if file else None):
            say(f"  {verdict.state:<{WIDTH}}  {verdict.title}")
            if verdict.reason:
                reason = "The same as above." if verdict.reason in told else verdict.reason
                say(textwrap.indent(reason, " " * (WIDTH + 4)))
            told.add(verdict.reason)
            verdicts.append(verdict)
    failed = sum(verdict.state == "FAILED" for verdict in verdicts)
    say(f"{len(verdicts)} checks, {failed} failed")
    return 1 if failed else 0
