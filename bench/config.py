"""The configuration of a run: one typed object behind the command line, a YAML file and Python.

An option is declared here and nowhere else: a field of ``RunConfig`` with its type, its default and an ``Option``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from bench.options.option import Option, flag
from bench.options.values import (
    BY_MODEL,
    Amounts,
    Count,
    Names,
    Pairs,
    Paths,
    Searches,
    Seeds,
    Settings,
    Several,
    Shifts,
    Size,
    Switch,
)
from preprocess.base.errors import UsageError, did_you_mean

Preset = Literal["smoke", "quick", "full"]
Overwrite = Literal["missing", "failed", "all"]

PRESET_EPOCHS: dict[str, int | None] = {"smoke": 2, "quick": 100, "full": None}
"""Most epochs a preset trains, with the models' ``quick`` values; None leaves every recipe as its paper has it."""

DEFAULT_MODELS = ["majority", "flow_svm", "ststnet", "off_apexnet"]
"""The models of a run that names none: two estimators and the two fastest networks."""

DEFAULT_FEATURES = ["flow_uvs_28"]
"""What ``DEFAULT_MODELS`` are trained on, told without importing them: that takes longer than looking at 500 clips."""


READING = ("data", "sheet", "columns", "apex")
"""The keys that say where databases lie, and what else is known of them."""


