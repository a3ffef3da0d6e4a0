"""``merbench inspect``: look at one clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.config import RunConfig
from bench.study.sources import read_datasets
from preprocess.base.errors import DataError, did_you_mean
from preprocess.datasets import RawDataset
from preprocess.faces.finder import face_finder
from preprocess.views.contact_sheet import write_clip


def inspect(config: RunConfig, sample_id: str, out: Path | None, say: Callable[[str], None]) -> None:
    """Draw one clip into ``out``; DataError for a sample that is not there or whose clip cannot be used."""
    datasets = {dataset.name: dataset for dataset in read_datasets(config)}
    rows = {name: row for dataset in datasets.values() for name, row in _rows(dataset).items()}
    if sample_id not in rows:
        raise DataError(f"No sample {sample_id!r} in {', '.join(datasets)}. {did_you_mean(sample_id, rows)}")
    dataset = datasets[sample_id.partition("/")[0]]
    if sample_id not in dataset.clips:
        raise DataError(f"{dataset.name} brings no recordings, so there is nothing to draw of {sample_id}.")
    path = out or Path(f"{sample_id.replace('/', '_')}.png")
    view = write_clip(path, dataset.clips[sample_id], rows[sample_id], face_finder())
    for note in view.notes:
        say(f"{sample_id}: {note}")
    say(f"{path}")


def _rows(dataset: RawDataset) -> dict[str, str]:
    emotions = dataset.samples["emotion"].fillna("?").tolist()
    return dict(zip(dataset.samples["sample_id"].tolist(), emotions, strict=True))
