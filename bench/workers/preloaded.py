"""Imported by each worker of a local Ray as it starts: what training takes longest to import.

A core is left to the driver, which reads data and plans meanwhile. Workers take turns on the others, so that the first
one is ready early: if they shared them, all would be ready late.
"""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path

from bench.workers.turn import turn
from preprocess.base.machine import usable_cores

MODULES = ("bench.workers.pack_trials", "bench.engine.train")


def _preload() -> None:
    from ray._private import worker

    node = worker._global_node
    assert node is not None, "only workers import this"
    with turn(Path(node.get_session_dir_path()), os.getpid(), max(1, usable_cores() - 1)):
        for module in MODULES:
            importlib.import_module(module)


try:
    _preload()
except Exception:
    # It comes again where the modules are needed, and stops the run there with its reason. Here it would end each
    # worker before it can tell anything, and Ray would start another one, for ever.
    logging.getLogger(__name__).debug("Nothing is imported ahead", exc_info=True)
