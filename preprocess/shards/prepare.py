"""Feature shards: what a dataset's features look like on disk, and how they are brought up to date.

``<root>/<dataset>/samples.parquet`` is the samples table; ``<root>/<dataset>/<feature>/subject=<id>/part.parquet``
holds one subject's tensors; ``<root>/<dataset>/<feature>/manifest.json``, written last, holds every shard's checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from preprocess.base.errors import DataError
from preprocess.base.hashing import digest
from preprocess.base.storage import Storage, open_storage
from preprocess.datasets import RawDataset, copies_in
from preprocess.samples.clip import Clip
from preprocess.samples.table import COLUMNS, plain_rows, samples_fingerprint
from preprocess.shards.features import clips_of, feature_of
from preprocess.shards.folder import FeatureFolder, write_changed
from preprocess.shards.making import Broken, Execute, SubjectJob, in_this_process
from preprocess.shards.pace import read_pace
from preprocess.shards.prepared import FeatureInfo, Outstanding, PreparedDataset

Progress = Callable[[int, int], None]
"""Called as ``progress(clips done, clips to do in all)`` whenever a subject is done."""


def prepare(
    raw: RawDataset,
    root: Path | str,
    features: Sequence[str],
    progress: Progress | None = None,
    execute: Execute = in_this_process,
    overwrite: bool = False,
) -> PreparedDataset:
    """Bring the shards of one dataset up to date: ``prepare_all`` for that dataset alone."""
    return prepare_all([raw], root, {raw.name: features}, progress, execute, overwrite)[0]


def prepare_all(
    datasets: Sequence[RawDataset],
    root: Path | str,
    features: Mapping[str, Sequence[str]],
    progress: Progress | None = None,
    execute: Execute = in_this_process,
    overwrite: bool = False,
) -> list[PreparedDataset]:
    """Write the shards that are missing, changed or damaged, and keep the others.

    A shard holds the tensors of one subject. It is kept while the recipe and the subject's source files are unchanged
    and its bytes match the checksum in the manifest. A clip that cannot be used is left out and listed in ``skipped``.
    After an interruption the next call goes on where this one stopped.

    Parameters
    ----------
    datasets : the datasets to prepare.
    root : the folder of all shards, or an address such as s3://bucket/folder.
    features : name of the dataset -> the features that it should have.
    progress : called whenever a subject is done.
    execute : carries out the jobs; features that an adapter holds in memory are always made in this process.
    overwrite : make every shard again.

    Raises
    ------
    DataError : an unknown feature, bad source data, or a bug in a step, which is raised after everything else was made.
    StoreError : ``root`` cannot be written.
    """
    storage = open_storage(root)
    books = [_Book(raw, storage, features[raw.name]) for raw in datasets]
    for book in books:
        book.write_samples()
    jobs = [job for book in books for job in book.judge(overwrite)]
    by_name = {book.raw.name: book for book in books}
    broken: list[Broken] = []
    done, total = 0, sum(len(job.clips) for job in jobs)
    if progress and total:
        progress(0, total)
    for carry_out, portable in ((in_this_process, False), (execute, True)):
        part = [job for job in jobs if job.portable == portable]
        for result in carry_out(part) if part else ():
            book = by_name[result.job.dataset]
            for made in result.shards:
                book.folders[made.feature].take(result.job.subject, made)
            broken += result.broken
            book.count(result.job, result.seconds)
            done += len(result.job.clips)
            if progress:
                progress(done, total)
    if broken:
        raise DataError(broken_text(broken))
    return _with_copies([book.finish() for book in books], datasets)


def survey_all(
    datasets: Sequence[RawDataset], root: Path | str, features: Mapping[str, Sequence[str]]
) -> list[PreparedDataset]:
    """Return what ``prepare_all`` would make, without making or writing anything.

    A feature that is not complete has no fingerprint. Whether a clip can be used shows only when it is made, so
    ``skipped`` knows the clips of kept shards only.

    Parameters
    ----------
    datasets, root, features : as for ``prepare_all``.

    Raises
    ------
    DataError : an unknown feature, or bad source data.
    """
    storage = open_storage(root)
    books = [_Book(raw, storage, features[raw.name]) for raw in datasets]
    for book in books:
        book.judge(overwrite=False)
    return _with_copies([book.result() for book in books], datasets)


def _with_copies(prepared: Sequence[PreparedDataset], datasets: Sequence[RawDataset]) -> list[PreparedDataset]:
    """Return the datasets, each with the pictures that it has twice, or that it shares with another one."""
    found = copies_in(datasets)
    return [replace(dataset, copies=tuple(found[dataset.name])) for dataset in prepared]


class _Book:
    """One dataset while it is prepared."""

    def __init__(self, raw: RawDataset, storage: Storage, features: Sequence[str]) -> None:
        if set(raw.samples["dataset"]) != {raw.name}:
            found = ", ".join(sorted(set(raw.samples["dataset"])))
            raise DataError(f"Dataset {raw.name}: its samples table is of {found}. Correct the adapter.")
        self.raw = raw
        self.folders: dict[str, FeatureFolder] = {}
        self._storage = storage
        self._clips = _by_subject(raw)
        self._fingerprint = samples_fingerprint(raw.samples)
        self._made: set[str] = set()
        self._seconds = 0.0
        sources: dict[Callable[[Clip], str], dict[str, str]] = {}
        for name in dict.fromkeys(features):
            feature = feature_of(raw, name)
            if feature.made_from not in sources:
                # One pass over the files, however many features are made from them.
                sources[feature.made_from] = _sources(self._clips, feature.made_from)
            self.folders[name] = FeatureFolder(raw.name, feature, sources[feature.made_from], storage)

    def write_samples(self) -> None:
        content = _samples_file(self.raw, self._fingerprint)
        write_changed(self._storage, f"{self.raw.name}/samples.parquet", content)

    def judge(self, overwrite: bool) -> list[SubjectJob]:
        """Return what is to be made: a job a subject, ready-made features apart from recipes."""
        stale = {name: set(folder.judge(overwrite)) for name, folder in self.folders.items()}
        jobs = []
        for subject, clips in self._clips.items():
            for portable in (False, True):
                chosen = tuple(
                    (folder.feature, folder.made_from[subject])
                    for name, folder in self.folders.items()
                    if folder.feature.portable == portable and subject in stale[name]
                )
                if chosen:
                    jobs.append(SubjectJob(self.raw.name, subject, tuple(clips), chosen))
        return jobs

    def count(self, job: SubjectJob, seconds: float) -> None:
        self._made.update(clip.sample_id for clip in job.clips)
        self._seconds += seconds

    def finish(self) -> PreparedDataset:
        for folder in self.folders.values():
            folder.finish()
        return self.result()

    def result(self) -> PreparedDataset:
        tallies = [folder.tally for folder in self.folders.values()]
        return PreparedDataset(
            name=self.raw.name,
            synthetic=self.raw.synthetic,
            samples=self.raw.samples,
            fingerprint=self._fingerprint,
            features={name: _info(folder) for name, folder in self.folders.items()},
            made=sum(tally.made for tally in tallies),
            reused=sum(tally.reused for tally in tallies),
            repaired=sum(tally.repaired for tally in tallies),
            warnings=[warning for tally in tallies for warning in tally.warnings],
            root=self._storage.root,
            contents={
                name: {folder.shard_name(subject): entry.content for subject, entry in folder.entries.items()}
                for name, folder in self.folders.items()
            },
            clips_made=len(self._made),
            seconds=self._seconds,
            macro=self.raw.macro,
            outstanding=tuple(self._outstanding(folder) for folder in self.folders.values() if _unmade(folder)),
        )

    def _outstanding(self, folder: FeatureFolder) -> Outstanding:
        reasons: dict[str, int] = {}
        for subject in _unmade(folder):
            why = folder.stale[subject]
            reasons[why] = reasons.get(why, 0) + len(self._clips[subject])
        name = folder.feature.name
        return Outstanding(name, reasons, read_pace(self._storage, self.raw.name, name, folder.feature.recipe_hash))


def _unmade(folder: FeatureFolder) -> list[str]:
    return [subject for subject in folder.made_from if subject not in folder.entries]


def _info(folder: FeatureFolder) -> FeatureInfo:
    feature = folder.feature
    return FeatureInfo(
        recipe=feature.recipe,
        recipe_hash=feature.recipe_hash,
        fingerprint="" if _unmade(folder) else folder.fingerprint(),
        shape=feature.shape,
        dtype=feature.dtype,
        layout=feature.layout,
        remarks=folder.remarks(),
        tensors=folder.tensors(),
    )


def _by_subject(raw: RawDataset) -> dict[str, list[Clip]]:
    """Return subject id (without the dataset's name) -> its clips, both sorted."""
    clips = clips_of(raw)
    groups: dict[str, list[Clip]] = {}
    for subject, sample_id in sorted(zip(raw.samples["subject"], raw.samples["sample_id"], strict=True)):
        groups.setdefault(subject.partition("/")[2], []).append(clips[sample_id])
    return groups


def _sources(clips: Mapping[str, Sequence[Clip]], source: Callable[[Clip], str]) -> dict[str, str]:
    return {subject: digest([[clip.sample_id, source(clip)] for clip in ones]) for subject, ones in clips.items()}


def broken_text(broken: Sequence[Broken]) -> str:
    """Return what a person is told of features that could not be made through no fault of their clips."""
    first = broken[0]
    more = f" ({len(broken) - 1} more like it)" if len(broken) > 1 else ""
    is_bug = bool(first.traceback)
    fault = "This is a bug of the step or of what it calls, not of the clip" if is_bug else "The clip is not at fault"
    remedy = "mend the step" if is_bug else "give more memory, or fewer --workers"
    text = (
        f"{first.place}: {first.error}{more}. {fault}, so no clip was left out for it. What could be made is kept; "
        f"{remedy}, or name other features, and run again."
    )
    return f"{text}\n{first.traceback}".rstrip()


def _samples_file(raw: RawDataset, fingerprint: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"string": pa.string(), "Int64": pa.int64(), "Float64": pa.float64()}
    facts = {"merbench.fingerprint": fingerprint, "merbench.synthetic": str(raw.synthetic).lower()}
    schema = pa.schema([(column, types[dtype]) for column, dtype in COLUMNS.items()], metadata=facts)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(plain_rows(raw.samples), schema=schema), sink)
    return sink.getvalue().to_pybytes()
