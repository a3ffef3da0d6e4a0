"""The README's section on one's own clips, followed as it is written, with recordings of rendered people."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from local_runs import LocalRuns

from preprocess.datasets import read_source
from preprocess.samples.frames import FrameReader
from preprocess.synth.databases import Options
from preprocess.synth.trees import render

SECTION = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split("### Your own clips")[1]
CLIPS_CSV = SECTION.split("```csv\n")[1].split("```")[0]
COMMANDS = [line for line in SECTION.split("```bash\n")[1].split("```")[0].splitlines() if line]
CODES = {".avi": "MJPG", ".mp4": "mp4v", ".mov": "mp4v"}


def frames_of_people(folder: Path) -> list[list[np.ndarray]]:
    """Return two clips of each of three people, as pictures."""
    render(Options("casme2", 3, 3.0), folder)
    (dataset,) = read_source(folder)
    chosen = [name for _, rows in dataset.samples.groupby("subject") for name in rows["sample_id"].tolist()[:2]]
    clips = []
    for name in chosen:
        with FrameReader(dataset.clips[name], "rgb") as reader:
            clips.append([reader.read(number)[..., ::-1] for number in reader.numbers])
    return clips


def record(place: Path, frames: list[np.ndarray]) -> None:
    """Write frames as what the name says: a video, or a folder of pictures."""
    (place.parent if place.suffix else place).mkdir(parents=True, exist_ok=True)
    if not place.suffix:
        for number, frame in enumerate(frames):
            assert cv2.imwrite(str(place / f"frame{number:03d}.png"), frame)
        return
    writer = cv2.VideoWriter(str(place), cv2.VideoWriter.fourcc(*CODES[place.suffix]), 100.0, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()


@pytest.mark.slow
def test_the_section_can_be_followed(merbench: LocalRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = [row.split(",")[0] for row in CLIPS_CSV.splitlines()[1:]]
    for place, frames in zip(places, frames_of_people(tmp_path / "rendered"), strict=True):
        record(tmp_path / "my_clips" / place, frames)
    (tmp_path / "my_clips" / "clips.csv").write_text(CLIPS_CSV)
    report, run = [shlex.split(re.sub(r"\s{2,}#.*", "", command))[1:] for command in COMMANDS]
    said = merbench(*report)
    assert said.status == 0, said.err
    assert "my_clips: 6 samples, 3 subjects" in said.out
    assert "task emotion3: negative 2, positive 2, surprise 2" in said.out
    said = merbench(*run, "--epochs", "2", "--tracking-uri", "off")
    assert said.status == 0, said.err
    assert "faces found by: hog 6" in said.out
    assert "my_clips · task emotion3 · protocol loso" in said.out
    assert merbench("leaderboard", "--results", "runs", "--shape", "long").out.count("3/3") == 3

    untold = merbench("run", "--data", "my_clips", "--models", "majority", "--tracking-uri", "off")
    assert untold.status == 2
    assert "left out of task megc3" in untold.err
    assert "Tasks that label it: binary, emotion3" in untold.err
