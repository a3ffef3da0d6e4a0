"""``merbench prepare``: make features before, or without, a run. ``merbench inspect``: look at one clip."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from bench.clip_fan_out import here_or_on_ray
from bench.config import DEFAULT_FEATURES, RunConfig, results_root
from bench.prepared_text import describe
from bench.progress import ClipProgress
from bench.ray_session import RaySession
from bench.sources import read_datasets, shards_folder
from bench.stopping import exit_status, farewell
from preprocess.base.errors import DataError, did_you_mean
from preprocess.contact_sheet import write_clip, write_contact_sheet
from preprocess.datasets import RawDataset
from preprocess.features import choose
from preprocess.making import face_finder
from preprocess.recipes import load_recipes
from preprocess.shards import PreparedDataset, prepare_all


def prepare(config: RunConfig, features: Sequence[str] | None, overwrite: bool, console: Console) -> int:
    """Bring the shards of the chosen features up to date and draw a contact sheet a dataset; return the exit status.

    features : names or shell patterns; None for what a run's default models need.
    Raises MerError for anything that a user must mend first; what was made until then is kept.
    """
    start = time.monotonic()
    for file in config.recipes:
        load_recipes(file)
    shards = shards_folder(results_root(config.results))
    try:
        with RaySession(config.address, config.workers) as session:
            with ClipProgress(console, "rendering").shown() as rendering:
                raw = read_datasets(config, rendering)
            chosen = choose(raw, features or DEFAULT_FEATURES)
            spread = here_or_on_ray(session, config.workers)
            with ClipProgress(console).shown() as progress:
                prepared = prepare_all(raw, shards, chosen, progress, spread, overwrite)
        for before, after in zip(raw, prepared, strict=True):
            _tell(before, after, shards, console)
    except KeyboardInterrupt:
        _say(console, farewell())
        return exit_status()
    _say(console, f"Took {time.monotonic() - start:.0f} s. Shards: {shards}")
    return 0


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


def contact_sheet(raw: RawDataset, prepared: PreparedDataset, shards: Path) -> Path | None:
    """Draw a dataset's contact sheet beside its shards where anything changed; None without recordings."""
    if not raw.clips:
        return None
    path = shards / raw.name / "contact_sheet.png"
    if prepared.made or prepared.repaired or not path.exists():
        write_contact_sheet(path, raw.name, raw.samples, raw.clips, face_finder())
    return path


def _tell(raw: RawDataset, prepared: PreparedDataset, shards: Path, console: Console) -> None:
    for line in describe(prepared):
        _say(console, line)
    for warning in prepared.warnings:
        _say(console, f"warning: {warning}")
    sheet = contact_sheet(raw, prepared, shards)
    _say(console, f"  contact sheet: {sheet}" if sheet else "  no contact sheet: this copy brings no recordings")


def _rows(dataset: RawDataset) -> dict[str, str]:
    emotions = dataset.samples["emotion"].fillna("?").tolist()
    return dict(zip(dataset.samples["sample_id"].tolist(), emotions, strict=True))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
