"""Unified macro- and micro-expression framework: a facial graph of landmark patches beside a transformer on maps."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.facial_graph import Blocks, FacialGraph, GraphAutoencoder
from mer_models._parts.images import Resized
from mer_models._parts.pretrained import DEFAULT, NONE, REFUSED_WEIGHTS, fetched_from_hub
from mer_models.contracts import Refused, Resources, TrainingRecipe
from mer_models.registry import register_model
from preprocess.base.errors import UsageError, did_you_mean
from preprocess.faces.landmark_sets import INNER_51

MAPS, LANDMARKS, PIXELS = 9, len(INNER_51), 49
PATCHES = MAPS * LANDMARKS
EDGE_BLOCKS: Blocks = ((32, 1, 2), (256, 1, 2), (512, 2, 3))
GRAPH_BLOCKS: Blocks = ((32, 1, 2), (512, 2, 3))
GRAPH_WIDTH = 512
DROPOUT = 0.25
# Values before a normalisation vary by a hundredth: with PyTorch's 0.1 the running variance, which starts at 1, is
# still far above that after the few steps of a small database, and the graph is silent outside training.
MOMENTUM = 0.3
STREAM, STATE, LAYERS = 128, 64, 3
STREAMS = ("both", "graph", "visual")
LARGEST_CODE = 65
PUBLISHED_DIVISOR = 986
VIT = re.compile(r"vit_[a-z]+_patch(\d+)_\d+")


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
        "stream": "graph",
        "graph_width": 64,
        "patch_means": True,
        "epochs": 8,
        "batch_size": 16,
        "lr": 5e-3,
        "lr_schedule": "cosine",
        "class_weights": True,
    },
    refused=(
        Refused("stream", "sound", "one of: both, graph, visual"),
        Refused("vit", "resnet18", "a vision transformer of timm by its name there, vit_SIZE_patchP_SIDE"),
        Refused("image_size", 0, "a multiple of 16, the side of the patches of vit_tiny_patch16_224"),
        Refused(
            "image_size",
            48,
            "a multiple of 32, the side of the patches of vit_base_patch32_224",
            {"vit": "vit_base_patch32_224"},
        ),
        Refused("vit_depth", -1, "0, or a number of layers"),
        *(Refused("graph_width", value, "a multiple of 64") for value in (0, 96)),
        *REFUSED_WEIGHTS,
    ),
)
class UnifiedFGSVS(nn.Module):
    """A facial graph that finds its links itself, a vision transformer with memory, and weights for the two streams.

    Graph stream : depthwise convolution 3x3 and convolution 1x1 over the 459 patches, whose 49 pixels become a
    landmark's values in nine frames. An autoencoder of blocks 32, 256, 512 finds the links (51x51). A graph of blocks
    32 and 512 (five frames) follows them; its mean passes dropout 0.25 and a layer of 128. A block is a graph layer
    over distances 0, 1 and 2, residual convolutions over time (2, 2, 3; in the graph 2, 3), and attention over frames
    and landmarks.
    Visual stream : each map, three times as colours, through a vision transformer and a layer of 128; three
    bidirectional LSTM layers of 64 a direction; all nine states through a layer of 128.
    Fusion : a layer on both streams' 256 values gives two weights (softmax). The streams are multiplied by them and
    classified.

    Inputs
    ------
    stldn_patches : (n, 459, 7, 7) float32 in 0..1: patches of nine maps around 51 landmarks, map after map.
    stldn_maps : (n, 9, 224, 224) float32, codes 0..65 of the same maps.

    Parameters
    ----------
    vit : timm's name of the transformer, vit_SIZE_patchP_SIDE. The public code's is ``vit_large_patch16_224``; the
        default is one that runs without a large GPU.
    image_size : side that maps are resized to, a multiple of the transformer's patches; the public code's is 224.
    vit_depth : how many of the transformer's layers are kept, from the first; 0 keeps all.
    graph_width : values a landmark of the graph's widest blocks, a multiple of 64, the others in proportion; fewer are
        faster.
    pretrained : ``none`` draws random weights; ``default`` takes those that timm prefers for the transformer, which
        stand in for Hugging Face's. Weights that cannot be had are a UsageError.
    stream : ``both``; or ``graph`` or ``visual`` alone, which is then classified without fusion.
    patch_means : hands the mean of each patch behind the first convolutions to the graph stream's layer of 128, beside
        the graph's mean. The public code does not. All landmarks share the graph's weights, so its mean over them
        hardly tells which one moved, and what it learns of few clips does not help with other people.
    as_published : reproduces what the public code does instead of what it means to do:

    =============  ==============================================  ================================================
    part           default                                         as_published
    =============  ==============================================  ================================================
    graph layer    links carry values between landmarks            the links' diagonal alone is read, and it is 1:
                                                                   nothing is passed on, the autoencoder is idle
    links          of each sample; pairs' numbers start at 1       summed over the batch; pairs' numbers start at 0
    attention      multiplies the values                           takes their place
    output         logits                                          probabilities, so that the cross-entropy takes
                                                                   the softmax of a softmax; one class a sample
    codes          divided by 65                                   divided by 986, for the transformer by 255 too
    batch norm     running statistics with momentum 0.3            0.1, so that they take some 100 steps to settle
    =============  ==============================================  ================================================

    Notes
    -----
    With three classes it has 12,998,294 parameters (the graph alone 7,030,932); with ``vit_large_patch16_224`` and
    ``image_size`` 224, 310,910,230.

    This benchmark's own choices: the three groups of values of a graph layer, which share one matrix of links, are
    passed on zero, one and two times; links are correlations between landmarks, -1..1, and are divided by the sum of
    their sizes, where the public code scales nothing. The public code keeps the epoch of the lowest validation loss,
    which is a matter of the selection here.
    """

    def __init__(
        self,
        n_classes: int,
        vit: str = "vit_tiny_patch16_224",
        image_size: int = 112,
        vit_depth: int = 0,
        graph_width: int = GRAPH_WIDTH,
        pretrained: str = NONE,
        stream: str = "both",
        patch_means: bool = False,
        as_published: bool = False,
    ) -> None:
        super().__init__()
        require(stream in STREAMS, "unified_fgs_vs.stream", stream, "one of: " + ", ".join(STREAMS))
        valid = graph_width >= 64 and graph_width % 64 == 0
        require(valid, "unified_fgs_vs.graph_width", graph_width, "a multiple of 64")
        require(vit_depth >= 0, "unified_fgs_vs.vit_depth", vit_depth, "0, or a number of layers")
        if stream != "graph":
            _check_transformer(vit, image_size, pretrained)
        self.graph = _GraphStream(graph_width, patch_means, as_published) if stream != "visual" else None
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


class _GraphStream(nn.Module):
    """Patches (n, 459, 7, 7) to (n, 128)."""

    def __init__(self, width: int, patch_means: bool, as_published: bool) -> None:
        super().__init__()
        self.scale = LARGEST_CODE / PUBLISHED_DIVISOR if as_published else 1.0
        self.front = nn.Sequential(
            nn.Conv2d(PATCHES, PATCHES, 3, padding=1, groups=PATCHES, bias=False),
            nn.BatchNorm2d(PATCHES),
            nn.ReLU(),
            nn.Conv2d(PATCHES, PATCHES, 1, bias=False),
            nn.BatchNorm2d(PATCHES),
            nn.ReLU(),
        )
        self.autoencoder = GraphAutoencoder(PIXELS, _scaled(EDGE_BLOCKS, width), LANDMARKS, as_published)
        self.network = FacialGraph(PIXELS, _scaled(GRAPH_BLOCKS, width), as_published)
        self.embed = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width + PATCHES * patch_means, STREAM))
        self.patch_means = patch_means
        if not as_published:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.momentum = MOMENTUM

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        pixels = self.front(patches * self.scale).flatten(2)
        nodes = pixels.unflatten(1, (MAPS, LANDMARKS)).permute(0, 3, 1, 2)
        pooled = self.network(nodes, self.autoencoder(nodes)).mean(dim=(2, 3))
        return self.embed(torch.cat([pooled, pixels.mean(dim=2)], dim=1) if self.patch_means else pooled)


def _scaled(blocks: Blocks, width: int) -> Blocks:
    return tuple((channels * width // GRAPH_WIDTH, stride, depth) for channels, stride, depth in blocks)


class _VisualStream(nn.Module):
    """Maps of codes (n, 9, h, w) to (n, 128)."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, vit: str, image_size: int, pretrained: str, as_published: bool) -> None:
        super().__init__()
        self.reduce = Resized((image_size, image_size))
        # The public code hands 0..0.066 to an image processor that expects 0..255.
        self.divisor = PUBLISHED_DIVISOR * 255 if as_published else LARGEST_CODE
        self.image = _transformer(vit, image_size, pretrained)
        colours = self.image.default_cfg
        self.register_buffer("mean", torch.tensor(colours["mean"])[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(colours["std"])[:, None, None], persistent=False)
        self.narrow = nn.Linear(self.image.num_features, STREAM)
        self.time = nn.LSTM(STREAM, STATE, num_layers=LAYERS, batch_first=True, bidirectional=True)
        self.embed = nn.Linear(MAPS * 2 * STATE, STREAM)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        images = self.reduce(maps).flatten(0, 1)[:, None] / self.divisor
        tokens = self.narrow(self.image((images - self.mean) / self.deviation))
        states, _ = self.time(tokens.unflatten(0, maps.shape[:2]))
        return self.embed(states.flatten(1))


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

    require(pretrained in (NONE, DEFAULT), "unified_fgs_vs.pretrained", pretrained, f"{NONE} or {DEFAULT}")
    named = VIT.fullmatch(vit)
    expected = "a vision transformer of timm by its name there, vit_SIZE_patchP_SIDE"
    require(named is not None, "unified_fgs_vs.vit", vit, expected)
    if not timm.is_model(vit):
        raise UsageError(f"unified_fgs_vs.vit: timm has no {vit!r}. {did_you_mean(vit, timm.list_models('vit_*'))}")
    patch = int(named[1]) if named else 0
    valid = image_size >= patch and image_size % patch == 0
    require(valid, "unified_fgs_vs.image_size", image_size, f"a multiple of {patch}, the side of the patches of {vit}")


def _transformer(vit: str, image_size: int, pretrained: str) -> Any:
    import timm

    if pretrained == NONE:
        return timm.create_model(vit, num_classes=0, img_size=image_size)
    return fetched_from_hub(
        "unified_fgs_vs.pretrained",
        pretrained,
        lambda: timm.create_model(vit, pretrained=True, num_classes=0, img_size=image_size),
    )
