"""Study cards: what a study's key is made of, what its card tells, and how it differs from a stored one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.augmentation import AUGMENTATIONS, augmentation_names
from bench.engine.selection import SELECTIONS, Selection
from bench.plan import hyperparameters
from bench.plan.start_words import start_ingredient, start_name, start_notes
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.protocols import MACRO, MICRO, Protocol
from bench.study.shifted import ShiftedDataset, shift_notes
from bench.study.spotted import SpottedDataset, spotting_notes
from mer_models._parts.weights_file import by_content
from mer_models.registry import ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.hashing import digest
from preprocess.labels.tasks import Task
from preprocess.shards.prepared import PreparedDataset
from results.store.pretrained import Pretrained
from results.store.study_card import PRETRAINING, SHIFT, SPOTTING, FoldCard, StudyCard, fold_key

ENGINE = Path(__file__).parents[1] / "engine" / "train.py"
"""The file from which the code that decides a fold's numbers, whatever the model, is followed through its imports."""


INNER_FOLDS = "inner"
"""The ingredient of a study whose folds are inner ones: into how many the training people of each fold are cut."""


@dataclass(frozen=True)
class Setting:
    """What the selections of a study have in common.

    Attributes
    ----------
    info : the model.
    values : its hyper-parameters.
    task : the label scheme.
    protocol : the splitting rule.
    group : the datasets.
    seed : the replicate.
    more : ingredients of the key that few studies have.
    told : what the study's name says besides the hyper-parameters that were changed.
    """

    info: ModelInfo
    values: dict[str, Any]
    task: Task
    protocol: Protocol
    group: list[PreparedDataset]
    seed: int
    more: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)


class CardMaker:
    """Makes the cards of a plan; code and labels that several studies share are hashed once."""

    def __init__(self) -> None:
        self._engine_code = code_fingerprint(ENGINE)
        self._model_code: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._facts: dict[tuple[str, str, int], dict[str, Any]] = {}

    def make(
        self,
        setting: Setting,
        rule: Selection,
        data_key: str,
        data: StudyData,
        folds: list[Fold],
        ids: list[str],
        notes: list[str],
        shift: str = "",
        shifted: Sequence[ShiftedDataset] = (),
        spotted: SpottedDataset | None = None,
        starts: Sequence[Pretrained] = (),
    ) -> StudyCard:
        """Return a study's card.

        Parameters
        ----------
        setting : the model, the datasets, the task and so on.
        rule : which epoch is scored.
        data_key : tells the study's data apart from others'.
        data : the study's samples.
        folds : the folds, in order.
        ids : the digest of each fold's sample ids.
        notes : what a reader of the score should know.
        shift : how far the key frames of the tested clips are moved; "" for not at all.
        shifted : the datasets with such clips.
        spotted : what was spotted in the dataset's long recordings; None where the protocol does not ask for it.
        starts : the pretrained network that each fold starts from; () for none.
        """
        info, values, task, seed = setting.info, setting.values, setting.task, setting.seed
        ingredients = self._ingredients(setting, rule, data_key, data)
        params = hyperparameters.changed(info, values, len(task.classes))
        if starts:
            ingredients[PRETRAINING] = start_ingredient(starts, folds)
            params["pretrain"] = start_name(starts)
            notes = [*notes, *start_notes(starts)]
        if shift:
            tested = {name for fold in folds for name in data.sample_ids[fold.test].tolist()}
            moved = [one.prepared for one in shifted]
            features = {name: feature_ingredient(name, moved) for name in info.features}
            ingredients[SHIFT] = {"amount": shift, "features": features}
            notes = [*notes, *shift_notes(shift, shifted, info.features, tested)]
        people = {}
        if spotted:
            people = {name: [one.found, one.false, one.missed] for name, one in spotted.people.items()}
            clips = spotted.clips()
            features = {name: feature_ingredient(name, [clips]) for name in info.features}
            ingredients[SPOTTING] = {"people": people, "samples": clips.fingerprint, "features": features}
            notes = [*notes, *spotting_notes(spotted, info.features, sum(len(fold.test) for fold in folds))]
        study_key = digest(ingredients)
        return StudyCard(
            model=info.name,
            params=params | setting.told,
            hyperparameters=values,
            selection=rule.name,
            watches=rule.watches,
            seed=seed,
            ingredients=ingredients,
            folds=tuple(
                FoldCard(fold_key(study_key, ids_of), fold.name, len(fold.test))
                for fold, ids_of in zip(folds, ids, strict=True)
            ),
            notes=notes,
            shift=shift,
            spotting=people,
            inner=setting.more.get(INNER_FOLDS, 0),
            **self._benchmark(setting, data_key, data, folds),
        )

    def _benchmark(self, setting: Setting, data_key: str, data: StudyData, folds: list[Fold]) -> dict[str, Any]:
        """Return what models and seeds share: a protocol tests the same samples whatever these are."""
        key = (data_key, setting.protocol.name, setting.more.get(INNER_FOLDS, 0))
        if key not in self._facts:
            self._facts[key] = benchmark_facts(setting.protocol, setting.task, setting.group, data, folds)
        return self._facts[key]

    def _ingredients(self, setting: Setting, rule: Selection, data_key: str, data: StudyData) -> dict[str, Any]:
        info, task, group = setting.info, setting.task, setting.group
        if info.name not in self._model_code:
            self._model_code[info.name] = code_fingerprint(info.file)
        if data_key not in self._labels:
            self._labels[data_key] = labels_digest(data)
        ingredients = {
            "model": info.name,
            "hyperparameters": {name: by_content(value) for name, value in setting.values.items()},
            "model_code": self._model_code[info.name],
            "engine_code": self._engine_code,
            "datasets": {dataset.name: dataset.fingerprint for dataset in group},
            "features": {name: feature_ingredient(name, group) for name in info.features},
            "layouts": {name: data.layouts[name].as_json() for name in info.features},
            "task": {"name": task.name, "classes": list(task.classes), "labels": self._labels[data_key]},
            "protocol": setting.protocol.name,
            "selection": rule.name,
            "watches": rule.watches,
            "seed": setting.seed,
            **setting.more,
        }
        if setting.protocol.by_strength:
            ingredients["macro"] = sorted(data.macro)
        if data.action_units is not None:
            ingredients["action_units"] = digest(data.action_units.tolist())
        if rule.measure:
            ingredients["measure"] = rule.measure.__name__
        if code := plugin_code(rule.name, setting.values):
            ingredients["plug_in_code"] = code
        return ingredients


