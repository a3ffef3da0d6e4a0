"""How much of the features a worker may hold in memory, and what is told where that is not all of them."""

from __future__ import annotations

import math
import resource
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.study.data import StudyData
from bench.study.feature_rows import bytes_of
from preprocess.base.machine import usable_memory

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from mer_models.registry import ModelInfo

SHARE, GPU_SHARE = 0.25, 0.5
"""Of a worker's part of its node's memory, or of its GPU's, how much it may hold features in."""

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))


def feature_memory(asked: int | None, info: ModelInfo, device: str, cpus: float) -> int:
    """Return how many bytes of features a worker may hold that trains a model here.

    Parameters
    ----------
    asked : ``--feature-memory``; None for a share of what there is.
    info : the model.
    device : torch's name of the device.
    cpus : of the node, which its workers share.
    """
    if asked is not None:
        return asked
    if device == "cuda":
        import torch

        return int(GPU_SHARE * min(1.0, info.resources.gpu) * torch.cuda.get_device_properties(0).total_memory)
    part = min(1.0, info.resources.cpus / max(1.0, cpus)) * usable_memory()
    return int(SHARE * min([part, *_of_this_process()]))


def _of_this_process() -> list[int]:
    limits = (resource.getrlimit(which)[0] for which in (resource.RLIMIT_DATA, resource.RLIMIT_AS))
    return [limit for limit in limits if limit != resource.RLIM_INFINITY]


def larger_than_memory(info: ModelInfo, data: StudyData, memory: int) -> str:
    """Return what a person should know where a worker cannot hold all features of a study; "" where it can.

    Parameters
    ----------
    info : the model that is trained.
    data : the samples.
    memory : how many bytes of features a worker may hold.
    """
    sizes = {name: bytes_of(values) for name, values in data.features.items()}
    if sum(sizes.values()) <= memory:
        return ""
    what = ", ".join(f"{name} {in_words(size)}" for name, size in sizes.items())
    where = "+".join(sorted(set(data.datasets.tolist())))
    beginning = f"features of {where} are larger ({what}) than what a worker may hold ({in_words(memory)})"
    if info.kind == "network":
        return f"{beginning}: batches are read from disk as they are needed; no number changes by it"
    floats = sum(4 * math.prod(values.shape) for values in data.features.values())
    return f"{beginning}, and {info.name} takes all samples at once: {in_words(floats)} in each worker"


def told_of_plan(plan: Plan, asked: int | None, cpus: float) -> list[str]:
    """Return what ``told_of`` does of all that a plan has to do."""
    return told_of(((one.info, plan.data[one.training.data]) for one in plan.trainings if one.todo), asked, cpus)


def told_of(trained: Iterable[tuple[ModelInfo, StudyData]], asked: int | None, cpus: float) -> list[str]:
    """Return what a person should know of features that workers on this machine's CPUs cannot hold.

    Parameters
    ----------
    trained : the models, each with the samples that it is trained on.
    asked : ``--feature-memory``.
    cpus : which the workers share.
    """
    found = (larger_than_memory(info, data, feature_memory(asked, info, "cpu", cpus)) for info, data in trained)
    return list(dict.fromkeys(text for text in found if text))


def in_words(size: int) -> str:
    """Return a number of bytes as people say it, such as ``12.4 GB``."""
    unit, name = next(((unit, name) for unit, name in _UNITS if size >= unit), _UNITS[-1])
    return f"{size / unit:.1f} {name}" if unit > 1 else f"{size} {name}"
