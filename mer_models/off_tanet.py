"""Off-TANet: a light residual network whose last block has three kinds of attention, over flow and strain."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.checks import refused_shares, require, require_share
from mer_models._parts.images import Resized
from mer_models.contracts import Checked, PublicWeights, PublishedScore, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

WIDTHS = (8, 18, 28)
LEAVING = 8
DENSE = 64
SHRINKS = 16


@register_model(
    "off_tanet",
    features=("flow_uvs_raw_112",),
    paper=(
        "J. Zhang, F. Liu, A. Zhou: Off-TANet: a lightweight neural micro-expression recognizer with optical flow "
        "features and integrated attention mechanism, PRICAI 2021, pp. 266-279"
    ),
    recipe=TrainingRecipe(
        epochs=201, batch_size=64, lr=1e-3, optimizer="adam", lr_step=60, lr_gamma=0.3, input_range="raw"
    ),
    resources=Resources(cpus=1, gpu=0.125, pack=8),
    published=(
        PublishedScore(
            "CASME, CASME II and CAS(ME)^2 cde 3 classes",
            uf1=0.7242,
            uar=0.7315,
            selection="oracle",
            reference=(
                "README of ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet; means over subjects of each subject's own "
                "macro scores, at the one of every twentieth epoch where they are best on the test subjects"
            ),
        ),
    ),
    checked=(
        Checked(
            against="ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet@b6149babd1b1, models/off_tanet.py: OffTANet",
            form={"as_published": True},
            inputs=((4, 3, 112, 112),),
            outputs=(
                0.358008,
                -0.002135,
                -0.019465,
                0.357915,
                -0.007070,
                -0.018392,
                0.362428,
                -0.006200,
                -0.017541,
                0.350490,
                -0.009191,
                -0.012561,
            ),
            difference=6e-8,
        ),
    ),
    public_weights=PublicWeights(
        source="ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet@b6149babd1b1, LOSO1_60epoch.pth",
        names=(
            (r"conv1\.(\d+)\.(\w+)", r"enter.\1.\2"),
            (r"res1\.conv\.([01])\.(\w+)", r"blocks.0.way.0.\1.\2"),
            (r"res1\.conv\.3\.(\w+)", r"blocks.0.way.1.0.\1"),
            (r"res1\.conv\.4\.(\w+)", r"blocks.0.way.1.1.\1"),
            (r"res1\.botneck\.(\w+)", r"blocks.0.shortcut.\1"),
            (r"res2\.conv\.([01])\.(\w+)", r"blocks.1.way.0.\1.\2"),
            (r"res2\.conv\.3\.(\w+)", r"blocks.1.way.1.0.\1"),
            (r"res2\.conv\.4\.(\w+)", r"blocks.1.way.1.1.\1"),
            (r"res2\.botneck\.(\w+)", r"blocks.1.shortcut.\1"),
            (r"eres\.conv1\.(\d)\.(\w+)", r"blocks.2.way.0.\1.\2"),
            (r"eres\.ca\.fc1\.(\w+)", r"blocks.2.way.1.weigh.0.\1"),
            (r"eres\.ca\.fc2\.(\w+)", r"blocks.2.way.1.weigh.2.\1"),
            (r"eres\.spa\.conv1\.(\w+)", r"blocks.2.way.2.weigh.\1"),
            (r"eres\.sa\.sa_blocks\.\d+\.w_q\.(\w+)", r"blocks.2.way.3.project.\1"),
            (r"eres\.sa\.sa_blocks\.\d+\.w_k\.(\w+)", r"blocks.2.way.3.project.\1"),
            (r"eres\.sa\.sa_blocks\.\d+\.w_v\.(\w+)", r"blocks.2.way.3.project.\1"),
            (r"eres\.conv2\.(\d)\.(\w+)", r"blocks.2.way.4.\1.\2"),
            (r"eres\.botneck\.(\w+)", r"blocks.2.shortcut.\1"),
            (r"dense\.(\d)\.(\w+)", r"classifier.\1.\2"),
        ),
        form={"as_published": True},
    ),
    published_input=True,
    quick={
        "image_size": 32,
        "dropout": 0.1,
        "epochs": 11,
        "batch_size": 16,
        "lr": 4e-3,
        "lr_schedule": "cosine",
        "lr_step": 0,
        "input_range": "standard",
    },
    refused=(
        Refused("image_size", 50, "a multiple of 16"),
        *refused_shares(),
    ),
)
class OffTANet(nn.Module):
    """A 7x7 convolution and two residual blocks, a block with attention, and three dense layers.

    The convolution (8 filters, stride 2, ReLU, batch normalisation) and blocks of 18, 28 and 8 filters halve the
    picture each, so that 8x7x7 values are left for dense layers of 64, 64 and the logits. A residual block is two 3x3
    convolutions, each with batch normalisation and ReLU, beside a 1x1 convolution, and max-pooling of their sum. In the
    last block, between its convolutions (28 and 8 filters), maps are weighed three times: channels by their means and
    maxima through one hidden value; places by a 3x3 convolution of means and maxima over channels; and each map by
    itself. There, 1x1 convolutions make a query, a key and a value of each map; the product of query and key as
    matrices, the key with a fixed code added, is passed through a softmax over all places and weighs the value place by
    place. (Its four heads are groups of these maps; nothing else tells them apart, so that they are one here.)

    Inputs
    ------
    flow_uvs_raw_112 : (n, 3, 112, 112) float32, u and v in pixels of the 112x112 face, and strain.

    Parameters
    ----------
    image_size : side to which pictures are resized, a multiple of 16. The published 112 gives 59,403 parameters with
        three classes, as printed.
    dropout : share of the values dropped in training after both hidden dense layers, 0 <= dropout < 1.
    as_published : take the strain of the public code (ECNU-Cross-Innovation-Lab/PRICAI2021-Off-TANet, data.py): from u
        and v by Sobel's derivatives, eight times as large, with the derivative of u along y in the place of that of v.

    Notes
    -----
    What differs from that code in both forms: faces are aligned where the database has no registered crops. It has
    variants of the last block (``net_type``) for its ablation, which are left out. The code that is added to the key is
    the public one: at row i and column j, f(i) + f(j) with f(i) the sine (i even) or cosine (i odd) of
    10000^(-(i // 2) / side).

    The public weights ``LOSO1_60epoch.pth`` give the same outputs here as in the public class.
    """

    def __init__(self, n_classes: int, image_size: int = 112, dropout: float = 0.5, as_published: bool = False) -> None:
        super().__init__()
        valid = image_size >= SHRINKS and image_size % SHRINKS == 0
        require(valid, "off_tanet.image_size", image_size, f"a multiple of {SHRINKS}")
        require_share("off_tanet.dropout", dropout)
        self.as_published = as_published
        self.reductions = (Resized((image_size, image_size)),)
        first, second, third = WIDTHS
        self.enter = nn.Sequential(nn.Conv2d(3, first, 7, stride=2, padding=3), nn.ReLU(), nn.BatchNorm2d(first))
        self.blocks = nn.Sequential(
            _Block(first, second, nn.Sequential(_convolution(first, second), _convolution(second, second))),
            _Block(second, third, nn.Sequential(_convolution(second, third), _convolution(third, third))),
            _Block(third, LEAVING, _attentive(third, LEAVING, side=image_size * 2 // SHRINKS)),
        )
        self.classifier = nn.Sequential(
            *(nn.Linear(LEAVING * (image_size // SHRINKS) ** 2, DENSE), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(DENSE, DENSE), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(DENSE, n_classes),
        )

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow and strain (n, 3, h, w)."""
        flow = self.reductions[0](flow)
        if self.as_published:
            flow = torch.cat([flow[:, :2], published_strain(flow[:, :2])], dim=1)
        return self.classifier(self.blocks(self.enter(flow)).flatten(1))


def published_strain(flow: torch.Tensor) -> torch.Tensor:
    """Return what the public code takes for the strain (n, 1, h, w) of flow (n, 2, h, w)."""
    along_x = flow.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([along_x, along_x.T])[:, None].repeat(2, 1, 1, 1)
    padded = functional.pad(flow, (1, 1, 1, 1), mode="reflect")
    u_x, u_y, v_x, _ = functional.conv2d(padded, kernels, groups=2).split(1, dim=1)
    return torch.sqrt(u_x**2 + u_y**2 + 0.5 * (v_x + u_y) ** 2)


class _Block(nn.Module):
    """A way through layers beside a 1x1 convolution, added and halved; (n, width, h, w) to (n, width_out, h/2, w/2)."""

    def __init__(self, width: int, width_out: int, way: nn.Module) -> None:
        super().__init__()
        self.way = way
        self.shortcut = nn.Conv2d(width, width_out, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(self.shortcut(maps) + self.way(maps), 2)


def _convolution(width: int, width_out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, width_out, 3, padding=1), nn.BatchNorm2d(width_out), nn.ReLU())


def _attentive(width: int, width_out: int, side: int) -> nn.Module:
    attention = (_ChannelAttention(width), _PlaceAttention(), _MapAttention(width, side))
    return nn.Sequential(_convolution(width, width), *attention, _convolution(width, width_out))


class _ChannelAttention(nn.Module):
    """Weights of channels from their means and maxima, through one hidden value; (n, c, h, w) to the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(nn.Linear(width, 1, bias=False), nn.ReLU(), nn.Linear(1, width, bias=False))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        weights = self.weigh(maps.mean(dim=(2, 3))) + self.weigh(maps.amax(dim=(2, 3)))
        return maps * torch.sigmoid(weights)[..., None, None]


class _PlaceAttention(nn.Module):
    """Weights of places from means and maxima over channels; (n, c, h, w) to the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        summary = torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
        return maps * torch.sigmoid(self.weigh(summary))


class _MapAttention(nn.Module):
    """Each map weighed by the product of its query and its key; (n, c, side, side) to the same shape."""

    code: torch.Tensor

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(width, 3 * width, 1)
        waves = [(math.sin, math.cos)[place % 2](10000 ** (-(place // 2) / side)) for place in range(side)]
        line = torch.tensor(waves)
        self.register_buffer("code", line[:, None] + line, persistent=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        query, key, value = self.project(maps).chunk(3, dim=1)
        products = query @ (key + self.code).transpose(-1, -2)
        return torch.softmax(products.flatten(2), dim=-1).view_as(products) * value
