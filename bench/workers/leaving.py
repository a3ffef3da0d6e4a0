"""Correction to Ray 2.60: leaving it while other threads work does not end the process."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import ray
from ray._private import worker


def leave_ray() -> None:
    """Disconnect from Ray, and end the one that this process has started.

    Ray closes its connection while other threads go on. They free what refers to its objects: what a fan-out leaves
    behind is collected with other garbage, some time later. Each such reference is given back to the connection, and
    where that is half closed Ray ends the process at once, with status 1. So a stand-in that takes none back is in its
    place by then.
    """
    disconnect, connected = worker.disconnect, worker.global_worker

    def disconnect_and_take_nothing_back(exiting_interpreter: bool = False) -> None:
        disconnect(exiting_interpreter)
        if hasattr(connected, "core_worker"):
            connected.core_worker = SimpleNamespace(shutdown_driver=connected.core_worker.shutdown_driver)

    with mock.patch.object(worker, "disconnect", disconnect_and_take_nothing_back):
        ray.shutdown()
