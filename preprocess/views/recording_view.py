"""The picture of a recording: how strongly the face changes over time, and the expressions that were found in it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.base.drawing import default_look
from preprocess.views.contact_sheet import COLUMNS, draw_row, figure_of, save_figure

if TYPE_CHECKING:
    import numpy as np

    from preprocess.base.storage import Storage
    from preprocess.views.clip_view import ClipView

MOST = 8
"""Expressions that are drawn with their frames; all of them stand on the time line."""
POINTS = 2000
"""Points of the time line: of a long recording, each is the greatest value of many."""
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")


@dataclass(frozen=True)
class Marked:
    """An expression on the time line.

    Attributes
    ----------
    onset, apex, offset : in seconds.
    name : its class.
    lines : what stands beside its frames.
    view : its frames; None where it is not drawn in full.
    """

    onset: float
    apex: float
    offset: float
    name: str
    lines: tuple[str, ...]
    view: ClipView | None = None


@default_look()
def write_recording(
    storage: Storage,
    name: str,
    title: str,
    curve: tuple[np.ndarray, np.ndarray],
    threshold: float,
    marked: Sequence[Marked],
    classes: Sequence[str],
) -> None:
    """Draw a recording as a PNG file.

    Parameters
    ----------
    storage : where it is written.
    name : the name of the file there.
    title : what stands above it.
    curve : times in seconds, and the strength of the face's change; both empty where nobody looked.
    threshold : the strength from which on there is an expression.
    marked : the expressions, in order.
    classes : the classes, in the order of their colours.

    Raises
    ------
    StoreError : it cannot be written.
    """
    drawn = [one for one in marked if one.view is not None]
    height = 2.6 + 1.62 * len(drawn)
    figure = figure_of(11.5, height)
    figure.suptitle("\n".join(textwrap.wrap(title, 150)), y=1 - 0.1 / height, fontsize=11)
    line = figure.add_axes((0.06, 1 - 1.9 / height, 0.925, 1.3 / height))
    colours = {one: COLOURS[place % len(COLOURS)] for place, one in enumerate(classes)}
    _draw_line(line, curve, threshold, marked, colours)
    if drawn:
        top = 1 - 2.55 / height
        ratios = [1.15, 1.33, 1.33, 1, 1, 1]
        grid = figure.add_gridspec(
            len(drawn), 6, width_ratios=ratios, wspace=0.04, hspace=0.05, left=0.01, right=0.995, top=top, bottom=0.01
        )
        for row, one in enumerate(drawn):
            axes = [figure.add_subplot(grid[row, column]) for column in range(6)]
            _draw_expression(axes, one, colours.get(one.name, "black"))
            if row == 0:
                for axis, column in zip(axes[1:], COLUMNS, strict=True):
                    axis.set_title(column, fontsize=9)
    save_figure(figure, storage, name)


def _draw_line(
    axis: Any,
    curve: tuple[np.ndarray, np.ndarray],
    threshold: float,
    marked: Sequence[Marked],
    colours: dict[str, str],
) -> None:
    times, strengths = _thinned(*curve)
    if len(times):
        axis.plot(times, strengths, color="#555555", linewidth=0.8)
        axis.axhline(threshold, color="#999999", linewidth=0.8, linestyle="--")
        axis.set_ylabel("strength", fontsize=8)
    else:
        axis.set_yticks([])
    named: set[str] = set()
    for one in marked:
        label = one.name if one.name not in named else None
        named.add(one.name)
        colour = colours.get(one.name, "black")
        axis.axvspan(one.onset, one.offset, color=colour, alpha=0.3, linewidth=0, label=label)
        axis.axvline(one.apex, color=colour, linewidth=1)
    axis.set_xlabel("seconds", fontsize=8)
    axis.tick_params(labelsize=8)
    if named:
        axis.legend(fontsize=7, loc="upper right", ncols=min(4, len(named)))


def _draw_expression(axes: Sequence[Any], one: Marked, colour: str) -> None:
    assert one.view is not None
    axes[0].axis("off")
    lines = [line for text in one.lines for line in textwrap.wrap(text, 30)]
    if one.view.error:
        lines += textwrap.wrap(f"NOT USED: {one.view.error}", 34)[:9]
    axes[0].text(0.0, 0.97, "\n".join(lines), fontsize=8, va="top", color=colour)
    if one.view.error:
        for axis in axes[1:]:
            axis.axis("off")
        return
    draw_row(axes[1:], one.view)


def _thinned(times: np.ndarray, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most POINTS points, each the greatest of those that it stands for."""
    import numpy as np

    count = -(-len(times) // POINTS)
    if count <= 1:
        return times, strengths
    kept = len(times) // count * count
    parts = np.nan_to_num(strengths[:kept], nan=-1.0).reshape(-1, count).max(axis=1)
    return times[:kept:count], np.where(parts < 0, np.nan, parts)
