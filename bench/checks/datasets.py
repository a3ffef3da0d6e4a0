"""What studies rely on of a dataset: it is found by its layout, its rows are whole, and tasks know its words."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.checks.check import CheckFailed, NotTried, expect
from bench.study.sources import parse_source
from preprocess.base.errors import DataError
from preprocess.datasets import Adapter, RawDataset, detect, read_source
from preprocess.labels.tasks import TASKS, labels
from preprocess.samples.clip import Clip
from preprocess.samples.table import COLUMNS, samples_fingerprint
from preprocess.views.dataset_report import report

SHOWN = 3
"""So many of the samples that something is wrong with are named."""


class DatasetCase:
    """A dataset's adapter, and a copy of the dataset: that of ``--data``, else the small one that it writes itself.

    Attributes
    ----------
    name : of the adapter.
    adapter : what is checked.
    """

    def __init__(self, name: str, adapter: Adapter, data: Sequence[str]) -> None:
        self.name, self.adapter, self._data = name, adapter, data

    @functools.cached_property
    def sources(self) -> list[tuple[Path, str | None]]:
        """Folders and the variants wanted of them."""
        if self._data:
            return [(path, variant) for path, _, variant in map(parse_source, self._data)]
        database = self.adapter.database
        if database is None or database.example is None:
            raise NotTried("there is no copy to try: give --data PATH, or let Database(example=...) write a small one")
        # Removed when the case is.
        self._folder = tempfile.TemporaryDirectory(prefix="merbench-checks-")
        database.example(Path(self._folder.name))
        return [(Path(self._folder.name), None)]

    @functools.cached_property
    def datasets(self) -> list[RawDataset]:
        """What the adapter reads."""
        return self.read()

    def read(self) -> list[RawDataset]:
        """Return what the adapter reads, read anew."""
        return [one for path, variant in self.sources for one in read_source(path, self.name, variant)]


def check_detected(case: DatasetCase) -> None:
    """It is found in its folder by the layout alone, with nothing missing."""
    for path, _ in case.sources:
        found = detect(path, case.name)
        expect(found, f"It does not find itself in {path}. Expected: {case.adapter.layout}.")
        missing = [what for one in found for what in one.missing]
        expect(not missing, f"In {path}, missing: {', '.join(missing)}.")
        roots = {one.root for one in found}
        others = sorted({one.adapter for one in detect(path) if one.root in roots and not one.missing} - {case.name})
        expect(
            not others,
            f"{path} is taken for {', '.join(others)} as well. Say more of its layout: folders, root, sheet.",
        )


def check_rows(case: DatasetCase) -> None:
    """It has samples of people, with unique ids and onset <= apex <= offset."""
    for dataset in case.datasets:
        samples = dataset.samples
        expect(len(samples), f"{dataset.name} has no sample.")
        expect(list(samples.columns) == list(COLUMNS), "Make its table with preprocess.samples.table.samples_table.")
        twice = samples["sample_id"][samples["sample_id"].duplicated()].tolist()
        expect(not twice, f"{dataset.name} has two samples {', '.join(twice[:SHOWN])}.")
        strange = sorted(one for one in samples["subject"].unique() if "/" not in one)
        expect(not strange, f"Subjects of {dataset.name} are {', '.join(strange[:SHOWN])}; expected DATASET/ID.")
        for first, second in (("onset", "apex"), ("apex", "offset"), ("onset", "offset")):
            wrong = samples["sample_id"][(samples[first] > samples[second]).fillna(False)].tolist()
            expect(not wrong, f"The {first} of {', '.join(wrong[:SHOWN])} lies after the {second}.")


def check_frames(case: DatasetCase) -> None:
    """Each sample has frames to read, or the dataset brings features of its own."""
    for dataset in case.datasets:
        if dataset.features:
            continue
        without = [name for name in dataset.samples["sample_id"] if not _has_frames(dataset.clips.get(name))]
        expect(not without, f"{dataset.name} has no frame of {', '.join(without[:SHOWN])} ({len(without)} samples).")


def check_words(case: DatasetCase) -> None:
    """A task gives labels to the samples of each of its datasets: it knows all of their words."""
    for dataset in case.datasets:
        refused = []
        for task in [task for _, task in TASKS.items() if task.mapping(dataset.name)]:
            try:
                if (labels(task, dataset.samples) >= 0).any():
                    break
            except DataError as error:
                refused.append(str(error))
        else:
            declare = "Declare its words, and the tasks that it belongs to: Database(annotations={...})."
            expect(False, f"No task gives {dataset.name} a label. {refused[0] if refused else declare}")


def check_repeats(case: DatasetCase) -> None:
    """Read again, it is the same."""
    first, again = (
        [(one.name, samples_fingerprint(one.samples)) for one in read] for read in (case.datasets, case.read())
    )
    expect(first == again, "Read a second time, its samples differ.")


def check_report(case: DatasetCase) -> None:
    """Its report can be printed."""
    for dataset in case.datasets:
        lines = report(dataset.samples, dataset.features, dataset.clips, dataset.notes, dataset.macro)
        expect(lines, f"The report of {dataset.name} is empty.")


def check_documented(case: DatasetCase) -> None:
    """It says what it is, and how its folders look."""
    for what in ("description", "layout"):
        if not getattr(case.adapter, what).strip():
            raise CheckFailed(f"Its {what} is empty; a user whose folder is not recognised sees it.")


def _has_frames(clip: Clip | None) -> bool:
    return clip is not None and (clip.video is not None or bool(clip.numbers))
