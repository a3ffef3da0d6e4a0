"""How often Python looks for garbage that refers to itself."""

from __future__ import annotations

import atexit
import gc

NEW_OBJECTS = 10_000


def look_rarely() -> None:
    """Look for such garbage after 10,000 new objects, where Python does so after 700, and not when the process ends.

    Importing torch and Ray makes 300,000 objects, all of which stay: looking through them again and again takes a
    seventh of the import, in every worker and every command, and most of a second after a command's last word.
    """
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(gc.freeze)
