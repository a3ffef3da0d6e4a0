"""What a study's card tells of the pretrained networks that its folds start from."""

from __future__ import annotations

from collections.abc import Sequence

from bench.study.folds import Fold
from preprocess.base.hashing import digest
from results.store.pretrained import SHORT, Pretrained


def start_ingredient(starts: Sequence[Pretrained], folds: Sequence[Fold]) -> str | dict[str, str]:
    """Return what of their start counts in the key of a study's folds: the weights alone.

    Parameters
    ----------
    starts : of each fold.
    folds : the study's.
    """
    found = {fold.name: start.sha256 for fold, start in zip(folds, starts, strict=True)}
    return next(iter(found.values())) if len(set(found.values())) == 1 else found


def start_name(starts: Sequence[Pretrained]) -> str:
    """Return what stands in the name of a model whose folds start there: datasets and a few digits of the weights."""
    datasets = sorted({name for start in starts for name in start.datasets})
    contents = sorted({start.sha256 for start in starts})
    one = contents[0] if len(contents) == 1 else digest(contents)
    return f"{'+'.join(datasets)}:{one[:8] or 'untrained'}"


def start_notes(starts: Sequence[Pretrained]) -> list[str]:
    """Return what a reader of a score should know of the pretraining."""
    keys = list(dict.fromkeys(start.key for start in starts))
    first = starts[0]
    if len(keys) == 1:
        return [f"every fold starts from a network pretrained on {first.described} ({first.key[:SHORT]})"]
    return [
        f"each fold starts from one of {len(keys)} networks that were pretrained on {'+'.join(first.datasets)}, task "
        f"{first.task}, without the people whom the fold holds out"
    ]
