"""The card of a study: everything a reader of the store must know about it, before any of its folds is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from preprocess.base.hashing import digest, digest_strings
from results.store.watched import (
    EXTERNAL,
    NOTHING,
    OWN,
    SHIFT_STAMP,
    TEST,
    UNSHOWN,
    VALIDATION,
    Watched,
    Weights,
    check_watched,
    stamp_of,
)

_WATCHED_BEFORE: dict[str, Watched] = {"last": NOTHING, "validation": VALIDATION}
"""What the selections watched whose cards do not say it yet."""


SHIFT = "shift_keyframes"
"""The ingredient that a study has whose tested clips have their key frames moved."""
SPOTTING = "spotting"
"""The ingredient that a study has whose tested clips were spotted in long recordings."""

PRETRAINING = "pretraining"
"""The ingredient that a study has whose folds start from pretrained networks: the hash of their weights."""


@dataclass(frozen=True)
class FoldCard:
    """One fold of a study.

    Attributes
    ----------
    key : of the fold's outcome.
    name : of what it holds out; under LOSO, the test subject.
    n_test : number of test samples.
    """

    key: str
    name: str
    n_test: int


@dataclass(frozen=True)
class StudyCard:
    """A study (model x dataset x task x protocol x selection x seed) as ``study.json`` holds it.

    Attributes
    ----------
    model : its name in the registry.
    params : the hyper-parameters that differ from the model's defaults, by name.
    hyperparameters : all of them, resolved.
    dataset : one dataset, or a composite's datasets joined by ``+`` (``casme2+samm+smic``).
    parts : what a composite is scored on besides ``full``: its ``unions`` and its datasets; none for a single dataset.
    task : the label scheme.
    classes : the task's class names in order; a label is an index into them.
    protocol : the rule that made the folds.
    selection : the rule that picks the epoch that is scored.
    seed : the replicate.
    watches : the samples that the selection looks at to pick its epoch; this decides whether the study is ranked.
    n_samples : part (with ``full``) -> number of tested samples.
    n_subjects : part (with ``full``) -> number of tested subjects.
    class_counts : part (with ``full``) -> tested samples a class; of a multi-label task, those that show the class.
    ingredients : what the study's key is the hash of; no path, host, order or number of workers is in it.
    folds : one card a fold.
    synthetic : True where the data was drawn by this program, not recorded from people.
    notes : what the training lacked, in words, such as a class that some folds never see.
    multilabel : True where a sample may show any number of the classes.
    averaged : True where the mean of the datasets' scores is a score of its own (``hde``, ``lodo``).
    unions : part -> its datasets, for the parts that are no dataset's name (``macro`` and ``micro``).
    weights : ``external`` for given weights of somebody else's folds, ``imported`` or ``imported, folds unshown`` for
        somebody's predictions. Where nothing shows that the test samples were left alone (the first and the last), the
        study counts as one that watches them.
    shift : how far the key frames of the tested clips were moved (``2``, ``5%``); "" where they are as annotated.
    spotting : of a study whose tested clips were spotted, person -> counts of found, false and missed expressions, of
        everybody who was recorded.
    inner : number of inner folds that the training people of each fold were cut into, where these are the study's
        folds: it tries one configuration for tuned studies, and stands on no board. 0 for all others.

    Raises
    ------
    ValueError : ``watches`` is an unknown word, or not ``test`` beside such weights.
    """

    model: str
    params: dict[str, Any]
    hyperparameters: dict[str, Any]
    dataset: str
    parts: tuple[str, ...]
    task: str
    classes: tuple[str, ...]
    protocol: str
    selection: str
    seed: int
    watches: Watched
    n_samples: dict[str, int]
    n_subjects: dict[str, int]
    class_counts: dict[str, list[int]]
    ingredients: dict[str, Any]
    folds: tuple[FoldCard, ...]
    synthetic: bool = False
    notes: list[str] = dataclasses.field(default_factory=list)
    multilabel: bool = False
    averaged: bool = False
    unions: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    weights: Weights = OWN
    shift: str = ""
    spotting: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    inner: int = 0

    def __post_init__(self) -> None:
        check_watched(self.watches)
        if self.weights in (EXTERNAL, UNSHOWN) and self.watches != TEST:
            raise ValueError(f"external weights may have seen the test samples, but watches is {self.watches!r}")

    @cached_property
    def key(self) -> str:
        """The sha256 of the ingredients. Equal work has an equal key, on any machine."""
        return digest(self.ingredients)

    @property
    def unshifted_key(self) -> str:
        """The key of the same study with the key frames as annotated: its own where they are."""
        return digest({name: value for name, value in self.ingredients.items() if name != SHIFT})

    @property
    def label(self) -> str:
        """The model's name with the hyper-parameters that were changed: ``ststnet[epochs=30]``; with the shift."""
        told = self.params | ({SHIFT: self.shift} if self.shift else {})
        changed = ",".join(f"{name}={value}" for name, value in sorted(told.items()))
        return f"{self.model}[{changed}]" if changed else self.model

    @property
    def title(self) -> str:
        """One line for messages and names of runs."""
        chosen = f"{self.inner} inner folds" if self.inner else self.selection
        return f"{self.label} · {self.dataset} · {self.task} · {self.protocol} · {chosen} · seed {self.seed}"

    @property
    def stamp(self) -> str:
        """What must stand beside the study's scores; "" for a study that is ranked."""
        return SHIFT_STAMP if self.shift else stamp_of(self.watches, self.weights)

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain JSON values, which are the card's own and not to be changed."""
        # ``dataclasses.asdict`` copies all of it, which takes as long as reading the study.
        value = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {**value, "folds": tuple(dict(vars(fold)) for fold in self.folds)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> StudyCard:
        """Rebuild a card from ``to_json``'s value.

        A card of before, which does not say what its selection watches, is taken for one that watches nothing under
        ``last``, validation subjects under ``validation``, and test samples under any other name: it is never ranked.

        Raises
        ------
        KeyError, TypeError, ValueError : fields are missing, unknown or impossible.
        """
        folds = tuple(FoldCard(**fold) for fold in value["folds"])
        tuples = {name: tuple(value[name]) for name in ("parts", "classes")}
        unions = {name: tuple(datasets) for name, datasets in value.get("unions", {}).items()}
        # Of another selection nothing shows that it left the test samples alone.
        watches = value.get("watches", _WATCHED_BEFORE.get(value["selection"], TEST))
        return cls(**{**value, **tuples, "folds": folds, "unions": unions, "watches": watches})


def fold_ids_digest(train: Iterable[str], validation: Iterable[str], test: Iterable[str]) -> str:
    """Hash the sample ids of a fold.

    Parameters
    ----------
    train : ids of the training samples; as in the others, their order does not count.
    validation : ids of the validation samples.
    test : ids of the test samples.

    Returns
    -------
    A sha256; it changes when a sample changes its role.
    """
    return digest([digest_strings(train), digest_strings(validation), digest_strings(test)])


def fold_key(study_key: str, ids_digest: str) -> str:
    """Return the key of a fold's outcome.

    Parameters
    ----------
    study_key : stands for everything that the study's folds have in common.
    ids_digest : of the fold's sample ids (``fold_ids_digest``).
    """
    return digest([study_key, ids_digest])
