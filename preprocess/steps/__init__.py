"""Steps: the links of a feature's chain. A new one is one function with one decorator, in a file of this package.

A step takes a ``Work`` and its own keyword options and returns another ``Work``. The usual order is ``face`` (find the
face, fix one transform for the clip), ``select`` (which frames), ``load`` (read them through the transform), then
magnification, flow, descriptors, and ``tensor`` last.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from preprocess.base.docs import first_line
from preprocess.base.errors import UsageError, did_you_mean
from preprocess.base.registry import Registry
from preprocess.samples.layout import Content

if TYPE_CHECKING:
    import numpy as np

    from preprocess.faces.face import Face, FaceFinder
    from preprocess.faces.head_way import HeadPath
    from preprocess.samples.clip import Clip


@dataclass(frozen=True)
class Work:
    """What flows through the steps of one clip. Arrays that no step has made yet are None.

    Attributes
    ----------
    clip : the frames and their key frames.
    finder : finds the clip's face, and remembers it for the clip's other features.
    face : the clip's face in the coordinates of the recording.
    transform : (2, 3) float64, from the recording to the aligned face; one for the whole clip, so that alignment adds
        no motion, unless the head goes too far.
    path : the way of a head that goes too far for one transform; ``transform`` is that of the frame in which the face
        was found. None for a head that holds still.
    size : (width, height) of the aligned face in pixels.
    numbers : the T chosen frame numbers, in order; after interpolation the nearest ones.
    key : (role, index into ``numbers``) of the chosen key frames; roles are "onset", "apex" and "offset".
    frames : (L, T, H, W, C) uint8 or float32, 0..255; L magnification levels (1 without), C is 1 (grey) or 3 (RGB).
        Outside of ``valid`` the picture's edge is repeated.
    valid : (H, W) bool, False for pixels that some chosen frame does not have, because the face's square reaches
        outside of the recording; None where all frames have all pixels. Later arrays are 0 there.
    landmarks : (T, 68, 2) float32, x and y in pixels of ``frames``.
    flow : (L, P, H, W, 2) float32, u (to the right) and v (down) in pixels, for P pairs of frames.
    strain : (L, P, H, W) float32, the magnitude of the optical strain.
    tensor : the result; the last step must set it.
    quality : what steps measured of how far the clip can be trusted (``preprocess/samples/quality.py``).
    notes : what a person should know of this clip ("onset 101 is missing: 103 taken").
    """

    clip: Clip
    finder: FaceFinder
    face: Face | None = None
    transform: np.ndarray | None = None
    path: HeadPath | None = None
    size: tuple[int, int] | None = None
    numbers: tuple[int, ...] = ()
    key: tuple[tuple[str, int], ...] = ()
    frames: np.ndarray | None = None
    valid: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    flow: np.ndarray | None = None
    strain: np.ndarray | None = None
    tensor: np.ndarray | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def transform_of(self, number: int) -> np.ndarray | None:
        """Return the (2, 3) transform from one frame of the recording to the aligned face; None before step face."""
        if self.transform is None or self.path is None:
            return self.transform
        return self.path.transform(self.transform, number)

    def seen(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the frames in which the face is seen; all of them where no head was followed."""
        return [number for number in numbers if self.path is None or self.path.sees(number)]


Shows = Callable[[Content, Mapping[str, Any]], Content]
"""Says what a step's result shows, from what was shown before the step and all of the step's options."""


def as_before(before: Content, options: Mapping[str, Any]) -> Content:
    """Return what was shown before: for steps that leave frames and flow what they are, or add to them."""
    return before


@dataclass(frozen=True)
class Step:
    """A registered step.

    Attributes
    ----------
    name : what recipes call the step.
    version : raised by hand whenever the step's numbers change, so that shards are made anew; the code of a step
        from a plug-in counts besides.
    run : the function, called with the work and all options.
    summary : the first line of the function's docstring.
    pictures : says what frames and flow show after the step; None where the step does not say.
    tensor : says what the step's tensor shows; None where the step makes none, or does not say.
    """

    name: str
    version: int
    run: Callable[..., Work]
    summary: str
    pictures: Shows | None = None
    tensor: Shows | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the step's options with their defaults; ``inspect.Parameter.empty`` stands where one must be given."""
        parameters = inspect.signature(self.run).parameters.values()
        return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}

    def options(self, given: dict[str, Any], place: str) -> dict[str, Any]:
        """Return all options of the step: the given ones, and the defaults of the others.

        Parameters
        ----------
        given : the options of a recipe.
        place : where they were given, for the message.

        Raises
        ------
        UsageError : an option is not known, or one that must be given is not there.
        """
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


def stamp(step: Step) -> int | str:
    """Return what tells a step from earlier forms of it: its version; with its code, where it comes from a plug-in."""
    code = STEPS.code(step.name)
    return step.version if code is None else f"{step.version}+{code}"


def register_step(
    name: str, *, version: int, pictures: Shows | None = None, tensor: Shows | None = None
) -> Callable[[Callable[..., Work]], Callable[..., Work]]:
    """Return a decorator that registers a function ``run(work, *, option=default, ...) -> Work`` as a step.

    Options are keyword-only and hold JSON values. One called ``weights`` is the path of a file, and counts by the
    file's content. The first line of the docstring is what ``merbench list steps`` shows.

    Parameters
    ----------
    name : what recipes call the step.
    version : 1 for a new step; raise it whenever the step's numbers change, so that shards are made anew.
    pictures : says what frames and flow show after the step; ``as_before`` for most steps. A feature cannot be
        augmented where a step before its last one does not say so.
    tensor : says what the tensor shows that the step makes. A feature cannot be augmented where its last step does not
        say so.

    Raises
    ------
    UsageError : when the decorator is applied: the version is below 1, the function has no docstring, or an option is
        not keyword-only.
    """

    def decorate(run: Callable[..., Work]) -> Callable[..., Work]:
        origin = f"{run.__module__}.{run.__qualname__}"
        _check(name, version, run, origin)
        STEPS.add(name, Step(name, version, run, first_line(run), pictures, tensor), origin)
        return run

    return decorate


def _check(name: str, version: int, run: Callable[..., Work], origin: str) -> None:
    if not isinstance(version, int) or version < 1:
        raise UsageError(f"Step {name} ({origin}): version is {version!r}; expected a whole number above 0.")
    if not first_line(run):
        raise UsageError(f"Step {name} ({origin}) has no docstring; its first line is what `merbench list steps` says.")
    _, *options = inspect.signature(run).parameters.values()
    for option in options:
        if option.kind is not option.KEYWORD_ONLY:
            raise UsageError(
                f"Step {name} ({origin}): {option.name} is not keyword-only; write run(work, *, {option.name}=...)."
            )
