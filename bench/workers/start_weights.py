"""The weights of pretrained networks, as a worker reads them from the results."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from preprocess.base.errors import StoreError
from results.store.pretrained import Pretrained, PretrainedStore


def start_weights(results: str, start: Pretrained) -> Mapping[str, np.ndarray]:
    """Return the weights of a pretrained network; those that were asked for last are kept.

    Parameters
    ----------
    results : root of the results.
    start : the network.

    Raises
    ------
    StoreError : it is not there, was edited, or is another one than the plan was made with.
    """
    return _read(results, start.key, start.sha256)


@functools.lru_cache(maxsize=2)
def _read(results: str, key: str, sha256: str) -> Mapping[str, np.ndarray]:
    store = PretrainedStore(results)
    stored = store.read(key)
    if stored.sha256 != sha256:
        raise StoreError(
            f"{store.where(key)} holds other weights than when this run was planned. Give the same command again: it "
            "is planned anew."
        )
    return stored.weights
