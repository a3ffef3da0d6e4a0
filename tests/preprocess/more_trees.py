"""Small copies of research databases for the tests: real image, video and spreadsheet files in the true layouts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpyxl

# A workbook in the old binary format cannot be written by any library of the project, so one is kept.
CASME3_V2 = Path(__file__).parent / "casme3_part_A_v2.xls"

Rows = Sequence[Sequence[Any]]


def workbook(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """Write a spreadsheet with the given sheets."""
    book = openpyxl.Workbook()
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.remove(book.worksheets[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def images(folder: Path, numbers: Iterable[int], name: str) -> Path:
    """Write a 16x12 image per number; ``name`` is a format such as ``img{:03d}.jpg``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        pixels = np.full((12, 16, 3), number % 200 + 20, np.uint8)
        assert cv2.imwrite(str(folder / name.format(number)), pixels)
    return folder


CODES = {"avi": "MJPG", "mkv": "MJPG", "webm": "VP80"}
"""Ending of a video -> how its pictures are coded; the other endings take MPEG-4."""


def video(path: Path, frames: int = 5) -> Path:
    """Write a video of 32x24 pixels, of the kind that its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    code = CODES.get(path.suffix.lower()[1:], "mp4v")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25.0, (32, 24))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((24, 32, 3), 20 * number, np.uint8))
    writer.release()
    return path


CASME_SQ_ROWS: list[list[Any]] = [
    [1, "anger1_1", 557, 572, 608, "4+7", "negative", "macro-expression", "anger"],
    [1, "disgust1_2", 3, 5, 8, "4+L10", "negative", "micro-expression", "disgust"],
    [1, "disgust1_3", 20, 24, 0, "14", "others", "macro-expression", "helpless"],
    [2, "happy4_1", 10, 12, 14, "6+12", "positive", "micro-expression", "happy"],
]


def casme_sq(root: Path, rows: Rows = CASME_SQ_ROWS, variants: Sequence[str] = ("rawpic", "cropped")) -> Path:
    """CAS(ME)^2: the sheet has no header; sheets 2 and 3 tell folder and video codes."""
    workbook(
        root / "CAS(ME)^2code_final.xlsx",
        {
            "CASFEcode_final": rows,
            "naming rule1": [[15, "s15", 1], [16, "s16", 2]],
            "naming rule2": [["0101", "disgust1"], ["0401", "anger1"], [508, "happy4"]],
        },
    )
    if "rawpic" in variants:
        base = root / "rawpic"
        images(base / "s15" / "15_0101disgustingteeth", range(1, 31), "img{:03d}.jpg")
        images(base / "s15" / "15_0401girlcrashing", range(550, 611), "img{:03d}.jpg")
        images(base / "s16" / "16_0508funnyinnovations", range(1, 21), "img{:03d}.jpg")
    if "selectedpic" in variants:
        images(root / "selectedpic" / "s15" / "disgust1_2", range(3, 9), "img{}.jpg")
    if "cropped" in variants:
        images(root / "cropped" / "15" / "anger1_1", range(557, 609), "img{}.jpg")
        images(root / "cropped" / "15" / "disgust1_2", range(3, 9), "img{}.jpg")
    return root


SAMM_LONG_TEXT: list[list[Any]] = [["SAMM Long Videos"], *([None] for _ in range(8))]
SAMM_LONG_HEADER = ["Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type"]
SAMM_LONG_HEADER += ["Action Units", "Notes"]
SAMM_LONG_ROWS: list[list[Any]] = [
    [6, "006_1_2", 1, 12, 14, 18, 7, "Micro - 1/2", "4+7", None],
    [6, "006_1_3", 1, 0, 25, 29, 5, "Macro", "12", None],
    [11, "011_2_1", 2, 3, 5, 40, 38, "Macro", "1+2", "the offset lies beyond the last frame"],
    [11, "011_2_4", 2, 8, 9, 11, 4, "Micro - 1/2", "14", None],
]


def samm_long(root: Path, rows: Rows = SAMM_LONG_ROWS) -> Path:
    """SAMM Long Videos: text above the header; a recording without a row; no emotions but in SAMM's own sheet."""
    sheet = {"FACS_Movement_Only": [*SAMM_LONG_TEXT, SAMM_LONG_HEADER, *rows]}
    workbook(root / "SAMM_LongVideos_V2_Release.xlsx", sheet)
    for recording in ("006_1", "011_2", "011_7"):
        images(root / "SAMM_longvideos" / recording, range(1, 31), f"{recording}_{{:04d}}.jpg")
    return root


