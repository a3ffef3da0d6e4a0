"""Studies that are equal in all but the seed, and which of them a later run with other data or code has replaced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from preprocess.base.hashing import digest
from results.scores.counted import newest
from results.scores.stored_study import StoredStudy, read_studies
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard


def generations(
    store: OutcomeStore, cards: Iterable[StudyCard], cached: Mapping[str, StoredStudy]
) -> tuple[list[list[StoredStudy]], list[list[StoredStudy]]]:
    """Group the studies that are equal in all but seed, and tell the current groups from the superseded ones.

    Groups of one name and setting differ in data, code or defaults; the one with the outcome finished last is current.

    Parameters
    ----------
    store : where the outcomes lie.
    cards : the studies, each once.
    cached : study key -> studies that the caller has read already.

    Returns
    -------
    The current groups and the superseded ones; the studies of a group are sorted by seed.

    Raises
    ------
    StoreError : the store cannot be read.
    """
    named: dict[tuple[str, ...], dict[str, list[StoredStudy]]] = defaultdict(lambda: defaultdict(list))
    cards = list(cards)
    studies = {**read_studies(store, [card for card in cards if card.key not in cached]), **cached}
    for card in sorted(cards, key=lambda card: (card.seed, card.key)):
        name = (card.label, card.dataset, card.task, card.protocol, card.selection)
        generation = digest({key: value for key, value in card.ingredients.items() if key != "seed"})
        named[name][generation].append(studies[card.key])
    current, replaced = [], []
    for groups_by_digest in named.values():
        groups = list(groups_by_digest.values())
        if len(groups) > 1:
            groups.sort(key=lambda group: max(_finished(store, study) for study in group))
        replaced += groups[:-1]
        current.append(groups[-1])
    return current, replaced


def _finished(store: OutcomeStore, study: StoredStudy) -> str:
    """Return when the study's newest outcome was made (ISO time), or an empty string where there is none."""
    return study.finished if study.settled else newest(store.read_outcomes(study.card)[0])
