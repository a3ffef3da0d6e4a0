"""Rendered long recordings: laid out as SMIC-E is, every expression where its sheet says, equal for equal seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from preprocess.base.errors import UsageError
from preprocess.datasets import read_source
from preprocess.synth.databases import Options, plan
from preprocess.synth.film import Film
from preprocess.synth.long_recordings import MOST, plan_long
from preprocess.synth.recordings import Scene, scripted
from preprocess.synth.trees import render

OPTIONS = Options("smic", subjects=3, clips=4.0, variant="long")
SMALL = Options("smic", subjects=1, clips=2.0, variant="long")


@pytest.fixture
def unfilmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are black: filming takes seconds, and what is told of them is the same."""
    monkeypatch.setattr(Film, "__init__", lambda *_, **__: None)
    monkeypatch.setattr(Film, "frame", lambda self, time: np.zeros((8, 8, 3), np.uint8))


def test_the_database_is_read_as_smics_long_recordings_are(unfilmed: None, tmp_path: Path) -> None:
    assert render(SMALL, tmp_path / "long", threads=1)
    (dataset,) = read_source(tmp_path / "long")
    assert (dataset.name, dataset.synthetic, dataset.macro) == ("synth_smic_long", True, False)
    assert dataset.notes == ()
    recordings = {one.name: one for one in dataset.recordings()}
    facts = json.loads((tmp_path / "long" / "synthetic.json").read_text())["clips"]
    assert len(recordings) == len(facts)
    for name, told in facts.items():
        person, take = told["folder"].split("/")[-2:]
        _, kind, number = take.split("_")
        recording = recordings[f"synth_smic_long/{person}/{person}_{kind}_{number}"]
        assert recording.clip.ends == (1, told["frames"]), name
        assert len(recording.sample_ids) == len(told["shown"])
        for sample_id, shown in zip(recording.sample_ids, told["shown"], strict=True):
            clip = dataset.clips[sample_id]
            assert (clip.onset, clip.offset) == (shown["onset"], shown["offset"])
            assert 1 < shown["onset"] < shown["apex"] < shown["offset"] < told["frames"]
    emotions = dataset.samples["emotion"].value_counts().to_dict()
    assert emotions == {
        emotion: sum(len(one.scene.emotions) for one in plan_long(SMALL) if one.emotion == emotion)
        for emotion in emotions
    }


def test_each_person_shows_what_the_short_clips_show_in_recordings_of_a_few_expressions() -> None:
    short = plan(Options("smic", subjects=3, clips=4.0))
    long = plan_long(OPTIONS)
    assert {one.subject for one in long} == {one.subject for one in short}
    for subject in {one.subject for one in short}:
        shown = sorted(emotion for one in long if one.subject == subject for emotion in one.scene.emotions)
        assert shown == sorted(one.emotion for one in short if one.subject == subject)
    assert all(1 <= len(one.scene.emotions) <= MOST and set(one.scene.emotions) == {one.emotion} for one in long)
    assert len({one.name for one in long}) == len(long)


def test_takes_of_one_person_differ_and_equal_scenes_are_equal() -> None:
    scene = Scene("smic", "s1", ("negative", "positive"))
    assert scripted(scene)[1:] == scripted(Scene("smic", "s1", ("negative", "positive")))[1:]
    first, second = (scripted(Scene("smic", "s1", ("negative", "positive"), take=take)) for take in ("1", "2"))
    assert first[2] != second[2]
    assert first[2] != scripted(scene)[2]


@pytest.mark.parametrize(
    "options", [Options("samm", 2, variant="long"), Options("smic", 2, variant="long", full_size=True)]
)
def test_what_cannot_be_rendered_is_told(options: Options, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rendered like smic, and not in full size\. Give --like smic\."):
        render(options, tmp_path / "long")
    assert not (tmp_path / "long").exists()
