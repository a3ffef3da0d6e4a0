"""CapsuleNet for micro-expressions: capsules with routing by agreement on top of residual features of the apex."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.images import SmallerKeyFrames
from mer_models._parts.losses import margin_loss
from mer_models._parts.narrow import FULL_WIDTH, REFUSED_WIDTHS, narrowed, require_width
from mer_models._parts.pretrained import DEFAULT, NONE, REFUSED_WEIGHTS, fetched
from mer_models._parts.published import megc2019_cde
from mer_models.contracts import Checked, Criterion, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

TRUNK_STRIDE = 8
CAPSULE_WIDTH = 8
CLASS_WIDTH = 16
ROUTINGS = 3
HIGH, LOW, ABSENT_WEIGHT = 0.99, 0.01, 0.5
FROZEN_TENSORS = 15
TINY = 1e-8


@register_model(
    "capsulenet_me",
    features=("near_onset_apex_rgb_224",),
    paper="N. Van Quang, J. Chun, T. Tokuyama: CapsuleNet for Micro-Expression Recognition, FG 2019",
    recipe=TrainingRecipe(
        epochs=30,
        batch_size=32,
        lr=1e-4,
        optimizer="adam",
        lr_step=1,
        lr_gamma=0.9,
        balance=True,
        augment="moment,flip,rotate:8,shift:0.03,colour:0.2",
        input_range="unit",
    ),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    published=megc2019_cde(
        full=(0.6520, 0.6506),
        casme2=(0.7068, 0.7018),
        samm=(0.6209, 0.5989),
        smic=(0.5820, 0.5877),
        selection="oracle",
        reference=(
            "comparison table of the HTNet paper (wangzhifengharrison/HTNet, images/state_of_art.png); the authors' "
            "code (davidnvq/me_recognition) picks the best epoch by UF1 on the test subject. Of 435 clips, not 442: "
            "SMIC has 157 there"
        ),
    ),
    checked=(
        Checked(
            against="davidnvq/me_recognition@cd46da69f993, capsule/modules/capsule_net.py: MECapsuleNet",
            form={},
            inputs=((2, 2, 1, 3, 224, 224),),
            outputs=(-3.717764, -3.082494, -3.338646, -3.450988, -3.411521, -3.203824),
            difference=6.5e-7,
        ),
    ),
    quick={
        "less_onset": True,
        "width": 4,
        "image_size": 56,
        "kernel": 3,
        "maps": 32,
        "epochs": 4,
        "batch_size": 12,
        "lr": 3e-3,
        "lr_step": 0,
        "augment": "",
        "input_range": "standard",
    },
    refused=(
        *REFUSED_WEIGHTS,
        *REFUSED_WIDTHS,
        *(Refused("image_size", value, "a multiple of 8 of at least 136") for value in (128, 140)),
        Refused("image_size", 32, "a multiple of 8 of at least 40", {"kernel": 3}),
        Refused("kernel", 0, "a number of pixels"),
        *(Refused("maps", value, "a multiple of 8") for value in (0, 12)),
    ),
)
class CapsuleNetME(nn.Module):
    """ResNet-18 without its max-pooling and last stage, one convolution, primary capsules, one capsule a class.

    The trunk gives 256 maps of 28x28; a 9x9 convolution and ReLU give 256 of 20x20; a 9x9 convolution with stride 2
    gives 32 maps of 6x6 capsules with 8 values each (1152 capsules). Each predicts each class's 16 values. Three rounds
    of routing weigh the predictions by their agreement, with gradients in the last round only.

    The published score of a class is the length y of its squashed capsule, s^2 / (1 + s^2) of the length s before. The
    logit here is ln(s^2) = ln(y / (1 - y)): the same order, and y is its sigmoid.

    Inputs
    ------
    near_onset_apex_rgb_224 : (n, 2, 5, 3, 224, 224) float32. It uses the apex, which is the middle one of its moments,
        and the onset where ``less_onset`` asks for it.

    Parameters
    ----------
    pretrained : ``none`` draws random weights; ``default`` takes torchvision's ImageNet weights for the trunk, whose
        first 15 tensors are then not trained, as published. Weights that cannot be had are a UsageError.
    image_size : side that frames are resized to, a multiple of 8 that leaves a capsule a map (at least 136, with
        kernels of 3 at least 40); 224 in the paper.
    width : channels of the trunk's first stage, a divisor of 64, the others in proportion. Fewer are faster; there are
        pretrained weights for 64 only.
    kernel : side of the kernels of both capsule convolutions; 9 in the paper.
    maps : filters of both capsule convolutions, a multiple of 8; 256 in the paper.
    less_onset : show the trunk the apex less the onset of the same face, in place of the apex as published: whose face
        it is disappears, what moved stays.

    Notes
    -----
    ``loss`` is the published margin loss of y.

    With three classes it has 13,842,496 parameters. The recipe flips, rotates, shifts (a crop of 224 out of 234x240)
    and jitters colours (brightness, contrast and saturation by up to a fifth) as the public code
    (davidnvq/me_recognition) does. What differs from that code:

    ===============  =============================================  =================================================
    part             here                                           there
    ===============  =============================================  =================================================
    output           log-odds of the capsules' lengths, which have  the lengths
                     the same order
    rare classes     their clips are repeated (``balance``), each   up to four frames of a clip, the two before and
                     shown at its apex or a moment near it, drawn   the two after the apex, are added to the training
                     anew each time                                 set
    hues             stay                                           turned by up to a fifth
    learning rate    1e-4, then times 0.9 each epoch                times 0.9 before the first epoch already
    scored pictures  the whole frame, as it is                      the middle of a larger one, turned at random
    start            random weights, or ``pretrained=default``      weights from ImageNet
    ===============  =============================================  =================================================
    """

    def __init__(
        self,
        n_classes: int,
        pretrained: str = NONE,
        image_size: int = 224,
        width: int = FULL_WIDTH,
        kernel: int = 9,
        maps: int = 256,
        less_onset: bool = False,
    ) -> None:
        super().__init__()
        require(pretrained in (NONE, DEFAULT), "capsulenet_me.pretrained", pretrained, f"{NONE} or {DEFAULT}")
        require_width("capsulenet_me.width", width, pretrained)
        require(kernel >= 1, "capsulenet_me.kernel", kernel, "a number of pixels")
        least = TRUNK_STRIDE * (2 * kernel - 1)
        valid = image_size >= least and image_size % TRUNK_STRIDE == 0
        require(valid, "capsulenet_me.image_size", image_size, f"a multiple of 8 of at least {least}")
        valid = maps >= CAPSULE_WIDTH and maps % CAPSULE_WIDTH == 0
        require(valid, "capsulenet_me.maps", maps, "a multiple of 8")
        self.reductions = (SmallerKeyFrames((image_size, image_size)),)
        self.less_onset = less_onset
        self.trunk = narrowed(lambda: _trunk(pretrained), width)
        self.convolution = nn.Sequential(nn.Conv2d(256 * width // FULL_WIDTH, maps, kernel), nn.ReLU())
        self.primary = nn.Conv2d(maps, maps, kernel, stride=2)
        side = (image_size // TRUNK_STRIDE - 2 * kernel + 1) // 2 + 1
        capsules = (maps // CAPSULE_WIDTH) * side**2
        self.predict = nn.Parameter(0.01 * torch.randn(capsules, n_classes, CLASS_WIDTH, CAPSULE_WIDTH))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of onset and apex (n, 2, m, 3, h, w), each at m moments."""
        onset, apex = self.reductions[0](frames)[:, :, 0].unbind(1)
        values = self.primary(self.convolution(self.trunk(apex - onset if self.less_onset else apex)))
        capsules = values.unflatten(1, (-1, CAPSULE_WIDTH)).movedim(2, -1).flatten(1, 3)
        predictions = torch.einsum("kcoi,nki->nkco", self.predict, _squash(capsules))
        return torch.log(_route(predictions).square().sum(dim=-1) + TINY)

    def loss(self, *features: torch.Tensor, labels: torch.Tensor, criterion: Criterion) -> torch.Tensor:
        """Return the published margin loss of a batch; takes the place of ``criterion``, class weights included."""
        return margin_loss(torch.sigmoid(self(*features)), labels, HIGH, LOW, ABSENT_WEIGHT)