def benchmark_facts(
    protocol: Protocol, task: Task, group: Sequence[PreparedDataset], data: StudyData, folds: Sequence[Fold]
) -> dict[str, Any]:
    """Return the fields of a card that do not depend on the model: what is tested, and how it is cut into parts.

    Parameters
    ----------
    protocol : the splitting rule.
    task : the label scheme.
    group : the datasets.
    data : the study's samples.
    folds : the folds.
    """
    # Inner folds test a sample many times.
    tested = np.unique(np.concatenate([fold.test for fold in folds]))
    parts = sorted(set(data.datasets[tested].tolist())) if protocol.by_dataset else []
    parts = parts if len(parts) > 1 else []
    unions = _strengths(parts, data) if protocol.by_strength else {}
    rows = _rows_of_parts(data, tested, {**unions, **{part: (part,) for part in parts}})
    return {
        "dataset": "+".join(sorted(dataset.name for dataset in group)),
        "parts": (*unions, *parts),
        "task": task.name,
        "classes": tuple(task.classes),
        "protocol": protocol.name,
        **_counts(data, rows),
        "synthetic": any(dataset.synthetic for dataset in group),
        "multilabel": task.multilabel,
        "averaged": protocol.averaged,
        "unions": unions,
    }


def labels_digest(data: StudyData) -> str:
    """Return the sha256 of which sample has which label."""
    return digest(list(zip(data.sample_ids.tolist(), data.labels.tolist(), strict=True)))


def unmade_features(card: StudyCard) -> list[str]:
    """Return the features that are not made yet of some dataset of the study (a dry run): its keys are not known."""
    asked = [
        card.ingredients["features"],
        *(card.ingredients.get(part, {}).get("features", {}) for part in (SHIFT, SPOTTING)),
    ]
    found = [
        name for features in asked for name, of in features.items() if not all(one["content"] for one in of.values())
    ]
    return list(dict.fromkeys(found))


