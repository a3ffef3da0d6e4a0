"""Weights of a vision transformer from a file, under timm's names or those of Hugging Face's class."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from mer_models._parts.weights_file import check_same, weights_of

_NAMES = (
    (r"(?:vit\.)?embeddings\.cls_token", "cls_token"),
    (r"(?:vit\.)?embeddings\.position_embeddings", "pos_embed"),
    (r"(?:vit\.)?embeddings\.patch_embeddings\.projection\.(\w+)", r"patch_embed.proj.\1"),
    (r"(?:vit\.)?encoder\.layer\.(\d+)\.layernorm_before\.(\w+)", r"blocks.\1.norm1.\2"),
    (r"(?:vit\.)?encoder\.layer\.(\d+)\.layernorm_after\.(\w+)", r"blocks.\1.norm2.\2"),
    (r"(?:vit\.)?encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(\w+)", r"blocks.\1.attn.qkv.\3#\2"),
    (r"(?:vit\.)?encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)", r"blocks.\1.attn.proj.\2"),
    (r"(?:vit\.)?encoder\.layer\.(\d+)\.intermediate\.dense\.(\w+)", r"blocks.\1.mlp.fc1.\2"),
    (r"(?:vit\.)?encoder\.layer\.(\d+)\.output\.dense\.(\w+)", r"blocks.\1.mlp.fc2.\2"),
    (r"(?:vit\.)?layernorm\.(\w+)", r"norm.\1"),
)
"""Hugging Face's names and timm's; query, key and value are one matrix in timm."""
_IDLE = re.compile(r"(?:vit\.)?(?:pooler|classifier|head|fc_norm|pre_logits)\..*")
"""Layers behind the transformer, which nothing here runs."""


def load_vit(network: Any, setting: str, path: str) -> None:
    """Fill timm's vision transformer from a file; nothing in it is run.

    Parameters
    ----------
    network : without a classifier.
    setting : ``model.pretrained``, for messages.
    path : of a safetensors file, or of one that ``torch.save`` wrote, which is read with ``weights_only``.

    Raises
    ------
    UsageError : there is no such file, it holds no weights, or those of another network; the first difference is named.
    """
    wanted = network.state_dict()
    found = _timm_names(weights_of(setting, path))
    check_same(found, wanted, setting, path, f"the weights of {_sizes(wanted)}", "vit and image_size")
    network.load_state_dict(found)


def _timm_names(held: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under timm's names; those that are no Hugging Face's keep theirs, idle layers are left out."""
    named: dict[str, Tensor] = {}
    for name, value in held.items():
        if not _IDLE.fullmatch(name):
            named[_timm_name(name)] = value
    joined = sorted({name.partition("#")[0] for name in named if "#" in name})
    for name in joined:
        parts = [named.pop(f"{name}#{part}", None) for part in ("query", "key", "value")]
        named[name] = torch.cat([part for part in parts if part is not None])
    return named


def _timm_name(name: str) -> str:
    for pattern, replacement in _NAMES:
        if found := re.fullmatch(pattern, name):
            return found.expand(replacement)
    return name


def _sizes(wanted: dict[str, Tensor]) -> str:
    layers = len({name.split(".")[1] for name in wanted if name.startswith("blocks.")})
    places, width = wanted["pos_embed"].shape[-2:]
    return f"a vision transformer of {layers} layers of {width} values and {places} places"
