"""HTNet: a hierarchical transformer over the two eye and the two lip-corner areas of a flow image."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.face_areas import PATCH, Aggregation, Level, mosaic
from mer_models._parts.own_feature import also_on
from mer_models._parts.published import megc2019_cde
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

DEPTHS = (2, 2, 10)
HEADS = (3, 6, 12)


@register_model(
    "htnet",
    features=("flow_uvs_28",),
    paper=(
        "Z. Wang, K. Zhang, W. Luo, R. Sankaranarayana: HTNet for micro-expression recognition, 2023, arXiv:2307.14637"
    ),
    recipe=TrainingRecipe(epochs=800, batch_size=256, lr=5e-5, optimizer="adam", input_range="raw", shuffle=False),
    resources=Resources(cpus=1, gpu=0.5, pack=2),
    published=megc2019_cde(
        full=(0.8603, 0.8475),
        casme2=(0.9532, 0.9516),
        samm=(0.8131, 0.8124),
        smic=(0.8049, 0.7905),
        selection="oracle",
        reference=(
            "the HTNet paper's own table (wangzhifengharrison/HTNet, images/state_of_art.png); its code picks each "
            "subject's best epoch by accuracy on that subject. Independent re-run (issue 21 there): UF1 about .65"
        ),
    ),
    checked=(
        Checked(
            against="wangzhifengharrison/HTNet@91cf4bda0a2d, Model.py: HTNet",
            form={"as_published": True, "dim": 12},
            inputs=((4, 3, 28, 28),),
            outputs=(
                1.092291,
                1.135579,
                1.025989,
                0.962766,
                1.106811,
                1.196048,
                0.898827,
                1.091828,
                1.177867,
                0.909173,
                1.021363,
                0.991054,
            ),
            difference=1e-6,
        ),
    ),
    # Of pixels of 0..255, what the layers of the first level add is a hundredth: a few hundred steps do not mend that.
    quick={"dim": 24, "epochs": 15, "batch_size": 32, "lr": 1e-3, "input_range": "standard"},
    refused=(Refused("dim", 2, "a whole number of at least 3"),),
)
class HTNet(nn.Module):
    """Four 14x14 face areas, cut into 7x7 patches, through three levels of transformer layers and aggregations.

    The areas around eyes and lip corners are tiled to 28x28 (eyes above, lip corners below), embedded as 4x4 patches,
    and pass three levels of width ``dim``, 2 ``dim`` and 4 ``dim``, with 2, 2 and 10 layers and 3, 6 and 12 heads. A
    layer is self-attention inside each block of patches and a dense part of four times the width, both behind a layer
    normalisation and with a residual. Between levels an aggregation (3x3 convolution, layer normalisation, max-pooling
    3 with stride 2) mixes the blocks and halves the map: 4x4, 2x2, 1x1. The first level's blocks are the four areas
    (2x2 patches each); from the second level on, the block is the face.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32 of an aligned, upright face. ``htnet/flow_farneback_28`` is the same network on
        the flow of HTNet's own code (for CAS(ME)^3; for the composite it takes STSTNet's pictures).

    Parameters
    ----------
    dim : width of the first level, at least 3 (one channel a head). The paper's 256 gives 118,697,475 parameters with
        three classes; a quarter of it gives a sixteenth of the parameters, where no GPU is at hand.
    as_published : do as the public code (wangzhifengharrison/HTNet, Model.py and main_HTNet.py) does where that departs
        from the paper's idea of attention inside each face area. (1) It divides the 4x4 patches into 4x4 blocks, and
        the 2x2 of the second level into 2x2, so that a block holds one patch and attention has nothing to choose from:
        every layer is a plain perceptron. (2) Its position embedding is one number a position, which the layer
        normalisation before the attention removes again; the corrected one is a vector. (3) It cuts the areas with x
        and y exchanged.

    Notes
    -----
    The recipe's pixels are those of the public code, 0..255. Embedded, they are a hundred times as large as what the
    layers of the first level add to them before they are trained, positions included. The published 800 epochs can
    change that; the few of a quick run cannot, so a quick run standardises them.

    Two things differ from the public code in both forms. It looks for the face's landmarks in the apex image of each
    sample (MTCNN on 28x28 pixels); a flow image does not hold them, so the same centres serve every sample. And where a
    block holds a single patch, query and key projections cannot change the output and are left out.
    """

    def __init__(self, n_classes: int, dim: int = 256, as_published: bool = False) -> None:
        super().__init__()
        require(dim >= HEADS[0], "htnet.dim", dim, f"a whole number of at least {HEADS[0]}")
        self.exchanged = as_published
        widths = (dim, 2 * dim, 4 * dim)
        blocks = (4, 2, 1) if as_published else (2, 1, 1)
        self.embed = nn.Conv2d(3, dim, kernel_size=PATCH, stride=PATCH)
        self.levels = nn.ModuleList(
            Level(width, side, blocks_a_side, depth, heads, scalar_position=as_published)
            for width, side, blocks_a_side, depth, heads in zip(widths, (4, 2, 1), blocks, DEPTHS, HEADS, strict=True)
        )
        self.aggregations = nn.ModuleList(Aggregation(width, 2 * width) for width in widths[:-1])
        self.norm = nn.LayerNorm(widths[-1])
        self.classifier = nn.Linear(widths[-1], n_classes)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, 3, 28, 28)."""
        return self.classifier(self.norm(self.face(flow)).mean(dim=(1, 2)))

    def face(self, flow: torch.Tensor) -> torch.Tensor:
        """Return what the last level makes of flow images, (n, 1, 1, 4 dim)."""
        maps = self.embed(mosaic(flow, exchanged=self.exchanged)).permute(0, 2, 3, 1)
        maps = self.levels[0](maps)
        for aggregate, level in zip(self.aggregations, self.levels[1:], strict=True):
            maps = level(aggregate(maps))
        return maps


also_on("htnet", "flow_farneback_28", said="HTNet's own flow is")
