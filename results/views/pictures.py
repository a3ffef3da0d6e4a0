"""Pictures of a study's results as PNG: drawn on Agg canvases that share no state, so any thread may call them."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110

_INK = "#1b1e23"
_SOFT = "#4a5059"
_GRID = "#d5d8dd"
_LINES = ("#1f6fb4", "#d1662b", "#3a8f4d", "#8a5aa8", "#8c6d31", "#5f6670")

# Inches: a character of a 10 point label, a line of the title, a line below it.
_LABEL_CHARACTER = 0.085
_TITLE_LINE = 0.22
_SUBTITLE_LINE = 0.165
_LINES_AT_MOST = 3
_TITLE_CHARACTERS_PER_INCH = 8.5
_SUBTITLE_CHARACTERS_PER_INCH = 12.5


@dataclass(frozen=True)
class _Margins:
    """Inches between the axes and the picture's edge."""

    left: float
    right: float
    top: float
    bottom: float


def confusion_picture(matrix: np.ndarray, classes: Sequence[str], title: str, subtitle: str) -> bytes:
    """Draw a confusion matrix: each cell's count and its share of the true class, coloured by that share.

    A true class without samples has a dash in place of its shares.

    Parameters
    ----------
    matrix : (C, C) counts, rows true, columns predicted.
    classes : names of the classes.
    title : what was scored. A line that is too long is wrapped, and cut after the third, here as in ``subtitle``.
    subtitle : what the numbers depend on (samples, subjects, selection).

    Returns
    -------
    The bytes of a PNG.

    Raises
    ------
    ValueError : the matrix has another shape.
    """
    counts = np.asarray(matrix)
    n_classes = len(classes)
    if counts.shape != (n_classes, n_classes):
        raise ValueError(f"a confusion matrix of {n_classes} classes has shape {(n_classes,) * 2}, not {counts.shape}")
    support = counts.sum(axis=1)
    shares = counts / np.maximum(support, 1)[:, None]
    side = max(4.2, 0.88 * n_classes)
    label = _LABEL_CHARACTER * max(10, *map(len, classes))
    # Labels that are wider than their cell would run into each other.
    slanted = label > side / n_classes - 0.1
    width = side + label + 1.55
    head = _Head.wrapped(title, subtitle, width)
    margins = _Margins(left=label + 0.35, right=1.2, top=head.height, bottom=0.45 + (0.66 * label if slanted else 0.4))
    figure = _figure(width, side + margins.top + margins.bottom)
    axes = figure.add_axes(_place(figure, margins))
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    _label_cells(axes, counts, shares, support)
    _label_classes(axes, classes, support, counts.sum(axis=0), slanted)
    bar_margins = _Margins(left=width - 1.05, right=0.87, top=margins.top, bottom=margins.bottom)
    bar = figure.colorbar(image, cax=figure.add_axes(_place(figure, bar_margins)), ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0", "25 %", "50 %", "75 %", "100 %"], fontsize=9, color=_SOFT)
    bar.set_label("share of the true class (diagonal: recall)", fontsize=9, color=_SOFT)
    bar.outline.set_visible(False)
    head.draw(figure)
    return _png(figure)


def classes_picture(counts: np.ndarray, classes: Sequence[str], title: str, subtitle: str) -> bytes:
    """Draw the classes of a multi-label task: for each a bar of its F1, marks of precision and recall, and its counts.

    Parameters
    ----------
    counts : (C, 2, 2), rows true (absent, present), columns predicted.
    classes : names of the classes.
    title : as in ``confusion_picture``.
    subtitle : as in ``confusion_picture``.

    Returns
    -------
    The bytes of a PNG.

    Raises
    ------
    ValueError : the counts have another shape.
    """
    counts = np.asarray(counts)
    if counts.shape != (len(classes), 2, 2):
        raise ValueError(f"{len(classes)} classes have counts of shape {(len(classes), 2, 2)}, not {counts.shape}")
    shown, predicted, hits = counts[:, 1].sum(axis=1), counts[:, :, 1].sum(axis=1), counts[:, 1, 1]
    names = [
        f"{_literal(name)}\n(n = {n:g}, predicted {guessed:g})"
        for name, n, guessed in zip(classes, shown, predicted, strict=True)
    ]
    width = 5.0 + _LABEL_CHARACTER * max(len(line) for name in names for line in name.splitlines())
    head = _Head.wrapped(title, subtitle, width)
    margins = _Margins(left=width - 4.8, right=0.3, top=head.height + 0.3, bottom=0.6)
    figure = _figure(width, 0.45 * len(classes) + margins.top + margins.bottom)
    axes = figure.add_axes(_place(figure, margins))
    places = np.arange(len(classes))
    axes.barh(places, 2 * hits / np.maximum(shown + predicted, 1), height=0.6, color=_LINES[0], label="F1")
    marks: dict[str, Any] = {"linestyle": "none", "markersize": 6, "clip_on": False, "markeredgecolor": "white"}
    axes.plot(hits / np.maximum(predicted, 1), places, marker="o", color=_LINES[1], label="precision", **marks)
    axes.plot(hits / np.maximum(shown, 1), places, marker="D", color=_LINES[2], label="recall", **marks)
    axes.set_yticks(places, names)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel('of "present", over the pooled predictions', color=_SOFT)
    axes.grid(axis="x", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    head.draw(figure)
    return _png(figure)


def curves_picture(curves: Sequence[Mapping[str, Sequence[float]]], title: str, subtitle: str) -> bytes:
    """Draw training curves over all folds: the median of each curve, and the band of its middle half.

    Losses have a panel of their own above the other measures. Values that are not finite (of a training that diverged)
    are left out.

    Parameters
    ----------
    curves : a mapping a fold, name -> one value an epoch; folds may differ in length.
    title : as in ``confusion_picture``.
    subtitle : as in ``confusion_picture``.

    Returns
    -------
    The bytes of a PNG.

    Raises
    ------
    ValueError : there is not a single value to draw.
    """
    from matplotlib.ticker import MaxNLocator

    stacked = _stacked_curves(curves)
    if not stacked:
        raise ValueError("no fold has a curve to draw")
    losses = [name for name in stacked if name.endswith("loss")]
    panels = [panel for panel in (losses, [name for name in stacked if name not in losses]) if panel]
    width, panel_height, gap = 8.0, 2.4, 0.2
    head = _Head.wrapped(title, subtitle, width)
    bottom = 0.6
    figure = _figure(width, head.height + bottom + (panel_height + gap) * len(panels) - gap)
    for place, panel in enumerate(panels):
        below = bottom + (panel_height + gap) * (len(panels) - 1 - place)
        above = head.height + (panel_height + gap) * place
        axes = figure.add_axes(_place(figure, _Margins(left=0.75, right=0.2, top=above, bottom=below)))
        for number, name in enumerate(panel):
            _draw_curve(axes, name, stacked[name], _LINES[number % len(_LINES)])
        axes.set_ylabel("loss" if panel is losses else "score")
        axes.legend(frameon=False, fontsize=9, loc="upper right" if panel is losses else "lower right")
        axes.grid(color=_GRID, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelbottom=place == len(panels) - 1)
        axes.set_xlim(0, 1 + max(values.shape[1] for values in stacked.values()))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.axes[-1].set_xlabel(f"epoch (line: median of {len(curves)} folds, band: the middle half of them)")
    head.draw(figure)
    return _png(figure)


def _label_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray, support: np.ndarray) -> None:
    for row, column in np.ndindex(*counts.shape):
        share = f"{100 * shares[row, column]:.1f} %" if support[row] else "–"
        colour = "white" if shares[row, column] > 0.55 else _INK
        spot: dict[str, Any] = {"ha": "center", "color": colour}
        axes.text(column, row - 0.02, f"{counts[row, column]:g}", va="bottom", fontsize=12, weight="bold", **spot)
        axes.text(column, row + 0.06, share, va="top", fontsize=9, **spot)


def _label_classes(
    axes: Axes, classes: Sequence[str], support: np.ndarray, predicted: np.ndarray, slanted: bool
) -> None:
    places = np.arange(len(classes))
    rows = [f"{_literal(name)}\n(n = {count:g})" for name, count in zip(classes, support, strict=True)]
    columns = [f"{_literal(name)}\n(n = {count:g})" for name, count in zip(classes, predicted, strict=True)]
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_yticks(places, rows)
    axes.set_xticks(places, columns, **slant)
    axes.set_ylabel("true class", color=_SOFT)
    axes.set_xlabel("predicted class", color=_SOFT)
    axes.spines[:].set_visible(False)
    # White lines between the cells, at the half steps.
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)


