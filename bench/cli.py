"""The command line: one verb a function. Heavy imports stay inside the verbs, so that --help answers at once."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.commands import datasets as cli_datasets
from bench.config import READING, RunConfig
from bench.console.interrupts import exit_status
from bench.misuse import Misused, misuse
from bench.options.option import flag
from bench.options.values import words
from bench.takes import ALL, takes
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


INTERRUPTED = 130
"""The status that the library gives a command that KeyboardInterrupt ended."""

GIVEN_WEIGHTS = ("datasets", "tasks", "set", "device", "tracking_uri")
"""The keys that `merbench test` takes for weights of somebody else."""

FITTING = (
    *("datasets", "seeds", "preset", "epochs", "set", "recipes", "results"),
    *("address", "workers", "device", "feature_memory", "tracking_uri"),
)
"""The keys that `merbench fit` takes besides."""

PRETRAINING = (*FITTING, "overwrite", "grow_to")
"""The keys that `merbench pretrain` takes besides."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan; make no feature and train nothing.")]
Study = Annotated[list[str], typer.Argument(help="A study: the start of its key, or words of its title.")]


@app.command()
@takes(*ALL, file=True)
def run(config: RunConfig, dry_run: DryRun = False) -> None:
    """Train what is missing and print the leaderboard. Stopped at any point, the same command goes on from there."""
    from bench.commands import run as runner

    raise typer.Exit((runner.dry_run if dry_run else runner.run)(config, Console(width=_width())))


@app.command()
@takes(*ALL, file=True)
def plan(config: RunConfig) -> None:
    """Print the studies and folds that `merbench run` with the same options would train; the same as --dry-run."""
    from bench.commands.run import dry_run

    raise typer.Exit(dry_run(config, Console(width=_width())))


@app.command()
@takes(*READING, "datasets", "recipes", "results", "address", "workers", file=True)
def prepare(
    config: RunConfig,
    features: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Features to make: names, comma lists, shell patterns. Default: what the default models need.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make again what is there, too.")] = False,
) -> None:
    """Make features of databases, as `run` does of itself, and draw a contact sheet of each database."""
    from bench.commands import prepare as preparing

    raise typer.Exit(preparing.prepare(config, words(features or []), overwrite, Console(width=_width())))


@app.command()
@takes(*READING, file=True)
def inspect(
    config: RunConfig,
    sample_id: Annotated[str, typer.Argument(help="A clip, such as casme2/sub01/EP02_01f.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the picture goes. Default: the sample's name.png, here.")
    ] = None,
) -> None:
    """Draw one clip: key frames, face and landmarks, flow and strain, a strip of frames, how the apex was found."""
    from bench.commands.inspect import inspect as draw

    draw(config, sample_id, out, typer.echo)


@app.command("list")
@takes()
def list_command(
    config: RunConfig,
    kind: Annotated[
        str,
        typer.Argument(
            help="models, datasets, features, steps, tasks, protocols, selections, metrics or augmentations"
        ),
    ] = "models",
    names: Annotated[list[str] | None, typer.Argument(help="Models to describe in full.")] = None,
    long: Annotated[bool, typer.Option("--long", help="Describe every model in full: size, cost, scores.")] = False,
) -> None:
    """List what is registered."""
    from bench.commands.listing import listing

    if not long and not names:
        typer.echo(listing(kind))
        return
    if kind != "models":
        raise UsageError(f"list {kind} takes neither names nor --long; only `merbench list models` does.")
    from bench.commands.model_listing import long_listing

    for paragraph in long_listing(words(names or []) or ["*"]):
        typer.echo(f"{paragraph}\n")


@app.command()
@takes("data")
def check(
    config: RunConfig,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Python files, folders of such files, or modules.")
    ],
) -> None:
    """Check what a file of yours registers: models, datasets, steps, metrics and so on. Datasets are tried on --data.

    The exit status is 0 where all is well, 1 where a check failed, 2 where the file cannot be loaded.
    """
    from bench.commands.check import check as examine

    raise typer.Exit(examine(files, config.data, typer.echo))


