"""The dataset report: the facts a user must see before trusting a score."""

from __future__ import annotations

from pathlib import Path

from flow_trees import FlowTree
from more_trees import afew
from trees import casme2

from preprocess.datasets import read_source
from preprocess.samples.table import samples_table
from preprocess.shards.prepare import prepare
from preprocess.views.dataset_report import report


def sheet(**last: object) -> list[str]:
    """The report on three clips of one database; ``last`` goes into the third row."""
    rows: list[dict[str, object]] = [
        {
            "sample_id": f"casme2/{subject}/{clip}",
            "dataset": "casme2",
            "subject": f"casme2/{subject}",
            "clip": clip,
            "onset": 1,
            "apex": 5,
            "offset": 9,
            "emotion": "disgust",
        }
        for subject, clip in (("sub01", "EP02_01f"), ("sub02", "EP01_11f"), ("sub03", "EP07_04"))
    ]
    rows[-1].update(last)
    return report(samples_table(rows), {})


def test_report_on_a_tree(tree: FlowTree, tmp_path: Path) -> None:
    dataset = read_source(tree.root)[0]
    expected = [
        "casme2: 3 samples, 2 subjects (1 to 2 samples each)",
        "  task megc3: negative 1, positive 1, surprise 1",
        "  no labels for: au12, objective5",
        "  frames: onset, apex and offset are unknown for all samples",
        "  repaired: nothing",
        "  feature flow_uvs_28: uint8 3x28x28",
    ]
    lines = report(dataset.samples, dataset.features)
    refused = next(line for line in lines if line.startswith("  cannot be used here: "))
    assert "emotion5" in refused
    assert "does not know the emotion 'negative' of dataset casme2" in refused
    assert [line for line in lines if line != refused] == expected
    prepared = prepare(dataset, tmp_path / "shards", ["flow_uvs_28"])
    assert report(prepared.samples, prepared.features) == lines


def test_missing_apexes_are_counted() -> None:
    assert "  frames: onset, apex and offset are all known" in sheet()
    assert "  frames: apex missing for 1" in sheet(apex=None)


def test_micro_expressions_that_last_over_half_a_second_are_counted() -> None:
    def lengths(macro: bool = False, fps: float | None = 30.0) -> list[str]:
        spans = {"a": (0, 14), "b": (0, 15), "c": (100, 160), "d": (7, None)}
        table = samples_table(
            [
                {
                    "sample_id": f"casme3/p/{clip}",
                    "dataset": "casme3",
                    "subject": "casme3/p",
                    "clip": clip,
                    "onset": onset,
                    "offset": offset,
                    "fps": fps,
                }
                for clip, (onset, offset) in spans.items()
            ]
        )
        return [line for line in report(table, {}, macro=macro) if line.startswith("  length: ")]

    (line,) = lengths()
    assert line.startswith("  length: 2 of 3 clips last over 0.5 s from onset to offset, 1 of them over 2 s; ")
    assert line.endswith("the longest 2.0 s (casme3/p/c)")
    assert lengths(fps=200.0) == []
    assert lengths(fps=None) == ["  length: unknown for 3 clips without a frame rate"]
    assert lengths(macro=True) == lengths(macro=True, fps=None) == []


def test_samples_without_a_class_are_counted() -> None:
    line = next(line for line in sheet(emotion="others") if line.startswith("  task megc3: "))
    assert line == "  task megc3: negative 2, positive 0, surprise 0; 1 samples without a class"


def test_an_emotion_unknown_to_a_task_does_not_hide_the_rest() -> None:
    lines = sheet(emotion="bored")
    refused = next(line for line in lines if line.startswith("  cannot be used here: "))
    assert "megc3" in refused
    assert "does not know the emotion 'bored' of dataset casme2 (casme2/sub03/EP07_04)" in refused
    assert "  frames: onset, apex and offset are all known" in lines


def test_repairs_are_listed_with_their_reason() -> None:
    lines = sheet(repaired="apex 1143 -> 1113: it lay after the offset")
    assert lines[-2:] == [
        "  repaired: 1 samples",
        "    casme2/sub03/EP07_04: apex 1143 -> 1113: it lay after the offset",
    ]


def test_action_units_are_counted_clip_by_clip() -> None:
    line = next(line for line in sheet(action_units="1+L12+12") if line.startswith("  task au12: "))
    assert line.startswith("  task au12: AU1 1, AU2 0, ")
    assert "AU12 1, " in line
    assert line.endswith("; 2 samples without a class")


def test_action_units_that_cannot_be_read_are_named_and_cost_no_task() -> None:
    lines = sheet(action_units="1+smile")
    at = next(number for number, line in enumerate(lines) if "cannot be read; the units of these samples" in line)
    assert lines[at].startswith("  action units: 1 cells cannot be read")
    assert "the action units '1+smile' cannot be read at 'smile'" in lines[at + 1]
    assert not any("cannot be used here" in line for line in lines)


def test_a_task_made_for_another_database_is_not_mentioned() -> None:
    assert not any("emotion5_samm" in line or "emotion7_neutral" in line for line in sheet())


def test_missing_files_are_counted_and_named(tmp_path: Path) -> None:
    casme2(tmp_path)
    for number in (50, 52):
        (tmp_path / "CASME2_RAW_selected" / "sub01" / "EP02_01f" / f"img{number}.jpg").unlink()
    (dataset,) = read_source(tmp_path)
    lines = report(dataset.samples, dataset.features, dataset.clips, dataset.notes)
    assert (
        "  files: 28 frames of 4 clips from onset to offset; 2 frames missing in 1 clips: casme2/sub01/EP02_01f 2"
        in lines
    )
    assert lines[-1].startswith("  note: casme2: 4 annotated clips of 3 subjects; published are 255 of 26 subjects")


def test_videos_are_counted(tmp_path: Path) -> None:
    (dataset,) = read_source(afew(tmp_path))
    assert "  files: 3 videos; none missing" in report(dataset.samples, dataset.features, dataset.clips)
