"""The two steps that TV-L1 flow repeats hundreds of times, as compiled loops over the pixels.

They compute in OpenCV's order, so that the results are its own to the bit. Compiled code is kept beside this file, or
in the user's cache where that folder cannot be written: only the first process on a machine waits for it (two seconds).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as machine code that lets other threads run. Division by 0 gives what it gives in numpy."""
    try:
        return njit(function, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:
        # No folder can be written, as in a container whose disk is read-only: each process compiles for itself.
        return njit(function, nogil=True, error_model="numpy")


@_compiled
def primal_step(
    slopes: np.ndarray,
    rest: np.ndarray,
    bound: np.ndarray,
    divisor: np.ndarray,
    dual_x: np.ndarray,
    dual_y: np.ndarray,
    flow: np.ndarray,
    result: np.ndarray,
    most: np.float32,
    theta: np.float32,
) -> np.float32:
    """Move the flow a step towards equal grey levels, and one towards a small total variation.

    All arrays are float32: (H, W), or (2, H, W) where they hold a quantity of the flow's x and of its y.

    Parameters
    ----------
    slopes : of the warped picture, along x and along y.
    rest : the difference of grey levels where the flow is 0.
    bound : the differences beyond which the step has the length ``most`` times the slope.
    divisor : minus the squared slope; minus infinity where the picture has none.
    dual_x, dual_y : the dual variables; (2, H, W) each.
    flow : before the step.
    result : receives the flow after it.
    most, theta : see ``Settings``.

    Returns
    -------
    The sum of squared changes, in square pixels.
    """
    height, width = rest.shape
    for row in range(height):
        above = max(row - 1, 0)
        for part in range(2):
            for column in range(width):
                difference = slopes[0, row, column] * flow[0, row, column]
                difference += slopes[1, row, column] * flow[1, row, column]
                difference += rest[row, column]
                step = difference / divisor[row, column]
                if abs(difference) > bound[row, column]:
                    step = np.copysign(most, step)
                x, y = dual_x[part, row, column], dual_y[part, row, column]
                across = x - dual_x[part, row, column - 1] if column > 0 else x
                down = y - dual_y[part, above, column] if row > 0 else y
                # OpenCV adds in another order in the first column.
                divergence = across + down if column > 0 or row == 0 else x + y - dual_y[part, above, column]
                towards = slopes[part, row, column] * step + flow[part, row, column]
                result[part, row, column] = towards + divergence * theta
    change = np.float32(0)
    for row in range(height):
        for column in range(width):
            along_x = result[0, row, column] - flow[0, row, column]
            along_y = result[1, row, column] - flow[1, row, column]
            change += along_x * along_x + along_y * along_y
    return change


@_compiled
def dual_step(flow: np.ndarray, dual_x: np.ndarray, dual_y: np.ndarray, length: np.float32) -> None:
    """Move the dual variables along the gradient of the flow.

    Parameters
    ----------
    flow : (2, H, W) float32.
    dual_x, dual_y : (2, H, W) float32, changed in place.
    length : of the step.
    """
    _, height, width = flow.shape
    for part in range(2):
        for row in range(height):
            here, below = flow[part, row], flow[part, min(row + 1, height - 1)]
            x, y = dual_x[part, row], dual_y[part, row]
            for column in range(width):
                across = here[column + 1] - here[column] if column < width - 1 else np.float32(0)
                down = below[column] - here[column]
                # Rounded to float32 once, as the C library's hypot does.
                square = np.float64(across) * np.float64(across) + np.float64(down) * np.float64(down)
                shrink = np.float32(np.sqrt(square)) * length + np.float32(1)
                x[column] = (x[column] + across * length) / shrink
                y[column] = (y[column] + down * length) / shrink
