"""The samples table: one row a clip, checked when it is made."""

from __future__ import annotations

import pandas as pd

COLUMNS: dict[str, str] = {
    "sample_id": "string",
    "dataset": "string",
    "subject": "string",
    "clip": "string",
    "onset": "Int64",
    "apex": "Int64",
    "offset": "Int64",
    "fps": "Float64",
    "emotion": "string",
    "action_units": "string",
    "objective_class": "string",
    "repaired": "string",
}


def samples_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Placeholder replaced by the preprocess room."""
    raise NotImplementedError(rows)
