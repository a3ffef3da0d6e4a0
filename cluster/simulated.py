"""A simulated cluster: Ray's own autoscaler, with nodes that are processes of this machine.

``python -m cluster.simulated --cpu-nodes 2 --gpu-nodes 1`` starts one and prints how to submit a benchmark to it;
Ctrl-C ends it. As on Kubernetes, the head has no CPUs, and no other node is there until something waits for one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.head import Head, free_ports, how_to_submit, local_head, serve

HEAD_TYPE = "ray.head.default"
"""What Ray's provider of simulated nodes calls the head's type."""

_HEAD_ID = "f" * 51 + "0" * 5
"""The id that it gives to the head."""

_SETTING_UP = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
    "cluster_synced_files",
)

_OBJECT_STORE_BYTES = 100_000_000
"""A node's shared memory; Ray takes no less than 75 MB."""


@dataclass(frozen=True)
class NodeType:
    """Nodes of one kind that the autoscaler may start.

    Attributes
    ----------
    name : of the type, as ``ray status`` shows it.
    most : how many there may be at a time.
    cpus, gpus : how many each says that it has; the numbers need not be true.
    """

    name: str
    most: int
    cpus: int
    gpus: int = 0


@contextlib.contextmanager
def simulated_cluster(types: Sequence[NodeType], idle_seconds: float) -> Iterator[Head]:
    """Run a cluster for the duration of the block: a head without CPUs, and nodes that come and go.

    Several can run side by side, and beside any other Ray.

    Parameters
    ----------
    types : the nodes that may come; there are none at first.
    idle_seconds : a node that was not used for so long goes.

    Raises
    ------
    HeadError : the head did not come up.
    """
    port, metrics_port = free_ports(2)
    # A short path, since the sockets in it may have names of 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="mb", dir="/tmp", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "autoscaling.yaml"
        file.write_text(yaml.safe_dump(_autoscaling(types, idle_seconds, f"127.0.0.1:{port}"), sort_keys=False))
        # A copy, so that no node or job comes to import other files of this checkout.
        shutil.copy(Path(__file__).with_name("simulated_nodes.py"), folder)
        variables = {
            "PYTHONPATH": os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")])),
            "MERBENCH_NODES": folder,
            "RAY_enable_autoscaler_v2": "1",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_CLOUD_INSTANCE_ID": _HEAD_ID,
            "RAY_NODE_TYPE_NAME": HEAD_TYPE,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "AUTOSCALER_METRIC_PORT": str(metrics_port),
        }
        with local_head(0, port=port, words=[f"--autoscaling-config={file}"], variables=variables) as head:
            yield head


def _autoscaling(types: Sequence[NodeType], idle_seconds: float, address: str) -> dict[str, Any]:
    """Return the autoscaler's configuration, in the form of ``ray up``."""
    return {
        "cluster_name": "simulated",
        "provider": {
            "type": "external",
            "module": "simulated_nodes.SimulatedNodes",
            "gcs_address": address,
            "head_node_id": _HEAD_ID,
            "launch_multiple": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "max_workers": sum(each.most for each in types),
        "idle_timeout_minutes": idle_seconds / 60,
        "upscaling_speed": 1000.0,
        "head_node_type": HEAD_TYPE,
        "available_node_types": {
            HEAD_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            **{each.name: _node_type(each) for each in types},
        },
        "auth": {},
        "file_mounts": {},
        # Ray wants to be told how to set a machine up, even where there is nothing to set up.
        **{name: [] for name in _SETTING_UP},
    }


def _node_type(each: NodeType) -> dict[str, Any]:
    resources = {"CPU": each.cpus, "object_store_memory": _OBJECT_STORE_BYTES}
    if each.gpus:
        resources["GPU"] = each.gpus
    return {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": each.most}


def main() -> int:
    """Run a simulated cluster until Ctrl-C and say how to use it."""
    parser = argparse.ArgumentParser(prog="python -m cluster.simulated", description=main.__doc__)
    parser.add_argument("--cpu-nodes", type=_count, default=2, help="the most nodes without a GPU; default: 2")
    parser.add_argument("--gpu-nodes", type=_count, default=0, help="the most nodes that claim a GPU; default: 0")
    parser.add_argument("--cpus-per-node", type=_count, default=1, help="default: 1")
    parser.add_argument("--idle-seconds", type=float, default=10.0, help="an unused node goes after; default: 10")
    options = parser.parse_args()
    if options.cpu_nodes + options.gpu_nodes == 0 or options.cpus_per_node == 0 or options.idle_seconds <= 0:
        parser.error("expected some --cpu-nodes or --gpu-nodes, --cpus-per-node and --idle-seconds above 0")
    types = [
        NodeType("cpu", options.cpu_nodes, options.cpus_per_node),
        NodeType("gpu", options.gpu_nodes, options.cpus_per_node, gpus=1),
    ]
    types = [each for each in types if each.most]
    return serve(simulated_cluster(types, options.idle_seconds), lambda head: _usage(head, types))


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _usage(head: Head, types: Sequence[NodeType]) -> str:
    kinds = [
        f"up to {each.most} {each.name} ({each.cpus} CPU{f', {each.gpus} GPU' if each.gpus else ''})" for each in types
    ]
    return "\n".join(
        [
            f"A simulated cluster runs at {head.address}; its dashboard is {head.dashboard}",
            f"It has a head without CPUs; nodes come when something waits for them: {', '.join(kinds)}.",
            "`ray status` shows those that are there. A GPU of theirs is a claim: training there uses the CPU.",
            how_to_submit(head),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
