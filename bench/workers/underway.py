"""Which fold a worker is training, noted where the note outlives the worker: its death is counted for that fold.

The notes lie in the key-value table of Ray's control process: writing one costs less than a millisecond and starts no
process.
"""

from __future__ import annotations

import ray
from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put

_NAMESPACE = b"merbench-underway"


def note_underway(trial: str, fold: int) -> None:
    """Note that the trial begins with a fold on this node, in the place of its last note."""
    node = ray.get_runtime_context().get_node_id()
    _internal_kv_put(trial, f"{fold} {node}", overwrite=True, namespace=_NAMESPACE)


def last_underway(trial: str) -> tuple[int | None, str | None]:
    """Return the fold that the trial began last and the node it began on; None and None where it began none."""
    noted = _internal_kv_get(trial, namespace=_NAMESPACE)
    if noted is None:
        return None, None
    fold, node = noted.decode().split()
    return int(fold), node


def forget_underway(trial: str) -> None:
    """Remove the note of a trial that has ended."""
    _internal_kv_del(trial, namespace=_NAMESPACE)
