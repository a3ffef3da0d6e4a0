"""The pictures are looked at here as a reader does: by their pixels."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from results.views.pictures import classes_picture, confusion_picture, curves_picture

NAMES = ("negative", "positive", "surprise", "disgust", "repression", "fear", "others")


def pixels(png: bytes) -> np.ndarray:
    assert png.startswith(b"\x89PNG")
    return np.round(255 * imread(io.BytesIO(png), format="png")[..., :3]).astype(int)


def blue(share: float) -> np.ndarray:
    return np.array(matplotlib.colormaps["Blues"](share, bytes=True)[:3], dtype=int)


def cells(n_classes: int, matrix: np.ndarray) -> np.ndarray:
    """Return the colour of each cell near its corner, where no text stands: (C, C, 3)."""
    names = NAMES[:n_classes]
    even = pixels(confusion_picture(np.ones((n_classes, n_classes)), names, "title", "below"))
    filled = np.abs(even - blue(1 / n_classes)).sum(axis=2) <= 2
    rows, columns = np.flatnonzero(filled.sum(axis=1) > 60), np.flatnonzero(filled.sum(axis=0) > 60)
    height, width = (rows[-1] - rows[0] + 1) / n_classes, (columns[-1] - columns[0] + 1) / n_classes
    image = pixels(confusion_picture(matrix, names, "title", "below"))
    place = np.arange(n_classes) + 0.1
    return image[(rows[0] + place * height).astype(int)[:, None], (columns[0] + place * width).astype(int)[None, :]]


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [3, 7])
def test_cells_are_coloured_by_their_share_of_the_true_class(n_classes: int) -> None:
    matrix = np.zeros((n_classes, n_classes), dtype=int)
    matrix[0, :2] = 30, 10
    matrix[1, 1] = 1000
    seen = cells(n_classes, matrix)
    expected = np.zeros((n_classes, n_classes))
    expected[0, :2] = 0.75, 0.25
    expected[1, 1] = 1.0
    for row, column in np.ndindex(n_classes, n_classes):
        assert np.abs(seen[row, column] - blue(expected[row, column])).max() <= 2, (row, column)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3, 5, 7])
@pytest.mark.parametrize("title", ["ststnet on casme2", "ststnet[" + "hidden_layer_width=128," * 9 + "] on casme2"])
def test_no_text_runs_over_the_edge(n_classes: int, title: str) -> None:
    names = ("a rather long class name", *NAMES)[:n_classes]
    matrix = np.full((n_classes, n_classes), 1234)
    image = pixels(confusion_picture(matrix, names, title, "task megc3 · protocol cde · selection last\n" + "n " * 90))
    edge = np.concatenate([image[:2].reshape(-1), image[-2:].reshape(-1), image[:, :2].reshape(-1)])
    assert (edge == 255).all()
    assert (image[:, -2:] == 255).all()


def test_a_title_without_end_does_not_push_the_matrix_out() -> None:
    matrix = np.eye(3, dtype=int)
    short, long = (confusion_picture(matrix, NAMES[:3], "x" * length, "below") for length in (200, 20_000))
    assert pixels(long).shape == pixels(short).shape


def test_dollar_signs_are_no_formula() -> None:
    matrix = np.eye(2, dtype=int)
    assert pixels(confusion_picture(matrix, ("$a$", "$\\x$"), "model[path=$HOME/$USER]", "$n_0^")).size


def test_a_matrix_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"3 classes has shape \(3, 3\), not \(2, 2\)"):
        confusion_picture(np.eye(2), NAMES[:3], "title", "below")


def bars(counts: np.ndarray, names: tuple[str, ...]) -> list[int]:
    """Return the length of each class's bar, in pixels."""
    image = pixels(classes_picture(counts, names, "title", "below"))
    filled = np.abs(image - [0x1F, 0x6F, 0xB4]).sum(axis=2) <= 2
    # The legend's patch is short, and above the axes; a bar is at its longest in its middle rows.
    lengths = filled.sum(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lengths > 60, [0]])))
    return [int(lengths[start:end].max()) for start, end in edges.reshape(-1, 2)]


