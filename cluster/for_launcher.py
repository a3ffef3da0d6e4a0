"""Configurations for ``ray up``: machines of one's own reached by ssh, or rented from AWS or Google Cloud.

The head takes no work. Rented nodes run the image of ``cluster/Dockerfile``, are spot, and go when idle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cluster.entrypoint import Benchmark
from cluster.kube_parts import Object
from preprocess.base.errors import UsageError

NAME = "merbench"
IDLE_MINUTES = 2
DISK_GIB = 150
NODE_CPUS = 16

OWN_TYPE = "local.cluster.node"

IMAGE_ENVIRONMENT = "/opt/merbench"
"""Where the image has Python and the benchmark."""

TOKEN = "~/.ray/auth_token"
"""Where ``ray get-auth-token --generate`` puts the token that nodes and clients show."""

# The dashboard listens on the head alone: `ray dashboard` brings it to one's own machine through ssh.
_HEAD = (
    "ray start --head --port=6379 --num-cpus=0 --num-gpus=0 --dashboard-host=127.0.0.1 "
    "--autoscaling-config=~/ray_bootstrap_config.yaml"
)
_WORKER = "ray start --address=$RAY_HEAD_IP:6379"


# Where a file has that type, `ray up` fills in nothing.
_OWN_DEFAULTS: Object = {
    "upscaling_speed": 1.0,
    "docker": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
}


def _start_commands(environment: str, settings: str = "") -> Object:
    """Return how Ray starts on the head and on the others, where Python and the benchmark lie in a folder.

    The launcher runs them in login shells, which forget the path that an image sets. Ray starts jobs and workers by
    bash, which reads ``~/.bashrc`` where ssh seems to have started it; what stands there (pyenv, conda) may put another
    Python first.
    """
    path = f"export PATH={environment}/bin:$PATH"
    set_up = f"{path} RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0{settings}; unset SSH_CLIENT SSH2_CLIENT"
    return {
        "head_start_ray_commands": [f"{path}; ray stop", f"{set_up}; ulimit -n 65536; {_HEAD}"],
        "worker_start_ray_commands": [f"{path}; ray stop", f"{set_up}; ulimit -n 65536; {_WORKER}"],
    }


@dataclass(frozen=True)
class OwnMachines:
    """Machines that are there, with a folder that all of them have under the same path.

    Attributes
    ----------
    head_ip : the machine that the others join; it takes no work.
    worker_ips : the others.
    cpus : how many cores each of the others has.
    gpus : how many GPUs each of the others has.
    ssh_user : who logs in.
    ssh_private_key : the key of that user, which the head gets; empty where the head has one that the others take.
    environment : a folder that cluster/install_image.sh has filled, on a disk that all machines share.
    results : an absolute folder that all machines share, or an address such as s3://bucket/path.
    data : a database as every machine finds it; none for the synthetic ones.
    tracking_uri : of an MLflow server that the head reaches; off for none.
    options : more options of merbench run, word by word.

    Raises
    ------
    UsageError : no worker, a number below its least, or a path that is relative.
    """

    head_ip: str = "192.168.0.10"
    worker_ips: tuple[str, ...] = ("192.168.0.11", "192.168.0.12")
    cpus: int = 16
    gpus: int = 0
    ssh_user: str = "ubuntu"
    ssh_private_key: str = ""
    environment: str = "/shared/merbench"
    results: str = "/shared/runs"
    data: tuple[str, ...] = ()
    tracking_uri: str = "off"
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.worker_ips:
            raise UsageError("--worker-ips: give at least one machine beside the head, for the head takes no work.")
        if self.cpus < 1 or self.gpus < 0:
            raise UsageError(f"--cpus {self.cpus}, --gpus {self.gpus}: expected at least 1 CPU and 0 GPUs.")
        if not self.environment.startswith("/"):
            raise UsageError(f"--environment {self.environment!r} is relative. Give the path that all machines share.")
        self.command()

    def command(self) -> list[str]:
        """Return the command that a job runs, word by word."""
        return Benchmark(self.results, self.data, self.tracking_uri, self.options).words()

    def configuration(self) -> Object:
        """Return what ``ray up`` reads."""
        key = {"ssh_private_key": self.ssh_private_key} if self.ssh_private_key else {}
        has = {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}
        return {
            "cluster_name": NAME,
            "max_workers": len(self.worker_ips),
            # Ray's own name of the only type that there is of such machines. Left to Ray, it says nothing of what they
            # have: nothing that waits would bring one from zero, nor a run know what may come.
            "available_node_types": {OWN_TYPE: _from_zero(len(self.worker_ips), has, {})},
            "head_node_type": OWN_TYPE,
            "idle_timeout_minutes": IDLE_MINUTES,
            "provider": {"type": "local", "head_ip": self.head_ip, "worker_ips": list(self.worker_ips)},
            "auth": {"ssh_user": self.ssh_user, **key},
            "file_mounts": {TOKEN: TOKEN},
            # Ray's second autoscaler, which `ray up` asks for, never starts such a machine (ray-project/ray#57153).
            **_start_commands(self.environment, " RAY_enable_autoscaler_v2=0"),
            **_OWN_DEFAULTS,
        }


@dataclass(frozen=True)
class Rented:
    """Nodes of a cloud; ``Aws`` and ``Gcp`` say of which.

    Attributes
    ----------
    image : built from cluster/Dockerfile, with its registry and tag.
    cpus : how many cores the CPU nodes may have together.
    gpus : how many GPUs the GPU nodes may have together.
    results : an address such as s3://bucket/path.
    data : a database as every node finds it; none for the synthetic ones.
    tracking_uri : of an MLflow server that the head reaches; off for none.
    options : more options of merbench run, word by word.
    ssh_user : who logs in.

    Raises
    ------
    UsageError : a number below its least, or results on the disk of a node.
    """

    image: str = "registry.example.org/merbench:latest"
    cpus: int = 64
    gpus: int = 8
    results: str = "s3://my-bucket/merbench"
    data: tuple[str, ...] = ()
    tracking_uri: str = "off"
    options: tuple[str, ...] = ()
    ssh_user: str = "ubuntu"

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.gpus < 0:
            raise UsageError(f"--cpus {self.cpus}, --gpus {self.gpus}: expected at least 1 CPU and 0 GPUs.")
        if "://" not in self.results:
            raise UsageError(
                f"--results {self.results!r} lies on the disk of a rented node, and goes with it. Give an address such "
                "as s3://bucket/path or gs://bucket/path."
            )
        self.command()

    def command(self) -> list[str]:
        """Return the command that a job runs, word by word."""
        return Benchmark(self.results, self.data, self.tracking_uri, self.options).words()

    def _common(self, provider: Object, head: Object, cpu: Object, gpu: Object) -> Object:
        """Return the configuration, given the cloud's own words for it and for a node of each kind."""
        most_cpu = math.ceil(self.cpus / NODE_CPUS)
        types: Object = {
            "head": {"resources": {"CPU": 0}, "node_config": head},
            "cpu": _from_zero(most_cpu, {"CPU": NODE_CPUS}, cpu),
        }
        if self.gpus:
            types["gpu"] = _from_zero(self.gpus, {"CPU": NODE_CPUS, "GPU": 1}, gpu)
        return {
            "cluster_name": NAME,
            "max_workers": most_cpu + self.gpus,
            "idle_timeout_minutes": IDLE_MINUTES,
            "provider": provider,
            "auth": {"ssh_user": self.ssh_user},
            "docker": {"image": self.image, "container_name": NAME, "pull_before_run": True, "run_options": []},
            "available_node_types": types,
            "head_node_type": "head",
            "file_mounts": {TOKEN: TOKEN},
            # All of it is in the image, what the head needs to rent nodes included.
            "setup_commands": [],
            "head_setup_commands": [],
            **_start_commands(IMAGE_ENVIRONMENT),
        }


