"""A graph network over the motion of twelve facial regions that action units move."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import refused_shares, require_share
from mer_models._parts.own_feature import also_on
from mer_models.contracts import Resources, TrainingRecipe
from mer_models.registry import register_model

REGIONS = 12
NODE_VALUES = 16


@register_model(
    "au_gcn",
    features=("au_rois_flow",),
    paper=(
        "front end and layers after S. Yin, S. Wu, T. Xu, S. Liu, S. Zhao, E. Chen: AU-aware Graph Convolutional "
        "Network for Macro- and Micro-expression Spotting, ICME 2023 (public code xjtupanda/AUW-GCN), which spots; in "
        "the spirit of L. Lei, T. Chen, S. Li, J. Li: Micro-expression Recognition Based on Facial Graph "
        "Representation Learning and Facial Action Unit Fusion, CVPR Workshops 2021, which has no public code"
    ),
    recipe=TrainingRecipe(epochs=100, batch_size=32, lr=1e-3, optimizer="adam", input_range="raw"),
    resources=Resources(cpus=1, gpu=0.125, pack=8),
    quick={"epochs": 20, "batch_size": 16},
    refused=refused_shares(),
)
class AUGCN(nn.Module):
    """One graph convolution over twelve regions a frame, three convolutions over time, a mean and a linear classifier.

    Graph convolution (torch-geometric's ``DenseGCNConv``) 2 to 16 values a region, batch normalisation, ReLU. The
    frame's 192 values pass convolutions over time of 64 filters, of 1 frame, 3 frames and 3 frames two apart, with a
    ReLU after each. The length stays t; the mean over time is classified.

    Inputs
    ------
    au_rois_flow : (n, t, 12, 2) float32: u and v in pixels of each region, in each of t = 10 frames. The flow is not
        that of AUW-GCN's code, which takes it between neighbouring frames and stores it in 8 bits:
        ``au_gcn/au_rois_flow_8bit`` is the same network on that.

    Parameters
    ----------
    dropout : share of the mean's values dropped in training, 0 <= dropout < 1.

    Notes
    -----
    The adjacency is a learned, symmetric 12x12 matrix in 0..1 with all regions linked alike at the start. AUW-GCN and
    similar networks fill it from how often action units occur together. That must be counted on the training subjects
    alone: this network is not given action units, and a matrix from a file would have seen the test subjects.

    With three classes it has 37,475 parameters. The recipe is this benchmark's own.
    """

    def __init__(self, n_classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        require_share("au_gcn.dropout", dropout)
        from torch_geometric.nn import DenseGCNConv

        self.links = nn.Parameter(torch.zeros(REGIONS, REGIONS))
        self.graph = DenseGCNConv(2, NODE_VALUES)
        self.norm = nn.BatchNorm1d(NODE_VALUES)
        self.time = nn.Sequential(
            nn.Conv1d(REGIONS * NODE_VALUES, 64, kernel_size=1),
            nn.ReLU(),
            nn.Conv1d(64, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv1d(64, 64, kernel_size=3, padding=2, dilation=2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(64, n_classes))

    def forward(self, motion: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of the regions' motion (n, t, 12, 2)."""
        n, t = motion.shape[:2]
        nodes = self.graph(motion.flatten(0, 1), self._adjacency())
        nodes = torch.relu(self.norm(nodes.transpose(1, 2)))
        frames = nodes.flatten(1).unflatten(0, (n, t)).transpose(1, 2)
        return self.classifier(self.time(frames).mean(dim=2))

    def _adjacency(self) -> torch.Tensor:
        """Return (12, 12) in 0..1; the graph layer sets its diagonal to 1."""
        return torch.sigmoid((self.links + self.links.T) / 2)


also_on("au_gcn", "au_rois_flow_8bit", said="the motion of AUW-GCN's own code is")
