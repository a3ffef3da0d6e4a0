"""TV-L1 optical flow (Zach, Pock and Bischof 2007) in compiled Python: OpenCV's numbers in a fraction of its time.

With the library's own, nothing in preparing features would take as long, which is why it is not good enough here; its
results are what the tests, and ``merbench doctor``, hold these against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Pictures of the pyramid are no smaller than this on any side.
LEAST = 16


@dataclass(frozen=True)
class Settings:
    """The parameters of the flow; the defaults are OpenCV's, whose names stand in brackets.

    Attributes
    ----------
    tau : step of the dual variables.
    data_weight : how much equal grey levels count against smoothness (lambda).
    theta : how tightly flow and its smoothed copy are tied to each other.
    levels : pictures of the pyramid at most (nscales).
    scale_step : side of each picture of the pyramid, in parts of the one before (scaleStep).
    warps : new warpings of the second picture on each level.
    outer : median filters after each warping at most (outerIterations).
    inner : steps after each median filter at most (innerIterations).
    median : side of the median filter in pixels, 1 for none (medianFiltering).
    epsilon : steps end once the flow's root mean square change is smaller than this, in pixels.
    """

    tau: float = 0.25
    data_weight: float = 0.15
    theta: float = 0.3
    levels: int = 5
    scale_step: float = 0.8
    warps: int = 5
    outer: int = 10
    inner: int = 30
    median: int = 5
    epsilon: float = 0.01


DEFAULT = Settings()


def tvl1_flow(first: np.ndarray, second: np.ndarray, settings: Settings = DEFAULT) -> np.ndarray:
    """Measure where the content of one picture went in another.

    The result is that of OpenCV's ``DualTVL1OpticalFlow`` with the same settings, bit for bit on x86-64. For that the
    order of operations matters: the warping rounds positions to 1/32 pixel, so that a difference in a last bit may grow
    to a pixel where the pictures hardly determine the flow.

    Parameters
    ----------
    first : (H, W) uint8.
    second : (H, W) uint8, of the same size.
    settings : the parameters, within their ranges (``preprocess/steps/_tvl1_options.py``).

    Returns
    -------
    (H, W, 2) float32, x and y in pixels.
    """
    import cv2

    pairs: list[tuple[np.ndarray, np.ndarray]] = [(first.astype(np.float32), second.astype(np.float32))]
    shrink = settings.scale_step
    while len(pairs) < settings.levels:
        smaller = [cv2.resize(one, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_LINEAR) for one in pairs[-1]]
        if min(smaller[0].shape) < LEAST:
            break
        pairs.append((smaller[0], smaller[1]))
    flow = np.zeros((2, *pairs[-1][0].shape), np.float32)
    for fixed, moving in reversed(pairs):
        if flow.shape[1:] != fixed.shape:
            size = fixed.shape[1], fixed.shape[0]
            larger = [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in flow]
            flow = (np.stack(larger).astype(np.float64) * (1 / shrink)).astype(np.float32)
        flow = _Level(fixed, moving, settings).solve(flow)
    return np.ascontiguousarray(np.moveaxis(flow, 0, -1))


class _Level:
    """One level of the pyramid: two pictures, the dual variables of the flow, and what the steps need at each warping.

    Arrays of (2, H, W) hold a quantity of the flow's x, and of its y.
    """

    def __init__(self, fixed: np.ndarray, moving: np.ndarray, settings: Settings) -> None:
        self._settings = settings
        # Rounded to float32 once, as the C library does.
        self._theta, self._most = np.float32(settings.theta), np.float32(settings.data_weight * settings.theta)
        self._step = np.float32(settings.tau / settings.theta)
        height, width = fixed.shape
        padded = np.pad(moving, 1, mode="edge")
        slope_x = np.float32(0.5) * (padded[1:-1, 2:] - padded[1:-1, :-2])
        slope_y = np.float32(0.5) * (padded[2:, 1:-1] - padded[:-2, 1:-1])
        self._fixed, self._moving = fixed, (moving, slope_x, slope_y)
        self._y, self._x = np.mgrid[0:height, 0:width].astype(np.float32)
        self._dual_x, self._dual_y = np.zeros((2, 2, height, width), np.float32)

    def solve(self, flow: np.ndarray) -> np.ndarray:
        """Return the flow (2, H, W) of this level, starting from ``flow``."""
        import cv2

        # Not before there is a flow to compute: it imports a compiler.
        from preprocess.motion.tvl1_steps import dual_step, primal_step

        settings = self._settings
        enough = float(np.float32(settings.epsilon**2 * self._fixed.size))
        dual = self._dual_x, self._dual_y
        for _ in range(settings.warps):
            grey = self._warped(flow)
            change = np.inf
            for _ in range(settings.outer):
                if change <= enough:
                    break
                if settings.median > 1:
                    flow = np.stack([cv2.medianBlur(one, settings.median) for one in flow])
                following = np.empty_like(flow)
                for _ in range(settings.inner):
                    change = primal_step(*grey, *dual, flow, following, self._most, self._theta)
                    flow, following = following, flow
                    dual_step(flow, *dual, self._step)
                    if change <= enough:
                        break
        return flow

    def _warped(self, flow: np.ndarray) -> tuple[np.ndarray, ...]:
        """Draw the second picture and its slopes through the flow, around which grey levels are taken to be linear.

        Returns
        -------
        ``slopes``, ``rest``, ``bound`` and ``divisor`` of ``primal_step``.
        """
        import cv2

        at = self._x + flow[0], self._y + flow[1]
        moved, slope_x, slope_y = (cv2.remap(one, *at, cv2.INTER_CUBIC) for one in self._moving)
        power = slope_x * slope_x + slope_y * slope_y
        rest = moved - slope_x * flow[0] - slope_y * flow[1] - self._fixed
        # A pixel without slope says nothing of the flow: what is left of it comes to 0.
        divisor = np.where(power > np.finfo(np.float32).eps, -power, np.float32(-np.inf))
        return np.stack([slope_x, slope_y]), rest, self._most * power, divisor
