"""A training: the studies that share the training of every fold.

Selections differ in which epoch is read, and in whether they need a validation split. So the studies of all that need
none (``last`` and ``oracle``) are one training, and those of all that need one are another. A training is described by
a few plain values. Its folds are worked out from the data wherever they are needed, on the driver or on a worker; the
fold keys on the studies' cards prove that both worked out the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.engine.selection import SELECTIONS
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.protocols import find_protocol
from bench.study.splitting import ids_digest, make_folds
from preprocess.base.errors import HonestyError
from results.store.study_card import StudyCard, fold_key
from results.store.watched import VALIDATION


@dataclass(frozen=True)
class Training:
    """Studies that are equal in all but the selection, so that their folds are trained once.

    Attributes
    ----------
    cards : the studies' cards.
    data : key of the study data that the folds are cut from.
    keep_weights : whether each fold's weights are stored.
    """

    cards: tuple[StudyCard, ...]
    data: str
    keep_weights: bool = False

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.cards[0].model

    def folds(self, data: StudyData) -> list[Fold]:
        """Work out the folds of this training from its data, in the cards' order."""
        card = self.cards[0]
        return make_folds(find_protocol(card.protocol), card.model, card.watches == VALIDATION, card.seed, data)


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
