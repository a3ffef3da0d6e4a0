"""Simulated LOSO studies of people who differ, with known true scores: for calibration."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from results.scores.metrics import METRICS
from results.scores.ranking import Evidence, Scored
from results.scores.row import Row

# The classes of MEGC2019 (250, 109 and 83 of 442 samples), and the same with a class of 3 %.
SHARES = (0.566, 0.247, 0.187)
RARE = (0.70, 0.27, 0.03)
SCORES = ("uf1", "uar")

# What a model of strength 1 tends to answer: logits, rows true, columns predicted. Its UF1 is about .57.
_TENDENCY = np.array([[1.6, 0.0, 0.0], [0.3, 1.0, 0.0], [0.2, 0.0, 1.2]])
_MEAN_CLIPS, _CLIPS_SHAPE = 6.5, 1.2
_CLASSES_OF_PEOPLE = 3.0
# Standard deviations of people: how hard they are for every model, for one of them, and what it takes them for.
_HARD, _HARD_FOR_ONE, _TAKEN_FOR = 0.8, 0.4, 0.5


@dataclass(frozen=True)
class Field:
    """What studies are drawn from.

    Attributes
    ----------
    strengths : how good each model is, times its tendency.
    shares : of the classes.
    seeds : replicates of each model; the same people are as hard for each.
    """

    strengths: tuple[float, ...] = (1.0,)
    shares: tuple[float, ...] = SHARES
    seeds: int = 1

    def studies(self, studies: int, people: int, rng: np.random.Generator) -> np.ndarray:
        """Draw what every model answers in some studies.

        Returns
        -------
        (models, studies, seeds, people, 1, C, C) counts; every model meets the same people and clips.
        """
        n_classes = len(self.shares)
        clips = 1 + rng.negative_binomial(
            _CLIPS_SHAPE, _CLIPS_SHAPE / (_CLIPS_SHAPE + _MEAN_CLIPS - 1), (studies, people)
        )
        own = rng.gamma(_CLASSES_OF_PEOPLE * np.array(self.shares), size=(studies, people, n_classes)) + 1e-12
        true = rng.multinomial(clips, own / own.sum(axis=-1, keepdims=True))
        hard = rng.normal(0, _HARD, (studies, people, 1, 1))
        found = []
        for strength in self.strengths:
            hits = hard + rng.normal(0, _HARD_FOR_ONE, hard.shape)
            taken_for = rng.normal(0, _TAKEN_FOR, (studies, people, 1, n_classes))
            odds = np.exp(strength * _TENDENCY + np.eye(n_classes) * hits + taken_for)
            shares = odds / odds.sum(axis=-1, keepdims=True)
            found.append(np.stack([rng.multinomial(true, shares) for _ in range(self.seeds)], axis=1))
        return np.stack(found)[:, :, :, :, None]

    def truth(self, people: int = 400_000) -> dict[str, np.ndarray]:
        """Return each score of each model over very many people, (models,)."""
        rng = np.random.default_rng(2019)
        block = 20_000
        counts = sum(self.studies(1, block, rng).sum(axis=(1, 2, 3, 4)) for _ in range(people // block))
        return {name: METRICS.get(name)(np.asarray(counts)) for name in SCORES}


def scored(counts: np.ndarray, label: str, samples: str = "same", **fields: object) -> Scored:
    """Return the leaderboard row of a model's (seeds, people, 1, C, C) counts, as ranks are given to."""
    row = Row(
        **{"model": label, "label": label, "params": {}, "dataset": "casme2", "part": "full", "task": "megc3"},
        **{
            "protocol": "loso",
            "selection": "last",
            "watches": "",
            "seeds": list(range(len(counts))),
            "studies": [label],
        },
        **{"n_samples": 99, "n_subjects": counts.shape[1], "class_counts": {"a": 33}, "folds_done": 9},
        **{"folds_total": 9, "folds_failed": 0, "uf1": float(METRICS.get("uf1")(counts.sum(axis=1)).mean())},
    )
    subjects = [f"s{number:02}" for number in range(counts.shape[1])]
    return Scored(dataclasses.replace(row, **fields), Evidence(samples, subjects, counts, METRICS.get("uf1")))