def waits_for_pretraining(card: StudyCard) -> bool:
    """Return whether a network that folds of the study start from is not trained yet: their keys are not known."""
    starts = card.ingredients.get(PRETRAINING, "none")
    return not all(starts.values()) if isinstance(starts, dict) else not starts


def may_be_stored(card: StudyCard, stored: list[StudyCard]) -> bool:
    """Tell whether the store may hold the study whose features are not made yet: nothing that is known differs."""
    # Which clips have a label and the features shows when they are made.
    open_yet = ("features", "task", "action_units", SHIFT, SPOTTING, PRETRAINING)
    known = {name: value for name, value in card.ingredients.items() if name not in open_yet}
    return any(known.items() <= old.ingredients.items() for old in _alike(card, stored))


def plugin_code(selection: str, values: dict[str, Any]) -> dict[str, str]:
    """Return the fingerprints of what changes a fold's numbers and comes from outside of this project.

    A model's code is in every key. Of tasks, protocols and datasets the key has all that they give: labels, sample ids,
    content. The code of a step, or of a dataset's own features, is in the feature's recipe.
    """
    parts = {f"selection {selection}": SELECTIONS.code(selection)}
    for name in augmentation_names(values.get("augment", "")):
        parts[f"augmentation {name}"] = AUGMENTATIONS.code(name)
    return {part: code for part, code in parts.items() if code is not None}


def why_new(card: StudyCard, stored: list[StudyCard]) -> str:
    """Say what differs from the most similar study in the store that has the same name and another key; "" for none."""
    alike = [old for old in _alike(card, stored) if old.key != card.key]
    if not alike:
        return ""
    differences = min((_differences(old.ingredients, card.ingredients) for old in alike), key=len)
    return "differs from the stored one in " + ", ".join(differences)


def _alike(card: StudyCard, stored: list[StudyCard]) -> list[StudyCard]:
    names = ("model", "dataset", "task", "protocol", "selection", "seed", "weights", "shift")
    return [old for old in stored if all(getattr(old, name) == getattr(card, name) for name in names)]


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    texts = []
    for name in sorted(set(old) | set(new)):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name == "hyperparameters" and isinstance(before, dict) and isinstance(after, dict):
            keys = sorted(key for key in set(before) | set(after) if before.get(key) != after.get(key))
            texts += [f"{key} ({before.get(key)} -> {after.get(key)})" for key in keys]
        else:
            texts.append(name.replace("_", " "))
    return texts


def feature_ingredient(name: str, group: list[PreparedDataset]) -> dict[str, Any]:
    """Return how a feature of some datasets was made, and the hash of its content: dataset -> both."""
    infos = {dataset.name: dataset.features[name] for dataset in group}
    return {dataset: {"recipe": info.recipe_hash, "content": info.fingerprint} for dataset, info in infos.items()}


def _strengths(datasets: list[str], data: StudyData) -> dict[str, tuple[str, ...]]:
    """Return the datasets of macro- and of micro-expressions."""
    macro = tuple(dataset for dataset in datasets if dataset in data.macro)
    return {MACRO: macro, MICRO: tuple(dataset for dataset in datasets if dataset not in macro)}


def _rows_of_parts(data: StudyData, tested: np.ndarray, parts: dict[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Return part (``full`` first) -> its rows among those ``tested``: what a study trains on only is in no score."""
    return {"full": tested, **{part: tested[np.isin(data.datasets[tested], names)] for part, names in parts.items()}}


def _counts(data: StudyData, rows: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the counts of a card. rows : of each part."""
    return {
        "n_samples": {part: len(own) for part, own in rows.items()},
        "n_subjects": {part: len(set(data.subjects[own].tolist())) for part, own in rows.items()},
        "class_counts": {part: _class_counts(data, own) for part, own in rows.items()},
    }


def _class_counts(data: StudyData, rows: np.ndarray) -> list[int]:
    if data.multilabel:
        return data.labels[rows].sum(axis=0).tolist()
    return np.bincount(data.labels[rows], minlength=len(data.classes)).tolist()
