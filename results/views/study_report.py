"""The report of one study: per class, per subject, per part, and what failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from preprocess.base.errors import UsageError, did_you_mean
from results.scores.leaderboard import Row, study_rows
from results.scores.pooling import FULL, Pooled, missing_folds, part_score, pool_complete
from results.scores.tuned import chosen_for, tried
from results.store.outcome import Failure, Outcome
from results.store.study_card import StudyCard
from results.views.columns import interval, number
from results.views.text import Header, heading, paragraph, table

_WIDTH = 100


def study_report(
    card: StudyCard, outcomes: Sequence[Outcome], failures: Sequence[Failure], rng: np.random.Generator
) -> str:
    """Return the report of a study as text that ends with a newline.

    A complete study shows its scores by part, class and subject. An incomplete one shows what is missing and what
    failed, and no score.

    Parameters
    ----------
    card : the study's.
    outcomes : those that are there.
    failures : of its failed folds.
    rng : for the intervals; they are those of ``build_leaderboard`` with an equal generator.

    Raises
    ------
    HonestyError : outcomes contradict the card.
    """
    lines = [*heading(card.title), *_facts(card), ""]
    missing = missing_folds(card, outcomes)
    if missing:
        done = len(card.folds) - len(missing)
        text = f"{done}/{len(card.folds)} folds are done: no score. Missing: {', '.join(missing)}."
        lines += [*paragraph(text, _WIDTH), ""]
    else:
        pooled = pool_complete(card, outcomes)
        rows = study_rows(card, outcomes, rng)
        lines += [*_part_lines(rows), *_spotting_lines(card, rows[0])]
        for name in (FULL, *card.parts):
            lines += _class_lines(name, pooled.part(name))
        lines += _subject_lines(pooled, outcomes)
    lines += _tuned_lines(outcomes)
    lines += _failure_lines(failures)
    return "\n".join(lines).rstrip("\n") + "\n"


def find_study(cards: Sequence[StudyCard], text: str) -> StudyCard:
    """Return the study that a text names.

    Parameters
    ----------
    cards : the studies to look among.
    text : the start of the study's key (4 digits or more), or words of its title (``ststnet casme2 last seed 1``).
        Every word must stand in the title. Where several studies match, the one wins that has them as whole words.

    Raises
    ------
    UsageError : no study matches, or several do; the message lists them.
    """
    by_key = [card for card in cards if len(text) >= 4 and card.key.startswith(text.strip().lower())]
    if len(by_key) == 1:
        return by_key[0]
    words = text.lower().split()
    holding = [card for card in cards if all(word in card.title.lower() for word in words)]
    # As parts of words, "seed 1" also finds seed 10, and "ststnet" also "ststnet[epochs=30]".
    exact = [card for card in holding if set(words) <= set(_words(card.title))]
    found = by_key or (exact if len(exact) == 1 else holding)
    if len(found) == 1:
        return found[0]
    if not found:
        vocabulary = {word for card in cards for word in _words(card.title)}
        stranger = next((word for word in words if not any(word in known for known in vocabulary)), text)
        raise UsageError(f"No study matches {text!r}. {did_you_mean(stranger, vocabulary)}")
    shown = "\n".join(f"  {card.key[:16]}  {card.title}" for card in found[:10])
    more = f"\n  and {len(found) - 10} more" if len(found) > 10 else ""
    raise UsageError(f"{len(found)} studies match {text!r}; give more words, or the start of a key:\n{shown}{more}")


def words_for(cards: Sequence[StudyCard], card: StudyCard) -> str:
    """Return the fewest words by which ``find_study`` finds a study among others, model and protocol first."""
    told = [card.label, card.protocol]
    for more in ((), (card.dataset,), (card.task,), (card.selection,), ("seed", str(card.seed))):
        told += more
        try:
            if find_study(cards, " ".join(told)).key == card.key:
                return " ".join(told)
        except UsageError:
            continue
    return card.key[:16]


def _words(title: str) -> list[str]:
    return re.split(r"[\s·]+", title.lower())


def _facts(card: StudyCard) -> list[str]:
    facts = [f"study {card.key[:16]}", f"{len(card.folds)} folds"]
    if card.synthetic:
        facts.append("SYNTHETIC DATA")
    if card.stamp:
        facts.append(card.stamp if card.shift else f"{card.selection} = {card.stamp}")
    settings = ", ".join(f"{name}={value}" for name, value in sorted(card.hyperparameters.items()))
    notes = [line for note in card.notes for line in paragraph(f"! {note}", _WIDTH)]
    return [", ".join(facts), *paragraph(f"hyper-parameters: {settings or 'none'}", _WIDTH), *notes]


def _part_lines(rows: list[Row]) -> list[str]:
    f1, recall = ("F1", "recall") if rows[0].multilabel else ("UF1", "UAR")
    headers: list[Header] = [("part", "left"), ("n", "right"), ("subjects", "right"), (f1, "right")]
    headers += [("95% CI", "left"), (recall, "right"), ("95% CI", "left"), ("acc", "right"), ("wF1", "right")]
    others = sorted(rows[0].other_metrics)
    headers += [(name, "right") for name in others]
    cells = []
    for row in rows:
        uf1 = [number(row.uf1), interval(row.uf1_low, row.uf1_high)]
        uar = [number(row.uar), interval(row.uar_low, row.uar_high)]
        counts = [str(row.n_samples), str(row.n_subjects)]
        scores = [number(row.accuracy), number(row.weighted_f1), *(number(row.other_metrics[name]) for name in others)]
        cells.append([row.part, *counts, *uf1, *uar, *scores])
    return [*table(headers, cells), ""]


def _spotting_lines(card: StudyCard, whole: Row) -> list[str]:
    told = whole.spotting
    if told is None:
        return []
    scores = f"precision {number(told.precision)}, recall {number(told.recall)}, F1 {number(told.f1)}"
    strs = f"STRS {number(told.strs)} {interval(told.strs_low, told.strs_high)}"
    headers: list[Header] = [("subject", "left"), ("found", "right"), ("false", "right"), ("missed", "right")]
    rows = [[name, *map(str, counts)] for name, counts in sorted(card.spotting.items())]
    return [f"spotting: {scores}; then recognising: {strs}", *table(headers, rows), ""]


def _class_lines(name: str, part: Pooled) -> list[str]:
    score = part_score(name, part)
    headers: list[Header] = [("true class", "left"), ("n", "right"), ("precision", "right"), ("recall", "right")]
    headers += [("F1", "right"), *((header, "right") for header in _answers(part))]
    precision = part.counting.precision(score.counts)
    rows = [
        [
            *(label, str(score.class_counts[label]), number(float(precision[place]))),
            *(number(score.recall_per_class[label]), number(score.f1_per_class[label])),
            *(str(count) for count in score.counts[place].reshape(-1).tolist()),
        ]
        for place, label in enumerate(part.classes)
    ]
    what = "and what is true and what was predicted" if part.multilabel else "and the confusion matrix"
    notes = [f"! {note}" for note in score.notes()]
    return [f"{name}: per class, {what}", *table(headers, rows), *notes, ""]


def _answers(part: Pooled) -> list[str]:
    if not part.multilabel:
        return [f"as {name}" for name in part.classes]
    return [f"{true} as {guess}" for true in ("absent", "present") for guess in ("absent", "present")]


def _subject_lines(pooled: Pooled, outcomes: Sequence[Outcome]) -> list[str]:
    epochs: dict[str, set[int]] = {}
    for outcome in outcomes:
        for subject in outcome.subjects:
            epochs.setdefault(subject, set()).add(outcome.selected_epoch)
    samples = Counter(pooled.subjects)
    headers: list[Header] = [("subject", "left"), ("n", "right"), ("correct", "right"), ("acc", "right")]
    headers += [("epoch", "right")]
    rows = []
    for subject, (counts,) in zip(*pooled.counts_by_subject(), strict=True):
        correct, answers = int(pooled.counting.right(counts)), int(pooled.counting.answers(counts))
        selected = ",".join(map(str, sorted(epochs[subject])))
        told = f"{correct}/{answers}" if pooled.multilabel else str(correct)
        rows.append([subject, str(samples[subject]), told, number(correct / answers), selected])
    return ["per subject (epoch: the one whose weights were scored, 0 for estimators)", *table(headers, rows), ""]


def _tuned_lines(outcomes: Sequence[Outcome]) -> list[str]:
    found = tried(outcome.provenance for outcome in outcomes)
    if not found:
        return []
    headers: list[Header] = [("configuration", "left"), ("inner UF1", "right")]
    headers += [("chosen", "right"), ("failed", "right")]
    rows = [[one.words, number(one.inner_uf1), str(one.chosen), str(one.failed)] for one in found]
    lines = ["tuned: what was tried, its mean UF1 on inner folds of training people, in how many folds it was chosen"]
    lines += [*table(headers, rows), ""]
    headers = [("held out", "left"), ("chosen by the others", "left"), ("inner UF1", "right"), ("default", "right")]
    rows = [[one.fold, one.words, number(one.inner_uf1), number(one.default_uf1)] for one in chosen_for(outcomes)]
    return [*lines, *table(headers, rows), ""]


def _failure_lines(failures: Sequence[Failure]) -> list[str]:
    if not failures:
        return []
    lines = [f"failed folds: {len(failures)}"]
    for failure in failures:
        last = failure.traceback.strip().splitlines()[-1:] or [failure.error]
        lines += paragraph(f"! {failure.fold}: {last[0]}", _WIDTH)
    return [*lines, "Run again with --overwrite failed once the cause is mended.", ""]
