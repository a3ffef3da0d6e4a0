"""What a cluster may grow to, and what trainings ask of it: on plain values, without Ray."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.workers.capacity import Capacity, Demand, NodeType, NoRoom, demand
from mer_models.contracts import Resources

HEAD = {"CPU": 0.0, "node:__internal_head__": 1.0, "memory": 8e9}
CPU_NODES = NodeType("cpu", {"CPU": 4, "memory": 8e9}, most=2)
GPU_NODES = NodeType("gpu", {"CPU": 2, "GPU": 1}, most=3)
FROM_ZERO = Capacity((HEAD,), (CPU_NODES, GPU_NODES))


class Model:
    """As much of a ModelInfo as is looked at."""

    def __init__(self, name: str, cpus: int = 1, gpu: float = 0.25, kind: str = "network") -> None:
        self.name, self.kind, self.resources = name, kind, Resources(cpus=cpus, gpu=gpu)


def asked(capacity: Capacity, device: str, *models: Any) -> Demand:
    return demand(models, device, capacity)


def test_a_cluster_that_starts_at_zero_is_what_its_node_types_say() -> None:
    assert (FROM_ZERO.now("CPU"), FROM_ZERO.grown("CPU"), FROM_ZERO.grown("GPU")) == (0, 14, 3)
    assert FROM_ZERO.describe() == "0 CPUs on 1 node now, can grow to 14 CPUs, 3 GPUs"

    with_two_of_each = Capacity((HEAD, {"CPU": 4}, {"CPU": 4}, {"CPU": 2, "GPU": 1}), FROM_ZERO.types)

    assert with_two_of_each.describe() == "10 CPUs, 1 GPU on 4 nodes now, can grow to 14 CPUs, 3 GPUs"


def test_the_limit_of_all_nodes_together_counts() -> None:
    limited = Capacity((HEAD,), FROM_ZERO.types, most_nodes=3)

    assert (limited.grown("CPU"), limited.grown("GPU")) == (10, 3), "two of cpu and one of gpu, or three of gpu"


def test_a_type_without_a_limit_gives_any_number() -> None:
    endless = Capacity((HEAD,), (NodeType("spot", {"CPU": 8}, most=None),))

    assert endless.grown("CPU") == math.inf
    assert endless.describe() == "0 CPUs on 1 node now, can grow to any number of CPUs"
    needs = asked(endless, "auto", Model("ststnet"))
    assert needs.slots == needs.trials == 1000


def test_workers_share_the_cpus_and_gpus_of_one_node() -> None:
    assert FROM_ZERO.room({"CPU": 1, "GPU": 0.25}) == 6, "two a node, by its CPUs"
    assert FROM_ZERO.room({"CPU": 3}) == 2, "what two nodes have left does not add up"
    assert Capacity(({"CPU": 16, "GPU": 2},)).room({"CPU": 1, "GPU": 0.4}) == 4, "a part of a GPU lies on one GPU"
    assert Capacity(({"CPU": 16, "GPU": 2},)).room({"CPU": 1, "GPU": 2}) == 1
    assert Capacity(({"CPU": 10, "GPU": 1},)).room({"CPU": 1, "GPU": 0.1}) == 10, "0.1 fits ten times"


def test_networks_ask_for_gpus_that_are_still_to_come_and_estimators_do_not() -> None:
    models = Model("ststnet"), Model("flow_svm", kind="estimator")

    needs = asked(FROM_ZERO, "auto", *models)

    assert needs.bundles == {"ststnet": {"CPU": 1, "GPU": 0.25}, "flow_svm": {"CPU": 1}}
    assert needs.on_gpu
    assert (needs.slots, needs.trials) == (6, 6 + 14)
    assert not asked(FROM_ZERO, "cpu", *models).on_gpu
    assert not asked(Capacity((HEAD,), (CPU_NODES,)), "auto", *models).on_gpu
    assert asked(Capacity((HEAD,), (CPU_NODES,)), "auto", *models).slots == 8


def test_auto_trains_a_network_on_the_cpu_where_its_part_of_a_gpu_has_too_few_cpus_beside_it() -> None:
    needs = asked(FROM_ZERO, "auto", Model("wide", cpus=4), Model("ststnet"))

    assert needs.bundles == {"wide": {"CPU": 4}, "ststnet": {"CPU": 1, "GPU": 0.25}}


def test_models_that_need_the_same_wait_for_the_same_room() -> None:
    local = Capacity(({"CPU": 2},), fixed=True)

    needs = asked(local, "auto", Model("ststnet"), Model("htnet"), Model("flow_svm", kind="estimator"))

    assert (needs.slots, needs.trials, needs.on_gpu) == (2, 2, False)


@pytest.mark.parametrize(
    ("capacity", "device", "model", "message"),
    [
        (
            Capacity((HEAD,), (CPU_NODES,)),
            "cuda",
            Model("ststnet"),
            "The cluster can never train ststnet: a worker needs 1 CPU, 0.25 GPUs on one node, and this is what it can "
            "have: cpu (4 CPUs; at most 2). --device cpu trains without a GPU.",
        ),
        (
            FROM_ZERO,
            "auto",
            Model("flow_svm", cpus=8, kind="estimator"),
            "a worker needs 8 CPUs on one node, and this is what it can have: cpu (4 CPUs; at most 2); gpu (2 CPUs, 1 "
            "GPU; at most 3). Leave flow_svm out (--models), or let its nodes have more CPUs.",
        ),
        (
            Capacity(({"CPU": 2.0, "memory": 8e9}, {"CPU": 2.0}), fixed=True),
            "auto",
            Model("wide", cpus=4),
            "a worker needs 4 CPUs on one node, and this is what it has: a node with 2 CPUs. Leave wide out",
        ),
    ],
    ids=["no node type has a GPU", "no node type has so many CPUs", "this machine has too few cores"],
)
def test_what_can_never_run_is_refused_with_the_node_types(
    capacity: Capacity, device: str, model: Model, message: str
) -> None:
    with pytest.raises(NoRoom) as refused:
        asked(capacity, device, Model("majority", kind="estimator"), model)

    assert message in str(refused.value)


def test_where_nobody_tells_packs_wait_for_nodes_and_the_user_can_tell() -> None:
    untold = Capacity((HEAD,), untold=True)

    needs = asked(untold, "cuda", Model("ststnet", cpus=4))

    assert (needs.slots, needs.trials) == (1, 64)
    assert needs.bundles == {"ststnet": {"CPU": 4, "GPU": 0.25}}
    assert untold.describe() == "0 CPUs on 1 node now (whether it can grow is not known: --grow-to tells)"