def test_a_bar_is_as_long_as_its_class_f1() -> None:
    perfect = [[10, 0], [0, 10]]
    half = [[10, 10], [10, 10]]
    nothing = [[20, 0], [0, 0]]
    lengths = bars(np.array([perfect, half, nothing, perfect]), ("AU1", "AU2", "AU5", "AU12"))
    assert len(lengths) == 3, "a class that is neither shown nor predicted has no bar"
    assert lengths[0] == lengths[2] > 400
    # Marks stand on the bars and cover a few pixels.
    assert lengths[1] == pytest.approx(lengths[0] / 2, abs=15)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [1, 3, 7])
def test_no_text_of_a_multi_label_picture_runs_over_the_edge(n_classes: int) -> None:
    names = ("a rather long class name", *NAMES)[:n_classes]
    counts = np.full((n_classes, 2, 2), 1234)
    image = pixels(classes_picture(counts, names, "ststnet[" + "width=128," * 30 + "]", "task au12\n" + "n " * 90))
    assert (np.concatenate([image[:2].reshape(-1), image[-2:].reshape(-1), image[:, :2].reshape(-1)]) == 255).all()


def test_counts_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"3 classes have counts of shape \(3, 2, 2\), not \(3, 3\)"):
        classes_picture(np.eye(3), NAMES[:3], "title", "below")


def test_curves_of_diverged_short_and_missing_folds_are_drawn_without_a_warning() -> None:
    folds = [
        {"train_loss": [1.0, math.nan, math.nan], "validation_uf1": [0.2, 0.4, 0.6]},
        {"train_loss": [2.0, math.inf], "validation_uf1": []},
        {"train_loss": [0.5]},
        {},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = pixels(curves_picture(folds, "title", "below"))
    assert (image[:2] == 255).all()
    assert (image < 200).any()


def test_losses_stand_apart_from_scores() -> None:
    one = pixels(curves_picture([{"train_loss": [3.0, 2.0]}], "title", "below"))
    both = pixels(curves_picture([{"train_loss": [3.0, 2.0], "validation_uf1": [0.1, 0.2]}], "title", "below"))
    assert both.shape[0] > 1.5 * one.shape[0]


@pytest.mark.parametrize("folds", [[], [{}], [{"train_loss": []}], [{"train_loss": [math.nan]}]])
def test_no_value_at_all_is_refused(folds: list[dict[str, list[float]]]) -> None:
    with pytest.raises(ValueError, match="no fold has a curve"):
        curves_picture(folds, "title", "below")


@pytest.mark.slow
def test_threads_draw_the_same_bytes() -> None:
    matrices = [np.arange(9).reshape(3, 3) + number for number in range(4)]

    def draw(matrix: np.ndarray) -> bytes:
        return confusion_picture(matrix, NAMES[:3], "title", "below")

    alone = [draw(matrix) for matrix in matrices]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, matrices)) == alone


def test_settings_of_a_user_change_no_byte(tmp_path: Path) -> None:
    settings = tmp_path / "matplotlibrc"
    settings.write_text("text.usetex: True\nfont.size: 30\nsavefig.bbox: tight\nno.such.setting: 1\n")
    code = (
        "import sys, numpy, matplotlib.artist; from results.views.pictures import confusion_picture as draw\n"
        "sys.stdout.buffer.write(draw(numpy.eye(2), ('a', 'b'), 't', 's'))\n"
        "assert matplotlib.rcParams['font.size'] == 30, 'the setting of what else this process draws'"
    )
    # LaTeX may be there.
    own = {**os.environ, "MATPLOTLIBRC": str(settings), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=own, stdout=subprocess.PIPE, check=True)
    assert done.stdout == confusion_picture(np.eye(2), ("a", "b"), "t", "s")


@pytest.mark.slow
def test_pyplot_and_its_global_figures_stay_out() -> None:
    code = (
        "import sys, numpy; from results.views.pictures import confusion_picture as draw\n"
        "assert 'matplotlib' not in sys.modules\n"
        "draw(numpy.eye(2), ('a', 'b'), 't', 's')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