def _stacked_curves(curves: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, np.ndarray]:
    """Return name -> (n_folds, epochs) values, NaN where there is none; names without a finite value are left out."""
    stacked = {}
    for name in sorted({name for fold in curves for name in fold}):
        folds = [fold[name] for fold in curves if name in fold]
        values = np.full((len(folds), max(map(len, folds))), np.nan)
        for row, fold in zip(values, folds, strict=True):
            row[: len(fold)] = fold
        values[~np.isfinite(values)] = np.nan
        if np.isfinite(values).any():
            stacked[name] = values
    return stacked


def _draw_curve(axes: Axes, name: str, values: np.ndarray, colour: str) -> None:
    epochs = np.flatnonzero(np.isfinite(values).any(axis=0))
    low, middle, high = np.nanquantile(values[:, epochs], [0.25, 0.5, 0.75], axis=0)
    # A single epoch makes no line; a mark shows it.
    axes.plot(
        epochs + 1, middle, color=colour, linewidth=1.8, label=_literal(name), marker="o" if len(epochs) == 1 else None
    )
    axes.fill_between(epochs + 1, low, high, color=colour, alpha=0.18, linewidth=0)


@dataclass(frozen=True)
class _Head:
    """The title and what stands below it, wrapped to a picture's width."""

    title: list[str]
    subtitle: list[str]

    @classmethod
    def wrapped(cls, title: str, subtitle: str, width: float) -> _Head:
        def wrap(text: str, characters: float) -> list[str]:
            return [
                _literal(piece)
                for line in text.splitlines()
                for piece in textwrap.wrap(line, int(characters), max_lines=_LINES_AT_MOST, placeholder=" ...")
            ]

        return cls(
            wrap(title, width * _TITLE_CHARACTERS_PER_INCH), wrap(subtitle, width * _SUBTITLE_CHARACTERS_PER_INCH)
        )

    @property
    def height(self) -> float:
        """Inches from the picture's top to the axes."""
        return 0.32 + _TITLE_LINE * len(self.title) + _SUBTITLE_LINE * len(self.subtitle)

    def draw(self, figure: Figure) -> None:
        top = figure.get_figheight()
        below = 0.17 + _TITLE_LINE * len(self.title)
        middle: dict[str, Any] = {"ha": "center", "va": "top"}
        figure.text(0.5, 1 - 0.12 / top, "\n".join(self.title), fontsize=12, weight="bold", color=_INK, **middle)
        figure.text(0.5, 1 - below / top, "\n".join(self.subtitle), fontsize=9, color=_SOFT, **middle)


def _literal(text: str) -> str:
    """Return the text such that matplotlib prints it as it stands: dollar signs would set formulas."""
    return text.replace("$", r"\$")


def _place(figure: Figure, margins: _Margins) -> tuple[float, float, float, float]:
    """Return (left, bottom, width, height) in shares of the figure, as ``add_axes`` takes them."""
    width, height = figure.get_size_inches()
    return (
        margins.left / width,
        margins.bottom / height,
        1 - (margins.left + margins.right) / width,
        1 - (margins.bottom + margins.top) / height,
    )


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Sizes are set by hand: matplotlib's automatic layouts draw everything several times.
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    sink = io.BytesIO()
    figure.savefig(sink, format="png", metadata={"Software": "merbench"})
    return sink.getvalue()
