"""Being stopped from outside: SIGTERM ends a command as Ctrl-C does, which tells what is kept and tidies up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_terminated = threading.Event()
"""Whether SIGTERM came. The exception cannot tell: Ray raises a KeyboardInterrupt of its own in its place."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM (``kill``, a batch system, a container that ends) raise KeyboardInterrupt inside the block."""
    before = signal.getsignal(signal.SIGTERM)
    _terminated.clear()
    catch_sigterm()
    try:
        yield
    finally:
        if _may_catch():
            # None stands for a handler that was not set from Python.
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def catch_sigterm() -> None:
    """Take SIGTERM (again): Ray, when it connects, puts a handler there that prints stack traces and aborts."""
    if _may_catch():
        signal.signal(signal.SIGTERM, _terminate)


def farewell(kept: str = "The shards made so far") -> str:
    """Return what a command that was stopped says. kept : what is left of its work."""
    return f"Interrupted. {kept} are kept; the same command goes on from there."


def exit_status() -> int:
    """Return the exit status that shells expect of a process that was stopped: 143 after SIGTERM, 130 after Ctrl-C."""
    return 128 + (signal.SIGTERM if _terminated.is_set() else signal.SIGINT)


def _may_catch() -> bool:
    return threading.current_thread() is threading.main_thread()


def _terminate(number: int, frame: FrameType | None) -> None:
    terminated()


def terminated() -> NoReturn:
    """Raise the KeyboardInterrupt of a SIGTERM that came."""
    # Whoever is impatient may send it again: that must not disturb what tidies up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _terminated.set()
    raise KeyboardInterrupt
