"""The check that a network which was pretrained has not met the people whom a fold holds out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.study.folds import Fold
from preprocess.base.errors import HonestyError
from preprocess.datasets import met_before
from results.store.pretrained import SHORT, Pretrained


def check_unmet(fold: Fold, subjects: np.ndarray, start: Pretrained) -> None:
    """Assert that nobody whom a fold tests was among those whom its first weights were trained on.

    Parameters
    ----------
    fold : the fold.
    subjects : (n_samples,) the subject of each row of the study.
    start : where the fold starts from.

    Raises
    ------
    HonestyError : somebody was, or may have been; the first one is named, with the reason.
    """
    met = met_before(subjects[fold.test].tolist(), start.people)
    if met:
        subject, why = next(iter(met.items()))
        more = f" (and {len(met) - 1} more of this fold)" if len(met) > 1 else ""
        raise HonestyError(
            f"Fold {fold.name!r}: {subject}{more} is held out, but the network that it starts from "
            f"({start.model} {start.key[:SHORT]}, pretrained on {start.described}) may have met this person: {why}. A "
            "fold must be scored on people whom the network has not seen, in pretraining either. Pretrain on other "
            "databases; or give the macro-expressions with --data and --pretrain auto, which leaves such people out."
        )


def unmet(subjects: Sequence[str], fold: Fold, of: np.ndarray) -> list[str]:
    """Return the subjects, sorted, of whom none may be a person that a fold tests.

    Parameters
    ----------
    subjects : of some samples.
    fold : the fold.
    of : (n_samples,) the subject of each row of the fold's study.
    """
    return sorted(set(subjects) - met_before(subjects, of[fold.test].tolist()).keys())
