"""Pictures of a study's results as PNG: drawn on Agg canvases of their own, so any thread may call them."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocess.base.drawing import default_look

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


@default_look()
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
    # Painted and written without axes, whose many parts take more time than all the rest, a picture a part of a study.
    figure = _figure(width, side + margins.top + margins.bottom)
    _paint(figure, _cells(shares, round(side * DPI)), margins.left, margins.top)
    _label_cells(figure, counts, shares, support, margins, side)
    _label_classes(figure, classes, support, counts.sum(axis=0), margins, side, slanted)
    _draw_scale(figure, width - 1.05, margins.top, side)
    head.draw(figure)
    return _png(figure)


@default_look()
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


@default_look()
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


def _cells(shares: np.ndarray, side: int) -> np.ndarray:
    """Return the coloured cells with white lines between them, (side, side, 4) uint8. side : in pixels."""
    borders = np.linspace(0, side, len(shares) + 1).round().astype(np.int64)
    cell = np.repeat(np.arange(len(shares)), np.diff(borders))
    pixels = _blues(shares)[cell[:, None], cell]
    for border in borders[1:-1]:
        pixels[border - 1 : border + 2] = 255
        pixels[:, border - 1 : border + 2] = 255
    return pixels


def _label_cells(
    figure: Figure, counts: np.ndarray, shares: np.ndarray, support: np.ndarray, margins: _Margins, side: float
) -> None:
    cell = side / len(counts)
    for row, column in np.ndindex(*counts.shape):
        share = f"{100 * shares[row, column]:.1f} %" if support[row] else "–"
        look: dict[str, Any] = {"ha": "center", "color": "white" if shares[row, column] > 0.55 else _INK}
        x, y = margins.left + (column + 0.5) * cell, margins.top + (row + 0.5) * cell
        _write(figure, x, y - 0.02 * cell, f"{counts[row, column]:g}", va="bottom", fontsize=12, weight="bold", **look)
        _write(figure, x, y + 0.06 * cell, share, va="top", fontsize=9, **look)


def _label_classes(
    figure: Figure,
    classes: Sequence[str],
    support: np.ndarray,
    predicted: np.ndarray,
    margins: _Margins,
    side: float,
    slanted: bool,
) -> None:
    cell, middle, below = side / len(classes), side / 2, margins.top + side
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if slanted else {"ha": "center"}
    for place, name in enumerate(classes):
        x, y = margins.left + (place + 0.5) * cell, margins.top + (place + 0.5) * cell
        row, column = (f"{_literal(name)}\n(n = {count:g})" for count in (support[place], predicted[place]))
        _write(figure, margins.left - 0.05, y, row, ha="right", va="center", color=_INK)
        _write(figure, x, below + 0.05, column, va="top", color=_INK, **slant)
    _write(figure, 0.12, margins.top + middle, "true class", rotation=90, ha="left", va="center", color=_SOFT)
    bottom = below + margins.bottom - 0.2
    _write(figure, margins.left + middle, bottom, "predicted class", ha="center", va="bottom", color=_SOFT)


def _draw_scale(figure: Figure, left: float, top: float, side: float) -> None:
    """Draw which colour is which share, from ``left`` on."""
    height, width = round(side * DPI), round(0.18 * DPI)
    column = _blues(np.linspace(1, 0, height)[:, None])
    _paint(figure, np.repeat(column, width, axis=1), left, top)
    look: dict[str, Any] = {"fontsize": 9, "color": _SOFT}
    for share in (0, 0.25, 0.5, 0.75, 1):
        _write(figure, left + 0.22, top + (1 - share) * side, f"– {100 * share:g} %", va="center", **look)
    told = "share of the true class (diagonal: recall)"
    _write(figure, left + 0.95, top + side / 2, told, rotation=90, ha="right", va="center", **look)


def _blues(shares: np.ndarray) -> np.ndarray:
    """Return the colours of some shares, (..., 4) uint8."""
    from matplotlib import colormaps

    return np.asarray(colormaps["Blues"](shares, bytes=True))


def _paint(figure: Figure, pixels: np.ndarray, left: float, top: float) -> None:
    """Put pixels onto a picture. left, top : inches from its upper left corner."""
    below = round((figure.get_figheight() - top) * DPI) - len(pixels)
    figure.figimage(pixels, round(left * DPI), below, origin="upper")


def _write(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Write into a picture. x, y : inches from its upper left corner."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, text, **look)


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
