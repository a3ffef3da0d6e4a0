"""MHSSA-Transformer with GCN: attention inside six face regions, a graph between them from likeness and AUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mer_models._parts.action_units import co_occurrence
from mer_models._parts.checks import refused_shares, require, require_share
from mer_models._parts.manifold import manifold_distances, region_geodesics
from mer_models._parts.smacof import smacof_distances
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model
from preprocess.faces.landmark_sets import (
    MHSSA_72,
    MHSSA_72_AS_PUBLISHED,
    MHSSA_MASK,
    MHSSA_REGIONS,
    MHSSA_WIDTH,
    PADDING,
)

# Units of left brow, right brow, left eye, right eye, nose, outer lip. AU 25 is not among the units that the
# databases share, so that the lip rests on AU 10.
REGION_UNITS = ((1, 2, 4), (1, 2, 4), (5, 6, 7), (5, 6, 7), (9,), (10, 25))
REGIONS, SLOTS = len(MHSSA_REGIONS), MHSSA_WIDTH
SIDE, REACH = 28, 3
PATCH_VALUES = 3 * (2 * REACH + 1) ** 2
REGION_VALUES = 32
CLASSICAL, SMACOF = "classical", "smacof"
DEPTH, HEADS, GRAPH_LAYERS = 3, 4, 3
MIDDLE = 127.5


@register_model(
    "mhssa_gcn",
    features=("flow_uvs_28", "landmarks_28"),
    paper=(
        "multi-head self-attention with spatial awareness and a graph over face regions, public code "
        "leyin20/MHSSA-Tranformer-GCN (after HTNet, arXiv:2307.14637); it prints no scores, its paper was not read"
    ),
    recipe=TrainingRecipe(epochs=100, batch_size=128, lr=5e-5, optimizer="adam", input_range="raw"),
    resources=Resources(cpus=1, gpu=0.25, pack=4),
    quick={"dim": 32, "epochs": 10, "batch_size": 32, "lr": 3e-3, "class_weights": True},
    published_input=True,
    checked=(
        Checked(
            "leyin20/MHSSA-Tranformer-GCN@8a8e4ee, model.py: HTNet",
            form={"as_published": True, "layout": SMACOF},
            inputs=((4, 3, 28, 28), (4, 68, 2)),
            ranges=((0.0, 255.0), (0.0, 27.0)),
            outputs=(
                *(-5.960454, -0.105808, -0.299379, -5.855186, 0.159869, -0.351383),
                *(-5.974877, -0.020702, -0.315481, -5.975256, -0.023813, -0.295132),
            ),
            difference=9.6e-7,
        ),
    ),
    refused=(
        *(Refused("dim", value, "a multiple of 4") for value in (0, 30)),
        *refused_shares(),
        Refused("layout", "isomap", "classical, or with as_published=True smacof"),
        Refused("layout", "smacof", "classical, or with as_published=True smacof"),
    ),
)
class MHSSAGCN(nn.Module):
    """Flow patches around the landmarks of six regions; attention inside each region, graph layers among them.

    Tokens : a patch of 7x7x3 around each landmark of brows (5 each), eyes (6 each), nose (9) and outer lip (12), in
    twelve slots a region; through a layer of ``dim``, joined by 32 values of its region, and a layer of ``dim`` again.
    Regions : three transformer layers (4 heads, dense part of 4 ``dim``, normalised before each part) among a region's
    tokens, whose attention prefers near landmarks; mean, layer normalisation, a layer of ``dim``.
    Graph : three layers ReLU(A (X W + b)) over A = a M + (1 - a) C, where a is learned, 0.5 at the start. M are
    distances after classical scaling of the regions' geodesics to the plane (of edges as long as the cosine between two
    regions' vectors, at least 0.1). C says how often the regions' action units occur together: 1, 2, 4 the brows, 5, 6,
    7 the eyes, 9 the nose, 10 the lip (its AU 25 is not among the shared units). C is counted by ``prepare_training``
    on the training samples that it is given; it is uniform without annotations. The regions' mean, normalised, is
    classified.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32 in 0..255.
    landmarks_28 : (n, 68, 2) float32, x and y in the pixels of the flow image.

    Parameters
    ----------
    dim : width of all layers, a multiple of 4.
    dropout : share of attention and dense values dropped in training.
    layout : how the regions' geodesics are brought to the plane. ``classical``: classical scaling, all samples at once.
        ``smacof``, with ``as_published`` alone: the public code's iterative solver, with its seed; it costs some
        hundred times as much.
    as_published : reproduces what the public code does instead of what it means to do:

    =============  ==============================================  ================================================
    part           default                                         as_published
    =============  ==============================================  ================================================
    proximity      1 / (1 + d), at most 1                          1 / (d + 1e-8): 1e8 for a token and itself, so
                                                                   that it attends to itself alone
    empty slots    masked in attention and mean                    zeros that take part in both
    landmarks      dlib's numbering; rounded; the border is        eyes on the nose, nose on the eyes; cut off;
                   repeated outside                                centres held within 3..24
    M              has gradients; rows sum to 1                    constant; rows divided by their largest value
    C              a region with itself counts; rows sum to 1      shares of the region's own samples, diagonal 0
    a              0..1                                            unbounded
    flow           brought to -1..1                                0..255
    =============  ==============================================  ================================================

    Notes
    -----
    Three things differ from the public code in both forms. It counts C on the whole sheet of CASME II, test subjects
    included, which is never done here. It holds a transformer between regions that nothing runs; it is left out. And it
    stops with an error as published (its training hands the counts over as a tensor, its network expects a NumPy
    array), so this is what it would do without that error. ``layout=smacof`` gives its numbers.

    With three classes it has 2,744,004 parameters.
    """

    empty: Tensor
    co_occurrence: Tensor
    points: Tensor

    def __init__(
        self,
        n_classes: int,
        dim: int = 256,
        dropout: float = 0.1,
        layout: str = CLASSICAL,
        as_published: bool = False,
    ) -> None:
        super().__init__()
        known = layout == CLASSICAL or (layout == SMACOF and as_published)
        require(known, "mhssa_gcn.layout", layout, "classical, or with as_published=True smacof")
        require(dim >= HEADS and dim % HEADS == 0, "mhssa_gcn.dim", dim, f"a multiple of {HEADS}")
        require_share("mhssa_gcn.dropout", dropout)
        self.as_published, self.layout = as_published, layout
        chosen = torch.tensor(MHSSA_72_AS_PUBLISHED if as_published else MHSSA_72)
        self.register_buffer("points", chosen.where(chosen != PADDING, 0), persistent=False)
        self.register_buffer("empty", ~torch.tensor(MHSSA_MASK).reshape(REGIONS, SLOTS), persistent=False)
        self.register_buffer("co_occurrence", torch.full((REGIONS, REGIONS), 1 / REGIONS))
        self.patch = nn.Linear(PATCH_VALUES, dim)
        self.region = nn.Parameter(torch.randn(REGIONS, 1, REGION_VALUES))
        self.combine = nn.Linear(dim + REGION_VALUES, dim)
        self.layers = nn.ModuleList(_Layer(dim, dropout) for _ in range(DEPTH))
        self.summary = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))
        self.balance = nn.Parameter(torch.tensor(0.5 if as_published else 0.0))
        self.graph = nn.ModuleList(nn.Linear(dim, dim) for _ in range(GRAPH_LAYERS))
        self.classifier = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_classes))

    def prepare_training(self, labels: Tensor, action_units: Tensor) -> None:
        """Count how often the regions' units occur together in the training samples.

        Parameters
        ----------
        labels : not used.
        action_units : (n, 12), 0 and 1; rows of -1 are not known. Columns as in ``SHARED_UNITS``.
        """
        self.co_occurrence.copy_(co_occurrence(action_units, REGION_UNITS, own=not self.as_published))

    def forward(self, flow: Tensor, landmarks: Tensor) -> Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28) and landmarks (n, 68, 2)."""
        centres = self._centres(landmarks)
        patches = cut_patches(flow if self.as_published else flow / MIDDLE - 1, centres)
        patches = patches.unflatten(1, (REGIONS, SLOTS)) * ~self.empty[..., None]
        embedded = self.patch(patches)
        region = self.region.expand(*embedded.shape[:-1], REGION_VALUES)
        tokens = self.combine(torch.cat([embedded, region], dim=-1))
        bias = self._proximity(centres.unflatten(1, (REGIONS, SLOTS)))
        for layer in self.layers:
            tokens = layer(tokens, bias)
        nodes = self.summary(self._mean(tokens))
        links = self._links(nodes)
        for layer in self.graph:
            nodes = torch.relu(links @ layer(nodes))
        return self.classifier(nodes.mean(dim=1))

    def _centres(self, landmarks: Tensor) -> Tensor:
        """Return the patches' centres (n, 72, 2), whole numbers; those of empty slots are of no account."""
        chosen = landmarks[:, self.points]
        return chosen.floor().clamp(REACH, SIDE - 1 - REACH) if self.as_published else chosen.round()

    def _proximity(self, centres: Tensor) -> Tensor:
        """Return what (n, 6, 1, 12, 12) is added to attention; centres (n, 6, 12, 2)."""
        distances = (centres[..., :, None, :] - centres[..., None, :, :]).square().sum(dim=-1).sqrt()
        if self.as_published:
            paired = ~(self.empty[:, :, None] | self.empty[:, None])
            return (paired / (distances + 1e-8))[:, :, None]
        bias = 1 / (1 + distances)
        return bias.masked_fill(self.empty[:, None], torch.finfo(bias.dtype).min)[:, :, None]

    def _mean(self, tokens: Tensor) -> Tensor:
        """Return the regions' vectors (n, 6, dim) of tokens (n, 6, 12, dim)."""
        if self.as_published:
            return tokens.mean(dim=2)
        real = (~self.empty).to(tokens.dtype)[..., None]
        return (tokens * real).sum(dim=2) / real.sum(dim=1)

    def _links(self, nodes: Tensor) -> Tensor:
        """Return the adjacency (n, 6, 6) of regions (n, 6, dim)."""
        if self.layout == SMACOF:
            distances = smacof_distances(region_geodesics(nodes.detach())).to(nodes.dtype)
        else:
            distances = manifold_distances(nodes.detach() if self.as_published else nodes)
        largest, total = distances.amax(dim=-1, keepdim=True), distances.sum(dim=-1, keepdim=True)
        likeness = distances / (largest if self.as_published else total)
        share = self.balance if self.as_published else torch.sigmoid(self.balance)
        return share * likeness + (1 - share) * self.co_occurrence


