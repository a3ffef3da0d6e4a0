"""Tuning on pure noise: labels are drawn, and every configuration answers by chance. For calibration."""

from __future__ import annotations

import numpy as np

from bench.plan.choosing import best
from bench.study.data import StudyData
from bench.study.inner import inner_folds
from bench.study.protocols import PROTOCOLS
from bench.study.splitting import make_folds
from results.scores.metrics import confusion, grouped_confusion, uf1

CLASSES = ("negative", "positive", "surprise")
SHARES = (0.5, 0.3, 0.2)
RULES = ("default", "tuned", "leaky")
"""The first configuration always; what inner folds of training people choose; what does best on the held-out person."""


def noise(people: int, clips: int, rng: np.random.Generator) -> StudyData:
    """Return a study without features whose labels are drawn."""
    subjects = np.repeat([f"one/p{number:03d}" for number in range(people)], clips)
    ids = np.array([f"{subject}/c{number:03d}" for number, subject in enumerate(subjects.tolist())])
    labels = rng.choice(len(CLASSES), size=len(ids), p=SHARES)
    same = np.full(len(ids), "one"), np.full(len(ids), "")
    return StudyData(ids, subjects, *same, labels, {}, {}, CLASSES)


def chance_scores(
    people: int, clips: int, configurations: int, inner: int, rng: np.random.Generator
) -> dict[str, float]:
    """Return rule -> the pooled UF1 of one study, leaving one person out.

    Each configuration gives every sample one answer, whoever trained it. So what does well on the training people by
    luck is the same that is tested, and any way from the held-out person into the choice would raise the score.
    """
    data = noise(people, clips, rng)
    answers = rng.choice(len(CLASSES), size=(configurations, len(data)), p=SHARES)
    folds = make_folds(PROTOCOLS.get("loso"), "noise", False, int(rng.integers(2**31)), data)
    tests = inner_folds(folds, inner, data)

    def scores(rows: np.ndarray) -> np.ndarray:
        """Return the UF1 of every configuration."""
        true, number = np.tile(data.labels[rows], configurations), np.repeat(np.arange(configurations), len(rows))
        return uf1(grouped_confusion(true, answers[:, rows].ravel(), number, configurations, len(CLASSES)))

    chosen = {rule: np.zeros(len(data), dtype=np.int64) for rule in RULES}
    for place, fold in enumerate(folds):
        own = tests[place * inner : (place + 1) * inner]
        inside = np.stack([scores(one.test) for one in own], axis=1).tolist()
        tuned = best(dict(enumerate(inside)), 1)[0]
        leaky = best(dict(enumerate(scores(fold.test)[:, None].tolist())), 1)[0]
        for rule, number in zip(RULES, (0, tuned, leaky), strict=True):
            chosen[rule][fold.test] = answers[number][fold.test]
    return {rule: float(uf1(confusion(data.labels, own, len(CLASSES)))) for rule, own in chosen.items()}


def mean_gain(scores: list[dict[str, float]], rule: str) -> tuple[float, float]:
    """Return how much higher a rule scores than the default, the mean over studies, and its standard error."""
    gains = np.array([one[rule] - one["default"] for one in scores])
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
