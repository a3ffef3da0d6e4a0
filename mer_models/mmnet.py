"""MMNet: convolutions over what changes from onset to apex, and a transformer that knows where in the face it is."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mer_models._parts.checks import refused_shares, require, require_share
from mer_models._parts.images import SmallerKeyFrames, resized
from mer_models._parts.published import accuracy_and_f1
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

ENTER = 180
STAGES = ((128, 1), (128, 2), (256, 2), (512, 2))
REDUCTION = 16
HEADS = 4
EPSILON = 1e-6


@register_model(
    "mmnet",
    features=("near_onset_apex_rgb_224",),
    paper=(
        "H. Li, M. Sui, Z. Zhu, F. Zhao: MMNet: Muscle Motion-Guided Network for Micro-Expression Recognition, "
        "IJCAI 2022, arXiv:2201.05297"
    ),
    recipe=TrainingRecipe(
        epochs=99,
        batch_size=24,
        lr=8e-4,
        optimizer="adamw",
        weight_decay=0.7,
        lr_step=1,
        lr_gamma=0.987,
        augment="moment,flip,rotate:4,shift:0.018",
        input_range="imagenet",
    ),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    published=accuracy_and_f1(
        {"SAMM loso 3 classes": (0.9022, 0.8391), "MMEW loso 4 classes": (0.8745, 0.8635)},
        selection="oracle",
        reference=(
            "comparison table of the MEMix README; the authors' code takes each subject's best epoch on that subject, "
            "and the best accuracy and the best F1 from different ones (muse1998/MMNet, issue 9)"
        ),
    ),
    checked=(
        Checked(
            against="muse1998/MMNet@7b62fa9d56f4, CASME2_3.py: MMNet",
            form={},
            inputs=((2, 2, 1, 3, 224, 224),),
            outputs=(
                -0.312797,
                -0.011849,
                -0.427181,
                -0.056059,
                0.313946,
                -0.311630,
                -0.012608,
                -0.427363,
                -0.056491,
                0.314823,
            ),
            difference=1.3e-6,
            n_classes=5,
        ),
        Checked(
            against="muse1998/MMNet@7b62fa9d56f4, CASME2_5.py: MMNet",
            form={"depth": 2, "mlp_ratio": 4.0, "drop_path": 0.0},
            inputs=((2, 2, 1, 3, 224, 224),),
            outputs=(
                -0.552174,
                0.432967,
                0.315394,
                -0.855190,
                0.827591,
                -0.552138,
                0.428063,
                0.318286,
                -0.855451,
                0.828796,
            ),
            difference=1.8e-6,
            n_classes=5,
        ),
    ),
    quick={
        "width": 16,
        "image_size": 32,
        "epochs": 7,
        "batch_size": 12,
        "augment": "",
        "lr": 2e-3,
        "lr_step": 0,
        "weight_decay": 0.3,
        "balance": True,
        "input_range": "standard",
    },
    refused=(
        *(Refused("image_size", value, "a multiple of 16") for value in (0, 100)),
        *(Refused("width", value, "a multiple of 16") for value in (0, 24)),
        Refused("depth", 0, "at least 1"),
        Refused("mlp_ratio", 0.0, "a number above 0"),
        *refused_shares("drop_path"),
    ),
)
class MMNet(nn.Module):
    """A main branch on the difference of apex and onset, a position branch on the onset; their maps are added.

    Main branch : convolution 3x3 3 to 180 with stride 2, convolution 3x3 180 to 128, then four residual blocks of 128,
    128, 256 and 512 maps with strides 1, 2, 2, 2 (14x14). Each has a 3x3 and a 1x1 convolution and is followed by a
    one-channel attention map (from mean and maximum over the channels), which is multiplied by the previous block's,
    max-pooled.
    Position branch : the onset at 14x14, every pixel a token of 512 values, through three transformer layers of four
    heads, of which training drops a growing share of residual branches: none, 0.15, 0.3. All 512 x 14 x 14 sums are
    flattened for the classifier.

    Inputs
    ------
    near_onset_apex_rgb_224 : (n, 2, 5, 3, 224, 224) float32. Of the moments it uses the middle one, the key frame
        itself.

    Parameters
    ----------
    image_size : side that frames are resized to, a multiple of 16; a smaller one is faster.
    width : maps of the first blocks, a multiple of 16, all others in proportion; fewer are faster.
    depth : layers of the transformer.
    mlp_ratio : how many times wider its layers are inside.
    drop_path : share of the last layer's residual branches dropped in training, 0 <= drop_path < 1; none of the first
        layer's, and evenly more in between.

    Notes
    -----
    With three classes it has 9,241,719 parameters. That is the three-class form of the public code (muse1998/MMNet);
    its five-class form is ``depth=2``, ``mlp_ratio=4``, ``drop_path=0``, with a weight decay of 0.6, batches of 32 and
    74 epochs. What differs from that code:

    =================  ============================================  ==================================================
    part               here                                          there
    =================  ============================================  ==================================================
    first convolution  whole                                         of three channels in two groups in the three-class
                                                                     script, which PyTorch refuses
    learning rate      times 0.987 each epoch                        the same for 50 epochs, then constant
    frames             up to a twentieth of the way from onset to    the onset up to a twentieth (five classes: 0.0375)
                       apex away from either                         of the way after it; the apex up to 0.0375 of the
                                                                     way before it, with three classes also as much of
                                                                     the way to the offset after it
    turn and shift     4 degrees, 4 of 224 pixels                    the same; with five classes 3 degrees, 15 pixels
    epoch              ``--selection``                               best accuracy and best F1 on the test subject, from
                                                                     different epochs
    =================  ============================================  ==================================================

    Weights are drawn as there: normal with deviation 0.02 in the transformer, He normal (fan out) in the blocks.
    """

    def __init__(
        self,
        n_classes: int,
        image_size: int = 224,
        width: int = STAGES[0][0],
        depth: int = 3,
        mlp_ratio: float = 2.0,
        drop_path: float = 0.3,
    ) -> None:
        super().__init__()
        valid = image_size >= REDUCTION and image_size % REDUCTION == 0
        require(valid, "mmnet.image_size", image_size, f"a multiple of {REDUCTION}")
        require(width >= 16 and width % 16 == 0, "mmnet.width", width, "a multiple of 16")
        require(depth >= 1, "mmnet.depth", depth, "at least 1")
        require(mlp_ratio > 0, "mmnet.mlp_ratio", mlp_ratio, "a number above 0")
        require_share("mmnet.drop_path", drop_path)
        self.reductions = (SmallerKeyFrames((image_size, image_size)),)
        side = image_size // REDUCTION
        enter, *widths = (maps * width // STAGES[0][0] for maps in (ENTER, STAGES[0][0], *(maps for maps, _ in STAGES)))
        self.stem = nn.Sequential(*_convolution(3, enter, stride=2), *_convolution(enter, widths[0], stride=1))
        self.blocks = nn.ModuleList(
            _Block(before, after, stride) for (before, after), (_, stride) in zip(pairwise(widths), STAGES, strict=True)
        )
        self.position = _Position(side, widths[-1], depth, mlp_ratio, drop_path)
        self.classifier = nn.Linear(widths[-1] * side**2, n_classes)
        for part in (self.stem[3:], self.blocks):
            part.apply(_start_convolution)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of onset and apex (n, 2, m, 3, h, w), each at m moments."""
        onset, apex = self.reductions[0](frames)[:, :, 0].unbind(1)
        maps, attention = self.stem(apex - onset), None
        for block in self.blocks:
            maps, attention = block(maps, attention)
        return self.classifier((maps + self.position(onset)).flatten(1))


