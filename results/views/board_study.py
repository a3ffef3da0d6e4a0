"""The details of one study on the board's page: its people, its curves, and how its numbers were made."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from preprocess.base.hashing import canonical_json
from results.scores.counted import CountedPart
from results.scores.counting import Counting
from results.scores.tuned import tried
from results.store.study_card import PRETRAINING, StudyCard
from results.views.columns import number, number_ranges

POINTS = 60
"""How many epochs of a curve are drawn."""

_DIGITS = 12
"""How much of a fingerprint is shown."""


def right_by_person(counting: Counting, seeds: Sequence[CountedPart]) -> tuple[list[str], list[float]]:
    """Return the people of a study, and the share of their answers that is right, the mean over the seeds.

    Parameters
    ----------
    counting : how predictions were counted.
    seeds : the counts of the whole, a seed each.
    """
    shares = [counting.right(one.counts[:, 0]) / counting.answers(one.counts[:, 0]) for one in seeds]
    return list(seeds[0].subjects), np.mean(shares, axis=0).tolist()


def curves_of(folds: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, dict[str, list[float | None]]]:
    """Return each curve's mean over the folds and the band of their middle 80 %, at so many epochs as can be seen.

    Parameters
    ----------
    folds : curve -> a value an epoch, of each fold and seed.
    """
    names = sorted({name for curves in folds for name in curves})
    found = {}
    for name in names:
        series = [np.asarray(curves[name], dtype=np.float64) for curves in folds if len(curves.get(name, ()))]
        if not series:
            continue
        longest = max(map(len, series))
        padded = np.full((len(series), longest), np.nan)
        for line, values in zip(padded, series, strict=True):
            line[: len(values)] = np.where(np.isfinite(values), values, np.nan)
        epochs = np.unique(np.linspace(0, longest - 1, min(POINTS, longest)).round().astype(np.int64))
        with warnings.catch_warnings():
            # An epoch at which every fold's value is NaN has no mean: it stays a gap.
            warnings.simplefilter("ignore", RuntimeWarning)
            mean = np.nanmean(padded[:, epochs], axis=0)
            low, high = np.nanquantile(padded[:, epochs], [0.1, 0.9], axis=0)
        found[name] = {
            "epochs": (epochs + 1).tolist(),
            **{key: _plain(values) for key, values in (("mean", mean), ("low", low), ("high", high))},
        }
    return found


def facts_of(cards: Sequence[StudyCard], told: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return how the numbers of some studies that differ in their seed were made, as names and texts.

    Parameters
    ----------
    cards : the studies'.
    told : the provenance of all of their outcomes.
    """
    card = cards[0]
    ingredients = card.ingredients
    code = {name.replace("_", " "): ingredients[name] for name in ("model_code", "engine_code") if name in ingredients}
    settings = ", ".join(f"{name}={value}" for name, value in sorted(card.hyperparameters.items()))
    packages = {canonical_json(facts["packages"]): facts["packages"] for facts in told if facts.get("packages")}
    ended = sorted(str(facts["finished_at"]) for facts in told if facts.get("finished_at"))
    return [
        ("studies", ", ".join(one.key[:16] for one in cards)),
        ("seeds", number_ranges([one.seed for one in cards])),
        ("selection", f"{card.selection}, watches {card.watches or 'nothing'}"),
        ("folds", f"{card.protocol}, {len(card.folds)} a seed"),
        ("hyper-parameters", settings),
        ("tuned", _configurations(told)),
        ("code", ", ".join(f"{name} {str(value)[:_DIGITS]}" for name, value in code.items())),
        ("commit", _each(told, "git")),
        ("data", _fingerprints(ingredients.get("datasets", {}))),
        ("features", _fingerprints(ingredients.get("features", {}))),
        ("pretraining", _pretraining(cards)),
        ("predictions", str(ingredients.get("predictions", ""))[:_DIGITS]),
        ("imported from", _each(told, "imported_from")),
        (
            "packages",
            "; ".join(", ".join(f"{n} {v}" for n, v in sorted(one.items()) if v) for one in packages.values()),
        ),
        ("Python", _each(told, "python")),
        ("device", _each(told, "device")),
        ("trained", " to ".join(dict.fromkeys(text[:19].replace("T", " ") for text in (ended[:1] + ended[-1:])))),
    ]


def _configurations(told: Sequence[Mapping[str, Any]]) -> str:
    """Return what was tried for tuned folds: its score on inner folds, and how often it was chosen."""
    found = tried(told)
    folds = sum(one.chosen for one in found)
    lines = [f"{one.words}: inner UF1 {number(one.inner_uf1)}, chosen in {one.chosen}" for one in found]
    return "; ".join(lines) + f" of {folds} folds" if lines else ""


def _fingerprints(values: Mapping[str, Any]) -> str:
    """Return names with the first digits of their fingerprints: ``casme2 1f0c...``; of a feature, each dataset's."""
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            contents = ", ".join(f"{dataset} {str(one.get('content'))[:_DIGITS]}" for dataset, one in value.items())
            lines.append(f"{name} ({contents})")
        else:
            lines.append(f"{name} {str(value)[:_DIGITS]}")
    return ", ".join(lines)


def _pretraining(cards: Sequence[StudyCard]) -> str:
    """Return the first digits of the hashes of the weights that folds start from."""
    starts = [card.ingredients[PRETRAINING] for card in cards if PRETRAINING in card.ingredients]
    hashes = sorted({text for one in starts for text in (one.values() if isinstance(one, Mapping) else [one])})
    return f"weights {', '.join(text[:_DIGITS] for text in hashes)}" if hashes else ""


def _versions(packages: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(packages.items()) if number)


def _each(told: Sequence[Mapping[str, Any]], name: str) -> str:
    return ", ".join(sorted({str(facts[name]) for facts in told if facts.get(name)}))


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]
