"""A training: the studies that share the training of every fold.

Selections differ in which epoch is read, and in whether they need a validation split. So the studies of all that need
none (``last`` and ``oracle``) are one training, and those of all that need one are another. A training is described by
a few plain values. Its folds are worked out from the data wherever they are needed, on the driver or on a worker; the
fold keys on the studies' cards prove that both worked out the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.engine.selection import SELECTIONS
from bench.plan.choosing import Choice
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.inner import inner_folds
from bench.study.protocols import find_protocol
from bench.study.splitting import ids_digest, make_folds
from preprocess.base.errors import HonestyError
from results.store.audit import TUNED
from results.store.pretrained import Pretrained
from results.store.study_card import StudyCard, fold_key
from results.store.watched import INNER, VALIDATION


@dataclass(frozen=True)
class Training:
    """Studies that are equal in all but the selection, so that their folds are trained once.

    Attributes
    ----------
    cards : the studies' cards.
    data : key of the study data that the folds are cut from.
    keep_weights : whether each fold's weights are stored.
    choices : of a tuned study, number of a fold -> what its training people chose.
    starts : the pretrained network that each fold starts from; () where folds start at random.
    """

    cards: tuple[StudyCard, ...]
    data: str
    keep_weights: bool = False
    choices: Mapping[int, Choice] = field(default_factory=dict)
    starts: tuple[Pretrained, ...] = ()

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.cards[0].model

    def folds(self, data: StudyData) -> list[Fold]:
        """Work out the folds of this training from its data, in the cards' order."""
        card = self.cards[0]
        folds = make_folds(find_protocol(card.protocol), card.model, card.watches == VALIDATION, card.seed, data)
        return inner_folds(folds, card.inner, data) if card.inner else folds

    def hyperparameters(self, number: int) -> dict[str, Any]:
        """Return every hyper-parameter of a fold.

        Raises
        ------
        HonestyError : the study is tuned, and nothing was chosen for the fold.
        """
        card = self.cards[0]
        if card.watches != INNER:
            return card.hyperparameters
        if number not in self.choices:
            raise HonestyError(f"{card.title}: fold {card.folds[number].name!r} is trained before anything was chosen.")
        return {**card.hyperparameters, **self.choices[number].changed}

    def audit(self, number: int) -> dict[str, Any]:
        """Return what an outcome of a fold says of how its hyper-parameters were chosen."""
        return {TUNED: dict(self.choices[number].audit)} if number in self.choices else {}


def verify_fold(training: Training, number: int, fold: Fold, data: StudyData) -> None:
    """Assert that a fold worked out here holds the samples that its key on the card stands for.

    Raises
    ------
    HonestyError : it does not; driver and worker run different code or data.
    """
    ids = ids_digest(fold, data)
    for card in training.cards:
        if fold_key(card.key, ids) != card.folds[number].key:
            raise HonestyError(
                f"Fold {number} ({fold.name!r}) of {card.title} has other samples here than in the plan. "
                "The driver and its workers run different code or data: give all nodes the same version."
            )


def verify_selections(training: Training) -> None:
    """Assert that every selection watches the samples here that its study's card says.

    Raises
    ------
    HonestyError : one does not; driver and worker run different code.
    """
    for card in training.cards:
        watches = SELECTIONS.get(card.selection).watches
        if watches != card.watches:
            raise HonestyError(
                f"{card.title}: the selection {card.selection!r} watches {watches or 'nothing'} here and "
                f"{card.watches or 'nothing'} in the plan. The driver and its workers run different code: give all "
                "nodes the same version."
            )
