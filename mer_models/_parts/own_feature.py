"""A model on features of public code, under names of their own: ``<model>/<feature>``."""

from __future__ import annotations

import dataclasses

from mer_models.registry import MODELS, ModelInfo
from preprocess.base.errors import UsageError


def also_on(model: str, *features: str | tuple[str, ...], said: str) -> None:
    """Let ``<model>/<feature>`` be a registered model that reads another feature of the same kind.

    Parameters
    ----------
    model : the registered model.
    features : the other features. For a model of several, all that it then reads, named by the first.
    said : what they are, for the error for any other one: "HTNet's own flow is".
    """
    read = {one[0]: one for one in ((one,) if isinstance(one, str) else one for one in features)}

    def member(asked: str) -> ModelInfo:
        if asked not in read:
            raise UsageError(
                f"{model}/{asked}: {said} {', '.join(read)}. Use model {model}/{next(iter(read))}, or {model}."
            )
        return dataclasses.replace(MODELS.get(model), name=f"{model}/{asked}", features=read[asked])

    MODELS.add_family(model, member)
