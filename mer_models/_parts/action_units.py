"""What networks make of annotated action units (AUs): groups of them, how often groups occur together, a masked loss.

Annotations are (n, 12), columns as in ``preprocess.labels.action_units.SHARED_UNITS``: 1 shown, 0 not, a row
of -1 unknown.
A unit that is not among the twelve is unknown everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from preprocess.labels.action_units import SHARED_UNITS

UNKNOWN = -1.0


def of_units(action_units: Tensor, units: Sequence[int]) -> Tensor:
    """Return (n, len(units)) float32: 1 where a sample shows the unit, 0 where not, -1 unknown."""
    unknown = torch.full_like(action_units[:, 0], UNKNOWN, dtype=torch.float32)
    columns = [action_units[:, SHARED_UNITS.index(unit)].float() if unit in SHARED_UNITS else unknown for unit in units]
    return torch.stack(columns, dim=1)


def co_occurrence(action_units: Tensor, groups: Sequence[Sequence[int]], own: bool) -> Tensor:
    """Return how often groups of units occur together: of the samples that show group i, the share that shows group j.

    Parameters
    ----------
    action_units : (n, units), 1 and 0; a row of -1 where nobody annotated the sample.
    groups : the units of each of k groups. A sample shows a group if it shows one of its units.
    own : True: a group also counts with itself, and each row is divided by its sum; a row without any sample is
        uniform. False: the diagonal is 0 and nothing is divided; a row without any sample is 0.

    Returns
    -------
    (k, k) float32. A sample without annotation counts as one that shows nothing, so it counts nowhere.
    """
    shown = torch.stack([(of_units(action_units, units) > 0).any(dim=1) for units in groups], dim=1).float()
    together = shown.T @ shown
    times = together.diagonal()[:, None]
    shares = together / times.clamp_min(1)
    if not own:
        return shares * (1 - torch.eye(len(groups), device=shares.device))
    uniform = torch.full_like(shares, 1 / len(groups))
    return torch.where(times > 0, shares / shares.sum(dim=1, keepdim=True).clamp_min(1), uniform)


def au_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over what is known; 0, with gradients of 0, where nothing is known.

    Parameters
    ----------
    logits : (n, k).
    truth : (n, k), 1 and 0; -1 where it is not known.
    """
    known = (truth >= 0).float()
    terms = functional.binary_cross_entropy_with_logits(logits, truth.clamp_min(0), reduction="none")
    return (terms * known).sum() / known.sum().clamp_min(1)
