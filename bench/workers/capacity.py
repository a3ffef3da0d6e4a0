"""What a cluster has, what it may grow to, and what each training asks of it. Plain values: nothing here knows Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from preprocess.base.errors import MerError

if TYPE_CHECKING:
    from mer_models.registry import ModelInfo

Resources = Mapping[str, float]
"""Name of a resource, such as CPU or GPU -> how much of it."""

WAITING_TRIALS = 64
"""Packs that wait on a cluster of which nobody tells how far it grows: an autoscaler starts nodes for what waits."""

MOST_TRIALS = 1000
"""Packs that wait or train at a time, at most: each costs the driver something."""


class NoRoom(MerError):
    """No node that a cluster has, or can ever have, fits what a worker needs."""


@dataclass(frozen=True)
class NodeType:
    """Nodes of one kind that may come.

    Attributes
    ----------
    name : as the cluster's configuration calls it.
    resources : what each of these nodes has.
    most : how many of them there may be at a time; None for any number.
    """

    name: str
    resources: Resources
    most: int | None

    def __str__(self) -> str:
        return f"{self.name} ({described(self.resources)}; at most {'any number' if self.most is None else self.most})"


@dataclass(frozen=True)
class Capacity:
    """What a cluster has now, and what it may have.

    Attributes
    ----------
    nodes : the resources of each node that is there.
    types : the nodes that may come; none where nobody tells, or where no autoscaler is.
    most_nodes : how many there may be of all types together; None for any number.
    head : the resources of the node that stays and is of none of these types; None where it is not known which.
    fixed : whether no node can come.
    untold : whether it could not be found out if an autoscaler is there.
    """

    nodes: tuple[Resources, ...]
    types: tuple[NodeType, ...] = ()
    most_nodes: int | None = None
    head: Resources | None = None
    fixed: bool = False
    untold: bool = False

    @property
    def final(self) -> bool:
        """Whether a node of another kind than those that are told here can never come."""
        return self.fixed or bool(self.types)

    def now(self, resource: str) -> float:
        """Return how much of a resource the nodes have that are there."""
        return sum(node.get(resource, 0.0) for node in self.nodes)

    def grown(self, resource: str) -> float:
        """Return how much of a resource there may be at a time; infinite without a limit."""
        return self._most_of(lambda node: node.get(resource, 0.0))

    def room(self, bundle: Resources) -> float:
        """Return how many workers that need ``bundle`` each may run at a time; infinite without a limit."""
        return self._most_of(lambda node: _room_on(node, bundle))

    def _most_of(self, worth: Callable[[Resources], float]) -> float:
        """Return the largest sum of a node's worth over all nodes that there may be."""
        left = math.inf if self.most_nodes is None else self.most_nodes
        total = worth(self.head or {})
        for value, most in sorted(
            ((worth(each.resources), math.inf if each.most is None else each.most) for each in self.types), reverse=True
        ):
            count = min(most, left)
            if not value or not count:
                break
            total, left = total + value * count, left - count
        return max(total, sum(map(worth, self.nodes)))

    def describe(self) -> str:
        """Return what there is and what there may be, in a few words."""
        there = f"{described(self._shown(self.now))} on {_count(len(self.nodes), 'node')} now"
        if self.types:
            return f"{there}, can grow to {described(self._shown(self.grown))}"
        return f"{there} (whether it can grow is not known: --grow-to tells)" if self.untold else there

    def _shown(self, amount: Callable[[str], float]) -> Resources:
        return {"CPU": amount("CPU")} | ({"GPU": amount("GPU")} if amount("GPU") else {})

    def refuse(self, model: str, bundle: Resources) -> NoRoom:
        """Return the error that says that a model's worker fits nowhere."""
        kinds = [*map(str, self.types), *kinds_of((self.head or {},) if self.types else self.nodes)]
        what = "it can have" if self.types else "it has"
        advice = (
            "--device cpu trains without a GPU."
            if "GPU" in bundle
            else f"Leave {model} out (--models), or let its nodes have more CPUs."
        )
        return NoRoom(
            f"The cluster can never train {model}: a worker needs {described(bundle)} on one node, and this is what "
            f"{what}: {'; '.join(kinds) or 'nothing'}. {advice}"
        )


@dataclass(frozen=True)
class Demand:
    """What a run asks of the cluster.

    Attributes
    ----------
    bundles : model -> what a worker of it needs.
    slots : how many packs the cluster can train at a time; packs are made small enough for all of them to have work.
    trials : how many packs train or wait at a time.
    needs_gpu : whether networks must not be trained without a GPU.
    """

    bundles: dict[str, Resources]
    slots: int
    trials: int
    needs_gpu: bool = False

    @property
    def on_gpu(self) -> bool:
        """Whether any training asks for a GPU."""
        return any("GPU" in bundle for bundle in self.bundles.values())


def demand(models: Iterable[ModelInfo], device: str, capacity: Capacity) -> Demand:
    """Work out what the training of models asks of a cluster.

    Parameters
    ----------
    models : that are trained.
    device : ``auto`` gives networks their part of a GPU where GPUs are or may come; ``cuda`` always; ``cpu`` never.
    capacity : what the cluster has and may have.

    Raises
    ------
    NoRoom : a worker of some model fits on no node that there may be, as far as that is known.
    """
    bundles = {info.name: _bundle(info, device, capacity) for info in models}
    rooms = {name: capacity.room(bundle) for name, bundle in bundles.items()}
    if capacity.final:
        for name in bundles:
            if not rooms[name]:
                raise capacity.refuse(name, bundles[name])
    on_gpu = [rooms[name] for name, bundle in bundles.items() if "GPU" in bundle]
    slots = _whole(max(on_gpu or rooms.values(), default=1))
    # Models that need the same share the room for it.
    trials = _whole(sum({tuple(sorted(bundles[name].items())): room for name, room in rooms.items()}.values()))
    return Demand(bundles, slots, trials if capacity.final else max(trials, WAITING_TRIALS), device == "cuda")


def kinds_of(nodes: Iterable[Resources]) -> list[str]:
    """Return the different nodes on which something can run, in words."""
    usable = (node for node in nodes if node.get("CPU") or node.get("GPU"))
    return list(dict.fromkeys(f"a node with {described(node)}" for node in usable))


def described(resources: Resources) -> str:
    """Return resources in words, such as ``64 CPUs, 8 GPUs``; memory and the like are left out."""
    shown = [_count(amount, name) for name, amount in resources.items() if name.isupper()]
    return ", ".join(shown) or "nothing"


def _bundle(info: ModelInfo, device: str, capacity: Capacity) -> Resources:
    on_cpu = {"CPU": float(info.resources.cpus)}
    if info.kind != "network" or device == "cpu" or not info.resources.gpu:
        return on_cpu
    on_gpu = {**on_cpu, "GPU": info.resources.gpu}
    return on_gpu if device == "cuda" or capacity.room(on_gpu) else on_cpu


def _room_on(node: Resources, bundle: Resources) -> int:
    return min(_fits(node.get(name, 0.0), amount) for name, amount in bundle.items())


def _fits(there: float, amount: float) -> int:
    """Return how many times an amount fits; a part of a GPU lies on one GPU."""
    if amount < 1:
        return int(there) * int(1 / amount + 1e-9)
    return int(there / amount + 1e-9)


def _whole(room: float) -> int:
    return max(1, int(min(room, MOST_TRIALS)))


def _count(amount: float, what: str) -> str:
    if amount == math.inf:
        return f"any number of {what}s"
    return f"{amount:g} {what}{'s' if amount != 1 else ''}"