@app.command()
@takes("results")
def status(
    config: RunConfig,
    watch: Annotated[
        bool, typer.Option("--watch", help="Renew the table every few seconds until no fold is left to run.")
    ] = False,
) -> None:
    """Show how many folds of each study are done, failed and missing.

    With --watch, from any machine that reaches the results; a run that has not begun is waited for.
    """
    from bench.commands import results as reading

    if watch:
        from bench.commands.watching import watch_status

        raise typer.Exit(watch_status(config.results, Console(width=_width())))
    typer.echo(reading.status(config.results))


@app.command()
@takes("results")
def leaderboard(
    config: RunConfig,
    format: Annotated[str, typer.Option(help="table, json, csv, md or latex.")] = "table",
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of table, md and latex. wide (default): a line a model, its parts side by side; long: a "
            "line a model and part, with more columns.",
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Also studies that newer code or data has replaced.")] = False,
) -> None:
    """Score the store's studies from their pooled predictions and rank them."""
    from bench.commands import results as reading

    typer.echo(reading.leaderboard(config.results, format, all, _width(), shape), nl=False)


@app.command()
@takes("results")
def compare(
    config: RunConfig,
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Models to compare with each other: names, comma lists, shell patterns. Default: all."),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORDS",
            help='Words of "dataset · task · protocol · selection", such as "casme2 loso"; may be given several times. '
            "Default: all.",
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Parts of a composite to compare on: full, average, a dataset, or a shell pattern. Default: full.",
        ),
    ] = None,
    over_benchmarks: Annotated[
        bool, typer.Option("--over-benchmarks", help="Rank the models over all benchmarks together, instead of pairs.")
    ] = False,
    diagram: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With --over-benchmarks: draw the critical-difference diagram (.png, .svg)."),
    ] = None,
    format: Annotated[str, typer.Option(help="table, json, csv, md or latex.")] = "table",
) -> None:
    """Test which models are better than others: every pair that was tested on the same people.

    From the store alone. Differences of UF1 and UAR with their intervals over people; p by swapping whole people
    between the two models, corrected for the number of pairs. With --over-benchmarks, mean ranks over all benchmarks,
    by the tests of Friedman and Nemenyi.
    """
    from bench.commands import results as reading

    parts = words(part or []) or ["full"]
    if over_benchmarks:
        chosen = (config.results, models or [], benchmark or [], parts)
        typer.echo(reading.compare_over_benchmarks(*chosen, format, _width(), diagram), nl=False)
        return
    if diagram:
        raise UsageError("--diagram draws ranks over several benchmarks: give --over-benchmarks, too.")
    typer.echo(reading.compare(config.results, models or [], benchmark or [], parts, format, _width()), nl=False)


@app.command()
@takes("results")
def claims(
    config: RunConfig,
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Models: names, comma lists, shell patterns. Default: those of the store."),
    ] = None,
    format: Annotated[str, typer.Option(help="table, json, csv or md.")] = "table",
) -> None:
    """Show printed scores of models beside ours: as published with the epoch chosen on the test person, and honest.

    Run a model with --selection last,validation,oracle, and once more with --set MODEL.as_published=true where it has
    that switch.
    """
    from bench.commands import results as reading

    typer.echo(reading.claims(config.results, words(models or []), format, _width()), nl=False)


@app.command()
@takes("results")
def board(
    config: RunConfig,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="The file to write. Default: board.html in the results folder."),
    ] = None,
) -> None:
    """Write the results as one page that any browser opens: tables, intervals, pairs of models, how each came about."""
    from bench.commands.board import write_board

    typer.echo(write_board(config.results, out))


@app.command()
@takes("results")
def report(config: RunConfig, study: Study) -> None:
    """Print a study's per-class and per-subject report."""
    from bench.commands import results as reading

    typer.echo(reading.report(config.results, " ".join(study)))


