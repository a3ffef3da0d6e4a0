"""What shards rely on of a feature: what its recipe promises, the same for the same clip, and other for another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.checks.check import expect
from bench.checks.rendered_clips import RenderedClips, rendered_clips
from preprocess.recipes import FeatureRecipe


@dataclass(frozen=True)
class FeatureCase:
    """A registered recipe."""

    recipe: FeatureRecipe

    @property
    def clips(self) -> RenderedClips:
        """Clips to make it of."""
        return rendered_clips()


def check_promise(case: FeatureCase) -> None:
    """Of a clip it makes a tensor of the shape and type that its recipe promises, finite and not all the same."""
    found, recipe = case.clips.tensor(case.recipe.name), case.recipe
    right = found.shape == recipe.shape and found.dtype == np.dtype(recipe.dtype)
    expect(right, f"It is {found.dtype} {found.shape}; its recipe promises {recipe.dtype} {recipe.shape}.")
    expect(found.flags.c_contiguous, "Its tensor is not in C order; end with np.ascontiguousarray.")
    expect(np.isfinite(found).all(), "Its tensor has values that are not finite.")
    expect(found.std() > 0, f"All its values are {found.flat[0]}: nothing of the face is in it.")


def check_repeats(case: FeatureCase) -> None:
    """The same clip gives the same tensor again."""
    same = np.array_equal(case.clips.tensor(case.recipe.name), case.clips.compute(case.recipe.name, "brows"))
    expect(same, "The same clip gave another tensor. Draw nothing, or from a generator with a seed that never changes.")


def check_expressions_differ(case: FeatureCase) -> None:
    """Raised brows and a smile of one person give other tensors."""
    name = case.recipe.name
    differ = not np.array_equal(case.clips.tensor(name), case.clips.tensor(name, "smile"))
    expect(differ, "Raised brows and a smile give the same tensor: nothing that moves is in it.")


def check_documented(case: FeatureCase) -> None:
    """It says in a few words what it is."""
    expect(case.recipe.summary.strip(), "Its summary is empty. `merbench list features` shows it.")
