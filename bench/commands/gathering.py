"""From the options to prepared datasets, with what a person is told on the way: for commands that train or score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from bench.config import RunConfig, results_root
from bench.console.prepared import describe, described_notes
from bench.console.progress import ClipProgress
from bench.console.say import say
from bench.plan.request import Request
from bench.study.protocols import without_recordings
from bench.study.shifted import Shifted, described_shifts, shifted_datasets
from bench.study.sources import prepare_datasets, read_datasets, shards_root
from bench.study.spotted import FOLDER, Spotted, described_spotting, spotted_datasets
from bench.workers.clip_tasks import here_or_on_ray
from bench.workers.ray_session import RaySession
from preprocess.base.errors import Unfit
from preprocess.base.storage import below
from preprocess.datasets import RawDataset
from preprocess.shards.making import Execute
from preprocess.shards.prepared import PreparedDataset
from preprocess.shards.spotted import check_told, spot_recordings


def read_sources(config: RunConfig, console: Console) -> list[RawDataset]:
    """Read the sources; the embedded default is rendered where it is not there yet."""
    if not config.data:
        say(
            console,
            "No --data given: running on a small SYNTHETIC set, rendered by this program. "
            "Its scores say that the software works, nothing about real faces.",
        )
    return read_told(config, console)


def read_told(config: RunConfig, console: Console) -> list[RawDataset]:
    """Read the sources, and tell what there is to know of them."""
    with ClipProgress(console, "rendering").shown() as rendering:
        raw = read_datasets(config, rendering)
    for line in described_notes(raw):
        say(console, line)
    return raw


def prepare_shifted(raw: list[RawDataset], request: Request, session: RaySession, console: Console) -> Shifted:
    """Make what is missing of the request's features of shifted clips, as ``prepare_features`` does of true ones."""
    shards = shards_root(results_root(request.config.results))
    execute = here_or_on_ray(session, request.config.workers)
    prepare = _preparing("preparing shifted", request, execute, console)
    shifted = shifted_datasets(raw, request.config.shift_keyframes, shards, prepare)
    for line in described_shifts(shifted):
        say(console, line)
    return shifted


def prepare_spotted(wanted: list[RawDataset], request: Request, session: RaySession, console: Console) -> Spotted:
    """Spot what is missing of the expressions of the datasets that ``to_be_spotted`` chose, and make their features."""
    shards = shards_root(results_root(request.config.results))
    execute = here_or_on_ray(session, request.config.workers)
    prepare = _preparing("preparing spotted", request, execute, console)
    with ClipProgress(console, "spotting", "recordings").shown() as progress:
        found = spot_recordings(wanted, below(shards, FOLDER), progress, execute)
    spotted = spotted_datasets(wanted, found, shards, prepare)
    for line in described_spotting(spotted):
        say(console, line)
    return spotted


def _preparing(
    what: str, request: Request, execute: Execute, console: Console
) -> Callable[[Sequence[RawDataset], str], list[PreparedDataset]]:
    """Return a function that makes the request's features of datasets in a folder, under a bar of its own."""

    def prepare(datasets: Sequence[RawDataset], folder: str) -> list[PreparedDataset]:
        with ClipProgress(console, what).shown() as progress:
            return prepare_datasets(datasets, request.features, folder, progress, execute)

    return prepare


def to_be_spotted(raw: Sequence[RawDataset], request: Request) -> list[RawDataset]:
    """Return the datasets whose recordings are looked at: none where no protocol asks for it.

    Raises
    ------
    DataError : what they show is not told well enough to hold findings against it.
    Unfit : all protocols ask for it, and there are no long recordings.
    """
    asking = [protocol for protocol in request.protocols if protocol.spots]
    if not asking:
        return []
    fitting = [one for one in raw if any(task.mapping(one.name) for task in request.tasks)]
    recordings = {one.name: one.recordings() for one in fitting}
    check_told([one for of_dataset in recordings.values() for one in of_dataset])
    wanted = [one for one in fitting if recordings[one.name]]
    if fitting and not wanted and len(asking) == len(request.protocols):
        raise Unfit(f"Protocol {asking[0].name}: {without_recordings(', '.join(one.name for one in fitting))}")
    return wanted


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
