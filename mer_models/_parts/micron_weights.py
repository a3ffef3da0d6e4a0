"""Weights of Micron-BERT from a file that its authors released, under their names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mer_models._parts.pretrained import NoWeights
from mer_models._parts.weights_file import check_same, weights_of

RELEASED = "CASME2-is224-p8-b16-ep200.pth"
_NAMES = {"encoder.patch_embed.": "backbone.patch_embed.proj.", "encoder.": "backbone.", "compare.": "att."}
"""How our names start, and theirs."""


def released_needed(setting: str) -> NoWeights:
    """Return the error that tells which file is needed, since no library has it.

    setting : ``model.pretrained``.
    """
    return NoWeights(
        f"{setting} is 'default', but no library has the weights of Micron-BERT. Ask its authors for {RELEASED} "
        f"(README of uark-cviu/Micron-BERT), put it where every node sees it, and name it with --set {setting}=PATH; "
        f"--set {setting}=none starts from random weights."
    )


def load_released(network: nn.Module, setting: str, path: str) -> None:
    """Fill a network's ``encoder``, and its ``compare`` if it has one, from a file; nothing in it is run.

    Parameters
    ----------
    network : what is filled.
    setting : ``model.pretrained``, for messages.
    path : of a safetensors file, or of one that ``torch.save`` wrote: tensors by the public code's names, or a
        checkpoint with these under ``model`` and the settings of the training beside them.

    Raises
    ------
    UsageError : there is no such file, it holds no weights, or those of another network; the first difference is named.
    """
    held = weights_of(setting, path)
    wanted = {_released_name(name): value for name, value in network.state_dict().items() if _released_name(name)}
    # Of the parts for training without labels, some forms use none.
    used = {name: value for name, value in held.items() if name in wanted or name.startswith("backbone.")}
    check_same(used, wanted, setting, path, _sizes(wanted), "image_size, dim and depth")
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if released := _released_name(name):
                value.copy_(held[released])


def _released_name(name: str) -> str:
    """Return the public code's name of one of our tensors; "" for those of the head."""
    return next((theirs + name[len(ours) :] for ours, theirs in _NAMES.items() if name.startswith(ours)), "")


def _sizes(wanted: dict[str, Tensor]) -> str:
    layers = len({name.split(".")[2] for name in wanted if name.startswith("backbone.blocks.")})
    places, width = wanted["backbone.pos_embed"].shape[-2:]
    return f"the encoder of Micron-BERT with {layers} layers of {width} values and {places} places"
