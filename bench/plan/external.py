"""Studies of weights that somebody else trained: what is asked for, and their cards."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import RunConfig
from bench.plan.configurations import NOT_TUNED
from bench.plan.hyperparameters import changed
from bench.plan.request import Request, resolve
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.splitting import ids_digest
from mer_models._parts import given_weights
from mer_models._parts.weights_file import file_content
from mer_models.contracts import RECIPE_FIELDS
from mer_models.registry import ModelInfo
from preprocess.base.code import code_fingerprint
from preprocess.base.errors import UsageError
from results.store.study_card import FoldCard, StudyCard, fold_key
from results.store.watched import EXTERNAL, TEST

READ = "input_range"
"""The one field of a recipe that given weights depend on."""
MADE = "pretrained"
"""The option that says what a network starts from: nothing, where all its weights are given."""
ONE_FILE = "one file of weights for all folds: it may have seen the very people it is tested on"


@dataclass(frozen=True)
class Given:
    """The weights that a study scores.

    Attributes
    ----------
    name : what their folder or file is called.
    files : fold -> its file.
    by_fold : whether each fold has its own file.
    public : whether the files have the names that the model declares of published ones; else the network's own.
    channels : ``bgr`` where the network reads pictures of three channels from the last to the first, else ``rgb``.
    """

    name: str
    files: Mapping[str, Path]
    by_fold: bool
    public: bool
    channels: str


def external_request(config: RunConfig, info: ModelInfo, protocol: str, form: Mapping[str, Any]) -> Request:
    """Return the request that is planned to score given weights.

    Parameters
    ----------
    config : the data, the task and the settings.
    info : the network.
    protocol : the splitting rule.
    form : the options that the weights ask for, where none are set.

    Raises
    ------
    UsageError : several tasks or protocols, a setting that is unknown, or one that only training would use.
    """
    idle = (RECIPE_FIELDS | {MADE}) - {READ}
    for setting in config.set:
        model, _, key = setting.rpartition(".")
        if model == info.name and key in idle:
            counting = ", ".join(sorted({*info.params, READ} - {MADE}))
            raise UsageError(
                f"{config.where_set(setting)}: given weights are not trained, so that {key} would do nothing. What "
                f"counts: {counting}."
            )
    own = dict(form) | ({MADE: "none"} if MADE in info.params else {})
    settings = {f"{info.name}.{key}": value for key, value in own.items()} | config.set
    alone = {"models": [info.name], "protocols": [protocol], "selection": ["last"], "seeds": [0]}
    plain = {**alone, **NOT_TUNED, "pretrain": []}
    request = resolve(config.model_copy(update={**plain, "preset": "full", "epochs": None, "set": settings}))
    for kind, found in (("protocol", request.protocols), ("task", request.tasks)):
        if len(found) > 1:
            names = ", ".join(one.name for one in found)
            raise UsageError(f"--weights are scored under one {kind} at a time, and {names} were given. Name one.")
    return request


def external_card(card: StudyCard, info: ModelInfo, folds: Sequence[Fold], data: StudyData, given: Given) -> StudyCard:
    """Return the card of a study that scores given weights.

    Parameters
    ----------
    card : of the study of the same samples and folds, as if it were trained here.
    info : the network.
    folds : the folds, in the card's order.
    data : the study's samples.
    given : the weights. Their content is in the key, not where they lie or what they are called.
    """
    values = {key: card.hyperparameters[key] for key in (*info.params, READ) if key != MADE}
    read = {"channels": given.channels} if given.channels != "rgb" else {}
    weights = {
        "files": {fold.name: file_content(given.files[fold.name]) for fold in folds},
        "channels": given.channels,
        "code": code_fingerprint(Path(given_weights.__file__)),
    }
    made = dataclasses.replace(
        card,
        params={**changed(info, values, len(card.classes)), **read, "weights": given.name},
        hyperparameters={**values, "channels": given.channels},
        selection=EXTERNAL,
        watches=TEST,
        weights=EXTERNAL,
        ingredients={
            **card.ingredients,
            "hyperparameters": {key: card.ingredients["hyperparameters"][key] for key in values},
            "selection": EXTERNAL,
            "watches": TEST,
            "weights": weights,
        },
        notes=[] if given.by_fold else [ONE_FILE],
    )
    keys = [fold_key(made.key, ids_digest(fold, data)) for fold in folds]
    cards = tuple(FoldCard(key, fold.name, fold.n_test) for key, fold in zip(keys, card.folds, strict=True))
    return dataclasses.replace(made, folds=cards)
