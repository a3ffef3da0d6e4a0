"""SRMCL: a transformer on flow that rebuilds what was hidden from it, and remembers how each class looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mer_models._parts.checks import require
from mer_models._parts.images import Resized
from mer_models._parts.losses import targets_of
from mer_models._parts.patch_encoder import (
    EPSILON,
    PatchEncoder,
    code_of_places,
    drawn_by_xavier,
    free_token,
    transformer,
)
from mer_models._parts.published import accuracy_and_f1
from mer_models.contracts import Checked, Criterion, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

PATCH, HEADS, RATIO = 16, 16, 2
WIDTH_STEP = 48
"""Widths of the encoder come in such steps; those of the decoder, two thirds of them, divide by the heads as well."""
HIDDEN, ROUNDS = 0.75, 2
REBUILT_WEIGHT = REMEMBERED_WEIGHT = 0.5
TEMPERATURE, MOMENTUM = 0.05, 0.1


@register_model(
    "srmcl",
    features=("flow_uvm_224",),
    paper=(
        "Y. Bao, C. Wu, P. Zhang, C. Shan, Y. Qi, X. Ben: Boosting Micro-expression Recognition via Self-expression "
        "Reconstruction and Memory Contrastive Learning, IEEE Transactions on Affective Computing, 2024"
    ),
    recipe=TrainingRecipe(
        epochs=100,
        batch_size=25,
        lr=1e-4,
        optimizer="adamw",
        weight_decay=0.05,
        lr_schedule="cosine",
        balance=True,
        input_range="imagenet",
    ),
    resources=Resources(cpus=1, gpu=0.5, pack=2),
    published=accuracy_and_f1(
        {
            "CASME II loso 5 classes": (0.8320, 0.8286),
            "SAMM loso 5 classes": (0.7463, 0.6599),
            "SMIC loso 3 classes": (0.7898, 0.7887),
        },
        selection="unknown",
        reference=(
            "README of pakchoi-php/SRMCL, which has no training code; its test prints as accuracy the mean, over "
            "folds, of the accuracy of all samples of the folds so far"
        ),
    ),
    checked=(
        Checked(
            against="pakchoi-php/SRMCL@c941b0d, Model/VIT_SRMCL.py: Model",
            form={"as_published": True, "image_size": 64, "dim": 96, "depth": 2},
            inputs=((4, 3, 64, 64),),
            outputs=(
                -1.741605,
                -0.725595,
                -0.321531,
                -1.765861,
                -0.732187,
                -0.273903,
                -1.790969,
                -0.736731,
                -0.223647,
                -1.816563,
                -0.739040,
                -0.171257,
            ),
            difference=0.0,
        ),
    ),
    quick={"image_size": 64, "dim": 48, "depth": 1, "epochs": 9, "batch_size": 16, "lr": 2e-3},
    refused=(
        Refused("image_size", 40, "a multiple of 16"),
        Refused("dim", 64, "a multiple of 48"),
        Refused("depth", 0, "at least 1"),
    ),
)
class SRMCL(nn.Module):
    """Tokens of 16x16 pixels through a transformer; in training three quarters of them are hidden from the last layer.

    Three layers (16 heads, dense part of twice the width) and a normalisation give 196 tokens of patches and one of the
    whole picture; one layer more, and the latter is classified by a normalisation and a linear layer.

    ``loss`` is the criterion plus halves of two others. Rebuilding: three quarters of the patches' tokens, drawn anew,
    are replaced by one learned token; a decoder (two thirds of the width, three layers) has to tell the hidden patches'
    pixels, mean squared error, and that twice. Remembering: each class has a prototype of length 1; the classified
    token, brought to length 1, is to be likest to that of its class (cross-entropy of the inner products divided by
    0.05; of several classes a sample binary). After each batch the prototypes become nine tenths of the batch's class
    mean and a tenth of what they were; they start at 0.

    Inputs
    ------
    flow_uvm_224 : (n, 3, 224, 224) float32: u, v and magnitude of the flow from onset to apex, each in 0..255.

    Parameters
    ----------
    image_size : side that flow is resized to, a multiple of 16; 224 as published.
    dim : values of a token, a multiple of 48; the published 768 gives 26,602,755 parameters with three classes.
    depth : layers of the encoder before the last one, and of the decoder; three as published.
    as_published : changes the training alone:

    =============  ==============================================  ================================================
    part           default                                         as_published
    =============  ==============================================  ================================================
    hidden tokens  drawn twice among the encoder's tokens; the     the second time among what the first left, so
                   last layer sees a quarter of the patches        that the last layer sees a sixteenth
    =============  ==============================================  ================================================

    Notes
    -----
    The public code (pakchoi-php/SRMCL) holds the network, its losses and a test without its weights; its test calls
    the network with too few arguments. Therefore this benchmark's own: the optimiser, its rate and the epochs. The
    public class's memory, its temperature and momentum are taken as they are by default. Differences in both forms:

    ===============  ==================================================  ==============================================
    part             here                                                there
    ===============  ==================================================  ==============================================
    start            random weights                                      a file of weights, of whose making nothing is
                                                                         said
    prototypes       start at 0 once                                     the class starts at 0; the paper's drawing has
                                                                         means of all training samples every epoch
    rare classes     shown as often as frequent ones (``balance``)       batches of as many samples of each class
    flow             of the aligned face, TV-L1 with half-size pyramids  read from files with the keys, ranges and
                                                                         shapes of Justin900429/PyTorch-DSSN-MER, which
                                                                         makes them so
    ===============  ==================================================  ==============================================
    """

    prototypes: Tensor

    def __init__(
        self, n_classes: int, image_size: int = 224, dim: int = 768, depth: int = 3, as_published: bool = False
    ) -> None:
        super().__init__()
        valid = image_size >= PATCH and image_size % PATCH == 0
        require(valid, "srmcl.image_size", image_size, f"a multiple of {PATCH}")
        require(dim >= WIDTH_STEP and dim % WIDTH_STEP == 0, "srmcl.dim", dim, f"a multiple of {WIDTH_STEP}")
        require(depth >= 1, "srmcl.depth", depth, "at least 1")
        self.as_published = as_published
        self.reductions = (Resized((image_size, image_size)),)
        self.encoder = PatchEncoder(image_size, PATCH, dim, depth, HEADS, RATIO)
        self.hidden_token = free_token(dim)
        self.decoder = _Decoder(dim, dim * 2 // 3, depth, image_size // PATCH)
        self.last = transformer(dim, 1, HEADS, RATIO)
        self.classifier = drawn_by_xavier(nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_classes)))
        self.register_buffer("prototypes", torch.zeros(n_classes, dim))

    def forward(self, flow: Tensor) -> Tensor:
        """Return the logits (n, n_classes) of flow (n, 3, h, w); in training most patches are hidden."""
        tokens = self.encoder(self.reductions[0](flow))
        left = self._hidden(tokens)[-1][0] if self.training else tokens
        return self.classifier(self.last(left)[:, 0])

    def loss(self, *features: Tensor, labels: Tensor, criterion: Criterion) -> Tensor:
        """Return the criterion plus half of what the hidden patches' pixels and the prototypes cost."""
        flow = self.reductions[0](*features)
        rounds = self._hidden(self.encoder(flow))
        pixels = patches_of(flow)
        rebuilt = torch.stack([_error(self.decoder(left), pixels, hidden) for left, hidden in rounds]).sum()
        values = self.last(rounds[-1][0])[:, 0]
        remembered = self._remembered(functional.normalize(values, dim=1), labels)
        classified = criterion(self.classifier(values), labels)
        return classified + REBUILT_WEIGHT * rebuilt + REMEMBERED_WEIGHT * remembered

    def _hidden(self, tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return of each round the tokens (n, 1 + places, dim) that it leaves, and which places (n, places) it hid."""
        rounds: list[tuple[Tensor, Tensor]] = []
        for _ in range(ROUNDS):
            start = rounds[-1][0] if rounds and self.as_published else tokens
            n, places = start.shape[0], start.shape[1] - 1
            ranks = torch.rand(n, places, device=tokens.device).argsort(dim=1).argsort(dim=1)
            hidden = ranks >= int(places * (1 - HIDDEN))
            left = torch.where(hidden[..., None], self.hidden_token, start[:, 1:])
            rounds.append((torch.cat([start[:, :1], left], dim=1), hidden))
        return rounds

    def _remembered(self, values: Tensor, labels: Tensor) -> Tensor:
        """Return what it costs to tell values (n, dim) of length 1 by the prototypes, which training renews then."""
        similar = values @ self.prototypes.T / TEMPERATURE
        if labels.dim() == 1:
            cost = functional.cross_entropy(similar, labels)
        else:
            cost = functional.binary_cross_entropy_with_logits(similar, labels.float())
        if self.training:
            # A new tensor: the gradients of this batch still need the old one.
            self.prototypes = self._renewed(values.detach(), targets_of(labels, len(self.prototypes)))
        return cost

    def _renewed(self, values: Tensor, shown: Tensor) -> Tensor:
        counts = shown.sum(dim=0)[:, None]
        means = shown.T @ values / counts.clamp_min(1)
        mixed = MOMENTUM * self.prototypes + (1 - MOMENTUM) * means
        return torch.where(counts > 0, functional.normalize(mixed, dim=1), self.prototypes)


class _Decoder(nn.Module):
    """Pixels (n, places, 16 * 16 * 3) of tokens (n, 1 + places, width); normalises before its layers and after them."""

    places: Tensor

    def __init__(self, width: int, width_inside: int, depth: int, side: int) -> None:
        super().__init__()
        self.embed = drawn_by_xavier(nn.Sequential(nn.Linear(width, width_inside)))
        self.register_buffer("places", code_of_places(width_inside, side), persistent=False)
        self.blocks = transformer(width_inside, depth, HEADS, RATIO)
        # One layer in both places, as in the public code.
        self.norm = nn.LayerNorm(width_inside, eps=EPSILON)
        self.tell = drawn_by_xavier(nn.Sequential(nn.Linear(width_inside, 3 * PATCH**2)))

    def forward(self, tokens: Tensor) -> Tensor:
        inside = self.norm(self.embed(tokens)) + self.places
        return self.tell(self.norm(self.blocks(inside)))[:, 1:]


def patches_of(pictures: Tensor) -> Tensor:
    """Return pictures (n, 3, side, side) as (n, places, 16 * 16 * 3): both row after row, channels last."""
    side = pictures.shape[-1] // PATCH
    parts = pictures.unflatten(3, (side, PATCH)).unflatten(2, (side, PATCH))
    return parts.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def _error(told: Tensor, pixels: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared error of the hidden places."""
    errors = (told - pixels).square().mean(dim=-1)
    return (errors * hidden).sum() / hidden.sum()
