"""What the axes and values of a feature mean, read from its recipe, so that it is scaled and augmented rightly."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from preprocess.base.errors import UsageError
from preprocess.faces.landmark_sets import AU_GRAPH_12, landmark_set, mirrored
from preprocess.recipes import FEATURES, FeatureRecipe

FACE_AREAS_MIRRORED = (1, 0, 3, 2)
"""HTNet's areas (left eye, right eye, left and right lip corner) in the mirrored picture."""


@dataclass(frozen=True)
class Layout:
    """axes : a letter for each axis of a sample.

    l magnification levels, t times or pairs, m moments near each of these times, which itself stands in their middle,
    c channels, v landmarks, h and w rows and columns of a picture or patch, x the coordinates (x, y), d the components
    (u, v) of a vector; d and c are never both there, and where there is m, t are onset and apex.
    whole : h and w are those of the whole face, not of patches. photo : c are the grey, or the red, green and blue, of
    frames of the face, 0..255. u : the place of horizontal flow along c or d, or None.
    u_range : "" where 0 stands for no motion; else u is shown between its least and greatest value of the "sample" (a
    magnification level for itself) or of the "pair".
    points : what the order of the landmarks becomes when the face is mirrored. width : of the picture that coordinates
    are measured in. no_mirror : why values of the mirrored face cannot be told from these ("" where they can).
    shape : the lengths of the axes.
    """

    axes: str
    whole: bool = False
    photo: bool = False
    u: int | None = None
    u_range: str = ""
    points: tuple[int, ...] = ()
    width: float = 0.0
    no_mirror: str = ""
    shape: tuple[int, ...] = ()


def layout_of(recipe: FeatureRecipe) -> Layout:
    """Return the layout of a feature; UsageError for one whose last step has none (a descriptor such as LBP-TOP)."""
    steps = [(name, options) for name, _, options in recipe.as_json()["steps"]]
    last, options = steps[-1]
    if last not in _LAYOUTS:
        raise UsageError(
            f"Feature {recipe.name} cannot be augmented: it ends with {last}; known: {', '.join(_LAYOUTS)}."
        )
    layout = _LAYOUTS[last](recipe, dict(steps), options)
    if len(layout.axes) != len(recipe.shape):
        raise UsageError(f"Feature {recipe.name} cannot be augmented: its axes {recipe.shape} are no {layout.axes}.")
    return dataclasses.replace(layout, shape=recipe.shape)


def channel_axis(feature: str) -> int:
    """Return the axis of (n, ...) tensors of a feature along which its channels or components stand.

    That is the first axis after the samples' for a feature that has none: a descriptor, landmarks and maps in one.
    """
    axes = _axes(feature)
    return next((axes.index(letter) + 1 for letter in "cdx" if letter in axes), 1)


def time_axis(feature: str) -> int | None:
    """Return the axis of (n, ...) tensors of a feature along which time goes; None for one that has no time."""
    axes = _axes(feature)
    return axes.index("t") + 1 if "t" in axes else None


def _axes(feature: str) -> str:
    """Return the letters of a feature's axes, "" for one that has no layout."""
    recipe = FEATURES.get(feature)
    return layout_of(recipe).axes if recipe.as_json()["steps"][-1][0] in _LAYOUTS else ""


def _flow(recipe: FeatureRecipe, steps: dict[str, Any], options: dict[str, Any]) -> Layout:
    channels, normalise = options["channels"], options["normalise"]
    ranged = options["range_of"] if normalise in ("8bit", "minmax") else ""
    if "roi_mosaic" in steps:
        return Layout(_picture(recipe, options), no_mirror="it is a mosaic of tiles")
    return Layout(
        _picture(recipe, options),
        whole=True,
        u=channels.index("u") if "u" in channels else None,
        u_range=ranged if "u" in channels else "",
        no_mirror="it holds the orientation of flow" if "orientation" in channels else "",
    )


def _frames(recipe: FeatureRecipe, steps: dict[str, Any], options: dict[str, Any]) -> Layout:
    directed = _directed(steps)
    photo = options["normalise"] == "8bit" and not directed
    return Layout(_picture(recipe, options), whole=True, photo=photo, no_mirror=directed)


def _motion_image(recipe: FeatureRecipe, steps: dict[str, Any], options: dict[str, Any]) -> Layout:
    return Layout("chw", whole=True)


def _patches(recipe: FeatureRecipe, steps: dict[str, Any], options: dict[str, Any]) -> Layout:
    if options["merge"]:
        return Layout("chw"[-len(recipe.shape) :], no_mirror="landmarks and maps share an axis")
    flow = options["of"] == "flow"
    inner = "cvhw" if flow else "vhw"
    axes = ("lt" + inner)[-len(recipe.shape) :]
    return Layout(
        axes, u=0 if flow else None, points=mirrored(landmark_set(options["points"])), no_mirror=_directed(steps)
    )


def _points(recipe: FeatureRecipe, steps: dict[str, Any], options: dict[str, Any]) -> Layout:
    order = mirrored(landmark_set(options["points"]))
    return Layout("tvx"[-len(recipe.shape) :], points=order, width=_width(steps, options))


def _areas(recipe: FeatureRecipe, steps: dict[str, Any], options: dict[str, Any]) -> Layout:
    return Layout("vx", points=FACE_AREAS_MIRRORED, width=_width(steps, options))


def _regions(recipe: FeatureRecipe, steps: dict[str, Any], options: dict[str, Any]) -> Layout:
    return Layout("tvd", u=0, points=mirrored(AU_GRAPH_12))


_LAYOUTS = {
    "flow_tensor": _flow,
    "frames_tensor": _frames,
    "motion_image": _motion_image,
    "patches": _patches,
    "landmark_points": _points,
    "face_areas": _areas,
    "au_rois": _regions,
}


def _picture(recipe: FeatureRecipe, options: dict[str, Any]) -> str:
    """Return the axes of what the steps ``flow_tensor`` and ``frames_tensor`` made."""
    axes = len(recipe.shape)
    # An axis of times that is 1 long is left out.
    return "chw" if axes == 3 else ("l" + options["layout"])[-axes:]


def _directed(steps: dict[str, Any]) -> str:
    if {"ldn", "stldn"} & steps.keys():
        return "its codes number directions"
    return "its maps are of directed filters" if "shape_maps" in steps else ""


def _width(steps: dict[str, Any], options: dict[str, Any]) -> float:
    size = options["size"] if options["size"] is not None else steps["face"]["size"]
    return float(size if isinstance(size, int) else size[0])
