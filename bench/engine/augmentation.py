"""Augmentation: training batches changed at random, each feature as its axes and values ask for.

What is drawn comes from the fold's own generator on the CPU, so that it is the same on any device. Labels and action
units stay as they are: the shared units have no side, so that a mirrored face shows the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.base.registry import Registry
from preprocess.samples.layout import Layout

if TYPE_CHECKING:
    from torch import Tensor

NO_AMOUNT = 0.0
ALONG = {"t": "times", "l": "magnification levels", "m": "moments"}
"""What augmentations along one axis look for, by its letter in ``Layout.axes``."""
KEY_FRAMES = 2
"""Onset and apex, whose moments are drawn each for itself."""
GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class Augmentation:
    """One way to change samples.

    Attributes
    ----------
    summary : one line for listings.
    draw : called with the fold's generator, the number of samples and the amount; gives what is drawn for them, the
        same for all features of a sample.
    apply : called with a float32 (n, ...) batch of one feature, its layout and what was drawn; gives the batch,
        changed. The
        values are as stored.
    refuses : called with a layout and the amount; says why it cannot change such a feature, "" where it can.
    amount : how much it changes where a recipe does not say; 0 where there is nothing to say.
    most : the largest amount.
    axis : letter of the axis that it works along; None where it changes every feature. Features without the axis are
        left as they are, but one must have it.
    """

    summary: str
    draw: Callable[[np.random.Generator, int, float], Any]
    apply: Callable[[Tensor, Layout, Any], Tensor]
    refuses: Callable[[Layout, float], str] = lambda layout, amount: ""
    amount: float = NO_AMOUNT
    most: float = NO_AMOUNT
    axis: str | None = None

    def concerns(self, layout: Layout) -> bool:
        """Return whether a feature of this layout is changed."""
        return self.axis is None or self.axis in layout.axes


AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


@dataclass(frozen=True)
class Augmenter:
    """The augmentations of a recipe, each with its amount, for a model's features; applied in the order of naming."""

    steps: tuple[tuple[Augmentation, float], ...]
    layouts: tuple[Layout, ...]

    def changes(self, place: int) -> bool:
        """Return whether a step changes the feature at this place."""
        return any(step.concerns(self.layouts[place]) for step, _ in self.steps)

    def __call__(self, features: Sequence[Tensor], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return a batch, as stored but in float32, changed at random."""
        changed = tuple(features)
        for step, amount in self.steps:
            drawn = step.draw(rng, len(changed[0]), amount)
            changed = tuple(
                step.apply(x, layout, drawn) if step.concerns(layout) else x
                for x, layout in zip(changed, self.layouts, strict=True)
            )
        return changed


def make_augmenter(augment: str, layouts: Mapping[str, Layout]) -> Augmenter | None:
    """Return what changes the training batches of a model.

    Parameters
    ----------
    augment : names of AUGMENTATIONS, separated by commas, each with an amount where it takes one: ``flip,rotate:4``.
    layouts : the model's features in its order, each with its layout.

    Returns
    -------
    What carries out the augmentations in the order of naming; None where none is named.

    Raises
    ------
    UsageError : for an unknown name, an amount that is none, a feature of which nobody says what it shows, and an
        augmentation that cannot change one of the features or finds nothing to change in any.
    """
    named = _items(augment)
    if not named:
        return None
    steps = [(item, *_step(item)) for item in named]
    for feature, layout in layouts.items():
        if layout.content.unknown:
            raise UsageError(f"Feature {feature} cannot be augmented: {layout.content.unknown}.")
    for name, step, amount in steps:
        _check(name, step, amount, layouts)
    return Augmenter(tuple((step, amount) for _, step, amount in steps), tuple(layouts.values()))


def augmentation_names(augment: str) -> list[str]:
    """Return the names of the augmentations that a recipe's ``augment`` speaks of, without their amounts."""
    return [item.partition(":")[0].strip() for item in _items(augment)]


def _items(augment: str) -> list[str]:
    return [item.strip() for item in augment.split(",") if item.strip()]


def _step(item: str) -> tuple[Augmentation, float]:
    """Return what ``NAME`` or ``NAME:AMOUNT`` asks for."""
    name, colon, text = (part.strip() for part in item.partition(":"))
    step = AUGMENTATIONS.get(name)
    if not colon:
        return step, step.amount
    if not step.most:
        raise UsageError(f"Augmentation {item}: {name} takes no amount.")
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 < amount <= step.most:
        raise UsageError(f"Augmentation {item}: expected an amount above 0 and up to {step.most:g}, as {name}:0.1.")
    return step, amount


def _check(name: str, step: Augmentation, amount: float, layouts: Mapping[str, Layout]) -> None:
    concerned = {feature: layout for feature, layout in layouts.items() if step.concerns(layout)}
    if not concerned:
        wanted = ALONG[step.axis] if step.axis else "feature"
        raise UsageError(
            f"Augmentation {name} finds no {wanted} in {', '.join(layouts) or 'a model without features'}."
        )
    for feature, layout in concerned.items():
        if reason := step.refuses(layout, amount):
            raise UsageError(f"Augmentation {name} cannot change feature {feature}: {reason}.")


def mirror(values: Tensor, layout: Layout) -> Tensor:
    """Return what (n, ...) features of the mirrored faces would be."""
    import torch

    axis = {letter: place + 1 for place, letter in enumerate(layout.axes)}
    content = layout.content
    result = values.flip(axis["w"]) if "w" in axis else values.clone()
    if content.points:
        result = result.index_select(axis["v"], torch.tensor(content.points, device=values.device))
    if content.u is not None:
        along = axis["c"] if "c" in axis else axis["d"]
        u = result.select(along, content.u)
        u.copy_(_mirrored_flow(u, layout, [letter for letter in layout.axes if letter not in "cd"]))
    if "x" in axis:
        # An empty slot of a padded set of landmarks holds (0, 0), which is no place in the picture.
        there = (result != 0).any(dim=axis["x"])
        x = result.select(axis["x"], 0)
        x.copy_(torch.where(there, content.width - 1 - x, x))
    return result


def _mirrored_flow(u: Tensor, layout: Layout, letters: list[str]) -> Tensor:
    """Return horizontal flow (n, ...), whose axes after the first are ``letters``, with right and left exchanged."""
    if not layout.content.u_range:
        return -u
    # Shown between its least and greatest value, which change places; of one value it is shown as 0 and stays it.
    together = [
        place + 1
        for place, letter in enumerate(letters)
        if letter in ("thw" if layout.content.u_range == "sample" else "hw")
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


def _colour(values: Tensor, layout: Layout, drawn: np.ndarray) -> Tensor:
    """Return photos in other light: drawn, (n, 3), are factors of brightness, of contrast and of saturation.

    All frames of a sample are seen in the same light, so that nothing seems to move that does not.
    """
    import torch

    axis = layout.axes.index("c") + 1
    factors = torch.from_numpy(drawn.astype(np.float32)).to(values.device)
    brightness, contrast, saturation = (one.view(-1, *[1] * (values.dim() - 1)) for one in factors.unbind(dim=1))
    values = (values * brightness).clamp(0, 255)
    mean = _grey(values, axis).flatten(1).mean(dim=1).view_as(contrast)
    values = (mean + contrast * (values - mean)).clamp(0, 255)
    grey = _grey(values, axis)
    return (grey + saturation * (values - grey)).clamp(0, 255)


def _grey(values: Tensor, axis: int) -> Tensor:
    """Return photos without their colours, the axis of which is kept with length 1; grey ones as they are."""
    if values.shape[axis] == 1:
        return values
    red, green, blue = (share * values.narrow(axis, place, 1) for place, share in enumerate(GREY))
    return red + green + blue


def _noise(values: Tensor, layout: Layout, drawn: tuple[np.random.Generator, float]) -> Tensor:
    import torch

    rng, amount = drawn
    noise = torch.from_numpy(rng.standard_normal(tuple(values.shape), dtype=np.float32)).to(values.device)
    deviation = values.flatten(1).std(dim=1, correction=0).view(-1, *[1] * (values.dim() - 1))
    return values + amount * deviation * noise


def _jitter(values: Tensor, layout: Layout, drawn: np.ndarray) -> Tensor:
    """Return the steps nearest to equal times between two drawn ends, (n, 2) in shares of the clip."""
    import torch

    place = layout.axes.index("t") + 1
    last = values.shape[place] - 1
    times = np.linspace(drawn[:, 0], 1 + drawn[:, 1], last + 1, axis=1)
    chosen = torch.from_numpy(np.rint(times * last).clip(0, last).astype(np.int64)).to(values.device)
    index = chosen.view(len(values), *[-1 if axis == place else 1 for axis in range(1, values.dim())])
    return values.gather(place, index.expand(values.shape))


def _too_few_times(layout: Layout, amount: float) -> str:
    times = layout.shape[layout.axes.index("t")]
    # An end that moves by less than half a step is rounded back to where it was.
    if amount * (times - 1) > 0.5:
        return ""
    return f"its {times} times are too few to be moved by {amount:g} of the clip"


def _amplify(values: Tensor, layout: Layout, rng: np.random.Generator) -> Tensor:
    """Return each step of a sample at one drawn level, which stands in the place of all its levels.

    Without an axis of times a sample is one step.
    """
    sizes = [size if letter == "t" else 1 for letter, size in zip(layout.axes, values.shape[1:], strict=True)]
    return _drawn_one(values, layout, "l", rng.random((len(values), *sizes))).expand(values.shape)


def _near_key_frames(values: Tensor, layout: Layout, drawn: np.ndarray) -> Tensor:
    """Return each key frame at one drawn moment, the axis of moments then being 1 long.

    drawn : (n, KEY_FRAMES) in 0..1, along the axis t.
    """
    return _drawn_one(values, layout, "m", drawn.reshape(len(drawn), *[-1 if one == "t" else 1 for one in layout.axes]))


def _drawn_one(values: Tensor, layout: Layout, letter: str, drawn: np.ndarray) -> Tensor:
    """Return a drawn one of those that stand along the axis ``letter``, which is 1 long then.

    drawn : shares of the axis in 0..1, (n, ...), of length 1 along it and along all axes that are not told apart.
    """
    import torch

    place = layout.axes.index(letter) + 1
    chosen = torch.from_numpy((drawn * values.shape[place]).astype(np.int64)).to(values.device)
    return values.take_along_dim(chosen, dim=place)


def _only_whole_faces(layout: Layout, amount: float) -> str:
    return "" if layout.content.whole else "it moves whole pictures of faces only"


def _only_photos(layout: Layout, amount: float) -> str:
    return "" if layout.content.photo else "it changes the light of frames of 0..255 only"


def _add(name: str, summary: str, draw: Any, apply: Any, **options: Any) -> None:
    AUGMENTATIONS.add(name, Augmentation(summary, draw, apply, **options), origin=__name__)


_add(
    "flip",
    "mirrors every second sample: pictures, landmarks left for right, horizontal flow with its sign changed",
    lambda rng, n, amount: rng.random(n) < 0.5,
    _flip,
    refuses=lambda layout, amount: layout.content.no_mirror,
)
_add(
    "rotate",
    "turns pictures by up to so many degrees either way; the directions of flow vectors are left as they are",
    lambda rng, n, amount: np.deg2rad(rng.uniform(-amount, amount, n)),
    _rotate,
    refuses=_only_whole_faces,
    amount=10.0,
    most=180.0,
)
_add(
    "shift",
    "moves pictures by up to such a share of their width and height; borders are repeated",
    lambda rng, n, amount: rng.uniform(-amount, amount, (n, 2)),
    _shift,
    refuses=_only_whole_faces,
    amount=1 / 14,
    most=1.0,
)
_add(
    "colour",
    "multiplies brightness, contrast and saturation (of grey frames the first two) by factors that differ from 1 by up "
    "to so much, the same for all frames of a sample",
    lambda rng, n, amount: rng.uniform(1 - amount, 1 + amount, (n, 3)),
    _colour,
    refuses=_only_photos,
    amount=0.2,
    most=1.0,
)
_add(
    "noise",
    "adds normal noise of such a share of a sample's own standard deviation",
    lambda rng, n, amount: (rng, amount),
    _noise,
    amount=0.05,
    most=10.0,
)
_add(
    "jitter",
    "moves the first and the last moment, each by up to such a share of the clip, and takes the nearest steps between; "
    "beyond the clip its ends are repeated",
    lambda rng, n, amount: rng.uniform(-amount, amount, (n, 2)),
    _jitter,
    refuses=_too_few_times,
    amount=0.1,
    most=0.5,
    axis="t",
)
_add(
    "amplification",
    "shows each step of a sample at one of its magnification levels, drawn anew each time, wherever the network looks "
    "for a level",
    lambda rng, n, amount: rng,
    _amplify,
    axis="l",
)
_add(
    "moment",
    "shows onset and apex at one of the moments near them, each drawn anew each time; without it, in evaluation too, a "
    "network looks at the key frames themselves",
    lambda rng, n, amount: rng.random((n, KEY_FRAMES)),
    _near_key_frames,
    axis="m",
)
