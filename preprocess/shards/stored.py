"""What earlier preparations found out about a dataset's clips, read from the manifests beside its shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from preprocess.base.errors import DataError, StoreError
from preprocess.base.storage import Storage
from preprocess.samples.quality import merged
from preprocess.shards.folder import MANIFEST


def stored_quality(storage: Storage, dataset: str) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return what was measured of the quality of clips, and how their faces were found.

    Parameters
    ----------
    storage : all datasets' shards.
    dataset : the dataset, of which nothing need be there.

    Returns
    -------
    Sample id -> its measures, the worst of all features; sample id -> way of finding.

    Raises
    ------
    DataError : a manifest cannot be read.
    """
    remarks = list(_remarks(storage, dataset))
    ways = {sample_id: way for one in remarks for sample_id, way in one.get("faces", {}).items()}
    return merged(one.get("quality", {}) for one in remarks), ways


def _remarks(storage: Storage, dataset: str) -> Iterator[dict[str, Any]]:
    for manifest in storage.find(dataset, MANIFEST):
        try:
            subjects = json.loads(storage.read(manifest).decode("utf-8"))["subjects"]
            yield from (entry.get("remarks", {}) for entry in subjects.values())
        except (OSError, StoreError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{storage.where(manifest)} cannot be read ({error!r}). Remove it; `merbench prepare` writes it anew."
            ) from error
