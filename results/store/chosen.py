"""The studies that somebody names by models and benchmarks."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from preprocess.base.errors import UsageError, did_you_mean
from results.store.study_card import StudyCard


def choose_cards(cards: Sequence[StudyCard], models: Sequence[str], benchmarks: Sequence[str]) -> list[StudyCard]:
    """Return the studies of some models on some benchmarks.

    Parameters
    ----------
    cards : the studies to choose from.
    models : names, shell patterns, or labels such as ``ststnet[epochs=30]``, or comma lists of names; a model's name
        also stands for its forms with changed hyper-parameters. None for all.
    benchmarks : words of "dataset · task · protocol · selection", such as ``casme2 loso``. All words of one text must
        be there; a study is taken where one of the texts fits. None for all.

    Raises
    ------
    UsageError : a model or a benchmark that no study has.
    """
    labels = {card.label for card in cards}
    names = [name for text in models for name in ([text] if text in labels else text.split(",")) if name.strip()]
    for name in names:
        if not any(_is_model(card, name) for card in cards):
            known = sorted(labels | {card.model for card in cards})
            raise UsageError(f"No study of a model {name!r}. {did_you_mean(name, known)}")
    for text in benchmarks:
        if not any(_is_benchmark(card, text) for card in cards):
            known = sorted({benchmark_title(card) for card in cards})
            raise UsageError(f"No study has all of these words: {text!r}. There are: {'; '.join(known) or 'none'}.")
    return [
        card
        for card in cards
        if (not names or any(_is_model(card, name) for name in names))
        and (not benchmarks or any(_is_benchmark(card, text) for text in benchmarks))
    ]


def benchmark_title(card: StudyCard) -> str:
    """Return what studies must share to be compared, in words: ``casme2 · megc3 · loso · last``."""
    return f"{card.dataset} · {card.task} · {card.protocol} · {card.selection}"


def _is_model(card: StudyCard, name: str) -> bool:
    name = name.strip()
    return card.label == name or fnmatch.fnmatchcase(card.model, name)


def _is_benchmark(card: StudyCard, text: str) -> bool:
    return set(text.lower().replace("·", " ").split()) <= set(benchmark_title(card).lower().split())
