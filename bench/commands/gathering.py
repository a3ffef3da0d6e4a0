"""From the options to prepared datasets, with what a person is told on the way: for commands that train or score."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from bench.config import RunConfig, results_root
from bench.console.prepared import describe, described_notes
from bench.console.progress import ClipProgress
from bench.console.say import say
from bench.plan.request import Request
from bench.study.shifted import Shifted, described_shifts, shifted_datasets
from bench.study.sources import prepare_datasets, read_datasets, shards_root
from bench.workers.clip_tasks import here_or_on_ray
from bench.workers.ray_session import RaySession
from preprocess.datasets import RawDataset
from preprocess.shards.prepared import PreparedDataset


def read_sources(config: RunConfig, console: Console) -> list[RawDataset]:
    """Read the sources; the embedded default is rendered where it is not there yet."""
    if not config.data:
        say(
            console,
            "No --data given: running on a small SYNTHETIC set, rendered by this program. "
            "Its scores say that the software works, nothing about real faces.",
        )
    with ClipProgress(console, "rendering").shown() as rendering:
        raw = read_datasets(config, rendering)
    for line in described_notes(raw):
        say(console, line)
    return raw


def prepare_shifted(raw: list[RawDataset], request: Request, session: RaySession, console: Console) -> Shifted:
    """Make what is missing of the request's features of shifted clips, as ``prepare_features`` does of true ones."""
    shards = shards_root(results_root(request.config.results))
    execute = here_or_on_ray(session, request.config.workers)

    def prepare(datasets: Sequence[RawDataset], folder: str) -> list[PreparedDataset]:
        with ClipProgress(console, "preparing shifted").shown() as progress:
            return prepare_datasets(datasets, request.features, folder, progress, execute)

    shifted = shifted_datasets(raw, request.config.shift_keyframes, shards, prepare)
    for line in described_shifts(shifted):
        say(console, line)
    return shifted


def prepare_features(
    raw: list[RawDataset], request: Request, session: RaySession, console: Console
) -> list[PreparedDataset]:
    """Make what is missing of the request's features, here or on Ray, and tell what became of each dataset."""
    shards = shards_root(results_root(request.config.results))
    execute = here_or_on_ray(session, request.config.workers)
    with ClipProgress(console).shown() as progress:
        prepared = prepare_datasets(raw, request.features, shards, progress, execute)
    for dataset in prepared:
        for line in describe(dataset):
            say(console, line)
        for warning in dataset.warnings:
            say(console, f"warning: {warning}")
    return prepared
