"""Shifted folds whose weights are kept: they are scored from these, and nothing is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bench.plan.training import Training
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.workers.provenance import provenance
from preprocess.base.errors import DataError, StoreError
from results.scores.metrics import decide
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard


def scored_from_weights(
    training: Training,
    missing: Sequence[StudyCard],
    number: int,
    fold: Fold,
    data: StudyData,
    store: OutcomeStore,
    device: str,
    memory: int,
) -> bool:
    """Write the outcomes of a fold that only shifted studies lack, and return whether that could be done.

    It cannot where a study as annotated lacks the fold, too, where its weights are not kept, damaged or another
    network's, or where it was trained on another kind of device, whose last digits differ.

    Parameters
    ----------
    training : what the fold belongs to.
    missing : the studies that have no outcome of it.
    number : the fold's place on the cards.
    fold : the fold.
    data : the study's samples.
    store : where outcomes and weights lie.
    device : torch's name of the device.
    memory : how many bytes of features may be held.
    """
    from bench.engine.train import score_shifted
    from mer_models.registry import MODELS

    info, here = MODELS.get(training.model), provenance(device, None)
    annotated = {card.selection: card for card in training.cards if not card.shift}
    if not all(card.shift for card in missing):
        return False
    outcomes = []
    for selection in dict.fromkeys(card.selection for card in missing):
        plain = annotated[selection]
        key = plain.folds[number].key
        try:
            weights, known = store.read_weights(plain, key), store.read_outcome(plain, key)
            if known.provenance.get("device") != here["device"]:
                return False
            values, threads = training.hyperparameters(number), info.resources.cpus
            scores = score_shifted(info, values, data, fold, weights, device, threads, memory)
        except (StoreError, DataError):
            # Training anew needs none of this.
            return False
        for card in (card for card in missing if card.selection == selection):
            own = scores[card.shift]
            outcome = dataclasses.replace(
                known,
                key=card.folds[number].key,
                study_key=card.key,
                scores=own,
                y_pred=decide(own, data.multilabel),
                provenance=here | training.audit(number),
            )
            outcomes.append((card, outcome))
    for card, outcome in outcomes:
        store.write_outcome(card, outcome)
    return True
