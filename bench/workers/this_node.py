"""What Ray says of the node on which a worker runs."""

from __future__ import annotations

import ray


def cpus_of_this_node() -> float:
    """Return how many CPUs the workers of this node share."""
    here = ray.get_runtime_context().get_node_id()
    return next(float(node["Resources"].get("CPU", 1.0)) for node in ray.nodes() if node["NodeID"] == here)