CASME3_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
CASME3_ROWS: list[list[Any]] = [
    ["spNO.1", "a", 10, 14, 18, "4+7", "III", "disgust"],
    ["spNO.1", "a", 30, 30, 36, "R12", "I", "happy"],
    ["spNO.1", "b", 5, 8, 9, "0", "VII", "Others"],
    ["spNO.2", "c", 2, 4, 6, "1+2", "II", "surprise"],
]


def casme3(root: Path, rows: Rows = CASME3_ROWS, version: str = "v2") -> Path:
    """CAS(ME)^3 part A: one recording holds several expressions; the first frames of a recording are missing."""
    name = f"cas(me)3_part_A_ME_label_JpgIndex_{version}.xlsx"
    workbook(root / "annotation" / name, {"Sheet1": [CASME3_HEADER, *rows]})
    for subject, clip in sorted({(row[0], row[1]) for row in rows}):
        folder = root / "part_A" / subject / clip
        images(folder / "color", range(8, 41), "{}.jpg")
        images(folder / "depth", range(8, 12), "{}.png")
    return root


def casme3_macro(root: Path) -> Path:
    """The sheet of macro- and micro-expressions beside the recordings of part A."""
    casme3(root)
    shutil.copyfile(CASME3_V2, root / "annotation" / "CAS(ME)3_part_A_v2.xls")
    return root


CASME3_C_ROWS: list[list[Any]] = [
    [1, 1, 10, 14, "4，7", "negative"],
    [1, 2, 20, 23, "12", "positive"],
    [11, 1, 9, 12, "1,2", "surprise"],
]


def casme3_c(root: Path, rows: Rows = CASME3_C_ROWS) -> Path:
    """CAS(ME)^3 part C: no apex; one row's action units are joined by a full-width comma."""
    workbook(
        root / "CAS(ME)3_part_C_ME.xlsx", {"Sheet1": [["sub", "count", "onset", "offset", "au", "emotion"], *rows]}
    )
    for subject in sorted({row[0] for row in rows}):
        images(root / "part_C" / f"{subject:02d}" / "a" / "color", range(1, 31), "{}.jpg")
    return root


FOUR_DME_LABELS = ("Positive", "Negative", "Surprise", "Repression", "Others")
FOUR_DME_UNITS = ("AU1", "AU2", "AU4", "AU7", "AU12")
FOUR_DME_HEADER = ["sub_ID", "fold", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs", *FOUR_DME_UNITS]
FOUR_DME_HEADER += [*FOUR_DME_LABELS, "eye blink", "Total"]


def four_dme_row(
    subject: str, clip: str, frames: tuple[int, int, int], units: str, flags: Sequence[int], labels: Sequence[str]
) -> list[Any]:
    """One row of the 4DME sheet: the action units and the emotions are written twice, as text and as columns."""
    told = [int(label in labels) for label in FOUR_DME_LABELS]
    return [subject, 1, clip, "+".join(labels), *frames, units, *flags, *told, 0, sum(flags)]


FOUR_DME_ROWS = [
    four_dme_row("S01", "S01_1st_001_01_1", (100, 104, 108), "AU4(k)+L7", (0, 0, 1, 1, 0), ["Negative"]),
    four_dme_row("S01", "S01_1st_001_02_1", (50, 52, 55), "AU1+2", (1, 1, 0, 0, 0), ["Surprise", "Positive"]),
    four_dme_row("S02", "S02_1st_003_01_1", (7, 9, 11), "AUR12", (0, 0, 0, 0, 1), ["Positive"]),
]


def four_dme(root: Path, rows: Rows = FOUR_DME_ROWS) -> Path:
    """4DME: grey frames, named by their numbers."""
    workbook(root / "4DME_Labelling_Micro_release v1.xlsx", {"Sheet1": [FOUR_DME_HEADER, *rows]})
    for row in rows:
        images(root / "gray_micro" / row[0] / row[2], range(row[4], row[6] + 1), "{:05d}.jpg")
    return root


DFME_HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "EmotionId", "Fps", "AU"]
DFME_TRAIN: list[list[Any]] = [
    ["sub0003", "sub0003_01", 109, 112, 115, "disgust", 2, 500, "4+9"],
    ["sub0003", "sub0003_02", 8, 10, 12, "contempt", 1, 300, "R14"],
    ["sub0010", "sub0010_01", 30, 33, 35, "happiness", 4, 200, "6+12"],
]
DFME_TEST: list[list[Any]] = [["sub0500", "a_001", 3, 5, 8, None, None, 200, "1"]]


