"""The command line: one verb a function. Heavy imports stay inside the verbs, so that --help answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.commands import datasets as cli_datasets
from preprocess.base.errors import MerError, UsageError

app = typer.Typer(
    name="merbench",
    help="Leak-free leave-one-subject-out benchmarks of micro-expression recognition models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_datasets.app, name="datasets")


def _names(text: str) -> Any:
    return typer.Option(help=f"{text} Repeat the option or separate with commas; shell patterns work.")


Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data", metavar="[ADAPTER[:VARIANT]=]PATH", help="A database on disk; repeat for more. Default: synthetic."
    ),
]
Datasets = Annotated[list[str] | None, _names("Datasets to use, of those in the data.")]
Models = Annotated[list[str] | None, _names("Models to run (`merbench list models`).")]
Tasks = Annotated[list[str] | None, _names("Label schemes.")]
Protocols = Annotated[list[str] | None, _names("Rules that split samples into folds.")]
Selections = Annotated[list[str] | None, _names("Which epoch is scored: last, validation, oracle.")]
Seeds = Annotated[list[str] | None, typer.Option(help="Replicates, for example 0,1,2.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs of every network, instead of its paper's recipe.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="MODEL.KEY=VALUE", help="One hyper-parameter; repeat for more.")
]
PresetName = Annotated[
    str | None, typer.Option("--preset", help="smoke (2 epochs), quick (at most 100, smaller networks) or full.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of the same keys; the command line wins.")]
Results = Annotated[str | None, typer.Option(help="Results folder or URI (s3://...). Default: runs")]
TrackingUri = Annotated[
    str | None, typer.Option(help="MLflow server or database; `off` for none. Default: SQLite beside the results.")
]
Address = Annotated[str | None, typer.Option(help="Ray cluster to run on. Default: RAY_ADDRESS, else a local Ray.")]
Overwrite = Annotated[str | None, typer.Option(help="What to train: missing (default), failed too, or all again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and train nothing.")]
KeepWeights = Annotated[bool | None, typer.Option("--keep-weights", help="Store each fold's weights (safetensors).")]
Workers = Annotated[int | None, typer.Option(help="Packs trained at a time. Default: as many as the cluster fits.")]
Device = Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")]
Recipes = Annotated[
    list[str] | None, typer.Option("--recipes", metavar="FILE.yaml", help="A file of more features; repeat for more.")
]
StoreDir = Annotated[str, typer.Option("--results", help="Results folder or URI.")]


@app.command()
def run(
    data: Data = None,
    datasets: Datasets = None,
    models: Models = None,
    tasks: Tasks = None,
    protocols: Protocols = None,
    selection: Selections = None,
    seeds: Seeds = None,
    epochs: Epochs = None,
    settings: Settings = None,
    preset: PresetName = None,
    config: ConfigFile = None,
    recipes: Recipes = None,
    results: Results = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    overwrite: Overwrite = None,
    dry_run: DryRun = False,
    keep_weights: KeepWeights = None,
    workers: Workers = None,
    device: Device = None,
) -> None:
    """Train what is missing and print the leaderboard. Stopped at any point, the same command goes on from there."""
    from bench.config import load_config, parse_settings

    lists = {"datasets": datasets, "models": models, "tasks": tasks, "protocols": protocols, "selection": selection}
    options: dict[str, Any] = {name: _split(value) for name, value in lists.items()}
    options |= {
        "data": data or None,
        "seeds": _integers(seeds),
        "epochs": epochs,
        "set": parse_settings(settings) if settings else None,
        "preset": preset,
        "recipes": recipes or None,
        "results": results,
        "tracking_uri": tracking_uri,
        "address": address,
        "overwrite": overwrite,
        "keep_weights": keep_weights,
        "workers": workers,
        "device": device,
    }
    loaded = load_config(config, options)
    from bench.commands import run as runner

    raise typer.Exit((runner.dry_run if dry_run else runner.run)(loaded, Console(width=_width())))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def plan(context: typer.Context) -> None:
    """Print the studies and folds that `merbench run` with the same options would train."""
    main(["run", "--dry-run", *context.args])


@app.command()
def prepare(
    data: Data = None,
    features: Annotated[list[str] | None, _names("Features to make. Default: what the default models need.")] = None,
    datasets: Datasets = None,
    recipes: Recipes = None,
    results: Results = None,
    address: Address = None,
    workers: Annotated[int | None, typer.Option(help="Subjects at a time. Default: one a CPU of the cluster.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make again what is there, too.")] = False,
) -> None:
    """Make features of databases, as `run` does of itself, and draw a contact sheet of each database."""
    from bench.commands import prepare as preparing
    from bench.config import load_config

    options = {"data": data or None, "datasets": _split(datasets), "recipes": recipes or None, "results": results}
    loaded = load_config(None, {**options, "address": address, "workers": workers})
    raise typer.Exit(preparing.prepare(loaded, _split(features), overwrite, Console(width=_width())))


@app.command()
def inspect(
    sample_id: Annotated[str, typer.Argument(help="A clip, such as casme2/sub01/EP02_01f.")],
    data: Data = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the picture goes. Default: the sample's name.png, here.")
    ] = None,
) -> None:
    """Draw one clip: key frames, face and landmarks, flow and strain, a strip of frames, how the apex was found."""
    from bench.commands.inspect import inspect as draw
    from bench.config import load_config

    draw(load_config(None, {"data": data or None}), sample_id, out, typer.echo)


@app.command("list")
def list_command(
    kind: Annotated[
        str,
        typer.Argument(
            help="models, datasets, features, steps, tasks, protocols, selections, metrics or augmentations"
        ),
    ] = "models",
    names: Annotated[list[str] | None, typer.Argument(help="Models of which everything is told.")] = None,
    long: Annotated[bool, typer.Option("--long", help="Tell everything of every model: size, cost, scores.")] = False,
) -> None:
    """List what is registered."""
    from bench.commands.listing import listing

    if not long and not names:
        typer.echo(listing(kind))
        return
    if kind != "models":
        raise UsageError(f"list {kind} takes neither names nor --long; only `merbench list models` does.")
    from bench.commands.model_listing import long_listing

    for paragraph in long_listing(_split(names) or ["*"]):
        typer.echo(f"{paragraph}\n")


@app.command()
def status(results: StoreDir = "runs") -> None:
    """Show how many folds of each study are done, failed and missing."""
    from bench.commands import results as reading

    typer.echo(reading.status(results))


@app.command()
def leaderboard(
    results: StoreDir = "runs",
    format: Annotated[str, typer.Option(help="table, json, csv, md or latex.")] = "table",
    all: Annotated[bool, typer.Option("--all", help="Also studies that newer code or data has replaced.")] = False,
) -> None:
    """Score the store's studies from their pooled predictions and rank them."""
    from bench.commands import results as reading

    typer.echo(reading.leaderboard(results, format, all, _width()), nl=False)


