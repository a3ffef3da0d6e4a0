"""What is said of prepared datasets: how much was made, which clips are left out and why, what was noted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bench.console.progress import duration
from preprocess.datasets import RawDataset
from preprocess.samples.copies import told
from preprocess.samples.quality import told_worst
from preprocess.shards.prepared import Outstanding, PreparedDataset

EXAMPLES = 3
"""How many sample ids a line names as examples."""


def described_notes(raw: Sequence[RawDataset]) -> list[str]:
    """Return what the adapters noted: what was left out, counts that are not the published ones, which sheet was read.

    Several datasets of one adapter have notes in common, which come once.
    """
    return list(dict.fromkeys(f"note: {note}" for dataset in raw for note in dataset.notes))


def describe(dataset: PreparedDataset) -> list[str]:
    """Return what came of preparing a dataset, one line a fact; the first line names it."""
    subjects = dataset.samples["subject"].nunique()
    shards = f"{dataset.made} shards made, {dataset.reused} kept, {dataset.repaired} repaired"
    what = "samples of macro-expressions" if dataset.macro else "samples"
    lines = [f"{dataset.name}: {len(dataset.samples)} {what}, {subjects} subjects ({shards})"]
    if dataset.clips_made and dataset.seconds >= 1:
        kept = len(dataset.samples) - dataset.clips_made
        pace = dataset.clips_made / dataset.seconds
        lines.append(
            f"  {dataset.clips_made} clips made, {kept} kept; {dataset.seconds:.0f} s of computing, "
            f"{pace:.1f} clips/s a process"
        )
    ways = _merged(info.remarks.faces for info in dataset.features.values())
    faces = Counter(ways.values())
    if faces:
        lines.append(f"  faces found by: {', '.join(f'{way} {count}' for way, count in faces.most_common())}")
    lines += told(dataset.copies) + _equal(dataset) + _left_out(dataset) + _notes(dataset)
    return lines + [f"  {line}" for line in told_worst(dataset.quality, ways, EXAMPLES)]


def describe_outstanding(dataset: PreparedDataset) -> list[str]:
    """Return what is still to be made of a dataset, and about how long that takes, one line a feature."""
    total, subjects = len(dataset.samples), dataset.samples["subject"].nunique()
    lines = [f"{dataset.name}: {total} samples, {subjects} subjects", *told(dataset.copies)]
    outstanding = {one.feature: one for one in dataset.outstanding}
    for name in dataset.features:
        one = outstanding.get(name)
        if one is None:
            lines.append(f"  {name}: all there")
            continue
        reasons = "; ".join(
            why if clips == one.clips else f"{clips}: {why}" for why, clips in sorted(one.reasons.items())
        )
        lines.append(f"  {one.feature}: to be made of {one.clips} of {total} clips ({reasons}); {_how_long(one)}")
    return lines


def _how_long(one: Outstanding) -> str:
    pace = one.pace
    if pace is None:
        return "how long is not known: it was not measured with this recipe before"
    return (
        f"about {duration(one.clips * pace.per_clip)} of one process ({pace.per_clip:.2g} s a clip, measured when "
        f"{pace.clips} clips of {pace.dataset} were made)"
    )


def _equal(dataset: PreparedDataset) -> list[str]:
    """Return a line for each feature that is equal of several samples, without those known to hold the same picture."""
    known = {copies.sample_ids for copies in dataset.copies}
    lines = []
    for name, info in dataset.features.items():
        alike: dict[str, list[str]] = {}
        for sample_id, tensor in sorted(info.tensors.items()):
            alike.setdefault(tensor, []).append(sample_id)
        groups = [ids for ids in alike.values() if len(ids) > 1 and tuple(ids) not in known]
        if groups:
            shown = "; ".join(" = ".join(ids[:EXAMPLES]) for ids in groups[:EXAMPLES])
            more = ", ..." if len(groups) > EXAMPLES or any(len(ids) > EXAMPLES for ids in groups[:EXAMPLES]) else ""
            lines.append(f"  {name} is equal in {len(groups)} groups of samples: {shown}{more}")
    return lines


def _left_out(dataset: PreparedDataset) -> list[str]:
    lines = []
    for name, skipped in dataset.skipped.items():
        if skipped:
            count, total = len(skipped), len(dataset.samples)
            lines.append(f"  {count} of {total} samples have no {name} and are left out:")
            lines += _grouped(skipped.items())
    return lines


def _notes(dataset: PreparedDataset) -> list[str]:
    notes: dict[str, set[str]] = {}
    for info in dataset.features.values():
        for sample_id, texts in info.remarks.notes.items():
            notes.setdefault(sample_id, set()).update(texts)
    pairs = [(sample_id, text) for sample_id, texts in notes.items() for text in sorted(texts)]
    return [f"  noted of {len(notes)} samples:", *_grouped(pairs)] if pairs else []


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return one line for each kind of text, the most frequent first; names and numbers make no kind of their own."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for sample_id, text in pairs:
        text = text.removeprefix(f"{sample_id}: ")
        groups.setdefault(re.sub(r"\S*/\S*|\d+", "#", text), []).append((sample_id, text))
    lines = []
    for group in sorted(groups.values(), key=len, reverse=True):
        ids = ", ".join(sample_id for sample_id, _ in group[:EXAMPLES])
        more = ", ..." if len(group) > EXAMPLES else ""
        example = group[0][1]
        said = example if all(text == example for _, text in group) else f"such as: {example}"
        lines.append(f"    {len(group)} x {said} ({ids}{more})")
    return lines


def _merged(mappings: Iterable[dict[str, str]]) -> dict[str, str]:
    return {key: value for mapping in mappings for key, value in mapping.items()}