def dfme(root: Path, train: Rows = DFME_TRAIN, test_b: Rows | None = DFME_TEST) -> Path:
    """DFME: five-digit PNG files; the labels of the test sets are not given."""
    workbook(root / "training_full_with_AU.xlsx", {"Sheet1": [DFME_HEADER, *train]})
    for row in train:
        images(root / "DFME_train" / row[1], range(row[2], row[4] + 1), "{:05d}.png")
    if test_b is not None:
        workbook(root / "testB_full_with_AU.xlsx", {"Sheet1": [DFME_HEADER, *test_b]})
        for row in test_b:
            images(root / "test_data_B" / "test_data_B" / row[1], range(row[2], row[4] + 1), "{:05d}.png")
    return root


def afew(root: Path) -> Path:
    """AFEW: videos in folders of emotions, one tree for training and one for validation."""
    video(root / "Train_AFEW" / "Angry" / "000046280.avi")
    video(root / "Train_AFEW" / "Neutral" / "001234567.avi", frames=8)
    video(root / "Val_AFEW" / "Happy" / "000149120.avi")
    return root


CLIPS_CSV = """path,subject,onset,apex,offset,fps,emotion,action_units,split,dataset
anna/smile.mp4,anna,1,3,4,25,happiness,6+12,train,mine
anna/frown.mov,anna,,,,,anger,4,train,mine
ben/frames one,ben,2,3,5,100,surprise,,test,mine
"""


def clips(root: Path, text: str = CLIPS_CSV) -> Path:
    """Somebody's own recordings: two videos and a folder of frames, with a list above them."""
    video(root / "anna" / "smile.mp4")
    video(root / "anna" / "frown.mov", frames=7)
    images(root / "ben" / "frames one", range(1, 9), "img{:03d}.jpg")
    (root / "clips.csv").write_text(text, encoding="utf-8")
    return root


def oulu_casia(root: Path, part: str = "VL", light: str = "Strong") -> Path:
    """Oulu-CASIA: the label is the folder; every sequence ends at the apex."""
    for person, emotion, frames in (("P001", "Anger", 9), ("P001", "Surprise", 12), ("P002", "Anger", 7)):
        images(root / "OriginalImg" / part / light / person / emotion, range(frames), "{:03d}.jpeg")
    return root


def ckplus(root: Path) -> Path:
    """CK+: only some sequences have a label, one number in a text file; two people have no labelled sequence."""
    told = {("S005", "001"): 3.0, ("S010", "002"): 7.0, ("S010", "004"): None, ("S999", "001"): None}
    for (person, sequence), code in told.items():
        folder = root / "cohn-kanade-images" / person / sequence
        images(folder, range(1, 12), f"{person}_{sequence}_{{:08d}}.png")
        if code is not None:
            label = root / "Emotion" / person / sequence / f"{person}_{sequence}_00000011_emotion.txt"
            label.parent.mkdir(parents=True)
            label.write_text(f"   {code:.7e}\n")
    # Labelled sequences only: an empty folder stands where there is no label.
    (root / "Emotion" / "S010" / "004").mkdir(parents=True)
    return root
