"""How often Python looks for garbage that refers to itself."""

from __future__ import annotations

import atexit
import gc
import sys

NEW_OBJECTS = 10_000

_COUNT_WHAT_STAYS = ("triton", "jaxlib")
"""Made with nanobind, which prints a page about each object that is still there when the process ends. Many networks
bring triton, through torch."""


def look_rarely() -> None:
    """Look for such garbage after 10,000 new objects, where Python does so after 700, and not when the process ends.

    Importing torch and Ray makes 300,000 objects, all of which stay: looking through them again and again takes a
    seventh of the import, in every worker and every command, and most of a second after a command's last word.
    """
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(_keep_all)


def _keep_all() -> None:
    if not any(package in sys.modules for package in _COUNT_WHAT_STAYS):
        gc.freeze()
