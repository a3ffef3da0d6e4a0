"""``merbench prepare``: make features before, or without, a run. ``merbench inspect``: look at one clip."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console

from bench.commands.gathering import read_told
from bench.config import DEFAULT_FEATURES, RunConfig, results_root
from bench.console.interrupts import exit_status, farewell
from bench.console.prepared import describe
from bench.console.progress import ClipProgress
from bench.console.say import say
from bench.study.sources import shards_root
from bench.workers.clip_tasks import here_or_on_ray
from bench.workers.ray_session import RaySession
from preprocess.base.storage import Storage, open_storage
from preprocess.datasets import RawDataset
from preprocess.faces.finder import face_finder
from preprocess.recipes import load_recipes
from preprocess.shards.features import choose
from preprocess.shards.prepare import prepare_all
from preprocess.shards.prepared import PreparedDataset
from preprocess.views.contact_sheet import write_contact_sheet

SHEET = "contact_sheet.png"


def prepare(config: RunConfig, features: Sequence[str] | None, overwrite: bool, console: Console) -> int:
    """Bring the shards of the chosen features up to date, and draw a contact sheet of each dataset.

    Parameters
    ----------
    config : the run.
    features : names or shell patterns; None for what the default models need.
    overwrite : whether shards that are there are made again, too.
    console : where progress is shown.

    Returns
    -------
    The exit status.

    Raises
    ------
    MerError : something must be mended first; what was made until then is kept.
    """
    start = time.monotonic()
    for file in config.recipes:
        load_recipes(file)
    shards = open_storage(shards_root(results_root(config.results)))
    try:
        with RaySession(config.address, config.workers, lambda text: say(console, text)) as session:
            raw = read_told(config, console)
            chosen = choose(raw, features or DEFAULT_FEATURES)
            spread = here_or_on_ray(session, config.workers)
            with ClipProgress(console).shown() as progress:
                prepared = prepare_all(raw, shards.root, chosen, progress, spread, overwrite)
        for before, after in zip(raw, prepared, strict=True):
            _tell(before, after, shards, console)
    except KeyboardInterrupt:
        say(console, farewell())
        return exit_status()
    say(console, f"Took {time.monotonic() - start:.0f} s. Shards: {shards.where()}")
    return 0


def contact_sheet(raw: RawDataset, prepared: PreparedDataset, shards: Storage) -> str | None:
    """Draw a dataset's contact sheet beside its shards where anything changed; None without recordings."""
    if not raw.clips:
        return None
    if prepared.made or prepared.repaired or SHEET not in shards.names(raw.name):
        name = f"{raw.name}/{SHEET}"
        write_contact_sheet(shards, name, raw.name, raw.samples, raw.clips, face_finder(), prepared.quality)
    return shards.where(f"{raw.name}/{SHEET}")


def _tell(raw: RawDataset, prepared: PreparedDataset, shards: Storage, console: Console) -> None:
    for line in describe(prepared):
        say(console, line)
    for warning in prepared.warnings:
        say(console, f"warning: {warning}")
    sheet = contact_sheet(raw, prepared, shards)
    say(console, f"  contact sheet: {sheet}" if sheet else "  no contact sheet: this copy brings no recordings")
