"""What tells which nodes a connected cluster may get: the configuration of its autoscaler, wherever that lies.

Ray 2.60 has a place for it in its control process, and ``ray.init`` a function that reads it, but open-source Ray
writes nothing there. The autoscaler's own configuration is a file on the head (``ray up``, ``ray start
--autoscaling-config``) or the RayCluster (KubeRay); a process on the head can read both.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from bench.workers.capacity import Capacity, NodeType, Resources
from bench.workers.ray_session import Cluster
from preprocess.base.errors import UsageError

ROOM_SECONDS = 45.0
"""How long a run waits for a node that fits its workers, on a cluster without an autoscaler."""

ASK_SECONDS = 60.0
"""How long the head may take to answer a driver elsewhere; it starts a worker for it."""

_HEAD = "node:__internal_head__"
_KUBERNETES_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def with_growth(cluster: Cluster, grow_to: Resources) -> Cluster:
    """Return the connected cluster with what it may grow to.

    Parameters
    ----------
    cluster : what is there now.
    grow_to : what the user says that it may grow to, all nodes together; it is not looked for then.

    Raises
    ------
    UsageError : that is said of a Ray of our own.
    """
    if cluster.local:
        if grow_to:
            raise UsageError(
                "--grow-to is for a cluster (--address, RAY_ADDRESS or a Ray job); a local Ray stays as it is."
            )
        return cluster
    said = Capacity(alive_nodes(), (NodeType("--grow-to", grow_to, 1),)) if grow_to else None
    return dataclasses.replace(cluster, capacity=said or connected_capacity())


def connected_capacity() -> Capacity:
    """Return what the connected Ray has and may have, as far as it tells."""
    return capacity_of(alive_nodes(), _reported() or _configuration())


def alive_nodes() -> tuple[Resources, ...]:
    """Return the resources of each node of the connected Ray."""
    import ray

    return tuple(node["Resources"] for node in ray.nodes() if node["Alive"])


def capacity_of(nodes: tuple[Resources, ...], configuration: Mapping[str, Any] | None) -> Capacity:
    """Return what a cluster has and may have.

    Parameters
    ----------
    nodes : the resources of each node that is there.
    configuration : of the autoscaler, in the form of ``ray up``; empty where there is no autoscaler; None where that
        could not be found out.
    """
    if not configuration:
        return Capacity(nodes, untold=configuration is None)
    workers = configuration.get("max_workers")
    head = configuration.get("head_node_type")
    named = [
        NodeType(name, dict(each.get("resources") or {}), each.get("max_workers", workers))
        for name, each in configuration["available_node_types"].items()
        if name != head or each.get("max_workers")
    ]
    # `ray up` of one's own machines says of none what it has.
    types = tuple(each for each in named if each.resources)
    if len(types) < len(named):
        return Capacity(nodes, untold=True)
    # What the head really has stands in no configuration.
    there = next((node for node in nodes if _HEAD in node), None) if head else None
    return Capacity(nodes, types, workers, there)


def wait_for_room(bundles: Mapping[str, Resources], seconds: float = ROOM_SECONDS) -> None:
    """Wait until each bundle fits on a node of the connected Ray: nodes may be joining it just now.

    Parameters
    ----------
    bundles : model -> what a worker of it needs.
    seconds : the longest time to wait.

    Raises
    ------
    NoRoom : after that time, one still fits nowhere.
    """
    deadline = time.monotonic() + seconds
    while True:
        capacity = Capacity(alive_nodes())
        homeless = [model for model, bundle in bundles.items() if not capacity.room(bundle)]
        if not homeless:
            return
        if time.monotonic() > deadline:
            raise capacity.refuse(homeless[0], bundles[homeless[0]])
        time.sleep(1)


def _reported() -> dict[str, Any] | None:
    """Return what the cluster itself reports of its node types (hosted Ray does), in the form of ``ray up``."""
    from ray._private.state import state

    reported = state.get_cluster_config()
    if reported is None or not reported.node_group_configs:
        return None
    # -1 is any number.
    types = {
        group.name: {
            "resources": dict(group.resources),
            "max_workers": group.max_count if group.max_count >= 0 else None,
        }
        for group in reported.node_group_configs
    }
    return {"available_node_types": types}


def _configuration() -> dict[str, Any] | None:
    """Return the autoscaler's configuration, looked for on the head; empty where there is none, None where unknown."""
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.experimental.internal_kv import _internal_kv_get
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    session = (_internal_kv_get("session_name", namespace=b"session") or b"").decode()
    head = next((node["NodeID"] for node in ray.nodes() if node["Alive"] and _HEAD in node["Resources"]), None)
    if head is None or head == ray.get_runtime_context().get_node_id():
        return configuration_here(session)
    there = NodeAffinitySchedulingStrategy(head, soft=False)
    ask = ray.remote(configuration_here).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
    try:
        answer: dict[str, Any] | None = ray.get(ask.remote(session), timeout=ASK_SECONDS)
    except (GetTimeoutError, RayError):
        return None
    return answer


def configuration_here(session: str) -> dict[str, Any] | None:
    """Return the configuration of the autoscaler of the Ray whose head is this machine.

    Parameters
    ----------
    session : the name of that Ray's session.

    Returns
    -------
    In the form of ``ray up``; empty where there is no autoscaler; None where that could not be found out.
    """
    monitor = _monitor(session)
    if monitor is None:
        # With KubeRay it runs in another container.
        return _of_ray_cluster()
    folder, words = monitor
    for word in words:
        name, _, value = word.partition("=")
        if name == "--autoscaling-config" and value:
            return _read(folder / Path(value).expanduser())
    return {}


def _monitor(session: str) -> tuple[Path, list[str]] | None:
    """Return the working folder and the command line of the autoscaler's process."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            folder = Path(process.cwd())
        except psutil.Error:
            continue
        logs = f"{session}{os.sep}logs"
        if any(word.startswith("--logs-dir=") and word.endswith(logs) for word in words) and any(
            word.endswith("monitor.py") and not word.endswith("log_monitor.py") for word in words
        ):
            return folder, words
    return None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        read: dict[str, Any] = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError):
        return None
    return read


def _of_ray_cluster() -> dict[str, Any] | None:
    """Return what KubeRay's RayCluster says, where this is the pod of its head: that one may read it."""
    name = os.environ.get("RAY_CLUSTER_NAME")
    if not name or not _KUBERNETES_NAMESPACE.exists():
        return None
    import requests
    from ray.autoscaler._private.kuberay import autoscaling_config as kuberay
    from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient

    try:
        cluster = KubernetesHttpApiClient(_KUBERNETES_NAMESPACE.read_text().strip()).get(f"rayclusters/{name}")
    except (requests.RequestException, OSError):
        return None
    if not cluster["spec"].get("enableInTreeAutoscaling"):
        return {}
    derived: dict[str, Any] = kuberay._derive_autoscaling_config_from_ray_cr(cluster)
    return derived