@dataclass(frozen=True)
class Aws(Rented):
    """Nodes of AWS: m7i.4xlarge has 16 cores, g6.4xlarge 16 cores and an NVIDIA L4.

    Attributes
    ----------
    region : where they are.
    zone : availability zones, with commas; empty for the region's a and b.
    machine_image : an AMI of the region with Docker, an NVIDIA driver for the image's CUDA and its container toolkit.
    instance_profile : lets nodes use the bucket of the results, and the head rent nodes.
    """

    region: str = "us-west-2"
    zone: str = ""
    machine_image: str = "ami-00000000000000000"
    instance_profile: str = "merbench-nodes"

    def configuration(self) -> Object:
        """Return what ``ray up`` reads."""
        provider = {
            "type": "aws",
            "region": self.region,
            "availability_zone": self.zone or f"{self.region}a,{self.region}b",
            "cache_stopped_nodes": False,
        }
        spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
        gpu = self._node("g6.4xlarge") | spot
        return self._common(provider, self._node("m7i.xlarge"), self._node("m7i.4xlarge") | spot, gpu)

    def _node(self, instance: str) -> Object:
        disk = {"VolumeSize": DISK_GIB, "VolumeType": "gp3"}
        return {
            "InstanceType": instance,
            "ImageId": self.machine_image,
            "IamInstanceProfile": {"Name": self.instance_profile},
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": disk}],
        }


@dataclass(frozen=True)
class Gcp(Rented):
    """Nodes of Google Cloud: n2-standard-16 has 16 cores, g2-standard-16 16 cores and an NVIDIA L4.

    Attributes
    ----------
    project : the project's id.
    region : where they are.
    zone : empty for the region's a.
    machine_image : with Docker, an NVIDIA driver for the image's CUDA and its container toolkit.
    """

    results: str = "gs://my-bucket/merbench"
    project: str = "my-project"
    region: str = "us-central1"
    zone: str = ""
    machine_image: str = "projects/my-project/global/images/family/docker-with-nvidia-driver"

    def configuration(self) -> Object:
        """Return what ``ray up`` reads."""
        provider = {
            "type": "gcp",
            "region": self.region,
            "availability_zone": self.zone or f"{self.region}-a",
            "project_id": self.project,
        }
        # What has a GPU, or may be taken away, cannot move to another host while it runs.
        spot = {"scheduling": [{"preemptible": True}, {"onHostMaintenance": "TERMINATE"}]}
        gpu = self._node("g2-standard-16") | spot
        return self._common(provider, self._node("n2-standard-4"), self._node("n2-standard-16") | spot, gpu)

    def _node(self, machine: str) -> Object:
        disk = {"diskSizeGb": DISK_GIB, "sourceImage": self.machine_image}
        return {
            "machineType": machine,
            "disks": [{"boot": True, "autoDelete": True, "type": "PERSISTENT", "initializeParams": disk}],
        }


Machines = OwnMachines | Aws | Gcp

LAUNCHERS: dict[str, type[OwnMachines] | type[Aws] | type[Gcp]] = {"local": OwnMachines, "aws": Aws, "gcp": Gcp}
"""What ``ray up`` can start, by the name of its file."""


def _from_zero(most: int, resources: dict[str, int], node: Object) -> Object:
    return {"min_workers": 0, "max_workers": most, "resources": resources, "node_config": node}
