"""The audit trail of a tuned fold: what was tried for it, on whom, and what its training people chose.

It lies in the outcome's provenance as plain JSON values, under ``TUNED``:

- ``chosen``: the number of the configuration, in the order in which they were drawn; the default is 0.
- ``changed``: its hyper-parameters that differ from the default.
- ``inner_folds``: the number of inner folds.
- ``tried``: of each configuration its ``changed`` and its ``rounds``. A round has the first digits of the key of the
  inner ``study`` that holds the outcomes, the ``epochs`` (null of an estimator) and ``uf1``, a score an inner fold, or
  null where one could not be trained; ``failed`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.store.outcome import Outcome
from results.store.study_card import StudyCard

TUNED = "tuned"


def words(changed: Mapping[str, Any]) -> str:
    """Return a configuration as people read it: ``lr=0.00031, dropout=0.3``, or ``default``."""
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "default"


def fold_hyperparameters(card: StudyCard, outcome: Outcome) -> dict[str, Any]:
    """Return every hyper-parameter with which a fold was trained: of a tuned study, what was chosen for it."""
    return {**card.hyperparameters, **outcome.provenance.get(TUNED, {}).get("changed", {})}
