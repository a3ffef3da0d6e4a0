"""Feature shards: what a dataset's features look like on disk, and how they are brought up to date.

``<root>/<dataset>/samples.parquet`` is the samples table; ``<root>/<dataset>/<feature>/subject=<id>/part.parquet``
holds one subject's tensors; ``<root>/<dataset>/<feature>/manifest.json``, written last, holds every shard's checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.base.errors import DataError
from preprocess.base.files import write_atomic
from preprocess.datasets import RawDataset
from preprocess.feature_folder import FeatureFolder, Tally, storing
from preprocess.samples import COLUMNS, plain_rows, samples_fingerprint
from preprocess.shard_file import decode

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class FeatureInfo:
    """A prepared feature.

    recipe : how it is made. recipe_hash : sha256 of the recipe, the shape and the dtype.
    fingerprint : sha256 of all tensors by sample id. shape, dtype : of one sample's tensor.
    """

    recipe: dict[str, Any]
    recipe_hash: str
    fingerprint: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class PreparedDataset:
    """A dataset whose shards are complete.

    samples : the samples table, sorted by sample id. fingerprint : sha256 of its content.
    made, reused, repaired : how many shards were written for the first time or after a change, were found whole, and
    were found damaged and made again. warnings : what was changed, damaged or removed, one line each.
    checksums : feature -> shard file -> sha256 of its bytes, which ``load`` holds the files to.
    """

    name: str
    synthetic: bool
    samples: pd.DataFrame
    fingerprint: str
    features: dict[str, FeatureInfo]
    made: int
    reused: int
    repaired: int
    warnings: list[str]
    checksums: dict[str, dict[Path, str]] = field(repr=False)

    def load(self, feature: str) -> np.ndarray:
        """Return a feature of all samples: (n, *shape) C-contiguous, row i belonging to row i of ``samples``.

        Raises DataError for an unknown feature, and for a shard that is not what ``prepare`` left.
        """
        import numpy as np

        if feature not in self.features:
            raise _no_feature(self.name, feature, self.features)
        info = self.features[feature]
        rows = {sample_id: row for row, sample_id in enumerate(self.samples["sample_id"])}
        result = np.empty((len(rows), *info.shape), dtype=info.dtype)
        for path, checksum in self.checksums[feature].items():
            shard = decode(_verified(path, checksum), str(path))
            result[[rows[sample_id] for sample_id in shard.sample_ids]] = shard.tensors
        return result


def prepare(
    raw: RawDataset,
    root: Path | str,
    features: Sequence[str],
    progress: Callable[[str, int, int], None] | None = None,
) -> PreparedDataset:
    """Write the shards of ``features`` that are missing, changed or damaged below ``root``; keep the others.

    progress : called as ``progress("casme2/flow_uvs_28", shards done, shards in all)`` after each shard.
    A shard is one subject's tensors. It is kept while the recipe and its own source bytes are what they were and its
    bytes match the manifest's checksum. A run that was interrupted goes on where it stopped.
    Raises DataError for an unknown feature or bad source data, StoreError where ``root`` cannot be written.
    """
    wanted = list(dict.fromkeys(features))
    for name in wanted:
        if name not in raw.features:
            raise _no_feature(raw.name, name, raw.features)
    if set(raw.samples["dataset"]) != {raw.name}:
        found = ", ".join(sorted(set(raw.samples["dataset"])))
        raise DataError(f"Dataset {raw.name}: its samples table is of {found}. Correct the adapter.")
    home = Path(root) / raw.name
    fingerprint = samples_fingerprint(raw.samples)
    _write_samples(home / "samples.parquet", raw, fingerprint)
    infos: dict[str, FeatureInfo] = {}
    checksums: dict[str, dict[Path, str]] = {}
    tally = Tally()
    for name in wanted:
        folder = FeatureFolder(raw, name, home / name)
        entries = folder.update(tally, progress)
        checksums[name] = {folder.shard_path(subject): entry.sha256 for subject, entry in entries.items()}
        feature = raw.features[name]
        infos[name] = FeatureInfo(
            recipe=feature.recipe,
            recipe_hash=folder.recipe_hash,
            fingerprint=folder.fingerprint(entries),
            shape=feature.shape,
            dtype=feature.dtype,
        )
    return PreparedDataset(
        name=raw.name,
        synthetic=raw.synthetic,
        samples=raw.samples,
        fingerprint=fingerprint,
        features=infos,
        made=tally.made,
        reused=tally.reused,
        repaired=tally.repaired,
        warnings=tally.warnings,
        checksums=checksums,
    )


def _no_feature(dataset: str, feature: str, known: dict[str, Any]) -> DataError:
    return DataError(f"Dataset {dataset} has no feature {feature!r}; it has: {', '.join(sorted(known)) or 'none'}.")


def _verified(path: Path, checksum: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Shard {path} cannot be read: {error.strerror}. Run again to make it anew.") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise DataError(f"Shard {path} was changed or damaged after it was prepared. Run again to make it anew.")
    return content


def _write_samples(path: Path, raw: RawDataset, fingerprint: str) -> None:
    content = _samples_file(raw, fingerprint)
    with storing(path):
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)


def _samples_file(raw: RawDataset, fingerprint: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"string": pa.string(), "Int64": pa.int64(), "Float64": pa.float64()}
    facts = {"merbench.fingerprint": fingerprint, "merbench.synthetic": str(raw.synthetic).lower()}
    schema = pa.schema([(column, types[dtype]) for column, dtype in COLUMNS.items()], metadata=facts)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(plain_rows(raw.samples), schema=schema), sink)
    return sink.getvalue().to_pybytes()
