"""``merbench datasets``: which databases lie somewhere, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.config import READING, RunConfig
from bench.console.waiting import telling
from bench.takes import takes
from preprocess.base.errors import DataError

if TYPE_CHECKING:
    from preprocess.datasets import RawDataset

app = typer.Typer(help="Look at databases before a run: what is recognised, and what is in it.", no_args_is_help=True)

WORST = 10
"""How many clips of bad quality a report names."""

Adapter = Annotated[str | None, typer.Option(help="Look for this database only (`merbench list datasets`).")]


@app.command()
@takes(*READING[1:])
def detect(
    config: RunConfig,
    path: Annotated[Path, typer.Argument(help="A folder; databases are found at any depth down to six levels.")],
    adapter: Adapter = None,
) -> None:
    """Print every database recognised under PATH: variant, sheet version, folder, and what is missing.

    The exit status is 0 where all can be read, 1 where something is missing.
    """
    from bench.study.given import given_of
    from preprocess.datasets import DATASETS, describe
    from preprocess.datasets import detect as find
    from preprocess.datasets._build import mark_of
    from preprocess.datasets._folders import links_on
    from results.views.text import Header, table

    if not path.is_dir():
        raise DataError(f"{path} is not a folder. Give the folder that holds the databases.")
    if adapter is not None:
        DATASETS.get(adapter)
    with telling(f"looking through {path}"):
        found = find(path, adapter, given_of(config))
    if not found:
        raise DataError(f"No database was recognised under {path}. `merbench list datasets` tells what can be read.")
    headers: list[Header] = [(name, "left") for name in ("database", "folder", "sheet")]
    rows = [
        [("synth_" if mark_of(one.root) else "") + describe(one), str(one.root), str(one.sheet or "none")]
        for one in found
    ]
    typer.echo("\n".join(table(headers, rows)))
    for line in dict.fromkeys(line for one in found for line in links_on(path, one.root)):
        typer.echo(line)
    for one in found:
        for what in one.missing:
            typer.echo(f"{describe(one)} in {one.root}: missing {what}")
        if one.others:
            others = ", ".join(str(other) for other in one.others)
            typer.echo(f"{describe(one)} in {one.root}: not read, being farther or of the same kind: {others}")
    raise typer.Exit(1 if any(one.missing for one in found) else 0)


@app.command()
@takes(*READING, "results", file=True)
def report(
    config: RunConfig,
    source: Annotated[
        str | None,
        typer.Argument(help="[ADAPTER[:VARIANT]=]PATH; or a dataset's name, with --data. Default: all of --data."),
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every frame too, and tell which are damaged; takes minutes.")
    ] = False,
) -> None:
    """Print what databases hold: subjects, classes of every task, missing frames, repaired cells, notes.

    Where features were prepared, the clips of the worst quality come last.
    """
    from bench.config import results_root
    from bench.study.sources import shards_root
    from preprocess.base.storage import open_storage
    from preprocess.datasets import copies_in
    from preprocess.samples.quality import told_worst
    from preprocess.shards.stored import stored_quality
    from preprocess.views.dataset_report import decoded_frames
    from preprocess.views.dataset_report import report as lines_of

    datasets = _read(source, config)
    copies = copies_in(datasets)
    for dataset in datasets:
        facts = (dataset.samples, dataset.features, dataset.clips, dataset.notes, dataset.macro)
        for line in lines_of(*facts, copies[dataset.name]):
            typer.echo(line)
        for file in dataset.sheets:
            typer.echo(f"  annotation: {file}")
        if dataset.clips:
            shards = open_storage(shards_root(results_root(config.results)))
            measured, ways = stored_quality(shards, dataset.name)
            known = {name: quality for name, quality in measured.items() if name in dataset.clips}
            home = shards.where(dataset.name)
            unknown = [f"quality: not measured yet; `merbench prepare` measures it on its way (into {home})"]
            for line in told_worst(known, ways, WORST) or unknown:
                typer.echo(f"  {line}")
        if decode and dataset.clips:
            for line in decoded_frames(dataset.clips):
                typer.echo(line)


def _read(source: str | None, config: RunConfig) -> list[RawDataset]:
    from bench.study.given import check_used, given_of
    from bench.study.sources import read_data, read_datasets

    if source is not None and not config.data:
        given = given_of(config)
        datasets = read_data(source, given)
        check_used(given, datasets)
        return datasets
    if source is not None:
        config = config.model_copy(update={"datasets": [source]})
    if config.data:
        return read_datasets(config)
    with telling("rendering the embedded default"):
        return read_datasets(config)
