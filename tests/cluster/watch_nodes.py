"""Prints what ``ray status`` knows of a cluster's nodes, as JSON, a line each time it has changed, until it is ended.

``python watch_nodes.py ADDRESS``, with the environment of a client. A line holds the time and, of each type, how many
nodes are there; the head is left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

from ray.autoscaler.v2.sdk import get_cluster_status

from cluster.simulated import HEAD_TYPE


def main(address: str) -> None:
    """Print the counts for ever."""
    last = None
    while True:
        status = get_cluster_status(address)
        names = [node.ray_node_type_name for node in [*status.active_nodes, *status.idle_nodes]]
        counts = dict(Counter(name for name in names if name != HEAD_TYPE))
        if counts != last:
            print(json.dumps({"time": time.time(), "nodes": counts}), flush=True)
            last = counts
        time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1])
