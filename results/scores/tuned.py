"""What was tried for tuned studies, and how often it was chosen: the audit trails of their folds, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.store.audit import TUNED, words
from results.store.outcome import Outcome

_SHOWN = 3


@dataclass(frozen=True)
class Tried:
    """A configuration.

    Attributes
    ----------
    words : its hyper-parameters that differ from the default.
    inner_uf1 : mean UF1 on the inner folds of all folds, in the first round; None where it could never be trained.
    chosen : in how many folds it was chosen.
    failed : in how many it could not be trained.
    """

    words: str
    inner_uf1: float | None
    chosen: int
    failed: int


@dataclass(frozen=True)
class ChosenFor:
    """What the training people of one fold chose.

    Attributes
    ----------
    fold : what it holds out.
    words : the configuration.
    inner_uf1 : its mean UF1 on the inner folds, in the last round.
    default_uf1 : that of the default in the last round that it reached; None where it could not be trained.
    """

    fold: str
    words: str
    inner_uf1: float
    default_uf1: float | None


def tried(provenance: Iterable[Mapping[str, Any]]) -> list[Tried]:
    """Return what was tried in some folds, in the order in which it was drawn; nothing where nothing was.

    provenance : of each fold's outcome.
    """
    scores: dict[str, list[float | None]] = {}
    chosen: dict[str, int] = {}
    for audit in (told[TUNED] for told in provenance if TUNED in told):
        for one in audit["tried"]:
            scores.setdefault(words(one["changed"]), []).append(_mean(one["rounds"][0]["uf1"]))
        name = words(audit["changed"])
        chosen[name] = chosen.get(name, 0) + 1
    found = []
    for name, own in scores.items():
        known = [score for score in own if score is not None]
        mean = float(np.mean(known)) if known else None
        found.append(Tried(name, mean, chosen.get(name, 0), len(own) - len(known)))
    return found


def chosen_for(outcomes: Iterable[Outcome]) -> list[ChosenFor]:
    """Return what was chosen for each of some folds, in their order."""
    found = []
    for outcome in outcomes:
        if TUNED in outcome.provenance:
            audit = outcome.provenance[TUNED]
            last = [_mean(one["rounds"][-1]["uf1"]) for one in audit["tried"]]
            best = last[audit["chosen"]]
            assert best is not None
            found.append(ChosenFor(outcome.fold, words(audit["changed"]), best, last[0]))
    return found


def tuning_note(outcomes: Iterable[Outcome]) -> str:
    """Return in words what was chosen how often; "" where nothing was."""
    found = tried(outcome.provenance for outcome in outcomes)
    folds = sum(one.chosen for one in found)
    often = sorted((one for one in found if one.chosen), key=lambda one: -one.chosen)
    told = [f"{one.words} in {one.chosen}" for one in often[:_SHOWN]]
    if rest := often[_SHOWN:]:
        told.append(f"{len(rest)} others in {sum(one.chosen for one in rest)}")
    return f"{len(found)} configurations tried; chosen of {folds} folds: {'; '.join(told)}" if found else ""


def _mean(scores: list[float] | None) -> float | None:
    return None if scores is None else sum(scores) / len(scores)
