"""Pictures of clips as PNG files: a contact sheet of a dataset, and one clip in full."""

from __future__ import annotations

import io
import itertools
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.drawing import default_look
from preprocess.base.storage import LocalStorage, Storage
from preprocess.samples.clip import Clip, ClipError
from preprocess.samples.quality import Quality, badness, told, worst_first
from preprocess.views.clip_view import ClipView, flow_colours, spotting_curve, strip, view_clip

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from preprocess.faces.face import FaceFinder

ROWS = 12
LARGE = 256
"""Pixels of the aligned face where one clip is drawn in full."""

COLUMNS = ("onset", "apex", "aligned, landmarks", "flow less head motion", "strain")


def choose_rows(samples: pd.DataFrame, count: int = ROWS, quality: Mapping[str, Quality] | None = None) -> list[str]:
    """Return up to ``count`` sample ids. Equal samples give equal ids.

    Parameters
    ----------
    samples : the samples table.
    count : how many at most.
    quality : sample id -> what was measured of it. Up to half of the rows are the clips that are beyond the usual, the
        worst first.

    Returns
    -------
    The worst clips, then others, spread over emotions and people.
    """
    measured = quality or {}
    beyond = [sample_id for sample_id in worst_first(measured) if badness(measured[sample_id]) > 1]
    worst = [sample_id for sample_id in beyond if (samples["sample_id"] == sample_id).any()][: count // 2]
    return [*worst, *_spread_out(samples[~samples["sample_id"].isin(worst)], count - len(worst))]


def _spread_out(samples: pd.DataFrame, count: int) -> list[str]:
    """Return up to ``count`` sample ids, spread over emotions and people."""
    if samples.empty:
        return []
    order = samples.sort_values(["subject", "sample_id"])
    groups: dict[str, list[str]] = {}
    for emotion, sample_id in zip(order["emotion"].fillna("?"), order["sample_id"], strict=True):
        groups.setdefault(emotion, []).append(sample_id)
    share = -(-count // len(groups))
    # Of each emotion, evenly through the people, who stand in order; then one of each emotion in turn.
    spread = [[ids[len(ids) * (2 * n + 1) // (2 * share)] for n in range(share)] for ids in groups.values()]
    chosen = set(list(dict.fromkeys(itertools.chain.from_iterable(zip(*spread, strict=True))))[:count])
    return [sample_id for _, ids in sorted(groups.items()) for sample_id in ids if sample_id in chosen]


@default_look()
def write_contact_sheet(
    storage: Storage,
    name: str,
    title: str,
    samples: pd.DataFrame,
    clips: dict[str, Clip],
    finder: FaceFinder,
    quality: Mapping[str, Quality] | None = None,
) -> None:
    """Draw some clips of a dataset, a row each, as a PNG file.

    Parameters
    ----------
    storage : where it is written.
    name : the name of the file there.
    title : what stands above the rows.
    samples : the samples table.
    clips : sample id -> clip.
    finder : finds the faces.
    quality : sample id -> what was measured of it; bad clips come first.

    Raises
    ------
    StoreError : it cannot be written.
    """
    emotions = dict(zip(samples["sample_id"], samples["emotion"].fillna("?"), strict=True))
    chosen = choose_rows(samples, quality=quality)
    beyond = sum(badness(one) > 1 for one in (quality or {}).values())
    views = [view_clip(clips[sample_id], finder) for sample_id in chosen]
    height = 1.62 * len(views) + 0.75
    figure = figure_of(11.5, height)
    grid = figure.add_gridspec(len(views), 6, width_ratios=[1.15, 1.33, 1.33, 1, 1, 1], wspace=0.04, hspace=0.05)
    figure.subplots_adjust(left=0.01, right=0.995, top=1 - 0.65 / height, bottom=0.1 / height)
    figure.suptitle(f"{title}: {len(views)} of {len(samples)} clips{_said(beyond)}", y=1 - 0.12 / height, fontsize=12)
    for row, view in enumerate(views):
        axes = [figure.add_subplot(grid[row, column]) for column in range(6)]
        _label(axes[0], view, emotions[view.clip.sample_id])
        if view.error:
            for axis in axes[1:]:
                axis.axis("off")
            continue
        draw_row(axes[1:], view)
        if row == 0:
            for axis, column in zip(axes[1:], COLUMNS, strict=True):
                axis.set_title(column, fontsize=9)
    _wheel(figure, height)
    save_figure(figure, storage, name)


def _said(beyond: int) -> str:
    return f"; {beyond} of worse quality than usual, the worst first" if beyond else ""


@default_look()
def write_clip(path: Path, clip: Clip, emotion: str, finder: FaceFinder) -> ClipView:
    """Draw one clip in full as a PNG file: its pictures, a strip of frames, and how its apex was found if it was.

    Parameters
    ----------
    path : the file to write.
    clip : the clip.
    emotion : its label, for the title.
    finder : finds its face.

    Raises
    ------
    ClipError : the clip cannot be used.
    StoreError : ``path`` cannot be written.
    """
    view = view_clip(clip, finder, LARGE)
    if view.error:
        raise ClipError(f"{clip.sample_id}: {view.error}")
    numbers, faces = strip(clip, finder)
    spotted = clip.apex is None
    ratios = [2.6, 1.2, 1.3] if spotted else [2.6, 1.2]
    height = 1.1 + 2.2 * sum(ratios) / 2.6 * 1.35
    figure = figure_of(15, height)
    rows = figure.add_gridspec(len(ratios), 1, height_ratios=ratios, hspace=0.28)
    figure.subplots_adjust(left=0.03, right=0.99, top=1 - 0.75 / height, bottom=0.45 / height)
    figure.suptitle(_title(view, emotion), fontsize=11, y=1 - 0.1 / height)
    top = rows[0].subgridspec(1, 5, width_ratios=[1.3, 1.3, 1, 1, 1], wspace=0.05)
    axes = [figure.add_subplot(top[0, column]) for column in range(5)]
    draw_row(axes, view)
    for axis, name in zip(axes, COLUMNS, strict=True):
        axis.set_title(name, fontsize=10)
    line = rows[1].subgridspec(1, len(faces), wspace=0.04)
    for column, (number, face) in enumerate(zip(numbers, faces, strict=True)):
        axis = figure.add_subplot(line[0, column])
        _show(axis, face)
        axis.set_title(str(number), fontsize=9)
    if spotted:
        _draw_curve(figure.add_subplot(rows[2]), clip, finder, view)
    save_figure(figure, LocalStorage(path.parent), path.name)
    return view


def draw_row(axes: Sequence[Any], view: ClipView) -> None:
    """Draw a clip that can be used into five axes: what ``COLUMNS`` names."""
    assert view.onset is not None
    assert view.apex is not None
    assert view.crop is not None
    assert view.landmarks is not None
    assert view.flow is not None
    assert view.strain is not None
    assert view.outlines is not None
    for axis, picture, number, corners in zip(axes, (view.onset, view.apex), view.numbers, view.outlines, strict=False):
        _show(axis, picture)
        _corner(axis, str(number))
        axis.plot(*corners[[0, 1, 2, 3, 0]].T, color="#39ff14", linewidth=1)
        axis.set_xlim(-0.5, picture.shape[1] - 0.5)
        axis.set_ylim(picture.shape[0] - 0.5, -0.5)
    _show(axes[2], view.crop)
    axes[2].set_autoscale_on(False)
    axes[2].scatter(view.landmarks[:, 0], view.landmarks[:, 1], s=3, color="#39ff14", linewidths=0)
    _show(axes[3], flow_colours(view.flow))
    _corner(axes[3], f"full colour {_largest(view.flow):.1f} px")
    axes[4].imshow(view.strain, cmap="magma", vmin=0, vmax=max(1e-6, _high(view.strain)))
    axes[4].axis("off")
    _corner(axes[4], f"white {_high(view.strain):.2f}")


def _label(axis: Any, view: ClipView, emotion: str) -> None:
    axis.axis("off")
    dataset, person, name = view.clip.sample_id.split("/", 2)
    lines = [f"{dataset}/{person}", *textwrap.wrap(name, 24), f"label: {emotion}"]
    if view.face is not None:
        lines.append(f"face: {view.face.way}, frame {view.face.frame}")
    lines += textwrap.wrap(told(view.quality), 30)
    lines += textwrap.wrap("; ".join(view.notes), 30)
    lines += textwrap.wrap(f"NOT USED: {view.error}", 34)[:9] if view.error else []
    axis.text(0.0, 0.97, "\n".join(lines), fontsize=8, va="top", color="#b00020" if view.error else "black")


def _title(view: ClipView, emotion: str) -> str:
    clip = view.clip
    apex = clip.apex if clip.apex is not None else f"{view.numbers[1]} (spotted)"
    facts = [f"label {emotion}", f"onset {clip.onset}", f"apex {apex}", f"offset {clip.offset}"]
    if clip.fps:
        facts.append(f"{clip.fps:g} fps")
    if view.face is not None:
        facts.append(f"face by {view.face.way} in frame {view.face.frame}")
    facts.append(told(view.quality))
    return "\n".join([f"{clip.sample_id}: {', '.join(facts)}", *textwrap.wrap("; ".join(view.notes), 150)])


def _draw_curve(axis: Any, clip: Clip, finder: FaceFinder, view: ClipView) -> None:
    spotter, numbers, curve = spotting_curve(clip, finder)
    axis.plot(numbers, curve, color="#1f77b4")
    axis.axvline(view.numbers[1], color="#d62728", linewidth=1)
    axis.text(view.numbers[1], 0.02, f" apex {view.numbers[1]}", color="#d62728", fontsize=9)
    axis.set_xlim(numbers[0], numbers[-1])
    axis.set_xlabel("frame", fontsize=9)
    axis.set_title(f"apex spotting ({spotter}): the highest frame is taken", fontsize=10)


def _wheel(figure: Any, height: float) -> None:
    """Draw the key of the flow's colours: each direction in its colour."""
    import numpy as np

    side = 0.5 / height
    axis = figure.add_axes((0.945, 1 - side - 0.04 / height, 0.5 / 11.5, side))
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    wheel = flow_colours(np.stack([x, y], axis=-1).astype(np.float32), 1.0)
    wheel[np.hypot(x, y) > 1] = 255
    _show(axis, wheel)


def _show(axis: Any, picture: np.ndarray) -> None:
    axis.imshow(picture, aspect="equal", interpolation="antialiased")
    axis.axis("off")


def _corner(axis: Any, text: str) -> None:
    box = {"facecolor": "black", "alpha": 0.55, "pad": 1.2, "edgecolor": "none"}
    axis.text(0.02, 0.03, text, transform=axis.transAxes, fontsize=7, color="white", bbox=box)


def _largest(flow: np.ndarray) -> float:
    import numpy as np

    return float(np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99))


def _high(strain: np.ndarray) -> float:
    import numpy as np

    return float(np.percentile(strain, 99.5))


def figure_of(width: float, height: float) -> Any:
    """Return an empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110)


def save_figure(figure: Any, storage: Storage, name: str) -> None:
    """Write a figure as a PNG file; StoreError where it cannot be written."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        # A clip may be called "a$b$": that is no formula.
        text.set_parse_math(False)
    content = io.BytesIO()
    with warnings.catch_warnings():
        # Of letters that the font lacks, which come out as boxes.
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.savefig(content, format="png", metadata={"Software": None})
    storage.write(name, content.getvalue())
