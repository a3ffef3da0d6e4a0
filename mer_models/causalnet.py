"""CausalNet: flow and its directions on the way to the apex and back, with attention from cause to effect."""

from __future__ import annotations

import torch
from torch import nn

from mer_models._parts.checks import require
from mer_models._parts.face_areas import PATCH, Aggregation, Level, mosaic
from mer_models._parts.published import megc2019_cde
from mer_models.contracts import Checked, Refused, Resources, TrainingRecipe
from mer_models.registry import register_model

HEADS = (3, 6, 12)
PLACES = 4
PLACE_HEADS = 8


@register_model(
    "causalnet",
    features=("flow_uvs_28", "flow_uvs_apex_offset_28", "direction_map_28", "direction_map_apex_offset_28"),
    paper=(
        "Z. Zhang, W. Tang, H. Chen: Rethinking key-frame-based micro-expression recognition: a robust and accurate "
        "framework against key-frame errors, ICCV 2025, pp. 12274-12283"
    ),
    recipe=TrainingRecipe(epochs=200, batch_size=1024, lr=5e-5, optimizer="adam", input_range="raw", shuffle=False),
    resources=Resources(cpus=1, gpu=0.5, pack=2),
    published=megc2019_cde(
        full=(0.8976, 0.9020),
        casme2=(0.9811, 0.9858),
        samm=(0.8780, 0.8582),
        smic=(0.8390, 0.8452),
        selection="oracle",
        reference=(
            "README of tony19980810/CausalNet; its code takes each subject's best epoch by accuracy on that subject, "
            "and chooses layers and gamma among 36 settings by the scores on these test subjects"
        ),
    ),
    checked=(
        Checked(
            against="tony19980810/CausalNet@7bdf163face0, Models.py: CausalNet",
            form={"as_published": True, "dim": 24, "layers_1": 1, "layers_2": 1, "layers_3": 2},
            inputs=((4, 3, 28, 28),) * 4,
            outputs=(
                1.217561,
                0.455782,
                0.237421,
                1.221809,
                0.448257,
                0.218398,
                1.250869,
                0.457653,
                0.267269,
                1.312289,
                0.490218,
                0.291962,
            ),
            difference=7e-7,
        ),
    ),
    published_input=True,
    quick={
        "dim": 16,
        "layers_1": 1,
        "layers_2": 1,
        "layers_3": 1,
        "epochs": 8,
        "batch_size": 32,
        "lr": 1e-3,
        "input_range": "standard",
    },
    refused=(
        Refused("dim", 20, "a multiple of 8"),
        Refused("layers_1", 0, "a whole number of at least 1"),
        Refused("layers_2", 0, "a whole number of at least 1"),
        Refused("layers_3", 0, "a whole number of at least 1"),
        Refused("gamma", -0.1, "a number of at least 0"),
    ),
)
class CausalNet(nn.Module):
    """Four pictures of a clip, each as four face areas, joined by attention among neighbours and from cause to effect.

    1. The four 14x14 areas around eyes and lip corners of each picture are tiled to 28x28, embedded as 4x4 patches of
       7x7 pixels, and pass three levels of width ``dim``, 2 ``dim`` and 4 ``dim`` with 3, 6 and 12 heads: transformer
       layers as in ``htnet``, an aggregation between levels. One such encoder serves both flow pictures, another both
       direction maps. Each picture ends as four places of ``dim`` values.
    2. Position learning, ``layers_3`` times, with 8 heads: the maps of both ways look at each other. Scores between
       places side by side count; in the score of the place across the diagonal stands -``gamma`` times its number (1 to
       4) instead, and its weight is dropped after the softmax. The first map is renewed first, the second one looks at
       the new first one. What both become is added to the flow of their way.
    3. Causal attention, with 8 heads: neighbours within each way, then each place of the effect chooses between the
       cause and itself. Once the way to the apex is the cause, once the way back, with the same weights; both effects
       are joined by attention. These and both causes, 12 places, go through two linear layers (to 8 ``dim`` values, to
       the logits) without a function between them.

    Inputs
    ------
    flow_uvs_28 : (n, 3, 28, 28) float32, flow from onset to apex, 0..255.
    flow_uvs_apex_offset_28 : (n, 3, 28, 28) float32, flow from apex to offset.
    direction_map_28 : (n, 3, 28, 28) float32, the direction of the first as a colour.
    direction_map_apex_offset_28 : (n, 3, 28, 28) float32, of the second.

    Parameters
    ----------
    dim : width of the first level and of the places, a multiple of 8. The published 256 gives 277,129,219 parameters
        with three classes, 235,072,009 as published.
    layers_1 : transformer layers of the first level.
    layers_2 : of the second level.
    layers_3 : of the third level, and layers of the position learning.
    gamma : how far the place across the diagonal is held down.
    as_published : do as the public code (tony19980810/CausalNet, Models.py and main_train.py) does where that departs
        from the idea of places in the face. (1) A block holds a single patch at every level, so that attention in the
        encoders has nothing to choose from; (2) their position embedding is one number a position; (3) areas are cut
        with x and y exchanged, all as in ``htnet``. (4) The second aggregation pools once more, so that a picture ends
        as 1x1 with 4 ``dim`` channels; these are dealt out to four "places" (every fourth channel to one), which lie
        nowhere in the face. The default leaves that pooling out, so that the four places are the four areas, and folds
        the channels of each by a linear layer. (5) Channels in the order blue, green, red, as OpenCV reads pictures.

    Notes
    -----
    The public repository gives no code for its pictures. Its direction maps follow from its flow pictures exactly (see
    the step ``direction_map``): they add no measurement to them. The recipe's pixels are 0..255, as published; a quick
    run standardises them, for the reason that ``htnet`` gives.

    As in the public code, position learning divides scores by the root of ``dim``, not of a head's width, and has as
    many layers as the third level. Where a block holds a single patch, query and key projections of the encoders cannot
    change the output and are left out (the public class, which holds them, has 276,590,089 parameters).
    """

    def __init__(
        self,
        n_classes: int,
        dim: int = 256,
        layers_1: int = 3,
        layers_2: int = 3,
        layers_3: int = 9,
        gamma: float = 0.5,
        as_published: bool = False,
    ) -> None:
        super().__init__()
        layers = (layers_1, layers_2, layers_3)
        require(dim >= 1 and dim % PLACE_HEADS == 0, "causalnet.dim", dim, f"a multiple of {PLACE_HEADS}")
        for place, depth in enumerate(layers, start=1):
            require(depth >= 1, f"causalnet.layers_{place}", depth, "a whole number of at least 1")
        require(gamma >= 0, "causalnet.gamma", gamma, "a number of at least 0")
        self.as_published = as_published
        self.flow = _Encoder(dim, layers, as_published)
        self.direction = _Encoder(dim, layers, as_published)
        self.positions = nn.ModuleList(_PositionLayer(dim, gamma) for _ in range(layers_3))
        self.causality = _Causality(dim, gamma)
        self.classifier = nn.Sequential(nn.Linear(3 * PLACES * dim, 8 * dim), nn.Linear(8 * dim, n_classes))

    def forward(
        self, rise: torch.Tensor, fall: torch.Tensor, rise_map: torch.Tensor, fall_map: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits (n, n_classes) of flow to the apex and back, and of their direction maps."""
        way_up, way_back = self._places(self.flow, rise, fall)
        turned_up, turned_back = self._places(self.direction, rise_map, fall_map)
        for layer in self.positions:
            turned_up, turned_back = layer(turned_up, turned_back)
        return self.classifier(self.causality(way_up + turned_up, way_back + turned_back).flatten(1))

    def _places(self, encoder: nn.Module, rise: torch.Tensor, fall: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the four places (n, 4, dim) of two pictures that one encoder serves."""
        both = torch.cat([rise, fall])
        areas = mosaic(both.flip(1) if self.as_published else both, exchanged=self.as_published)
        return encoder(areas).chunk(2)


class _Encoder(nn.Module):
    """Three levels of transformer layers over tiled face areas; (n, 3, 28, 28) to four places (n, 4, dim)."""

    def __init__(self, dim: int, layers: tuple[int, int, int], as_published: bool) -> None:
        super().__init__()
        self.dim = dim
        widths = (dim, 2 * dim, 4 * dim)
        sides, blocks = ((4, 2, 1), (4, 2, 1)) if as_published else ((4, 2, 2), (2, 1, 1))
        self.embed = nn.Conv2d(3, dim, kernel_size=PATCH, stride=PATCH)
        self.levels = nn.ModuleList(
            Level(width, side, blocks_a_side, depth, heads, scalar_position=as_published)
            for width, side, blocks_a_side, depth, heads in zip(widths, sides, blocks, layers, HEADS, strict=True)
        )
        self.aggregations = nn.ModuleList(
            Aggregation(width, 2 * width, pool=after < before)
            for width, before, after in zip(widths[:-1], sides[:-1], sides[1:], strict=True)
        )
        self.fold = None if as_published else nn.Linear(4 * dim, dim)

    def forward(self, areas: torch.Tensor) -> torch.Tensor:
        maps = self.levels[0](self.embed(areas).permute(0, 2, 3, 1))
        for aggregate, level in zip(self.aggregations, self.levels[1:], strict=True):
            maps = level(aggregate(maps))
        if self.fold is None:
            return maps.reshape(-1, self.dim, PLACES).transpose(1, 2)
        return self.fold(maps.flatten(1, 2))


class _PositionLayer(nn.Module):
    """Two maps look at each other; (n, 4, dim) each to the same shape."""

    def __init__(self, dim: int, gamma: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = _NeighbourAttention(dim, gamma, scale=dim**-0.5)
        self.dense = _dense(dim)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, asking = first + self.attention(self.norm(first), second), self.norm(second)
        second = second + self.attention(asking, first)
        return first + self.dense(first), second + self.dense(second)


class _Causality(nn.Module):
    """Both ways as cause and as effect; (n, 4, dim) each to (n, 12, dim): the joined effects, and both causes."""

    def __init__(self, dim: int, gamma: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.neighbours = _NeighbourAttention(dim, gamma, scale=(dim // PLACE_HEADS) ** -0.5)
        self.ask = nn.Linear(dim, dim)
        self.offer = nn.Linear(dim, 2 * dim)
        self.merge = nn.Linear(dim, dim)
        self.dense = _dense(dim)
        self.join = nn.ModuleList(nn.Linear(dim, dim) for _ in range(4))

    def forward(self, up: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        cause, effect = self._from_cause(up, back)
        other_cause, other_effect = self._from_cause(back, up)
        return torch.cat([self._joined(effect, other_effect), cause, other_cause], dim=1)

    def _from_cause(self, cause: torch.Tensor, effect: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cause, effect = self.norm(cause), self.norm(effect)
        cause = cause + self.neighbours(cause, cause)
        effect = effect + self.neighbours(effect, effect)
        effect = effect + self._chosen(cause, effect)
        return cause + self.dense(cause), effect + self.dense(effect)

    def _chosen(self, cause: torch.Tensor, effect: torch.Tensor) -> torch.Tensor:
        """Let each place of the effect choose between the same place of the cause and itself."""
        asked = _in_heads(self.ask(effect))[..., None, :]
        offers = [self.offer(one).chunk(2, dim=-1) for one in (cause, effect)]
        keys, values = (torch.stack([_in_heads(one) for one in part], dim=-2) for part in zip(*offers, strict=True))
        scores = (asked * keys).sum(dim=-1, keepdim=True) * keys.shape[-1] ** -0.5
        return self.merge((torch.softmax(scores, dim=-2) * values).sum(dim=-2).transpose(1, 2).flatten(2))

    def _joined(self, effect: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Let the effect of one way look at that of the other."""
        query, key, value, merge = self.join
        asked, keys, values = (_in_heads(one) for one in (query(effect), key(other), value(effect + other)))
        weights = torch.softmax(asked @ keys.transpose(-1, -2) * keys.shape[-1] ** -0.5, dim=-1)
        return merge((weights @ values).transpose(1, 2).flatten(2) + effect + other)


class _NeighbourAttention(nn.Module):
    """Attention of 2x2 places to those beside them; (n, 4, dim) and what they look at to (n, 4, dim)."""

    beside: torch.Tensor
    held_down: torch.Tensor

    def __init__(self, dim: int, gamma: float, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.merge = nn.Linear(dim, dim)
        across = torch.eye(PLACES).flip(0)
        self.register_buffer("beside", 1 - across, persistent=False)
        self.register_buffer("held_down", -gamma * across * torch.arange(1, PLACES + 1), persistent=False)

    def forward(self, places: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        key, value = (_in_heads(part) for part in self.key_value(context).chunk(2, dim=-1))
        scores = _in_heads(self.query(places)) @ key.transpose(-1, -2) * self.scale
        weights = torch.softmax(scores * self.beside + self.held_down, dim=-1) * self.beside
        return self.merge((weights @ value).transpose(1, 2).flatten(2))


def _dense(dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


def _in_heads(places: torch.Tensor) -> torch.Tensor:
    """Return (n, places, dim) as (n, heads, places, dim of a head)."""
    return places.unflatten(-1, (PLACE_HEADS, -1)).transpose(1, 2)
