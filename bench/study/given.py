"""From ``--sheet``, ``--columns`` and ``--apex`` to what was given for each database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.config import RunConfig
from preprocess.base.errors import UsageError
from preprocess.datasets import DATASETS, Given, RawDataset


def given_of(config: RunConfig) -> dict[str, Given]:
    """Return adapter -> what was given for it.

    Raises
    ------
    UsageError : an adapter is unknown, a file is not there, or a heading is given of no field.
    """
    sheets: dict[str, dict[str, Path]] = {}
    for name, file in config.sheet.items():
        adapter, _, version = name.partition(":")
        sheets.setdefault(_adapter("--sheet", adapter), {})[version.strip()] = _file("--sheet", name, file)
    apexes = {_adapter("--apex", name): _file("--apex", name, file) for name, file in config.apex.items()}
    columns: dict[str, dict[str, str]] = {}
    for name, heading in config.columns.items():
        adapter, dot, field = name.rpartition(".")
        if not dot:
            raise UsageError(f"--columns {name}={heading}: expected ADAPTER.FIELD=HEADING, such as casme2.apex=Peak.")
        columns.setdefault(_adapter("--columns", adapter), {})[field] = heading
    return {
        name: Given(sheets.get(name, {}), columns.get(name, {}), apexes.get(name))
        for name in dict.fromkeys((*sheets, *columns, *apexes))
    }


def check_used(given: Mapping[str, Given], datasets: Iterable[RawDataset]) -> None:
    """Check that every file that was given was read.

    Raises
    ------
    UsageError : one was not: its database is not in the data.
    """
    read = {path for dataset in datasets for path in dataset.sheets}
    for adapter, one in given.items():
        for option, files in (("--sheet", list(one.sheets.values())), ("--apex", [one.apexes] if one.apexes else [])):
            for file in files:
                if file not in read:
                    raise UsageError(
                        f"{option} {adapter}={file}: it was not read, for the data given holds no clips of {adapter}. "
                        f"Give them with --data {adapter}=PATH, or leave it out."
                    )


def _adapter(option: str, name: str) -> str:
    name = name.strip()
    try:
        DATASETS.get(name)
    except UsageError as error:
        raise UsageError(f"{option} {name}: {error}") from error
    return name


def _file(option: str, name: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        state = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"{option} {name}={text}: {path.absolute()} {state}; expected a file.")
    return path