class RunConfig(BaseModel):
    """Everything ``merbench run`` can be told: the one declaration of every option.

    A field is an option of the command line and a key of the YAML file. ``bench.takes`` makes the options of the
    commands from the fields, ``bench.option_table`` the table of the README. Every field takes what the command line
    takes: a text, or a list of texts where the option may be repeated.
    """

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    data: Annotated[
        Paths,
        Option(
            "A database on disk, or a folder of several; repeat for more (`merbench list datasets`).",
            metavar="[ADAPTER[:VARIANT]=]PATH",
            default="synthetic",
        ),
    ] = []
    sheet: Annotated[
        Pairs,
        Option(
            "A database's annotation sheet (xlsx, xls, csv), whatever it is called: it is read by its columns; repeat "
            "for more. VERSION says which published sheet it is, where that is not clear.",
            metavar="ADAPTER[:VERSION]=FILE",
            default="the nearest of a published name",
        ),
    ] = {}
    columns: Annotated[
        Pairs,
        Option(
            "How a column of a sheet is called, e.g. `casme2.apex=Peak` (fields: `subject`, `clip`, `onset`, `apex`, "
            "`offset`, `emotion`, `action_units`, `objective_class`, `fps`); repeat for more.",
            metavar="ADAPTER.FIELD=HEADING",
            default="the usual headings",
        ),
    ] = {}
    apex: Annotated[
        Pairs,
        Option(
            "A list of apexes by third parties (columns subject, clip, apex), for clips without one: SMIC has none of "
            "its own. Marked in the samples table; repeat for more.",
            metavar="ADAPTER=FILE",
        ),
    ] = {}
    recipes: Annotated[
        Paths, Option("A file of more features, of your own; repeat for more.", metavar="FILE.yaml")
    ] = []
    plugins: Annotated[
        Paths,
        Option(
            "Code of your own that registers models, datasets, steps, tasks, metrics and so on: a Python file, a "
            "folder of such files, or the name of a module; repeat for more. Workers get its source.",
            metavar="FILE.py",
            everywhere=True,
        ),
    ] = []
    datasets: Annotated[
        Names,
        Option("Datasets to use, of those in the data: names, comma lists, shell patterns.", "NAMES", default="all"),
    ] = ["*"]
    models: Annotated[
        Names, Option("Models to run: names, comma lists, shell patterns (`merbench list models`).", "NAMES")
    ] = DEFAULT_MODELS
    tasks: Annotated[
        Names,
        Option(
            "Label schemes, e.g. `megc3`, `emotion5`, `objective5`; with several classes a clip `au12`, "
            "`emotion5_4dme` (`merbench list tasks`).",
            "NAMES",
        ),
    ] = ["megc3"]
    protocols: Annotated[
        Names,
        Option(
            "Rules that split samples into folds. `loso`: each dataset alone; `cde`: all merged, scored on the whole "
            "and on each part; `macro-micro`: macro- and micro-expressions merged, scored on both; `spot`: expressions "
            "are spotted in long recordings, then recognised; `hde`, `lodo`, `kfold-subject`, `official`, `transfer` "
            "(`merbench list protocols`).",
            "NAMES",
        ),
    ] = ["loso", "cde"]
    selection: Annotated[
        Names,
        Option(
            "Which epoch is scored. `last`; `validation`: the best on training subjects set aside; `tuned`: the last, "
            "with hyper-parameters that each fold's training subjects choose; `oracle`: the best on the test subject, "
            "never ranked (`merbench list selections`).",
            "NAMES",
        ),
    ] = ["last"]
    seeds: Annotated[Seeds, Option("Replicates, e.g. `0,1,2`; a leaderboard row is their mean.", "NUMBERS")] = [0]
    configs: Annotated[
        Several, Option("With `tuned`: how many configurations are tried, the default among them.", "NUMBER")
    ] = 20
    inner: Annotated[
        Several, Option("With `tuned`: into how many folds the training subjects of each fold are cut.", "NUMBER")
    ] = 3
    search: Annotated[
        Searches,
        Option(
            "With `tuned`: what is tried of a hyper-parameter, e.g. `ststnet.lr=1e-5..1e-2` or "
            "`ststnet.dropout=0,0.3,0.5`; repeat for more. In place of the model's own search space.",
            metavar="MODEL.KEY=VALUES",
            default="the model's own (`merbench list models NAME --long`)",
        ),
    ] = {}
    halving: Annotated[
        Switch,
        Option("With `tuned`: try networks for few epochs first, and the best third of them for three times as many."),
    ] = False
    shift_keyframes: Annotated[
        Shifts,
        Option(
            "Score also with onset and apex of the test clips moved by so many frames, or by a share of the clip such "
            "as `5%`: a table of what is lost. Never ranked.",
            metavar="AMOUNTS",
        ),
    ] = []
    preset: Annotated[
        Preset | None,
        Option(
            "`quick`: at most 100 epochs, large networks made small enough for a laptop (shown in the model's name; "
            "`merbench list models --long`); `smoke`: the same with 2 epochs; `full`: the papers' recipes.",
            "NAME",
            default="full; of synthetic data quick",
        ),
    ] = None
    epochs: Annotated[
        Count | None,
        Option(
            "Epochs of every network; shown in the model's name: `ststnet[epochs=30]`.",
            "NUMBER",
            default="as each paper's recipe says",
        ),
    ] = None
    set: Annotated[
        Settings, Option("One hyper-parameter of a model, e.g. `ststnet.lr=1e-4`; repeat for more.", "MODEL.KEY=VALUE")
    ] = {}
    pretrain: Annotated[
        Names,
        Option(
            "Start every fold from a network that `merbench pretrain` made: its key, or a folder; of several models, "
            "one each. `auto`: pretrain on the macro-expressions in the data, without the people whom a fold holds "
            "out; `auto:TASK`: for another task than the study's.",
            "START",
        ),
    ] = []
    results: Annotated[str, Option("Folder or URI (`s3://...`) of the results store.", "PATH")] = "runs"
    overwrite: Annotated[Overwrite, Option("Train what is `missing`, `failed` too, or `all` again.", "NAME")] = (
        "missing"
    )
    keep_weights: Annotated[Switch, Option("Store each fold's weights (safetensors).")] = False
    address: Annotated[
        str | None, Option("Ray cluster to run on.", "ADDRESS", default="RAY_ADDRESS, else a local Ray")
    ] = None
    workers: Annotated[
        Count | None,
        Option("Packs trained, or subjects prepared, at a time.", "NUMBER", default="as many as the cluster fits"),
    ] = None
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Option("`auto`, `cpu` or `cuda`; `auto` takes GPUs where there are any, or where any may come.", "NAME"),
    ] = "auto"
    feature_memory: Annotated[
        Size | None,
        Option(
            "Features that a worker holds in memory, e.g. `2GB`. Batches of what is more are read from disk as they "
            "are needed, with `0` all of them; no number changes by it.",
            metavar="SIZE",
            default="a quarter of the worker's share of its node's memory, or half of that of its GPU's",
        ),
    ] = None
    grow_to: Annotated[
        Amounts,
        Option(
            "What the cluster may grow to, all nodes together, e.g. `64 CPU, 8 GPU`.",
            metavar="AMOUNTS",
            default="as its autoscaler says",
        ),
    ] = {}
    tracking_uri: Annotated[
        str | None,
        Option("An MLflow server or database; `off` for none.", "URI", default="SQLite beside the results"),
    ] = None

    _in_file: dict[tuple[str, str], str] = PrivateAttr(default_factory=dict)

    def where_set(self, setting: str, key: str = "set") -> str:
        """Return where a hyper-parameter was set, or searched, and its name, for a message: ``--set ststnet.lr``."""
        where = self._in_file.get((key, setting))
        return f"{where}: {setting}" if where else f"{flag(key)} {setting}"

    def resolved_preset(self) -> Preset:
        """Return the preset in force: ``quick`` for the synthetic default, ``full`` for real data, unless named."""
        return self.preset or ("full" if self.data else "quick")


