"""Unified macro- and micro-expression framework: a facial graph of landmark patches beside a transformer on maps."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.graph_stream import (
    GRAPH_WIDTH,
    LARGEST_CODE,
    MAPS,
    PUBLISHED_DIVISOR,
    STREAM,
    GraphStream,
    require_graph_width,
)
from mer_models._parts.images import Resized
from mer_models._parts.own_feature import also_on
from mer_models._parts.pretrained import DEFAULT, NONE, fetched_from_hub
from mer_models._parts.vit_weights import load_vit
from mer_models._parts.weights_file import SUFFIXES, is_weights_file
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model
from preprocess.base.errors import UsageError, did_you_mean

STATE, LAYERS = 64, 3
STREAMS = ("both", "graph", "visual")
PUBLISHED_VIT, PUBLISHED_SIDE = "vit_large_patch16_224.orig_in21k", 224
VARIANCE_BOUND = 1e-12
"""What Hugging Face's transformer adds to variances in layer normalisation; timm's adds a millionth."""
WEIGHTS = f"none, default, or the path of a file that ends in {', '.join(SUFFIXES)}"
VIT = re.compile(r"(vit_[a-z]+_patch(\d+)_\d+)(\.\w+)?")


@register_model(
    "unified_fgs_vs",
    features=("stldn_patches", "stldn_maps"),
    paper=(
        "unified framework for macro- and micro-expressions with a facial graph stream and a visual stream, public "
        "code shayhan-ameen/Unified_MaE_and_ME_Recognition; its paper was not read"
    ),
    recipe=TrainingRecipe(epochs=15, batch_size=32, lr=1e-4, optimizer="adam", input_range="raw"),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    one_class_where=("as_published",),
    published_input=True,
    quick={
        "vit": "vit_tiny_patch16_224",
        "image_size": 32,
        "vit_depth": 2,
        "pretrained": NONE,
        "graph_width": 64,
        "epochs": 1,
        "batch_size": 16,
        "lr": 2e-3,
        "lr_schedule": "cosine",
        "class_weights": True,
    },
    checked=(
        Checked(
            "shayhan-ameen/Unified_MaE_and_ME_Recognition@593fea0, model/MMER_model.py: MMER_model",
            form={"as_published": True, "vit": "vit_tiny_patch16_224", "image_size": 32, "pretrained": NONE},
            inputs=((4, 459, 7, 7), (4, 9, 32, 32)),
            ranges=((-1000.0, 1000.0), (0.0, 986.0)),
            outputs=(
                *(0.335939646, 0.346402675, 0.317657620, 0.335922480, 0.346423000, 0.317654461),
                *(0.335922360, 0.346415609, 0.317662030, 0.335927308, 0.346410811, 0.317661852),
            ),
            difference=3e-8,
            # Its attention maps and its nearly constant pictures hardly let the input through.
            tolerance=3e-7,
        ),
    ),
    refused=(
        Refused("stream", "sound", "one of: both, graph, visual"),
        Refused("vit", "resnet18", "a vision transformer of timm by its name there, vit_SIZE_patchP_SIDE"),
        Refused("image_size", 0, "a multiple of 16, the side of the patches of vit_large_patch16_224"),
        Refused(
            "image_size",
            48,
            "a multiple of 32, the side of the patches of vit_base_patch32_224",
            {"vit": "vit_base_patch32_224"},
        ),
        Refused("vit_depth", -1, "0, or a number of layers"),
        *(Refused("graph_width", value, "a multiple of 64") for value in (0, 96)),
        Refused("pretrained", "mine", WEIGHTS),
    ),
)
class UnifiedFGSVS(nn.Module):
    """A facial graph that finds its links itself, a vision transformer with memory, and weights for the two streams.

    Graph stream : depthwise convolution 3x3 and convolution 1x1 over the 459 patches, whose 49 pixels become a
    landmark's values in nine frames. An autoencoder of blocks 32, 256, 512 finds the links (51x51): inner products of
    landmarks' codes, multiplied by a learned matrix. A graph of blocks 32 and 512 (five frames) follows them; its mean
    passes dropout 0.25 and a layer of 128. A block is a graph layer over distances 0, 1 and 2, residual convolutions
    over time (2, 2, 3; in the graph 2, 3), and attention over frames and landmarks. Weights of both start as He et al.
    draw them, by what leaves a layer.
    Visual stream : each map, three times as colours, through a vision transformer and a layer of 128; three
    bidirectional LSTM layers of 64 a direction; all nine states through a layer of 128.
    Fusion : a layer on both streams' 256 values gives two weights (softmax). The streams are multiplied by them and
    classified.

    Inputs
    ------
    stldn_patches : (n, 459, 7, 7) float32 in 0..1: patches of nine maps around 51 landmarks, map after map.
    stldn_maps : (n, 9, 224, 224) float32, codes 0..65 of the same maps.

    ``unified_fgs_vs/stldn_patches_equal_steps`` is the same network on patches and maps of the frames that the public
    code takes: with ``as_published``, the whole published form. ``unified_fgs_vs/stldn_patches_motion_steps`` takes
    frames between which the landmarks move equally far.

    Parameters
    ----------
    vit : timm's name of the transformer, vit_SIZE_patchP_SIDE, and behind a dot which of its trained weights are meant.
        The public code's is ViT-large with patches of 16 pixels, trained on ImageNet-21k.
    image_size : side that maps are resized to, a multiple of the transformer's patches; 224 as published.
    vit_depth : how many of the transformer's layers are kept, from the first; 0 keeps all.
    graph_width : values a landmark of the graph's widest blocks, a multiple of 64, the others in proportion; fewer are
        faster.
    pretrained : ``default`` takes the transformer's trained weights from timm's hub or its cache, those of which
        Hugging Face's ``google/vit-large-patch16-224-in21k`` is a copy; a path takes them from a file, under timm's or
        Hugging Face's names; ``none`` draws random ones. Weights that cannot be had are a UsageError.
    stream : ``both``; or ``graph`` or ``visual`` alone, which is then classified without fusion.
    as_published : reproduces what the public code does instead of what it means to do:

    =============  ==============================================  ================================================
    part           default                                         as_published
    =============  ==============================================  ================================================
    frames         the eleven that the landmarks moved to          the same; by the first name above those of the
                   farthest since the frame before, from onset     public code, which never calls its function for
                   to apex                                         motion: nine in tenths of the way from onset to
                                                                   apex, the apex, the one after
    values         a landmark's are the 49 pixels of its patch     the numbers of (459, 49) are read on as (49, 9,
                                                                   51): pixels, maps and landmarks are mixed
    graph layer    links carry values between landmarks            the links' diagonal alone is read, and it is 1:
                                                                   nothing is passed on, the autoencoder is idle
    links          of each sample; the learned matrix starts as    summed over the batch; the learned matrix starts
                   the identity                                    at 0
    attention      multiplies the values                           takes their place
    output         logits                                          probabilities, so that the cross-entropy takes
                                                                   the softmax of a softmax; one class a sample
    codes          divided by 65                                   divided by 986; for the transformer brought to
                                                                   whole numbers of 255 and divided by 255 twice
    batch norm     running statistics with momentum 0.3            0.1, so that they take some 100 steps to settle
    =============  ==============================================  ================================================

    Notes
    -----
    With three classes it has 310,920,678 parameters (the graph alone 7,041,380). Hugging Face's class counts 1,049,600
    more, a layer behind the transformer that nothing runs.

    This benchmark's own choices: the three groups of values of a graph layer, which share one matrix of links, are
    passed on zero, one and two times; codes are centred and of length 1 before their inner products, so that links are
    correlations between landmarks at first, and are divided by the sum of their sizes, where the public code scales
    nothing. The public code's function for landmark motion ranks sums that grow point by point, whose places are no
    frames; here a frame's motion is the mean over the points of an aligned face, smoothed over time. The public code
    keeps the epoch of the lowest validation loss, which is a matter of the selection here. Its frames are not aligned,
    and its maps are resized behind the division, not before.
    """

    def __init__(
        self,
        n_classes: int,
        vit: str = PUBLISHED_VIT,
        image_size: int = PUBLISHED_SIDE,
        vit_depth: int = 0,
        graph_width: int = GRAPH_WIDTH,
        pretrained: str = DEFAULT,
        stream: str = "both",
        as_published: bool = False,
    ) -> None:
        super().__init__()
        require(stream in STREAMS, "unified_fgs_vs.stream", stream, "one of: " + ", ".join(STREAMS))
        require_graph_width("unified_fgs_vs.graph_width", graph_width)
        require(vit_depth >= 0, "unified_fgs_vs.vit_depth", vit_depth, "0, or a number of layers")
        if stream != "graph":
            _check_transformer(vit, image_size, pretrained)
        self.graph = GraphStream(graph_width, as_published=as_published) if stream != "visual" else None
        self.visual = _VisualStream(vit, image_size, pretrained, as_published) if stream != "graph" else None
        if self.visual and vit_depth:
            layers = len(self.visual.image.blocks)
            require(vit_depth <= layers, "unified_fgs_vs.vit_depth", vit_depth, f"0, or up to the {layers} of {vit}")
            self.visual.image.blocks = self.visual.image.blocks[:vit_depth]
        # The graph alone takes no notice of the maps: their means are handed over, since something must be.
        self.reductions = (None, self.visual.reduce if self.visual else Resized((1, 1)))
        self.fuse = _Fusion() if stream == "both" else None
        self.classifier = nn.Linear(2 * STREAM if stream == "both" else STREAM, n_classes)
        self.as_published = as_published

    def forward(self, patches: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of patches (n, 459, 7, 7) and maps (n, 9, h, w)."""
        streams = [self.graph(patches)] if self.graph else []
        streams += [self.visual(maps)] if self.visual else []
        logits = self.classifier(self.fuse(*streams) if self.fuse else streams[0])
        return logits.softmax(dim=1) if self.as_published else logits


