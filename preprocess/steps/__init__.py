"""Steps: the links of a feature's chain. A new one is one function with one decorator, in a file of this package.

A step takes a ``Work`` and its own keyword options and returns another ``Work``. The usual order is ``face`` (find the
face, fix one transform for the clip), ``select`` (which frames), ``load`` (read them through the transform), then
magnification, flow, descriptors, and ``tensor`` last.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import UsageError, did_you_mean
from preprocess.base.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    from preprocess.faces.face import Face, FaceFinder
    from preprocess.samples.clip import Clip


@dataclass(frozen=True)
class Work:
    """What flows through the steps of one clip. Arrays that no step has made yet are None.

    finder : finds the clip's face (and remembers it, so that a clip's features share one detection).
    face : the clip's face in the coordinates of the recording; transform : (2, 3) float64, recording -> crop, one for
        the whole clip, so that alignment adds no motion; size : (width, height) of the crop.
    numbers : the T chosen frame numbers, in order; key : their roles where they have one ("onset", "apex", "offset")
        -> index into numbers. (times may be fractional after interpolation: then numbers are the nearest ones.)
    frames : (L, T, H, W, C) uint8 or float32 in 0..255; L magnification levels (1 without), C 1 (grey) or 3 (RGB).
    landmarks : (T, 68, 2) float32, x and y in pixels of ``frames``, for every frame or the same for all.
    flow : (L, P, H, W, 2) float32 u, v in pixels, for P pairs of frames; strain : (L, P, H, W) float32.
    tensor : the result; the last step must set it.
    notes : what a person should know of this clip ("onset 101 is missing: 103 taken").
    """

    clip: Clip
    finder: FaceFinder
    face: Face | None = None
    transform: np.ndarray | None = None
    size: tuple[int, int] | None = None
    numbers: tuple[int, ...] = ()
    key: tuple[tuple[str, int], ...] = ()
    frames: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    flow: np.ndarray | None = None
    strain: np.ndarray | None = None
    tensor: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A registered step. version : raised by hand whenever its numbers change, so that shards are made anew."""

    name: str
    version: int
    run: Callable[..., Work]
    summary: str

    def parameters(self) -> dict[str, Any]:
        """Return the step's options with their defaults (``inspect.Parameter.empty`` where one must be given)."""
        parameters = inspect.signature(self.run).parameters.values()
        return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}

    def options(self, given: dict[str, Any], place: str) -> dict[str, Any]:
        """Return all options of the step, given ones over defaults; UsageError for an unknown or missing one."""
        known = self.parameters()
        for name in given:
            if name not in known:
                raise UsageError(f"{place}: step {self.name} has no option {name!r}. {did_you_mean(name, known)}")
        values = {**known, **given}
        for name, value in values.items():
            if value is inspect.Parameter.empty:
                raise UsageError(f"{place}: step {self.name} needs the option {name!r}.")
        return values


STEPS: Registry[Step] = Registry("step", package="preprocess.steps")


def register_step(name: str, *, version: int) -> Callable[[Callable[..., Work]], Callable[..., Work]]:
    """Return a decorator that registers ``run(work, *, option=default, ...) -> Work`` as the step ``name``.

    Options are keyword-only and hold JSON values; the first line of the docstring is the summary.
    """

    def decorate(run: Callable[..., Work]) -> Callable[..., Work]:
        summary = (run.__doc__ or "").strip().splitlines()[0]
        STEPS.add(name, Step(name, version, run, summary), origin=f"{run.__module__}.{run.__qualname__}")
        return run

    return decorate
