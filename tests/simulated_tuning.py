"""Tuning on pure noise: labels are drawn, and every configuration answers by chance. For calibration."""

from __future__ import annotations

import numpy as np

from bench.plan.choosing import best
from bench.study.data import StudyData
from bench.study.inner import inner_folds
from bench.study.protocols import PROTOCOLS
from bench.study.splitting import make_folds
from results.scores.metrics import confusion, grouped_confusion, uar, uf1

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
) -> dict[str, dict[str, float]]:
    """Return metric -> rule -> the pooled score of one study, leaving one person out.

    Whatever is chosen without the held-out person's labels, UAR is one third in the mean; UF1 also depends on how often
    each class is answered. Configurations are chosen by UF1, as in a run.

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
    counts = {rule: confusion(data.labels, own, len(CLASSES)) for rule, own in chosen.items()}
    return {metric.__name__: {rule: float(metric(matrix)) for rule, matrix in counts.items()} for metric in (uar, uf1)}


def mean_gain(scores: list[dict[str, dict[str, float]]], rule: str, metric: str) -> tuple[float, float]:
    """Return how much higher a rule scores than the default, the mean over studies, and its standard error."""
    gains = np.array([one[metric][rule] - one[metric]["default"] for one in scores])
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
