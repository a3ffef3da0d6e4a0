"""Parts of Kubernetes objects, as typed values that become dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

USER_ID = 1000
"""The user in the image (``cluster/Dockerfile``); nothing runs as root."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Volume:
    """A claim's volume as a pod sees it.

    Attributes
    ----------
    claim : name of the PersistentVolumeClaim.
    path : where it is mounted.
    read_only : whether pods may only read.
    """

    claim: str
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Size:
    """What one pod takes: asked for and limited alike, so that a node never promises what it does not have.

    Attributes
    ----------
    cpus : cores.
    memory_gib : GiB of memory, shared memory for the object store included.
    gpus : NVIDIA GPUs.
    """

    cpus: int
    memory_gib: int
    gpus: int = 0

    def resources(self) -> Object:
        """Return requests and limits of a container."""
        amounts = {"cpu": str(self.cpus), "memory": f"{self.memory_gib}Gi"}
        if self.gpus:
            amounts["nvidia.com/gpu"] = str(self.gpus)
        return {"requests": dict(amounts), "limits": dict(amounts)}


@dataclass(frozen=True)
class Container:
    """The one container of a pod.

    Attributes
    ----------
    name : of the container.
    image : with its registry and tag.
    size : what it takes.
    ports : name -> number.
    command : None for the image's own, or for that of KubeRay.
    secret : a Secret whose keys become environment variables; the pod starts without it, too.
    """

    name: str
    image: str
    size: Size
    ports: dict[str, int] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    secret: str | None = None

    def as_object(self, volumes: tuple[Volume, ...]) -> Object:
        """Return the container with these volumes mounted."""
        found: Object = {"name": self.name, "image": self.image}
        if self.command:
            found["command"] = list(self.command)
        if self.ports:
            found["ports"] = [{"name": name, "containerPort": port} for name, port in self.ports.items()]
        if self.secret:
            found["envFrom"] = [{"secretRef": {"name": self.secret, "optional": True}}]
        found["resources"] = self.size.resources()
        found["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        mounts = [{"name": volume.claim, "mountPath": volume.path, "readOnly": volume.read_only} for volume in volumes]
        return found | ({"volumeMounts": mounts} if mounts else {})


@dataclass(frozen=True)
class Pod:
    """A pod template.

    Attributes
    ----------
    container : its container.
    volumes : what is mounted.
    where : which nodes it may and should run on: ``tolerations``, ``nodeSelector``, ``affinity``.
    labels : of the pod.
    annotations : of the pod.
    """

    container: Container
    volumes: tuple[Volume, ...] = ()
    where: Object = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def template(self) -> Object:
        """Return the pod template, for a user that is not root."""
        about = {"labels": dict(self.labels), "annotations": dict(self.annotations)}
        spec: Object = {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER_ID,
                "runAsGroup": USER_ID,
                "fsGroup": USER_ID,
                # A large volume is not gone through file by file at every start.
                "fsGroupChangePolicy": "OnRootMismatch",
            },
            "containers": [self.container.as_object(self.volumes)],
            **self.where,
        }
        if self.volumes:
            spec["volumes"] = [
                {"name": volume.claim, "persistentVolumeClaim": {"claimName": volume.claim}} for volume in self.volumes
            ]
        return {"metadata": {name: values for name, values in about.items() if values}, "spec": spec}


def claim(name: str, gib: int, mode: str, storage_class: str = "") -> Object:
    """Return a PersistentVolumeClaim; of the cluster's default storage class where none is given."""
    spec: Object = {"accessModes": [mode], "resources": {"requests": {"storage": f"{gib}Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": spec | ({"storageClassName": storage_class} if storage_class else {}),
    }
