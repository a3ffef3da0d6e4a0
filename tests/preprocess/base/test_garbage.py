"""Looking rarely for garbage saves time, and must not make a library complain about what is left of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

END = """
import gc
from preprocess.base.garbage import look_rarely
look_rarely()
class Loop:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("looked for")
"""


def said_at_the_end(code: str) -> str:
    """Return all that a process prints which runs this code and ends."""
    words = [sys.executable, "-c", END + code]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout


def test_a_process_ends_without_looking_for_garbage() -> None:
    assert said_at_the_end("Loop()") == ""


def test_a_library_that_counts_what_is_left_has_nothing_to_tell() -> None:
    pytest.importorskip("triton", reason="needs triton, which comes with torch for CUDA")
    assert said_at_the_end("import triton") == ""
