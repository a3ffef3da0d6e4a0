"""SLSTT: a vision transformer on each of several long-term flow images, a recurrent network over them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mer_models._parts.checks import refused_shares, require, require_share
from mer_models._parts.images import Resized
from mer_models._parts.pretrained import DEFAULT, NONE, REFUSED_WEIGHTS, fetched_from_hub
from mer_models._parts.published import accuracy_and_f1
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

WIDTHS = {"base": 768, "small": 384, "tiny": 192, "pico": 48}
PICO = "pico"
PATCH = 16
DEPTH = 12
STATE, LAYERS, DENSE = 512, 3, 256


@register_model(
    "slstt",
    features=("flow_wheel_11_224",),
    paper=(
        "L. Zhang, X. Hong, O. Arandjelovic, G. Zhao: Short and Long Range Relation Based Spatio-Temporal Transformer "
        "for Micro-Expression Recognition, IEEE Transactions on Affective Computing 13(4), 2022, arXiv:2112.05851"
    ),
    recipe=TrainingRecipe(
        epochs=40,
        batch_size=2,
        lr=1e-2,
        optimizer="sgd",
        momentum=0.9,
        weight_decay=1e-4,
        lr_step=29,
        lr_gamma=0.1,
        input_range="imagenet",
    ),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    published=accuracy_and_f1(
        {
            "CASME II loso 5 classes": (0.7581, 0.7530),
            "SAMM loso 5 classes": (0.7239, 0.6400),
            "SMIC loso 3 classes": (0.7371, 0.7240),
        },
        selection="oracle",
        reference=(
            "comparison table of pakchoi-php/SRMCL (README); the authors' code "
            "(Vision-Intelligence-and-Robots-Group/SLSTT) keeps each subject's best epoch on that subject"
        ),
    ),
    checked=(
        Checked(
            against="Vision-Intelligence-and-Robots-Group/SLSTT@364656fe18ce, model/slstt.py: SLSTT",
            form={"as_published": True, "size": "pico", "depth": 2, "state": 64, "image_size": 32},
            inputs=((4, 3, 3, 32, 32),),
            outputs=(
                0.355050,
                0.003857,
                0.017448,
                0.353527,
                0.000240,
                0.014072,
                0.351509,
                -0.003695,
                0.011228,
                0.354455,
                0.000039,
                0.012853,
            ),
            difference=1.5e-8,
        ),
    ),
    quick={
        "size": "pico",
        "depth": 1,
        "image_size": 16,
        "state": 64,
        "optimizer": "adamw",
        "lr": 1e-3,
        "lr_step": 0,
        "batch_size": 8,
        "balance": True,
        "epochs": 3,
        "dropout": 0.0,
    },
    refused=(
        *REFUSED_WEIGHTS,
        Refused("size", "huge", "one of: base, small, tiny, pico"),
        Refused("size", "pico", "one of: base, small, tiny", {"pretrained": DEFAULT}),
        Refused("depth", 0, "at least 1"),
        Refused("depth", 6, "12 with pretrained weights", {"pretrained": DEFAULT}),
        Refused("state", 0, "at least 1"),
        *(Refused("image_size", value, "a multiple of 16") for value in (0, 20)),
        *refused_shares(),
    ),
)
class SLSTT(nn.Module):
    """ViT-B/16 reads each flow image, three LSTM layers read the eleven results, two dense layers classify.

    An image becomes the transformer's class token (768 values for ``base``). Each of its twelve layers drops values
    in training after the attention, among its weights, and after its dense part. The LSTM's last state of 512 passes a
    layer of 256 with ReLU.

    Inputs
    ------
    flow_wheel_11_224 : (n, 11, 3, 224, 224) float32: the flow from the onset to eleven frames in a row about the apex,
        each as a wheel of colours.

    Parameters
    ----------
    size : of the transformer: ``base`` as published; ``small``, ``tiny`` or ``pico`` (48 values a token, no pretrained
        weights) where no large GPU is at hand.
    depth : layers of the transformer, twelve as published; there are no pretrained weights for fewer.
    state : values of the LSTM's state, 512 as published.
    image_size : side that flow images are resized to, a multiple of 16; the paper's is 384.
    pretrained : ``none`` draws random weights; ``default`` takes timm's for the transformer. Weights that cannot be had
        are a UsageError.
    dropout : share of the values dropped in the transformer in training, 0 <= dropout < 1.
    as_published : do as the public code (Vision-Intelligence-and-Robots-Group/SLSTT) does. (1) It runs the
        transformer's layers without gradients, so that of the transformer only the last normalisation is trained. (2)
        Its GELU is the approximation by tanh, which the pretrained weights were not made with.

    Notes
    -----
    With three classes it has 92,758,787 parameters (``tiny``: 11,304,899). What differs from the public code in both
    forms:

    ===============  ==================================================  ==============================================
    part             here                                                there
    ===============  ==================================================  ==============================================
    start            random weights, or ``pretrained=default``           weights from ImageNet
    image            224x224 (``image_size`` is the side read from it)   384x384, through JPEG
    short clips      frames repeat                                       frames are interpolated by a learned network
    face             aligned                                             cut out by the nose and the face's height
    ===============  ==================================================  ==============================================

    The recipe's rate falls to a tenth at the 30th epoch: that code also makes a cosine with restarts, and overwrites
    its rate at the start of every epoch.
    """

    def __init__(
        self,
        n_classes: int,
        size: str = "base",
        depth: int = DEPTH,
        state: int = STATE,
        image_size: int = 224,
        pretrained: str = NONE,
        dropout: float = 0.1,
        as_published: bool = False,
    ) -> None:
        super().__init__()
        sizes = [name for name in WIDTHS if pretrained == NONE or name != PICO]
        require(size in sizes, "slstt.size", size, "one of: " + ", ".join(sizes))
        valid = image_size >= PATCH and image_size % PATCH == 0
        require(valid, "slstt.image_size", image_size, f"a multiple of {PATCH}")
        require(pretrained in (NONE, DEFAULT), "slstt.pretrained", pretrained, f"{NONE} or {DEFAULT}")
        valid = depth == DEPTH or (depth >= 1 and pretrained == NONE)
        require(valid, "slstt.depth", depth, "at least 1" if pretrained == NONE else "12 with pretrained weights")
        require(state >= 1, "slstt.state", state, "at least 1")
        require_share("slstt.dropout", dropout)
        self.reductions = (Resized((image_size, image_size)),)
        self.image = _transformer(size, depth, image_size, pretrained, dropout, "gelu_tanh" if as_published else "gelu")
        if as_published:
            for name, parameter in self.image.named_parameters():
                parameter.requires_grad_(name.startswith("norm."))
        self.time = nn.LSTM(WIDTHS[size], state, num_layers=LAYERS, batch_first=True)
        self.classifier = nn.Sequential(nn.Linear(state, DENSE), nn.ReLU(), nn.Linear(DENSE, n_classes))

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow images (n, t, 3, h, w)."""
        n, t = flow.shape[:2]
        images = self.reductions[0](flow).flatten(0, 1)
        states, _ = self.time(self.image(images).unflatten(0, (n, t)))
        return self.classifier(states[:, -1])


def _transformer(size: str, depth: int, image_size: int, pretrained: str, dropout: float, activation: str) -> nn.Module:
    import timm

    name = f"vit_{'tiny' if size == PICO else size}_patch{PATCH}_224"
    smaller: dict[str, Any] = {"embed_dim": WIDTHS[size]} if size == PICO else {}

    def build(trained: bool) -> Any:
        return timm.create_model(
            name,
            pretrained=trained,
            num_classes=0,
            img_size=image_size,
            depth=depth,
            act_layer=activation,
            attn_drop_rate=dropout,
            proj_drop_rate=dropout,
            **smaller,
        )

    network = (
        build(False) if pretrained == NONE else fetched_from_hub("slstt.pretrained", pretrained, lambda: build(True))
    )
    for layer in network.blocks:
        # The published layers drop nothing inside their dense part.
        layer.mlp.drop1 = nn.Identity()
    return network