class _Block(nn.Module):
    """A residual block and its attention, which goes on from the previous block's."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            *_convolution(channels, width, stride), nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)
        )
        same = channels == width and stride == 1
        self.keep = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
        )
        self.attend = nn.Sequential(nn.Conv2d(2, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())
        self.shrink = nn.MaxPool2d(3, stride=stride, padding=1)

    def forward(self, maps: torch.Tensor, before: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        maps = functional.relu(self.keep(maps) + self.change(maps))
        summary = torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
        attention = self.attend(summary)
        if before is not None:
            attention = attention * self.shrink(before)
        return maps * attention, attention


class _Position(nn.Module):
    """A transformer over the pixels of the tiny onset; (n, 3, h, w) to (n, width, side, side)."""

    def __init__(self, side: int, width: int, depth: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        from timm.models.vision_transformer import Block

        def layer(place: int) -> nn.Module:
            dropped = drop_path * place / max(1, depth - 1)
            norm: Any = partial(nn.LayerNorm, eps=EPSILON)
            return Block(width, HEADS, mlp_ratio=mlp_ratio, qkv_bias=True, drop_path=dropped, norm_layer=norm)

        self.side = side
        self.embed = nn.Linear(3, width)
        self.place = nn.Parameter(0.02 * torch.randn(side**2, width))
        self.layers = nn.Sequential(*(layer(place) for place in range(depth)))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.layers.apply(_start_linear)

    def forward(self, onset: torch.Tensor) -> torch.Tensor:
        pixels = resized(onset, (self.side, self.side))
        tokens = self.layers(self.embed(pixels.flatten(2).transpose(1, 2)) + self.place)
        return self.norm(tokens).transpose(1, 2).unflatten(2, (self.side, self.side))


def _start_convolution(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _start_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def _convolution(channels: int, width: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