def _trunk(pretrained: str) -> nn.Sequential:
    from torchvision.models import get_model

    def build(weights: str | None) -> Any:
        return get_model("resnet18", weights=weights)

    whole = (
        build(None)
        if pretrained == NONE
        else fetched("capsulenet_me.pretrained", pretrained, "PyTorch's download server", lambda: build("DEFAULT"))
    )
    trunk = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.layer1, whole.layer2, whole.layer3)
    if pretrained != NONE:
        for parameter in list(trunk.parameters())[:FROZEN_TENSORS]:
            parameter.requires_grad_(False)
    return trunk


def _route(predictions: torch.Tensor) -> torch.Tensor:
    """Return the class capsules (n, c, o), not squashed, of predictions (n, k, c, o) by agreement."""
    fixed = predictions.detach()
    agreement = torch.zeros_like(fixed[..., 0])
    for _ in range(ROUTINGS - 1):
        capsules = _squash(torch.einsum("nkc,nkco->nco", agreement.softmax(dim=-1), fixed))
        agreement = agreement + torch.einsum("nkco,nco->nkc", fixed, capsules)
    return torch.einsum("nkc,nkco->nco", agreement.softmax(dim=-1), predictions)


def _squash(vectors: torch.Tensor) -> torch.Tensor:
    """Shorten vectors (..., d) to a length of s^2 / (1 + s^2)."""
    squared = vectors.square().sum(dim=-1, keepdim=True)
    return vectors * torch.sqrt(squared + TINY) / (1 + squared)
