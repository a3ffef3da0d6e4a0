"""The step ``magnify``: small motions made larger, at several factors in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preprocess.base.errors import UsageError
from preprocess.motion.eulerian import magnify_eulerian
from preprocess.motion.phase_pyramid import magnify_phase
from preprocess.motion.temporal_filter import FILTERS, band, changes
from preprocess.motion.valid import within
from preprocess.steps import Work, as_before, register_step
from preprocess.steps._options import needed, one_of
from preprocess.steps._weights import load_pair_network


@register_step("magnify", version=3, pictures=as_before)
def magnify(
    work: Work,
    *,
    method: str = "eulerian",
    factors: Sequence[float] = (2.0,),
    low: float | None = None,
    high: float | None = None,
    filter: str = "butterworth",
    weights: str | None = None,
) -> Work:
    """Magnify the motion against the first loaded frame: a factor of 2 makes it twice as far, 1 leaves it.

    Parameters
    ----------
    method : "eulerian" (Wu et al. 2012: temporal change of a Laplacian pyramid), "phase" (Wadhwa et al. 2013: phases of
        a complex steerable pyramid; larger motions and less noise, forty times slower) or "weights" (a network, called
        with the first frame, a frame and the factor; no temporal filter).
    factors : one magnification level L each.
    low : lower bound of the temporal band in Hz; None for no bound. A band only makes sense where the loaded frames
        follow each other in time without gaps.
    high : upper bound of the temporal band in Hz; None for no bound.
    filter : "butterworth" or "ideal".
    weights : path of the network's TorchScript file.

    Returns
    -------
    The work with these fields set:
    frames : (L, T, H, W, C) float32, 0..255.

    Raises
    ------
    UsageError : the frames are magnified already, or the band cannot be.

    Checked
    -------
    Not checked: the Matlab code of Wu et al. and of Wadhwa et al. was not run.
    """
    one_of("magnify", "method", method, ("eulerian", "phase", "weights"))
    one_of("magnify", "filter", filter, FILTERS)
    if not factors or any(factor <= 0 for factor in factors):
        raise UsageError(f"Step magnify: factors is {list(factors)}; expected numbers above 0.")
    frames = needed(work, "magnify", "frames", "load")
    if len(frames) != 1:
        raise UsageError("Step magnify: the frames are magnified already; give all factors to one step.")
    clip = frames[0].astype(np.float32)
    if method == "weights":
        network = load_pair_network(weights, "magnify", "a factor")
        levels = np.stack([[network(clip[0], frame, float(factor)) for frame in clip] for factor in factors])
    else:
        bounds = band(work.clip, low, high)
        run = magnify_eulerian if method == "eulerian" else magnify_phase
        levels = within(
            clip,
            work.valid,
            lambda part: np.stack(run(part, factors, lambda signal: changes(signal, filter, *bounds))),
        )
    return replace(work, frames=np.clip(levels, 0, 255).astype(np.float32))
