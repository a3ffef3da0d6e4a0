"""Being stopped from outside: SIGTERM ends a command as Ctrl-C does, which tells what is kept and tidies up."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_SIGACTION_BYTES = 256
"""Room for what sigaction(2) tells: 152 bytes with glibc, less elsewhere."""

_PUT_BACK_SECONDS = 0.005
"""How long another handler of SIGTERM may stay."""

_terminated = threading.Event()
"""Whether SIGTERM came. The exception cannot say so: Ray replaces it by a KeyboardInterrupt of its own."""


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
    """Handle SIGTERM; again after Ray has connected in this thread, which sets a handler of its own in Python."""
    if _may_catch():
        signal.signal(signal.SIGTERM, _terminate)


@contextlib.contextmanager
def sigterm_kept() -> Iterator[None]:
    """Keep this process's way to take SIGTERM, whatever a library in the block sets up; in any thread.

    Ray sets a handler that prints stack traces and aborts, a second before it has connected. Python replaces it in the
    main thread only, and a Ray that starts beside other work does so in another one.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    library, before = ctypes.CDLL(None), ctypes.create_string_buffer(_SIGACTION_BYTES)
    library.sigaction(int(signal.SIGTERM), None, before)
    over = threading.Event()

    def put_back() -> None:
        while True:
            left = over.wait(_PUT_BACK_SECONDS)
            library.sigaction(int(signal.SIGTERM), before, None)
            if left:
                return

    keeper = threading.Thread(target=put_back, name="sigterm", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def farewell(kept: str = "The shards made so far") -> str:
    """Return the last line of a command that was stopped.

    Parameters
    ----------
    kept : the part of its work that is not lost.
    """
    return f"Interrupted. {kept} are kept; the same command goes on from there."


def exit_status() -> int:
    """Return the exit status that shells expect of a process that was stopped: 143 after SIGTERM, 130 after Ctrl-C."""
    return 128 + (signal.SIGTERM if _terminated.is_set() else signal.SIGINT)


def terminates() -> bool:
    """Return whether SIGTERM came and this process tidies up."""
    return _terminated.is_set()


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
