"""The nodes of a simulated cluster, for the process of Ray's autoscaler. That imports a copy of this file alone."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from typing import Any
from unittest import mock

from ray._private import parameter
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider

FOLDER = "MERBENCH_NODES"
"""The environment variable that names the folder in which each node has its own."""


class SimulatedNodes(FakeMultiNodeProvider):
    """Ray's provider of nodes that are processes of this machine, each with a folder of its own.

    Its own nodes share the head's. Each then unpacks the code of a job where the others have it, and the job's driver
    finds its working folder gone.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self._folders: dict[str, str] = {}

    def _create_node_with_resources_and_labels(self, *arguments: Any) -> None:
        folder = tempfile.mkdtemp(prefix="n", dir=os.environ[FOLDER])
        with self.lock:
            before = set(self._nodes)
            with mock.patch.object(parameter, "RayParams", functools.partial(parameter.RayParams, temp_dir=folder)):
                super()._create_node_with_resources_and_labels(*arguments)
            for node in set(self._nodes) - before:
                self._folders[node] = folder

    def terminate_node(self, node_id: str) -> None:
        """End a node, and remove its folder."""
        super().terminate_node(node_id)
        shutil.rmtree(self._folders.pop(node_id), ignore_errors=True)
