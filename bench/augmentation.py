"""Augmentation: training batches changed at random, each feature as its axes and values ask for.

What is drawn comes from the fold's own generator on the CPU, so that it is the same on any device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.feature_layouts import Layout, layout_of
from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry
from preprocess.recipes import FEATURES

if TYPE_CHECKING:
    from torch import Tensor

DEGREES = 10.0
SHIFT = 1 / 14
NOISE = 0.05


@dataclass(frozen=True)
class Augmentation:
    """One way to change samples.

    draw(rng, n) : what is drawn for n samples, the same for all features of a sample.
    apply(values, layout, drawn) : the float32 (n, ...) batch of one feature, changed; its values are as stored.
    refuses(layout) : why it cannot change such a feature, "" where it can.
    """

    summary: str
    draw: Callable[[np.random.Generator, int], Any]
    apply: Callable[[Tensor, Layout, Any], Tensor]
    refuses: Callable[[Layout], str]


AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


@dataclass(frozen=True)
class Augmenter:
    """The augmentations of a recipe for a model's features; applied in the order they are named in."""

    steps: tuple[Augmentation, ...]
    layouts: tuple[Layout, ...]

    def __call__(self, features: Sequence[Tensor], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return a batch, as stored but in float32, changed at random."""
        changed = tuple(features)
        for step in self.steps:
            drawn = step.draw(rng, len(changed[0]))
            changed = tuple(step.apply(x, layout, drawn) for x, layout in zip(changed, self.layouts, strict=True))
        return changed


def make_augmenter(augment: str, features: Sequence[str]) -> Augmenter | None:
    """Return what ``augment`` (names of AUGMENTATIONS, separated by commas) means for the features; None for "".

    Raises UsageError for an unknown name, and for an augmentation that cannot change one of the features.
    """
    names = [name.strip() for name in augment.split(",") if name.strip()]
    if not names:
        return None
    steps = tuple(AUGMENTATIONS.get(name) for name in names)
    layouts = tuple(layout_of(FEATURES.get(feature)) for feature in features)
    for name, step in zip(names, steps, strict=True):
        for feature, layout in zip(features, layouts, strict=True):
            if reason := step.refuses(layout):
                raise UsageError(f"Augmentation {name} cannot change feature {feature}: {reason}.")
    return Augmenter(steps, layouts)


def mirror(values: Tensor, layout: Layout) -> Tensor:
    """Return what (n, ...) features of the mirrored faces would be."""
    import torch

    axis = {letter: place + 1 for place, letter in enumerate(layout.axes)}
    result = values.flip(axis["w"]) if "w" in axis else values.clone()
    if layout.points:
        result = result.index_select(axis["v"], torch.tensor(layout.points, device=values.device))
    if layout.u is not None:
        along = axis["c"] if "c" in axis else axis["d"]
        u = result.select(along, layout.u)
        u.copy_(_mirrored_flow(u, layout, [letter for letter in layout.axes if letter not in "cd"]))
    if "x" in axis:
        # An empty slot of a padded set of landmarks holds (0, 0), which is no place in the picture.
        there = (result != 0).any(dim=axis["x"])
        x = result.select(axis["x"], 0)
        x.copy_(torch.where(there, layout.width - 1 - x, x))
    return result


def _mirrored_flow(u: Tensor, layout: Layout, letters: list[str]) -> Tensor:
    """Return horizontal flow (n, ...), whose axes after the first are ``letters``, with right and left exchanged."""
    if not layout.u_range:
        return -u
    # Shown between its least and greatest value, which change places; of one value it is shown as 0 and stays it.
    together = [
        place + 1 for place, letter in enumerate(letters) if letter in ("thw" if layout.u_range == "sample" else "hw")
    ]
    return u.amax(dim=together, keepdim=True) + u.amin(dim=together, keepdim=True) - u


def _flip(values: Tensor, layout: Layout, drawn: np.ndarray) -> Tensor:
    import torch

    chosen = torch.from_numpy(drawn).to(values.device).view(-1, *[1] * (values.dim() - 1))
    return torch.where(chosen, mirror(values, layout), values)


def _moved(values: Tensor, matrices: np.ndarray) -> Tensor:
    """Return pictures (n, ..., h, w) seen through a matrix (2, 3) each, in units of half a picture; borders repeat."""
    import torch
    from torch.nn import functional

    flat = values.flatten(1, -3)
    theta = torch.from_numpy(matrices.astype(np.float32)).to(values.device)
    grid = functional.affine_grid(theta, list(flat.shape), align_corners=False)
    return functional.grid_sample(flat, grid, padding_mode="border", align_corners=False).view(values.shape)


def _rotate(values: Tensor, layout: Layout, drawn: np.ndarray) -> Tensor:
    cosine, sine, nought = np.cos(drawn), np.sin(drawn), np.zeros_like(drawn)
    height, width = values.shape[-2:]
    ratio = height / width
    rows = [[cosine, -sine * ratio, nought], [sine / ratio, cosine, nought]]
    return _moved(values, np.moveaxis(np.array(rows), -1, 0))


def _shift(values: Tensor, layout: Layout, drawn: np.ndarray) -> Tensor:
    return _moved(values, np.concatenate([np.tile(np.eye(2), (len(drawn), 1, 1)), 2 * drawn[:, :, None]], axis=2))


def _noise(values: Tensor, layout: Layout, drawn: np.random.Generator) -> Tensor:
    import torch

    noise = torch.from_numpy(drawn.standard_normal(tuple(values.shape), dtype=np.float32)).to(values.device)
    deviation = values.flatten(1).std(dim=1, correction=0).view(-1, *[1] * (values.dim() - 1))
    return values + NOISE * deviation * noise


def _only_whole_faces(layout: Layout) -> str:
    return "" if layout.whole else "it moves whole pictures of faces only"


def _add(name: str, summary: str, draw: Any, apply: Any, refuses: Callable[[Layout], str]) -> None:
    AUGMENTATIONS.add(name, Augmentation(summary, draw, apply, refuses), origin=__name__)


_add(
    "flip",
    "mirrors every second sample: pictures, landmarks left for right, horizontal flow with its sign changed",
    lambda rng, n: rng.random(n) < 0.5,
    _flip,
    lambda layout: layout.no_mirror,
)
_add(
    "rotate",
    f"turns pictures by up to {DEGREES:g} degrees either way; the directions of flow vectors are left as they are",
    lambda rng, n: np.deg2rad(rng.uniform(-DEGREES, DEGREES, n)),
    _rotate,
    _only_whole_faces,
)
_add(
    "shift",
    "moves pictures by up to a fourteenth of their width and height; borders are repeated",
    lambda rng, n: rng.uniform(-SHIFT, SHIFT, (n, 2)),
    _shift,
    _only_whole_faces,
)
_add(
    "noise",
    f"adds normal noise of {100 * NOISE:g} % of a sample's own standard deviation",
    lambda rng, n: rng,
    _noise,
    lambda layout: "",
)
