"""What all prints of a leaderboard say alike: headings, stamps, gaps, and the notes below."""

from __future__ import annotations

from collections.abc import Sequence

from results.scores.leaderboard import Gap, Leaderboard, Row
from results.scores.shifts import ShiftLoss
from results.views.columns import class_counts, number, number_ranges
from results.views.text import Header, table

Section = tuple[bool, str, str, str]


def section(entry: Row | Gap | ShiftLoss) -> Section:
    """Return what rows share that stand under one heading."""
    return entry.synthetic, entry.dataset, entry.task, entry.protocol


def section_title(section: Section) -> str:
    """Return the heading's text."""
    synthetic, dataset, task, protocol = section
    return f"{dataset} · task {task} · protocol {protocol}" + (" · SYNTHETIC DATA" if synthetic else "")


def part_counts(row: Row, name: str) -> str:
    """Return what a row's part was tested on. name : what the part is called."""
    counts = f"{row.n_samples} samples, {row.n_subjects} subjects ({class_counts(row)})"
    several = "; a sample may show several classes" if row.multilabel else ""
    return f"{name}: {counts}{several}"


def stamps(rows: Sequence[Row]) -> list[str]:
    """Return what the stars behind the names of selections mean, a line each."""
    return sorted({f"* {row.selection} = {row.stamp}" for row in rows if row.stamp})


def gap_lines(gaps: Sequence[Gap]) -> list[str]:
    """Return a table of optimism gaps for each selection that watches the test samples."""
    oracles = sorted({gap.oracle for gap in gaps})
    return [line for oracle in oracles for line in _gap_table(oracle, [gap for gap in gaps if gap.oracle == oracle])]


def _gap_table(oracle: str, gaps: list[Gap]) -> list[str]:
    names: list[Header] = [("model", "left"), ("part", "left"), ("seeds", "left"), ("selection", "left")]
    scores: list[Header] = [("honest", "right"), (f"{oracle}*", "right"), ("gap", "right")]
    rows = [
        (
            *(gap.label, gap.part, number_ranges(gap.seeds), gap.selection),
            *(number(gap.honest_uf1), number(gap.oracle_uf1), f"{gap.gap:+.4f}"),
        )
        for gap in gaps
    ]
    return [f"Optimism gap ({oracle} minus honest UF1):", *table(names + scores, rows), ""]


def footnotes(leaderboard: Leaderboard) -> list[str]:
    """Return what stands below a table that has no place for it beside its rows."""
    marks = [f"{stamp}." for stamp in stamps(leaderboard.rows)]
    warnings = {
        f"{row.label}, {row.selection}, {row.dataset}, {row.part}: {note}."
        for row in leaderboard.rows
        for note in row.notes
    }
    return [*marks, *sorted(warnings), *leaderboard.notes]
