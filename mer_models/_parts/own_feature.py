"""A model on features of public code, under names of their own: ``<model>/<feature>``."""

from __future__ import annotations

import dataclasses

from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import UsageError


def also_on(model: str, *features: str, said: str) -> None:
    """Let ``<model>/<feature>`` be a registered model that reads another feature of the same kind.

    Parameters
    ----------
    model : a model of one feature.
    features : the other features.
    said : what they are, for the error for any other one: "HTNet's own flow is".
    """

    def member(asked: str) -> ModelInfo:
        if asked not in features:
            raise UsageError(
                f"{model}/{asked}: {said} {', '.join(features)}. Use model {model}/{features[0]}, or {model}."
            )
        return dataclasses.replace(MODELS.get(model), name=f"{model}/{asked}", features=(asked,))

    MODELS.add_family(model, member)
