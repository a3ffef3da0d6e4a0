"""A model for use: what is asked for, under which protocol it is scored, and what its folder tells."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.config import RunConfig
from bench.engine.everybody import Trained
from bench.options.option import flag
from bench.plan.cards import ENGINE
from bench.plan.configurations import NOT_TUNED
from bench.plan.request import Request, resolve
from bench.study.assemble import has_labels
from bench.study.data import StudyData
from bench.study.protocols import PROTOCOLS
from mer_models._parts.weights_file import by_content
from mer_models.registry import MODELS, ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.errors import UsageError
from preprocess.base.storage import shown_address
from preprocess.recipes import recipes_of
from preprocess.shards.prepared import PreparedDataset
from results.scores.leaderboard import study_rows
from results.scores.pooling import missing_folds
from results.scores.row import Row
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard

ALONE, MERGED = "loso", "cde"
"""The protocols that leave out one person of one dataset, and one of several merged ones."""

TOLD = (
    *("part", "n_samples", "n_subjects", "class_counts", "uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high"),
    *("accuracy", "f1_per_class", "recall_per_class", "notes"),
)
"""What of a leaderboard's row a model's folder holds."""


def fit_request(config: RunConfig, model: str, task: str | None, command: str = "fit") -> Request:
    """Return the request of one model and one task, by the recipe's last epoch.

    Parameters
    ----------
    config : the data and the settings.
    model : the model's name.
    task : the label scheme; None for the one that the configuration names.
    command : which one it is for, for messages.

    Raises
    ------
    UsageError : several models, tasks or seeds are named, or one that does not exist.
    """
    names = MODELS.select([model])
    if len(names) > 1:
        raise UsageError(f"`merbench {command}` trains one model, and {model!r} names several: {', '.join(names)}.")
    tasks = config.tasks if task is None else [task]
    alone = {"models": names, "tasks": tasks, "protocols": [ALONE], "selection": ["last"]}
    plain = {**alone, **NOT_TUNED, "pretrain": []}
    request = resolve(config.model_copy(update=plain))
    for kind, found in (("task", [one.name for one in request.tasks]), ("seed", [str(n) for n in config.seeds])):
        if len(found) != 1:
            raise UsageError(
                f"`merbench {command}` trains with one {kind}, and {', '.join(found)} were given. Name one."
            )
    return request


def scored_by(request: Request, prepared: Sequence[PreparedDataset]) -> Request:
    """Return the request under the protocol that scores it: one dataset alone, or all that have labels merged."""
    labelled = [dataset for dataset in prepared if has_labels(request.tasks[0], dataset)]
    name = MERGED if len(labelled) > 1 else ALONE
    config = request.config.model_copy(update={"protocols": [name]})
    return dataclasses.replace(request, config=config, protocols=(PROTOCOLS.get(name),))


def expected_score(card: StudyCard, store: OutcomeStore | None, request: Request) -> dict[str, Any]:
    """Return the score that the model can be expected to have on people it has not seen, as plain JSON values.

    It is that of the very same study in the store, every person held out once. Where the store does not have it,
    ``missing`` says why and ``command`` how to get it.

    Parameters
    ----------
    card : the study's.
    store : the results; None where there are none.
    request : what was asked for.
    """
    facts = {"study": card.key, "title": card.title, "protocol": card.protocol}
    outcomes = store.read_outcomes(card)[0] if store else []
    missing = missing_folds(card, outcomes)
    if not missing:
        rows = study_rows(card, outcomes, np.random.default_rng(0))
        return {**facts, "parts": [_told(row) for row in rows]}
    done = len(card.folds) - len(missing)
    why = f"{done} of the {len(card.folds)} folds of this study are in the results" if done else "it was not measured"
    return {**facts, "missing": why, "command": run_command(request)}


def run_command(request: Request) -> str:
    """Return the command that scores the request's study. A password in the results' address is masked."""
    config = request.config
    words = ["merbench", "run"]
    for key in ("data", "sheet", "columns", "apex", "recipes", "plugins", "set"):
        given = getattr(config, key)
        texts = [f"{name}={value}" for name, value in given.items()] if isinstance(given, dict) else given
        words += [word for text in texts for word in (flag(key), text)]
    for key in ("datasets", "models", "tasks", "protocols", "seeds", "preset", "epochs", "results"):
        value = getattr(config, key)
        if key in ("models", "tasks", "protocols") or value != type(config).model_fields[key].default:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [flag(key), shown_address(text) if key == "results" else text]
    return shlex.join(words)


def configuration(
    request: Request, card: StudyCard, data: StudyData, group: Sequence[PreparedDataset], trained: Trained
) -> dict[str, Any]:
    """Return what a model's folder says of it, but for the score, as plain JSON values.

    No path and no host is in it; a file of weights counts by its content.

    Parameters
    ----------
    request : what was asked for.
    card : of the study that scores the model.
    data : the samples that it was trained on.
    group : the datasets that they come from.
    trained : the model.
    """
    info = request.models[0].info
    people = sorted(set(data.subjects.tolist()))
    counts = data.labels.sum(axis=0) if data.multilabel else np.bincount(data.labels, minlength=len(data.classes))
    return {
        "model": card.model,
        "label": card.label,
        "hyperparameters": {name: by_content(value) for name, value in card.hyperparameters.items()},
        "task": {"name": card.task, "classes": list(card.classes), "multilabel": card.multilabel},
        "features": {name: _feature(name, info, group) for name in info.inputs},
        "statistics": {name: [_numbers(one) for one in both] for name, both in trained.statistics.items()},
        "trained_on": {
            "datasets": {dataset.name: _dataset(dataset, data) for dataset in group},
            "people": people,
            "samples": len(data),
            "class_counts": dict(zip(data.classes, counts.tolist(), strict=True)),
            "synthetic": card.synthetic,
            "macro": sorted(data.macro),
            "seed": card.seed,
            "notes": list(card.notes),
        },
        "code": {"model": code_fingerprint(info.file), "engine": code_fingerprint(ENGINE)},
    }


def statistics_of(told: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the statistics that ``configuration`` wrote: feature -> mean and deviation."""
    return {
        name: (np.array(mean, dtype=np.float32), np.array(deviation, dtype=np.float32))
        for name, (mean, deviation) in told.items()
    }


def _numbers(array: np.ndarray) -> Any:
    # A float32 comes back to the bit from the shortest decimal of its double.
    return array.astype(np.float64).tolist()


def _feature(name: str, info: ModelInfo, group: Sequence[PreparedDataset]) -> dict[str, Any]:
    """Return how a feature was made; ``ready_made`` names the datasets that brought it with them."""
    recipes = recipes_of([name])
    own = recipes[name].as_json() if name in recipes else None
    return {
        "recipe": own,
        "ready_made": sorted(one.name for one in group if dict(one.features[name].recipe) != own),
        "shape": list(group[0].features[name].shape),
        "dtype": group[0].features[name].dtype,
        "axes": group[0].features[name].layout.axes,
    }


def _dataset(dataset: PreparedDataset, data: StudyData) -> dict[str, Any]:
    mine = data.datasets == dataset.name
    return {
        "samples": int(mine.sum()),
        "people": len(set(data.subjects[mine].tolist())),
        "fingerprint": dataset.fingerprint,
    }


def _told(row: Row) -> dict[str, Any]:
    told = row.to_json()
    return {name: told[name] for name in TOLD}
