"""What training relies on of an augmentation: features keep their form, and only the fold's rng is drawn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.checks.check import expect
from bench.checks.drawn_features import drawn_feature
from bench.engine.augmentation import ALONG, Augmentation
from preprocess.recipes import FEATURES
from preprocess.samples.layout import Layout

SAMPLES = 4
SEEDS = 8
SIDE = 24
"""Largest height and width of the pictures that are tried: augmentations take any size."""


@dataclass(frozen=True)
class AugmentationCase:
    """An augmentation, by the name that recipes give it."""

    name: str
    step: Augmentation

    def features(self) -> Iterator[tuple[str, Layout, Tensor]]:
        """Yield one feature of each form that it changes, with its layout and values of a few samples."""
        seen = set()
        for name, recipe in FEATURES.items():
            layout = recipe.layout
            if layout.content.unknown or not self.step.concerns(layout):
                continue
            sizes = zip(layout.axes, layout.shape, strict=True)
            shape = tuple(min(size, SIDE) if axis in "hw" else size for axis, size in sizes)
            layout = dataclasses.replace(layout, shape=shape)
            form = (layout.axes, recipe.dtype, str(layout.content.u), bool(layout.content.points))
            if form not in seen and not self.step.refuses(layout, self.step.amount):
                seen.add(form)
                yield name, layout, torch.from_numpy(drawn_feature(name, SAMPLES, np.random.default_rng(0), shape))

    def changed(self, layout: Layout, values: Tensor, seed: int) -> Tensor:
        """Return the values changed by what is drawn with a seed."""
        drawn = self.step.draw(np.random.default_rng(seed), len(values), self.step.amount)
        return self.step.apply(values, layout, drawn)


def check_form(case: AugmentationCase) -> None:
    """Features keep their shape (but for the axis that it works along), their type, and finite values."""
    found = False
    for name, layout, values in case.features():
        found = True
        result = case.changed(layout, values, seed=0)
        place = layout.axes.index(case.step.axis) + 1 if case.step.axis else -1
        kept = [size for axis, size in enumerate(values.shape) if axis != place]
        given = [size for axis, size in enumerate(result.shape) if axis != place]
        right = given == kept and result.dtype == values.dtype and result.dim() == values.dim()
        expect(
            right,
            f"Of {name} {tuple(values.shape)} {values.dtype} it makes {tuple(result.shape)} {result.dtype}; expected "
            "the same.",
        )
        expect(result.isfinite().all(), f"It makes values of {name} that are not finite.")
    expect(found, "It refuses every feature, or finds its axis in none.")


def check_changes(case: AugmentationCase) -> None:
    """It changes something, and other draws change it otherwise."""
    for name, layout, values in case.features():
        first = case.changed(layout, values, seed=0)
        moved, differ = not torch.equal(first, values), False
        for seed in range(1, SEEDS):
            result = case.changed(layout, values, seed)
            moved, differ = moved or not torch.equal(result, values), differ or not torch.equal(result, first)
            if moved and differ:
                break
        expect(moved, f"With {SEEDS} seeds it leaves {name} as it is.")
        expect(differ, f"With {SEEDS} seeds it changes {name} in the same way. Draw from the rng that draw is given.")


def check_rng(case: AugmentationCase) -> None:
    """The same rng changes features in the same way, to the bit: nothing else is drawn from."""
    for name, layout, values in case.features():
        # Drawing from numpy's or torch's own generator moves it on, so that the second time differs.
        first, again = (case.changed(layout, values, seed=3) for _ in range(2))
        same = torch.equal(first, again)
        expect(same, f"With the same rng it changes {name} in another way. Draw from the rng that draw is given, only.")


def check_input_unchanged(case: AugmentationCase) -> None:
    """It leaves the batch that it is given as it was."""
    for name, layout, values in case.features():
        before = values.clone()
        for seed in range(3):
            case.changed(layout, values, seed)
        expect(torch.equal(values, before), f"It changes {name} in place. Stored values would change: write to a copy.")


def check_amounts(case: AugmentationCase) -> None:
    """Its amount lies within what a recipe may ask for, and its axis is one that features have."""
    step = case.step
    expect(0 <= step.amount <= step.most, f"Its amount is {step.amount:g}; expected 0 to most, {step.most:g}.")
    known = step.axis is None or step.axis in ALONG
    expect(known, f"It works along the axis {step.axis!r}; expected None, or one of {', '.join(ALONG)}.")
    expect(
        not set(",:") & set(case.name) and case.name.strip() == case.name,
        f"{case.name!r} cannot be written in a recipe: a comma ends a name there, a colon stands before the amount.",
    )


def check_documented(case: AugmentationCase) -> None:
    """It says in a few words what it does."""
    expect(case.step.summary.strip(), "Its summary is empty. `merbench list augmentations` shows it.")