def load_config(file: Path | None, options: dict[str, Any]) -> RunConfig:
    """Return the configuration of a YAML file with the command line's options on top.

    Parameters
    ----------
    file : the YAML file, if any.
    options : key -> what the command line says, as texts; None where it says nothing.

    Raises
    ------
    UsageError : names the file and line or the option, what was given and what was expected.
    """
    values: dict[str, Any] = {}
    origin: dict[str, Callable[..., str]] = {}
    read = None
    if file is not None:
        from bench.options.yaml_file import read_yaml

        read = read_yaml(file)
        values = dict(read.values)
        origin = dict.fromkeys(values, lambda *names: f"{read.where(*names)}: {names[0]}")
    for key, value in options.items():
        if value is not None:
            both = key in BY_MODEL and values.get(key) is not None
            values[key] = _both_settings(key, values[key], value, origin[key]) if both else value
            origin[key] = lambda *names: flag(names[0])
    unknown = [
        f"{origin[key](key).removesuffix(f': {key}')}: unknown key {key!r}. {did_you_mean(key, RunConfig.model_fields)}"
        for key in values
        if key not in RunConfig.model_fields
    ]
    if unknown:
        raise UsageError("\n".join(unknown))
    try:
        config = RunConfig(**values)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(problem, origin) for problem in error.errors())) from None
    if read:
        for key in BY_MODEL:
            own = set(_names_of(key, options.get(key)))
            names = [name for name in _names_of(key, read.values.get(key)) if name not in own]
            config._in_file |= {(key, name): read.where(key, name) for name in names}
    return config


def results_root(results: str) -> str:
    """Return the results folder or URI made absolute.

    Raises
    ------
    UsageError : a relative folder inside a Ray job; it would lie in the job's temporary copy of the code.
    """
    if "://" in results:
        return results
    if not os.path.isabs(os.path.expanduser(results)) and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise UsageError(
            f"--results {results!r} is relative, and this is a Ray job: it would be written into the job's temporary "
            "working folder and vanish with it. Give an absolute folder that all nodes share, or a URI such as "
            "s3://bucket/path."
        )
    return str(Path(results).expanduser().absolute())


def _names_of(key: str, value: Any) -> list[str]:
    """Return which hyper-parameters are named below a key of ``BY_MODEL``, in either of their forms."""
    return list(BY_MODEL[key](value)) if value else []


def _both_settings(key: str, first: Any, second: Any, origin: Callable[..., str]) -> Any:
    """Return what the file says below a key of ``BY_MODEL``, with what the command line says on top."""
    try:
        below = BY_MODEL[key](first)
    except ValueError as error:
        raise UsageError(f"{origin(key)}: {error}.") from None
    if not isinstance(below, dict):
        return first  # refused with the file's other mistakes
    try:
        return below | BY_MODEL[key](second)
    except ValueError as error:
        raise UsageError(f"{flag(key)}: {error}.") from None


def _explain(problem: Any, origin: dict[str, Callable[..., str]]) -> str:
    key, *below = (str(part) for part in problem["loc"])
    where = origin[key](key, *below) if key in origin else key
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    given = "" if message.startswith("given ") else f"given {problem['input']!r}, "
    return f"{where}: {given}{message}."