@app.command()
def report(
    study: Annotated[list[str], typer.Argument(help="A study: the start of its key, or words of its title.")],
    results: StoreDir = "runs",
) -> None:
    """Print a study's per-class and per-subject report."""
    from bench.commands import results as reading

    typer.echo(reading.report(results, " ".join(study)))


@app.command("test")
def rescore(
    data: Data = None,
    study: Annotated[
        list[str] | None, typer.Argument(help="Studies to score again; default: all with weights.")
    ] = None,
    recipes: Recipes = None,
    results: StoreDir = "runs",
) -> None:
    """Score studies again from their stored weights (--keep-weights) and compare with the stored predictions."""
    from bench.commands.rescore import retest
    from preprocess.recipes import load_recipes

    for file in recipes or []:
        load_recipes(file)
    raise typer.Exit(retest(data or [], " ".join(study or []), results, typer.echo))


@app.command()
def sync(
    results: StoreDir = "runs",
    tracking_uri: TrackingUri = None,
) -> None:
    """Show the store in MLflow: what a server that was down has missed, without doubles."""
    from bench.commands import results as reading

    raise typer.Exit(reading.sync(results, tracking_uri, typer.echo))


@app.command()
def synth(
    like: Annotated[str, typer.Option(help="The database whose layout is written: casme2, samm or smic.")],
    subjects: Annotated[int, typer.Option(help="How many people.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; it appears when it is complete.")],
    clips: Annotated[float, typer.Option(help="Clips of a person, on average.")] = 7.0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal files.")] = 0,
    strength: Annotated[str, typer.Option(help="micro (subtle, below half a second) or macro.")] = "micro",
    full_size: Annotated[bool, typer.Option("--full-size", help="Frames as large as the real database's.")] = False,
) -> None:
    """Render a synthetic database: faces that move, on disk as the real one lies there, every motion known."""
    from bench.commands.synth import synthesise
    from preprocess.synth.databases import Options

    options = Options(like, subjects, clips, seed, strength, full_size)
    raise typer.Exit(synthesise(options, out, Console(width=_width())))


@app.command()
def doctor(results: StoreDir = "runs", tracking_uri: TrackingUri = None) -> None:
    """Check this machine: packages, cores, GPUs, results folder, tracking."""
    from bench.commands.doctor import examine

    raise typer.Exit(examine(results, tracking_uri, typer.echo))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status: 0 done, 1 some folds failed, 2 usage or data error."""
    try:
        app(args=arguments, prog_name="merbench")
    except MerError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


def _split(values: list[str] | None) -> list[str] | None:
    if not values:
        return None
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _integers(values: list[str] | None) -> list[Any] | None:
    words = _split(values)
    return None if words is None else [_integer(word) for word in words]


def _integer(word: str) -> Any:
    """What is no number is told with the other mistakes of the configuration."""
    try:
        return int(word)
    except ValueError:
        return word


def _width() -> int | None:
    """Where there is no terminal, lines are as long as their content: logs should not be folded."""
    return None if sys.stdout.isatty() else 160
