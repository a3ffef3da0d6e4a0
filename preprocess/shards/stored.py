"""What earlier preparations found out about a dataset's clips, read from the manifests beside its shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preprocess.base.errors import DataError
from preprocess.samples.quality import merged


def stored_quality(home: Path) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return what was measured of the quality of clips, and how their faces were found.

    Parameters
    ----------
    home : the folder of a dataset's shards; it need not be there.

    Returns
    -------
    Sample id -> its measures, the worst of all features; sample id -> way of finding.

    Raises
    ------
    DataError : a manifest cannot be read.
    """
    remarks = list(_remarks(home))
    ways = {sample_id: way for one in remarks for sample_id, way in one.get("faces", {}).items()}
    return merged(one.get("quality", {}) for one in remarks), ways


def _remarks(home: Path) -> Iterator[dict[str, Any]]:
    for manifest in sorted(home.glob("*/manifest.json")):
        try:
            subjects = json.loads(manifest.read_text(encoding="utf-8"))["subjects"]
            yield from (entry.get("remarks", {}) for entry in subjects.values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{manifest} cannot be read ({error!r}). Remove it; `merbench prepare` writes it anew."
            ) from error
