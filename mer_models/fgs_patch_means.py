"""The facial graph of the unified framework with a way past it: the means of its patches are classified beside it."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.graph_stream import GRAPH_WIDTH, STREAM, GraphStream, require_graph_width
from mer_models.contracts import Refused, Resources, TrainingRecipe
from mer_models.registry import register_model


@register_model(
    "fgs_patch_means",
    features=("stldn_patches_motion_steps",),
    paper=(
        "this benchmark's own, after the facial graph stream of the unified framework for macro- and micro-expressions "
        "(public code shayhan-ameen/Unified_MaE_and_ME_Recognition)"
    ),
    recipe=TrainingRecipe(epochs=15, batch_size=32, lr=1e-4, optimizer="adam", input_range="raw"),
    resources=Resources(cpus=1, gpu=0.5, pack=2),
    quick={
        "graph_width": 64,
        "epochs": 4,
        "batch_size": 16,
        "lr": 1e-2,
        "lr_schedule": "cosine",
        "class_weights": True,
    },
    refused=tuple(Refused("graph_width", value, "a multiple of 64") for value in (0, 96)),
)
class FGSPatchMeans(nn.Module):
    """The graph stream of ``unified_fgs_vs`` alone, and beside its graph the mean of each of its 459 patches.

    All landmarks share the graph's weights, so that its mean over them hardly tells which one moved, and what it learns
    of few clips does not help with other people. The means behind the first convolutions do tell; they enter the layer
    of 128 beside the graph's. Nothing like that is published: this is no form of the system.

    Inputs
    ------
    stldn_patches_motion_steps : (n, 459, 7, 7) float32 in 0..1: patches of nine maps around 51 landmarks, map after
        map, of frames between which the landmarks move equally far. Of the frames with most landmark motion
        it learns hardly anything of rendered faces.

    Parameters
    ----------
    graph_width : values a landmark of the graph's widest blocks, a multiple of 64, the others in proportion.

    Notes
    -----
    With three classes it has 7,100,132 parameters.
    """

    def __init__(self, n_classes: int, graph_width: int = GRAPH_WIDTH) -> None:
        super().__init__()
        require_graph_width("fgs_patch_means.graph_width", graph_width)
        self.graph = GraphStream(graph_width, patch_means=True)
        self.classifier = nn.Linear(STREAM, n_classes)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of patches (n, 459, 7, 7)."""
        return self.classifier(self.graph(patches))
