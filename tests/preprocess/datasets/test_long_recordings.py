"""Long recordings, in which expressions are spotted: which databases have some, and what is known of each."""

from __future__ import annotations

from pathlib import Path

import more_trees
import pytest
import trees
from more_trees import clips

from preprocess.datasets import LongRecording, RawDataset, read_source


def read(root: Path) -> dict[str, RawDataset]:
    return {one.name: one for one in read_source(root)}


def recordings(dataset: RawDataset) -> dict[str, LongRecording]:
    """Return name (without the dataset's) -> recording."""
    found = dataset.recordings()
    assert all(one.name == one.clip.sample_id for one in found)
    assert all((one.clip.onset, one.clip.apex, one.clip.offset) == (None, None, None) for one in found)
    return {one.name.split("/", 1)[1]: one for one in found}


def test_macro_and_micro_expressions_share_recordings_of_which_some_show_none(tmp_path: Path) -> None:
    datasets = read(more_trees.casme_sq(tmp_path, variants=("rawpic",)))
    micro, macro = (recordings(datasets[name]) for name in ("casme_sq", "casme_sq_macro"))
    assert {name: one.sample_ids for name, one in micro.items()} == {
        "s15/0101": ("casme_sq/s15/disgust1_2",),
        "s15/0401": (),
        "s16/0508": ("casme_sq/s16/happy4_1",),
    }
    assert {name: len(one.sample_ids) for name, one in macro.items()} == {"s15/0101": 1, "s15/0401": 1, "s16/0508": 0}
    one = micro["s15/0401"]
    assert (one.subject, one.clip.fps, one.clip.ends) == ("casme_sq/s15", 30.0, (550, 610))


def test_a_copy_of_single_expressions_has_none(tmp_path: Path) -> None:
    for dataset in read(more_trees.casme_sq(tmp_path / "sq", variants=("cropped",))).values():
        assert dataset.recordings() == ()
    for build in (trees.casme2, trees.samm, trees.smic):
        (dataset,) = read_source(build(tmp_path / build.__name__))
        assert dataset.recordings() == ()


def test_samm_long_videos_take_their_emotions_from_the_sheet_of_samm(tmp_path: Path) -> None:
    datasets = read(more_trees.samm_long(tmp_path / "long"))
    micro, macro = datasets["samm_long"], datasets["samm_long_macro"]
    assert (micro.macro, macro.macro) == (False, True)
    columns = ["sample_id", "subject", "onset", "apex", "offset"]
    assert micro.samples[columns].values.tolist() == [
        ["samm_long/006/006_1_2", "samm/006", 12, 14, 18],
        ["samm_long/011/011_2_4", "samm/011", 8, 9, 11],
    ]
    assert micro.samples["emotion"].isna().all()
    uncoded = macro.samples.set_index("sample_id").loc["samm_long_macro/006/006_1_3"]
    assert uncoded["onset"] == 25
    assert uncoded["repaired"].startswith("onset 0 -> apex (its begin was not coded)")
    found = recordings(micro)
    assert {name: (one.subject, len(one.sample_ids)) for name, one in found.items()} == {
        "006/006_1": ("samm/006", 1),
        "011/011_2": ("samm/011", 1),
        "011/011_7": ("samm/011", 0),
    }
    assert "1 long recordings have no row in the sheet: they show no expression: 011_7" in micro.notes

    rows = [
        trees.samm_row("006_1_2", (1, 2, 3), "4+7", "Anger", 3),
        trees.samm_row("011_2_4", (1, 2, 3), "14", "Other", 7),
    ]
    sheet = {"MICRO_ONLY": [*trees.SAMM_TEXT, trees.SAMM_HEADER, *rows]}
    more_trees.workbook(tmp_path / "long" / "SAMM_Micro_FACS_Codes_v2.xlsx", sheet)
    told = read(tmp_path / "long" / "SAMM_longvideos")["samm_long"].samples
    assert told[["onset", "emotion"]].values.tolist() == [[12, "Anger"], [8, "Other"]]


def test_own_clips_have_some_where_the_list_tells_where_in_them_expressions_are(tmp_path: Path) -> None:
    rows = """path,subject,onset,offset,fps,emotion
ben/frames one,ben,2,3,100,surprise
ben/frames one,ben,6,,100,anger
anna/smile.mp4,anna,1,4,25,happiness
anna/frown.mov,anna,,,,anger
"""
    root = clips(tmp_path / "own", rows)
    (dataset,) = read_source(root)
    found = recordings(dataset)
    assert sorted(found) == ["anna/smile", "ben/frames one"]
    assert found["ben/frames one"].sample_ids == ("own/ben/frames one@2", "own/ben/frames one@6")
    assert found["ben/frames one"].unclear == (f"{root / 'clips.csv'}, row 3, column offset: is empty",)
    assert found["anna/smile"].unclear == ()
    assert found["anna/smile"].clip.video == root / "anna" / "smile.mp4"


@pytest.mark.parametrize(("build", "several"), [(trees.smic_long, 1), (more_trees.casme3, 1), (more_trees.casme3_c, 1)])
def test_a_recording_holds_all_of_its_expressions(build: object, several: int, tmp_path: Path) -> None:
    assert callable(build)
    build(tmp_path)
    (dataset,) = read_source(tmp_path)
    found = dataset.recordings()
    assert sorted(name for one in found for name in one.sample_ids) == dataset.samples["sample_id"].tolist()
    assert sum(len(one.sample_ids) > 1 for one in found) == several
    for one in found:
        for name in one.sample_ids:
            assert dataset.clips[name].files is one.clip.files, "listed once"
