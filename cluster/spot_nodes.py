"""How spot nodes are told apart on each kind of Kubernetes: labels to choose them by, taints to put up with."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.kube_parts import Object


@dataclass(frozen=True)
class SpotMark:
    """What a kind of Kubernetes marks spot nodes with.

    Attributes
    ----------
    label : of the node.
    value : the label's.
    tainted : whether the nodes carry the label as a taint, too.
    """

    label: str
    value: str
    tainted: bool


SPOT_MARKS = {
    "gke": SpotMark("cloud.google.com/gke-spot", "true", tainted=True),
    "eks": SpotMark("eks.amazonaws.com/capacityType", "SPOT", tainted=False),
    "karpenter": SpotMark("karpenter.sh/capacity-type", "spot", tainted=False),
    "aks": SpotMark("kubernetes.azure.com/scalesetpriority", "spot", tainted=True),
}

ANY, NO = "any", "no"
SPOT_CHOICES = (ANY, NO, *SPOT_MARKS)
"""``any``: spot nodes of whatever kind are preferred, others will do; ``no``: none; a kind: only its spot nodes."""


def market(spot: str) -> str:
    """Return the value of Ray's label ``ray.io/market-type``: whether nodes may be taken away at any moment."""
    return "on-demand" if spot == NO else "spot"


def placement(spot: str, gpu: bool) -> Object:
    """Return the fields of a pod that choose its node.

    Parameters
    ----------
    spot : one of SPOT_CHOICES.
    gpu : whether the pod takes GPUs; nodes that have some are often tainted.
    """
    marks = [mark for name, mark in SPOT_MARKS.items() if spot in (ANY, name)]
    tolerations = [
        {"key": mark.label, "operator": "Equal", "value": mark.value, "effect": "NoSchedule"}
        for mark in marks
        if mark.tainted
    ]
    if gpu:
        tolerations.append({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"})
    found: Object = {"tolerations": tolerations} if tolerations else {}
    if spot == ANY:
        found["affinity"] = {
            "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [_preferred(mark) for mark in marks]}
        }
    elif marks:
        found["nodeSelector"] = {mark.label: mark.value for mark in marks}
    return found


def _preferred(mark: SpotMark) -> Object:
    wanted = {"key": mark.label, "operator": "In", "values": [mark.value]}
    return {"weight": 100, "preference": {"matchExpressions": [wanted]}}