@app.command("test")
@takes(*READING, *GIVEN_WEIGHTS, "recipes", "results", "feature_memory", file=True)
def rescore(
    config: RunConfig,
    context: typer.Context,
    study: Annotated[
        list[str] | None,
        typer.Argument(help="Studies to score again; default: all with weights. With --weights: MODEL PROTOCOL."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Weights that somebody else trained (safetensors, or what torch.save wrote; no code in them is run): "
            "a folder with a file for each held-out subject, named for it, or one file for all.",
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="rgb|bgr",
            help="With --weights: the order in which their network reads pictures of three channels, as the feature "
            "holds them or reversed. Default: what the model declares of its public weights, else rgb.",
        ),
    ] = None,
) -> None:
    """Score studies again from their stored weights (--keep-weights) and compare with the stored predictions.

    With --weights, score somebody else's weights of a model, which are never ranked; the options --datasets, --tasks,
    --set, --device and --tracking-uri are for that.
    """
    from preprocess.recipes import load_recipes

    for file in config.recipes:
        load_recipes(file)
    if weights is not None:
        from bench.commands.external import score_external

        raise typer.Exit(score_external(config, study or [], weights, channels, Console(width=_width())))
    # From a file, which other commands read, too, they may come.
    if idle := [flag(key) for key in (*GIVEN_WEIGHTS, "channels") if _said(context, key)]:
        raise UsageError(f"{', '.join(idle)}: only `merbench test --weights DIR|FILE` takes this. Leave it out.")
    from bench.commands.rescore import retest

    raise typer.Exit(retest(config, " ".join(study or []), typer.echo))


@app.command()
@takes(*READING, *FITTING, file=True)
def fit(
    config: RunConfig,
    model: Annotated[str, typer.Argument(help="The model (`merbench list models`).")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write; it appears when it is complete.")],
    task: Annotated[
        str | None, typer.Option("--task", "--tasks", metavar="NAME", help="The label scheme. Default: megc3.")
    ] = None,
    register: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make it a version of this registered model in MLflow, too.")
    ] = None,
) -> None:
    """Train a model on everybody, for use: one folder of weights, model card and configuration.

    The score to expect is that of the same study with every person held out (`merbench run --protocols loso`, or cde
    where several datasets are merged); it is taken from --results where it is there, and written into the card.
    """
    from bench.commands import fit as fitting

    raise typer.Exit(fitting.fit(config, model, task, out, Console(width=_width()), register))


@app.command()
@takes(*READING, *PRETRAINING, file=True)
def pretrain(
    config: RunConfig,
    model: Annotated[str, typer.Argument(help="The network (`merbench list models`).")],
    task: Annotated[
        str | None, typer.Option("--task", "--tasks", metavar="NAME", help="The label scheme. Default: megc3.")
    ] = None,
) -> None:
    """Train a network on macro-expressions, for `merbench run --pretrain` to start from.

    It lies in the results, under a key that is printed. --workers is how many train it together (default: 1); a lost
    one is replaced, and the same command goes on from where it was stopped.
    """
    from bench.commands import pretrain as pretraining

    raise typer.Exit(pretraining.pretrain(config, model, task, Console(width=_width())))


@app.command()
@takes("recipes", "device")
def predict(
    config: RunConfig,
    recordings: Annotated[
        list[Path], typer.Argument(metavar="VIDEO|FOLDER...", help="Videos, folders of frames, or folders of videos.")
    ],
    model: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder that `merbench fit` wrote.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for JSON, CSV and pictures.")] = Path(
        "predictions"
    ),
    onset: Annotated[int | None, typer.Option(help="Frame at which the expression begins: nothing is spotted.")] = None,
    apex: Annotated[int | None, typer.Option(help="Frame at which it is strongest. Default: spotted.")] = None,
    offset: Annotated[
        int | None, typer.Option(help="Frame at which it ends. Default: as long after the apex as it began before.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second, of folders of frames, or where a video says it wrongly.")
    ] = None,
) -> None:
    """Find the expressions in recordings of any length, and tell what a fitted model says of each.

    The exit status is 0, or 1 where a recording could not be used.
    """
    from bench.commands import predict as predicting

    asked = predicting.Asked(onset, apex, offset, fps)
    raise typer.Exit(predicting.predict(config, recordings, model, out, asked, Console(width=_width())))


