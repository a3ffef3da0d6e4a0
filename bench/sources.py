"""From ``--data`` to prepared datasets: read the sources or the embedded default, bring their shards up to date."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path

from bench.config import RunConfig
from preprocess.base.errors import DataError, UsageError, did_you_mean
from preprocess.datasets import RawDataset, read_source
from preprocess.making import Execute, in_this_process
from preprocess.shards import PreparedDataset, Progress, prepare_all


def read_datasets(config: RunConfig) -> list[RawDataset]:
    """Return the datasets of the run, by name; DataError when two sources bring the same one."""
    if config.data:
        found = [dataset for source in config.data for dataset in _read(source)]
    else:
        from preprocess.datasets.synthetic import make_synthetic

        found = make_synthetic()
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
    shards: Path,
    progress: Progress | None = None,
    execute: Execute = in_this_process,
) -> list[PreparedDataset]:
    """Return the datasets with the shards of ``features`` complete under ``shards``."""
    return prepare_all(raw, shards, {dataset.name: features for dataset in raw}, progress, execute)


def shards_folder(results_root: str) -> Path:
    """Return where shards are kept: beside the results, or in the user's cache when those lie at a remote address."""
    if "://" not in results_root:
        return Path(results_root) / "shards"
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "merbench" / "shards"


def _read(source: str) -> list[RawDataset]:
    adapter, equals, path = source.partition("=")
    if equals and os.sep not in adapter:
        return read_source(Path(path).expanduser(), adapter)
    return read_source(Path(source).expanduser())


def _chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise UsageError(f"--datasets: no dataset {pattern!r} in the data given. {did_you_mean(pattern, names)}")
        chosen.update(dict.fromkeys(found))
    return sorted(chosen)