def cut_patches(flow: Tensor, centres: Tensor) -> Tensor:
    """Return 7x7 patches of images; outside of an image its border is repeated.

    Parameters
    ----------
    images : (n, 3, h, w).
    centres : (n, v, 2), x and y, whole numbers.

    Returns
    -------
    (n, v, 147). A patch is flattened channel after channel, row after row.
    """
    height, width = flow.shape[-2:]
    reach = torch.arange(-REACH, REACH + 1, device=flow.device)
    columns = (centres[..., 0, None].long() + reach).clamp(0, width - 1)
    rows = (centres[..., 1, None].long() + reach).clamp(0, height - 1)
    places = (rows[..., :, None] * width + columns[..., None, :]).flatten(1)
    pixels = flow.flatten(2).gather(2, places[:, None].expand(-1, flow.shape[1], -1))
    return pixels.unflatten(2, (centres.shape[1], -1)).transpose(1, 2).flatten(2)


class _Layer(nn.Module):
    """One transformer layer among the tokens of a region; (n, 6, 12, dim) to the same shape."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, 3 * dim, bias=False)
        self.merge = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(dropout))
        self.drop = nn.Dropout(dropout)
        self.dense = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * dim, dim),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        split = self.project(self.norm(tokens)).unflatten(-1, (3, HEADS, -1)).unbind(-3)
        query, key, value = (part.transpose(-2, -3) for part in split)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + bias
        mixed = self.drop(torch.softmax(scores, dim=-1)) @ value
        tokens = tokens + self.merge(mixed.transpose(-2, -3).flatten(-2))
        return tokens + self.dense(tokens)