@app.command("import")
@takes(*READING, "datasets", "tasks", "protocols", "selection", "results", "tracking_uri", file=True)
def import_command(
    config: RunConfig,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet, a row a sample.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="What the system that predicted is called.")],
) -> None:
    """Score somebody else's predictions of your data by the rules of a protocol, beside the models trained here.

    Columns: sample_id; predicted (a class or its number) or score_CLASS for each class; fold. Rows are ranked only
    where the folds show that every person was held out. `merbench export` writes such files.
    """
    from bench.commands.predictions import import_predictions

    raise typer.Exit(import_predictions(config, file, model, Console(width=_width())))


@app.command("export")
@takes("results")
def export_command(
    config: RunConfig,
    study: Study,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .csv or .parquet file. Default: CSV on the screen.")
    ] = None,
) -> None:
    """Write a study's predictions as a table, in the form that `merbench import` reads."""
    from bench.commands.predictions import export_predictions

    raise typer.Exit(export_predictions(config.results, " ".join(study), out, lambda text: typer.echo(text, err=True)))


@app.command()
@takes("results", "tracking_uri")
def sync(
    config: RunConfig,
    folds: Annotated[bool, typer.Option("--folds", help="Also a run of each fold, below its study's.")] = False,
) -> None:
    """Show the store in MLflow: what a server that was down has missed, without doubles; mend what was moved."""
    from bench.commands import tracking

    raise typer.Exit(tracking.sync(config.results, config.tracking_uri, folds, typer.echo))


@app.command()
def synth(
    like: Annotated[str, typer.Option(help="The database whose layout is written: casme2, samm or smic.")],
    subjects: Annotated[int, typer.Option(help="How many people.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write; it appears when it is complete.")],
    clips: Annotated[float, typer.Option(help="Clips of a person, on average.")] = 7.0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal files.")] = 0,
    strength: Annotated[str, typer.Option(help="micro (subtle, below half a second) or macro.")] = "micro",
    full_size: Annotated[bool, typer.Option("--full-size", help="Frames as large as the real database's.")] = False,
    variant: Annotated[
        str, typer.Option(help="raw; cropped: faces cut out tightly; long: recordings of several expressions (smic).")
    ] = "raw",
) -> None:
    """Render a synthetic database: faces that move, on disk as the real one lies there, every motion known."""
    from bench.commands.synth import synthesise
    from preprocess.synth.databases import Options

    options = Options(like, subjects, clips, seed, strength, full_size, variant)
    raise typer.Exit(synthesise(options, out, Console(width=_width())))


@app.command()
@takes("results", "tracking_uri")
def doctor(config: RunConfig) -> None:
    """Check this machine: packages, cores, GPUs, results folder, tracking."""
    from bench.commands.doctor import examine

    raise typer.Exit(examine(config.results, config.tracking_uri, typer.echo))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status: 0 done, 1 some folds failed, 2 usage or data error."""
    try:
        status = app(args=arguments, prog_name="merbench", standalone_mode=False)
        if status == INTERRUPTED:
            # The library knows of Ctrl-C only; SIGTERM may have come when all was told.
            status = exit_status()
    except MerError as error:
        typer.echo(f"error: {error}", err=True)
        status = 2
    except Misused as error:
        typer.echo(misuse(error), err=True)
        status = 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = error.filename or "what is printed, or a temporary file"
        remedy = "Free some space, then run the same command again: what is finished is kept."
        typer.echo(f"error: {where}: {error.strerror}. {remedy}", err=True)
        status = 2
    except MemoryError as error:
        told = f" ({error})" if str(error) else ""
        remedy = "Give it more (a job's limit, `ulimit -v`), close other programs, or ask for fewer --workers."
        typer.echo(f"error: There is not enough memory{told}. {remedy} What is finished is kept.", err=True)
        status = 2
    sys.exit(status)


def _said(context: typer.Context, key: str) -> bool:
    """Return whether the command line gives an option."""
    source = context.get_parameter_source(key)
    return source is not None and source.name == "COMMANDLINE"


def _width() -> int | None:
    """Where there is no terminal, lines are as long as their content: logs should not be folded."""
    return None if sys.stdout.isatty() else 160
