"""Micron-BERT: a transformer that learned faces without labels looks at the apex beside the onset."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mer_models._parts.checks import require
from mer_models._parts.images import Resized
from mer_models._parts.micron_weights import load_released, released_needed
from mer_models._parts.patch_encoder import PatchEncoder, drawn_by_xavier
from mer_models._parts.pretrained import DEFAULT, NONE
from mer_models._parts.weights_file import SUFFIXES, is_weights_file
from mer_models.contracts import Checked, PublishedScore, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

PUBLIC_CODE = "uark-cviu/Micron-BERT"
PATCH, HEADS, RATIO = 8, 4, 4
KEPT = 8
"""Values of each place that the head keeps: which part of the face moved tells the expression."""
FULL, DIAGONAL = "full", "diagonal"
SMALL = {"pretrained": NONE, "image_size": 32, "dim": 32, "depth": 2}
WEIGHTS = f"none, default, or the path of a file that ends in {', '.join(SUFFIXES)}"


@register_model(
    "micron_bert",
    features=("onset_apex_rgb_224",),
    paper=(
        "X.-B. Nguyen, C. N. Duong, X. Li, S. Gauch, H.-S. Seo, K. Luu: Micron-BERT: BERT-based Facial "
        "Micro-Expression Recognition, CVPR 2023, arXiv:2304.03195"
    ),
    recipe=TrainingRecipe(
        epochs=50,
        batch_size=16,
        lr=1e-4,
        optimizer="adamw",
        weight_decay=0.05,
        lr_schedule="cosine",
        balance=True,
        input_range="imagenet",
    ),
    resources=Resources(cpus=1, gpu=1.0, pack=1),
    published=tuple(
        PublishedScore(
            f"CAS(ME)^3 {classes} classes",
            uf1=None,
            uar=None,
            accuracy=accuracy,
            selection="unknown",
            reference=(
                "paperswithcode.com on the paper, which calls it a test accuracy and does not say how it averages; no "
                "code of the fine-tuning is public"
            ),
        )
        for classes, accuracy in ((3, 0.6125), (4, 0.4913))
    ),
    checked=(
        Checked(
            against=f"{PUBLIC_CODE}@03cfb02, models/mae.py: MaskedAutoencoderViT",
            form=SMALL,
            inputs=((4, 2, 3, 32, 32),),
            outputs=(
                0.359529,
                -0.307897,
                -0.122825,
                0.169239,
                -0.253039,
                -0.007848,
                0.360523,
                -0.313899,
                -0.118306,
                0.161195,
                -0.252817,
                -0.004508,
            ),
            difference=1e-7,
        ),
        Checked(
            against=f"{PUBLIC_CODE}@03cfb02, models/mae.py: MaskedAutoencoderViT",
            form={**SMALL, "attention": DIAGONAL},
            inputs=((4, 2, 3, 32, 32),),
            outputs=(
                0.039509,
                0.069864,
                -0.084761,
                0.084935,
                0.088438,
                -0.096697,
                0.053259,
                0.066864,
                -0.081878,
                0.074061,
                0.089544,
                -0.095466,
            ),
            difference=2e-7,
        ),
        Checked(
            against=f"{PUBLIC_CODE}@03cfb02, models/mae.py: MaskedAutoencoderViT",
            form={**SMALL, "as_published": True},
            inputs=((4, 2, 3, 32, 32),),
            outputs=(
                0.182921,
                -0.002243,
                0.368834,
                -0.117003,
                0.349909,
                0.249584,
                0.174456,
                -0.007233,
                0.365074,
                -0.111531,
                0.359715,
                0.255715,
            ),
            difference=2e-7,
        ),
    ),
    published_input=True,
    seen_before=("casme2",),
    quick={
        "pretrained": NONE,
        "image_size": 64,
        "dim": 32,
        "depth": 1,
        "attention": DIAGONAL,
        "input_range": "difference",
        "epochs": 5,
        "lr": 2e-3,
    },
    refused=(
        Refused("pretrained", "mine", WEIGHTS),
        Refused("image_size", 60, "a multiple of 8"),
        Refused("dim", 36, "a multiple of 8"),
        Refused("depth", 0, "at least 1"),
        Refused("attention", "half", "one of: full, diagonal"),
    ),
)
class MicronBERT(nn.Module):
    """One encoder for onset and apex, attention from the apex's patches to the onset's, and a linear layer.

    Both frames become 784 tokens of patches of 8x8 pixels, each of 512 values, and pass four transformer layers (4
    heads, dense part of 2048) and a normalisation. Attention of one head asks with the apex's tokens, finds keys in the
    onset's, and gathers values of the apex's. A head of this benchmark's own normalises what it gives, keeps eight
    values a place (GELU), and classifies those of all places by a linear layer.

    Inputs
    ------
    onset_apex_rgb_224 : (n, 2, 3, 224, 224) float32: onset and apex in colour, 0..255.

    Parameters
    ----------
    pretrained : the path of the file that the authors released, or of another one with the encoder and the attention
        under its names; it is read with ``weights_only``. ``none`` draws random weights. The default asks for a file:
        no library has these weights.
    image_size : side that frames are resized to, a multiple of 8; 224 as published.
    dim : values of a token, a multiple of 8; 512 as published.
    depth : layers of the encoder; four as published.
    attention : ``full``, as the released weights were trained with. Or ``diagonal``, the paper's Diagonal
        Micro-Attention: a token is weighed by what the softmax leaves to the same place of the onset. There is none
        as published.
    as_published : do what the public code does with the released weights, and train the head alone:

    =============  ==============================================  ================================================
    part           default                                         as_published
    =============  ==============================================  ================================================
    frames         the apex, compared with the onset               the apex alone (``extract_features``)
    encoder        trained                                         without gradients
    =============  ==============================================  ================================================

    Notes
    -----
    With three classes it has 13,784,459 parameters, 12,733,835 as published. The released weights lie on a file server
    of the authors' university, and their repository states no licence: ask the authors before you use them for more
    than research. They were trained, without labels, on CASME II, so that scores on it, and on composites with it, are
    of people whom they have seen; a note beside such scores says so. Nobody has reproduced the paper's scores in
    public; users report less than 60 % on CASME II (issues of uark-cviu/Micron-BERT).

    The public code (uark-cviu/Micron-BERT) has no fine-tuning: the recipe, the head, and which frame asks are this
    benchmark's own. Its Patch of Interest and the decoder serve the training without labels and are left out. Frames
    are aligned faces here; how the authors cut them is not public.
    """

    def __init__(
        self,
        n_classes: int,
        pretrained: str = DEFAULT,
        image_size: int = 224,
        dim: int = 512,
        depth: int = 4,
        attention: str = FULL,
        as_published: bool = False,
    ) -> None:
        super().__init__()
        valid = pretrained in (NONE, DEFAULT) or is_weights_file(pretrained)
        require(valid, "micron_bert.pretrained", pretrained, WEIGHTS)
        valid = image_size >= PATCH and image_size % PATCH == 0
        require(valid, "micron_bert.image_size", image_size, f"a multiple of {PATCH}")
        require(dim >= 8 and dim % 8 == 0, "micron_bert.dim", dim, "a multiple of 8")
        require(depth >= 1, "micron_bert.depth", depth, "at least 1")
        require(attention in (FULL, DIAGONAL), "micron_bert.attention", attention, f"one of: {FULL}, {DIAGONAL}")
        if pretrained == DEFAULT:
            raise released_needed("micron_bert.pretrained")
        self.reductions = (Resized((image_size, image_size)),)
        self.encoder = PatchEncoder(image_size, PATCH, dim, depth, HEADS, RATIO)
        self.compare = None if as_published else _Comparison(dim, attention == DIAGONAL)
        places = (image_size // PATCH) ** 2
        self.classifier = drawn_by_xavier(
            nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, KEPT), nn.GELU(), nn.Flatten(), nn.Linear(places * KEPT, n_classes)
            )
        )
        if pretrained != NONE:
            load_released(self, "micron_bert.pretrained", pretrained)
        if as_published:
            self.encoder.requires_grad_(False)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logits (n, n_classes) of onset and apex (n, 2, 3, h, w)."""
        onset, apex = self.reductions[0](frames).unbind(1)
        if self.compare is None:
            seen = self.encoder(apex)[:, 1:]
        else:
            before, after = self.encoder(torch.cat([onset, apex]))[:, 1:].chunk(2)
            seen = self.compare(after, before)
        return self.classifier(seen)


class _Comparison(nn.Module):
    """Attention of one head from tokens (n, places, dim) to those of another frame; gives the same shape."""

    def __init__(self, dim: int, diagonal: bool) -> None:
        super().__init__()
        self.diagonal = diagonal
        self.to_q, self.to_k, self.to_v, self.proj = (drawn_by_xavier(nn.Linear(dim, dim)) for _ in range(4))

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        query, key, value = self.to_q(tokens), self.to_k(others), self.to_v(tokens)
        weights = (query @ key.transpose(-1, -2) * tokens.shape[-1] ** -0.5).softmax(dim=-1)
        seen = weights.diagonal(dim1=-2, dim2=-1)[..., None] * value if self.diagonal else weights @ value
        return self.proj(seen)
