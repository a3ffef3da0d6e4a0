"""A model on the feature of its authors' own code, under a name of its own: ``<model>/<feature>``."""

from __future__ import annotations

import dataclasses

from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import UsageError


def also_on(model: str, feature: str, whose: str) -> None:
    """Let ``<model>/<feature>`` be a registered model that reads another feature of the same form.

    Parameters
    ----------
    model : a model of one feature.
    feature : the other feature.
    whose : what it is, as the error for any other feature says it: "HTNet's own flow".
    """

    def member(asked: str) -> ModelInfo:
        if asked != feature:
            raise UsageError(f"{model}/{asked}: {whose} is {feature}. Use model {model}/{feature}, or {model}.")
        return dataclasses.replace(MODELS.get(model), name=f"{model}/{feature}", features=(feature,))

    MODELS.add_family(model, member)
