"""How large the networks of studies are, for the board: worked out from their hyper-parameters, not from weights."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import MerError
from preprocess.recipes import FEATURES
from results.store.study_card import StudyCard
from results.views.board_data import Size


def network_size(info: ModelInfo, params: Mapping[str, Any], n_classes: int, flops: bool = True) -> Size:
    """Return a network's number of parameters, and the GFLOPs of one sample's forward pass.

    A multiplication with its addition counts as two operations. Only matrix products, convolutions and attention count,
    as in ``torch.utils.flop_counter``.

    Parameters
    ----------
    info : the network.
    params : its own hyper-parameters, where they are not the default.
    n_classes : of the task.
    flops : whether GFLOPs are counted; torch takes seconds to be ready for that.
    """
    try:
        # Without memory for weights: the largest takes a second, not a gigabyte and twenty seconds.
        return _counted(info, params, n_classes, flops, "meta")
    except (RuntimeError, TypeError):
        # It looks at values, which such tensors do not have; an error of its own comes again.
        return _counted(info, params, n_classes, flops, "cpu")


def _counted(info: ModelInfo, params: Mapping[str, Any], n_classes: int, flops: bool, device: str) -> Size:
    import torch

    with torch.device(device):
        network: Any = info.build(n_classes=n_classes, **{**params, **info.untrained_params}).eval()
        parameters = sum(parameter.numel() for parameter in network.parameters())
        if not flops:
            return Size(parameters, None)
        from torch.utils.flop_counter import FlopCounterMode

        sample = [torch.zeros(1, *FEATURES.get(name).shape) for name in info.inputs]
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            network(*sample)
    return Size(parameters, counter.get_total_flops() / 1e9)


def sizes_of(cards: Iterable[StudyCard], seconds: float, flops: bool = True) -> dict[str, Size]:
    """Return the first 16 digits of a study's key -> the size of its network.

    Parameters
    ----------
    cards : the studies; those of estimators, and of models that this program does not know, have no size.
    seconds : how long to go on beginning with another network: large ones take seconds.
    flops : whether GFLOPs are counted.
    """
    until, found = time.monotonic() + seconds, dict[str, Size]()
    made: dict[tuple[str, int], Size | None] = {}
    for card in cards:
        network = (card.label, len(card.classes))
        if network not in made:
            made[network] = _size_of(card, flops) if time.monotonic() < until else None
        if size := made[network]:
            found[card.key[:16]] = size
    return found


def _size_of(card: StudyCard, flops: bool) -> Size | None:
    if card.model not in MODELS.names() or not card.hyperparameters:
        return None
    info = MODELS.get(card.model)
    if info.kind != "network":
        return None
    params = {name: card.hyperparameters[name] for name in info.params if name in card.hyperparameters}
    try:
        return network_size(info, params, len(card.classes), flops)
    except (MerError, RuntimeError, TypeError, ValueError):
        # A study of before, whose settings today's network does not take: the board shows it without a size.
        return None
