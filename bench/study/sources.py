"""From ``--data`` to prepared datasets: read the sources or the embedded default, bring their shards up to date."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.config import READING, RunConfig, results_root
from bench.console.waiting import telling
from bench.options.option import flag
from bench.study.given import check_used, given_of
from preprocess.base.errors import DataError, UsageError, did_you_mean
from preprocess.base.storage import below
from preprocess.datasets import Given, RawDataset, read_source
from preprocess.shards.features import feature_of
from preprocess.shards.making import Execute, in_this_process
from preprocess.shards.prepare import Progress, prepare_all, survey_all
from preprocess.shards.prepared import PreparedDataset

# A Windows path such as C:\data=2 is none: neither name nor variant holds a slash, and the name has two letters.
_SOURCE = re.compile(r"(?P<adapter>[A-Za-z0-9][A-Za-z0-9_.-]+)(?::(?P<variant>[^/\\=]+))?=(?P<path>.+)")


def read_datasets(config: RunConfig, rendering: Progress | None = None) -> list[RawDataset]:
    """Return the datasets of a run, sorted by name.

    Without a source in the configuration, the synthetic default is rendered where it is not there yet.

    Parameters
    ----------
    config : the run.
    rendering : called with the progress of rendering.

    Raises
    ------
    DataError : two sources bring the same dataset, or a source cannot be read.
    UsageError : ``--datasets`` names one that is not there.
    """
    if config.data:
        given = given_of(config)
        found = [dataset for source in config.data for dataset in read_data(source, given)]
        check_used(given, found)
    else:
        if vain := [flag(key) for key in READING[1:] if getattr(config, key)]:
            raise UsageError(f"{' and '.join(vain)}: no data was given that this could be about. Give --data PATH.")
        from preprocess.synth.default import make_default

        found = read_source(make_default(_shared_folder(config), rendering))
    by_name: dict[str, RawDataset] = {}
    for dataset in found:
        if dataset.name in by_name:
            raise DataError(
                f"Dataset {dataset.name} comes from two of the sources given: {', '.join(config.data)}. "
                "Leave one of them out, or choose with ADAPTER=PATH and --datasets."
            )
        by_name[dataset.name] = dataset
    return [by_name[name] for name in _chosen(list(by_name), config.datasets)]


def prepare_datasets(
    raw: Sequence[RawDataset],
    features: Sequence[str],
    shards: str,
    progress: Progress | None = None,
    execute: Execute = in_this_process,
) -> list[PreparedDataset]:
    """Bring the shards of the features up to date and return the datasets, each with what it lacks.

    Parameters
    ----------
    raw : the datasets as they were read.
    features : names of the features to make.
    shards : path or address of all shards.
    progress : called with the clips done and the clips in all.
    execute : carries out what is to be made, here or on a cluster.
    """
    lacking = {dataset.name: _lacking(dataset, features) for dataset in raw}
    prepared = prepare_all(raw, shards, _wanted(features, lacking), progress, execute)
    return [dataclasses.replace(dataset, lacking=lacking[dataset.name]) for dataset in prepared]


def survey_datasets(raw: Sequence[RawDataset], features: Sequence[str], shards: str) -> list[PreparedDataset]:
    """Return the datasets with what of ``features`` is still to be made, and what each of them lacks; make nothing."""
    lacking = {dataset.name: _lacking(dataset, features) for dataset in raw}
    surveyed = survey_all(raw, shards, _wanted(features, lacking))
    return [dataclasses.replace(dataset, lacking=lacking[dataset.name]) for dataset in surveyed]


def _wanted(features: Sequence[str], lacking: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    return {name: [feature for feature in features if feature not in lacking[name]] for name in lacking}


def _lacking(raw: RawDataset, features: Sequence[str]) -> dict[str, str]:
    """Return the features that a dataset cannot have -> what would bring them."""
    reasons = {}
    for name in features:
        try:
            feature_of(raw, name)
        except DataError as reason:
            reasons[name] = str(reason)
    return reasons


def shards_root(results_root: str) -> str:
    """Return the path or address of the shards: beside the results, where every node finds them."""
    return below(results_root, "shards")


def _shared_folder(config: RunConfig) -> Path | None:
    """Return a folder that all nodes of a cluster see: the results; None where there is no cluster, or no folder."""
    root = results_root(config.results)
    cluster = config.address or os.environ.get("RAY_ADDRESS") or "local"
    return None if cluster == "local" or "://" in root else Path(root)


def read_data(source: str, given: Mapping[str, Given]) -> list[RawDataset]:
    """Read every dataset of one ``--data`` source, ``[ADAPTER[:VARIANT]=]PATH``, with what was given besides."""
    path, adapter, variant = parse_source(source)
    with telling(f"reading {path}"):
        return read_source(path, adapter, variant, given)


def parse_source(source: str) -> tuple[Path, str | None, str | None]:
    """Return path, adapter and variant of ``[ADAPTER[:VARIANT]=]PATH``; None for what is not given.

    A path may hold ``=`` itself. What stands before it is an adapter only where it looks like a name and no folder is
    called like the whole text.
    """
    match = _SOURCE.fullmatch(source)
    if match is None or Path(source).expanduser().is_dir():
        return Path(source).expanduser(), None, None
    return Path(match["path"]).expanduser(), match["adapter"], match["variant"]


def _chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise UsageError(f"--datasets: no dataset {pattern!r} in the data given. {did_you_mean(pattern, names)}")
        chosen.update(dict.fromkeys(found))
    return sorted(chosen)
