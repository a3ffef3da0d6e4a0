"""Settings of the whole process that hold inside a ``with`` block and are put back when it ends."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def environment(values: Mapping[str, str], keep: bool = False) -> Iterator[None]:
    """Set environment variables for the block.

    Parameters
    ----------
    values : name of a variable -> what it is set to.
    keep : leave a variable alone that somebody has set already.
    """
    mine = {name: value for name, value in values.items() if not (keep and name in os.environ)}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def muted(*names: str) -> Iterator[None]:
    """Let these loggers, and those below them that have no level of their own, say nothing short of CRITICAL."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
