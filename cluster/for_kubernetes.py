"""KubeRay's RayJob and RayCluster, and what outlives them: volumes and an MLflow server.

Held against KubeRay 1.7: the head takes no work, a group of CPU nodes and one of GPU nodes start from zero, the
autoscaler of Ray (version 2) asks for them and lets idle ones go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cluster.entrypoint import Benchmark, submitted
from cluster.kube_parts import Container, Object, Pod, Size, Volume, claim
from cluster.mlflow_server import PORT
from cluster.spot_nodes import ANY, SPOT_CHOICES, market, placement
from preprocess.base.errors import UsageError

RAY_VERSION = "2.60.0"
"""KubeRay asks for it; a test holds it against the Ray that the image gets."""

NAME = "merbench"
MLFLOW = "merbench-mlflow"
TRACKING_URI = f"http://{MLFLOW}:{PORT}"
SECRET = "merbench-secrets"
RESULTS = Volume("merbench-results", "/results")
DATA = Volume("merbench-data", "/data", read_only=True)

HEAD = Size(cpus=4, memory_gib=16)
CPU_NODE = Size(cpus=8, memory_gib=32)
GPU_NODE = Size(cpus=8, memory_gib=32, gpus=1)

IDLE_SECONDS = 120
RETRIES = 3
KEEP_SECONDS = 600

# Whoever makes room on nodes should leave the head alone: with it, the job starts anew.
_STAYS = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}


@dataclass(frozen=True)
class KubeCluster:
    """What is asked of Kubernetes.

    Attributes
    ----------
    image : built from ``cluster/Dockerfile``, with its registry and tag.
    cpus : how many cores the CPU nodes may have together.
    gpus : how many GPUs the GPU nodes may have together.
    results : below ``/results``, on a volume, or an address such as ``s3://bucket/path``.
    data : databases, below ``/data``, on a volume; none for the synthetic ones.
    spot : nodes that may be taken away: any are preferred, others will do; no; only those of gke, eks, karpenter, aks.
    storage_class : one whose volumes many nodes can write to; empty for the cluster's default.
    options : more options of ``merbench run``, word by word.

    Raises
    ------
    UsageError : a folder that lies on no volume, a number below its least, or an unknown kind of spot nodes.
    """

    image: str = "registry.example.org/merbench:latest"
    cpus: int = 64
    gpus: int = 8
    results: str = "/results/runs"
    data: tuple[str, ...] = ()
    spot: str = ANY
    storage_class: str = ""
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.spot not in SPOT_CHOICES:
            raise UsageError(f"--spot {self.spot!r}: expected one of {', '.join(SPOT_CHOICES)}.")
        if self.cpus < 1 or self.gpus < 0:
            raise UsageError(f"--cpus {self.cpus}, --gpus {self.gpus}: expected at least 1 CPU and 0 GPUs.")
        _below(RESULTS, "--results", self.results)
        for path in self.data:
            _below(DATA, "--data", path.rpartition("=")[2])

    def command(self) -> list[str]:
        """Return the command that the job runs, word by word."""
        return Benchmark(self.results, self.data, TRACKING_URI, self.options).words()

    def rayjob(self) -> list[Object]:
        """Return the RayJob: a cluster for one run, made anew where the run ends badly, and removed after it."""
        spec = {
            "entrypoint": submitted(self.command()),
            "submissionMode": "K8sJobMode",
            "backoffLimit": RETRIES,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": KEEP_SECONDS,
            "rayClusterSpec": self._cluster_spec(),
        }
        return [{"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": NAME}, "spec": spec}]

    def raycluster(self) -> list[Object]:
        """Return the RayCluster: a head that stays, for ``ray job submit``."""
        about = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": NAME}}
        return [{**about, "spec": self._cluster_spec()}]

    def base(self) -> list[Object]:
        """Return what outlives jobs and clusters: the volumes, the MLflow server and its address."""
        volumes = [claim(volume.claim, 200, "ReadWriteMany", self.storage_class) for volume in self._volumes()]
        return [*volumes, claim(MLFLOW, 20, "ReadWriteOnce"), self._mlflow(), _mlflow_service()]

    def _volumes(self) -> tuple[Volume, ...]:
        return ((DATA,) if self.data else ()) + (() if "://" in self.results else (RESULTS,))

    def _cluster_spec(self) -> Object:
        workers = [self._workers("cpu", CPU_NODE, math.ceil(self.cpus / CPU_NODE.cpus))]
        if self.gpus:
            workers.append(self._workers("gpu", GPU_NODE, math.ceil(self.gpus / GPU_NODE.gpus)))
        return {
            "rayVersion": RAY_VERSION,
            "authOptions": {"mode": "token"},
            "enableInTreeAutoscaling": True,
            "autoscalerOptions": {
                "version": "v2",
                "upscalingMode": "Default",
                "idleTimeoutSeconds": IDLE_SECONDS,
                "resources": Size(cpus=1, memory_gib=1).resources(),
            },
            "headGroupSpec": {
                "rayStartParams": {"num-cpus": "0"},
                "labels": {"ray.io/market-type": "on-demand"},
                "template": self._head().template(),
            },
            "workerGroupSpecs": workers,
        }

    def _head(self) -> Pod:
        ports = {"gcs-server": 6379, "dashboard": 8265, "client": 10001}
        container = Container("ray-head", self.image, HEAD, ports, secret=SECRET)
        return Pod(container, self._volumes(), annotations=_STAYS)

    def _workers(self, group: str, size: Size, most: int) -> Object:
        container = Container("ray-worker", self.image, size, secret=SECRET)
        return {
            "groupName": group,
            "replicas": 0,
            "minReplicas": 0,
            "maxReplicas": most,
            "idleTimeoutSeconds": IDLE_SECONDS,
            "rayStartParams": {},
            "labels": {"ray.io/market-type": market(self.spot)},
            "template": Pod(container, self._volumes(), placement(self.spot, gpu=size.gpus > 0)).template(),
        }

    def _mlflow(self) -> Object:
        words = ("--folder", "/mlflow", "--host", "0.0.0.0", "--port", str(PORT), "--names", MLFLOW)
        command = ("python", "-m", "cluster.mlflow_server", *words)
        container = Container("mlflow", self.image, Size(cpus=1, memory_gib=4), {"http": PORT}, command)
        pod = Pod(container, (Volume(MLFLOW, "/mlflow"),), labels={"app": MLFLOW}).template()
        health = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 10}
        # The first start makes the tables, which takes a while.
        pod["spec"]["containers"][0]["startupProbe"] = {**health, "failureThreshold": 30}
        pod["spec"]["containers"][0]["readinessProbe"] = health
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": MLFLOW},
            "spec": {
                "replicas": 1,
                # Never two at once: they would share one SQLite file.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": {"app": MLFLOW}},
                "template": pod,
            },
        }


def _mlflow_service() -> Object:
    ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
    spec = {"type": "ClusterIP", "selector": {"app": MLFLOW}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": MLFLOW}, "spec": spec}


def _below(volume: Volume, option: str, path: str) -> None:
    if "://" not in path and not f"{path}/".startswith(f"{volume.path}/"):
        raise UsageError(
            f"{option} {path!r} lies on no volume. Give a folder below {volume.path}, where the claim {volume.claim} "
            "is mounted, or an address such as s3://bucket/path."
        )