class _VisualStream(nn.Module):
    """Maps of codes (n, 9, h, w) to (n, 128)."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, vit: str, image_size: int, pretrained: str, as_published: bool) -> None:
        super().__init__()
        self.reduce = Resized((image_size, image_size))
        self.as_published = as_published
        self.image = _transformer(vit, image_size, pretrained)
        colours = self.image.default_cfg
        self.register_buffer("mean", torch.tensor(colours["mean"])[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(colours["std"])[:, None, None], persistent=False)
        self.narrow = nn.Linear(self.image.num_features, STREAM)
        self.time = nn.LSTM(STREAM, STATE, num_layers=LAYERS, batch_first=True, bidirectional=True)
        self.embed = nn.Linear(MAPS * 2 * STATE, STREAM)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        images = self._brightness(self.reduce(maps)).flatten(0, 1)[:, None]
        tokens = self.narrow(self.image((images - self.mean) / self.deviation))
        states, _ = self.time(tokens.unflatten(0, maps.shape[:2]))
        return self.embed(states.flatten(1))

    def _brightness(self, codes: torch.Tensor) -> torch.Tensor:
        if not self.as_published:
            return codes / LARGEST_CODE
        # The public code hands 0..0.066 to an image processor that makes a picture of whole numbers of them in order
        # to resize it, undoes that, and divides by 255, since it expects 0..255.
        return (codes / PUBLISHED_DIVISOR * 255).floor() / 255 / 255


class _Fusion(nn.Module):
    """Weigh two streams (n, 128) against each other by looking at both; (n, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Linear(2 * STREAM, 2)

    def forward(self, graph: torch.Tensor, visual: torch.Tensor) -> torch.Tensor:
        weights = self.weigh(torch.cat([graph, visual], dim=1)).softmax(dim=1)
        return torch.cat([graph * weights[:, :1], visual * weights[:, 1:]], dim=1)


def _check_transformer(vit: str, image_size: int, pretrained: str) -> None:
    import timm

    valid = pretrained in (NONE, DEFAULT) or is_weights_file(pretrained)
    require(valid, "unified_fgs_vs.pretrained", pretrained, WEIGHTS)
    named = VIT.fullmatch(vit)
    expected = "a vision transformer of timm by its name there, vit_SIZE_patchP_SIDE"
    require(named is not None, "unified_fgs_vs.vit", vit, expected)
    if not named:
        return
    architecture, tag = named[1], named[3]
    if not timm.is_model(architecture):
        near = did_you_mean(architecture, timm.list_models("vit_*"))
        raise UsageError(f"unified_fgs_vs.vit: timm has no {architecture!r}. {near}")
    trained = timm.list_pretrained(f"{architecture}*")
    if tag and vit not in trained:
        raise UsageError(f"unified_fgs_vs.vit: timm has no weights {vit!r}. {did_you_mean(vit, trained)}")
    patch = int(named[2])
    valid = image_size >= patch and image_size % patch == 0
    expected = f"a multiple of {patch}, the side of the patches of {architecture}"
    require(valid, "unified_fgs_vs.image_size", image_size, expected)


def _transformer(vit: str, image_size: int, pretrained: str) -> Any:
    import timm

    setting = "unified_fgs_vs.pretrained"
    sizes: dict[str, Any] = {"num_classes": 0, "img_size": image_size}
    if pretrained == DEFAULT:
        network = fetched_from_hub(setting, pretrained, lambda: timm.create_model(vit, pretrained=True, **sizes))
    else:
        network = timm.create_model(vit, **sizes)
    if is_weights_file(pretrained):
        load_vit(network, setting, pretrained)
    for layer in network.modules():
        if isinstance(layer, nn.LayerNorm):
            layer.eps = VARIANCE_BOUND
    return network


also_on(
    "unified_fgs_vs",
    ("stldn_patches_motion_steps", "stldn_maps_motion_steps"),
    ("stldn_patches_equal_steps", "stldn_maps_equal_steps"),
    said="patches of other frames are",
)
