"""A small true copy of every registered database: ``TREES`` maps an adapter's name to what writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import more_trees
from flow_trees import CLIPS, FlowTree
from more_trees import Rows, images, workbook

CASME2_HEADER = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units"]
CASME2_HEADER += ["Estimated Emotion"]


def casme2_row(subject: Any, clip: str, frames: Sequence[Any], units: str, emotion: str) -> list[Any]:
    """One row of CASME II's sheet, with the two columns that have no name and no content."""
    return [subject, clip, None, *frames, None, units, emotion]


CASME2_ROWS = [
    casme2_row("01", "EP02_01f", (46, 59, 60), "12", "happiness"),
    casme2_row("01", "EP19_05f", (3, 6, 9), "4+7", "disgust"),
    casme2_row("04", "EP12_01f", (5, "/", 8), "4", "disgust"),
    casme2_row("26", "EP18_44", (1, 2, 4), "R12", "others"),
]


def casme2(
    root: Path,
    rows: Rows = CASME2_ROWS,
    sheets: Sequence[str] = ("CASME2-coding-20140508",),
    frames: dict[str, str] | None = None,
) -> Path:
    """CASME II: unpadded frame numbers, a shortcut in sub01. ``frames``: folder of a variant -> its files' names."""
    for name in sheets:
        workbook(root / f"{name}.xlsx", {"Sheet1": [CASME2_HEADER, *rows]})
    for folder, name in (frames or {"CASME2_RAW_selected": "img{}.jpg"}).items():
        for row in rows:
            clip = root / folder / f"sub{int(row[0]):02d}" / row[1]
            images(clip, range(row[3], row[5] + 1), name)
        stray = root / folder / "sub01" / "EP02_01f - Shortcut.lnk"
        stray.write_bytes(b"L\x00")
    return root


SAMM_HEADER = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration"]
SAMM_HEADER += ["Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes"]
SAMM_TEXT = [["Spontaneous Actions and Micro-Movements"], [None], ["Subject: a number"], ["Filename", "Subject"]]
SAMM_TEXT += [[None]] * 9


def samm_row(clip: str, frames: Sequence[int], units: str, emotion: str, objective: int) -> list[Any]:
    """One row of SAMM's sheet, whose subjects are numbers in some copies."""
    onset, apex, offset = frames
    duration = offset - onset + 1
    return [int(clip[:3]), clip, 1, onset, apex, offset, duration, "Micro - 1/2", units, emotion, objective, None]


SAMM_ROWS = [
    samm_row("006_1_2", (9997, 9999, 10002), "4+7", "Anger", 3),
    samm_row("006_3_5", (17, 18, 19), "25+26", "Surprise", 2),
    samm_row("011_4_2", (29, 30, 33), "L12 or L14", "Contempt", 1),
    samm_row("037_3_1", (3, 4, 6), "24", "Other", 7),
]


def samm(root: Path, rows: Rows = SAMM_ROWS, folder: str = "SAMM") -> Path:
    """SAMM: 13 rows of text above the header; frame numbers of 4 or 5 digits in one clip."""
    workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO_ONLY": [*SAMM_TEXT, SAMM_HEADER, *rows]})
    for row in rows:
        clip = root / folder / row[1][:3] / row[1]
        images(clip, range(row[3], max(row[5], row[3]) + 1), f"{row[1][:3]}_{{:04d}}.jpg")
    return root


SMIC_CLIPS = ("s1_ne_01", "s1_po_02", "s3_sur_01", "s20_ne_11")
SMIC_FOLDERS = {"ne": "negative", "po": "positive", "sur": "surprise"}


def smic(root: Path, camera: str = "HS", folder: str = "SMIC_all_raw", clips: Sequence[str] = SMIC_CLIPS) -> Path:
    """SMIC: no sheet; numbers of any size, restarting with every recording."""
    name = "reg_image{:06d}.bmp" if "crop" in folder else "image{:06d}.bmp"
    for number, clip in enumerate(clips):
        subject, kind, _ = clip.split("_")
        first = 17_000_000 if subject == "s20" else 100 * number
        images(root / folder / camera / subject / "micro" / SMIC_FOLDERS[kind] / clip, range(first, first + 6), name)
    return root


def smic_vis(root: Path) -> Path:
    """The ordinary camera of SMIC."""
    return smic(root, "VIS", clips=SMIC_CLIPS[:2])


def smic_nir(root: Path) -> Path:
    """The near-infrared camera of SMIC."""
    return smic(root, "NIR", clips=SMIC_CLIPS[:2])


SMIC_LONG_HEADER = ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", "FirstF", "LastF"]
SMIC_LONG_HEADER += ["TotalMF1", "TotalMF2", "TotalVL", "Emotion"]


def smic_long(root: Path, camera: str = "HS") -> Path:
    """SMIC-E: recordings of which one holds two expressions; text below the table."""
    rows: list[list[Any]] = [
        [1, "s1_ne_01", None, 12, 15, None, None, 10, 29, 4, None, 20, "negative"],
        [20, "s20_sur_3", None, 11, 14, 20, 25, 10, 29, 4, 6, 20, "surprise"],
        ["MF: frames of a micro-expression"],
    ]
    workbook(root / f"SMIC-{camera}-E_annotation.xlsx", {"Sheet1": [SMIC_LONG_HEADER, *rows]})
    base = root / f"{camera}_long" / f"SMIC-{camera}-E" / camera
    images(base / "s01" / "s1_ne_01", range(10, 30), "image{:06d}.bmp")
    images(base / "s20" / "s20_sur_03", range(10, 30), "image{:06d}.bmp")
    return root


CASME_HEADER = ["Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AU", "Emotion"]
CASME_ROWS: list[list[Any]] = [
    [1, "EP01_5", None, 52, 56, 57, 60, None, "4+7", "tense"],
    [1, "EP03_1", None, 5, 8, 0, 9, None, "14", "repression"],
    [35, "EP12_2", None, 7, 9, 0, 12, None, "1+2", "surprise"],
]


def casme(root: Path, rows: Rows = CASME_ROWS) -> Path:
    """CASME: two apex columns; frames named after their clip, padded in some clips only."""
    workbook(root / "casme.xlsx", {"Sheet1": [CASME_HEADER, *rows]})
    for number, row in enumerate(rows):
        name = row[1] + ("-{:03d}.jpg" if number % 2 else "-{}.jpg")
        images(root / "CASME_raw_selected" / f"sub{row[0]:02d}" / row[1], range(row[3], max(row[6], row[3]) + 1), name)
    return root


MMEW_HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion"]
MMEW_HEADER += ["remarks"]
MMEW_ROWS: list[list[Any]] = [
    ["S03", "S03-01-002", 1, 5, 9, "4", "disgust", None],
    ["S03", "S03-02-001", 1, 2, 4, "14", "others", "two emotions"],
    ["S30", "S30-04-011", 1, 3, 6, "1+2", "surprise", None],
]


def mmew(root: Path, rows: Rows = MMEW_ROWS) -> Path:
    """MMEW: folders of classes, of which one has another name than the sheet's emotion."""
    workbook(root / "MMEW_Micro_Exp.xlsx", {"Sheet1": [MMEW_HEADER, *rows]})
    for row in rows:
        folder = root / "Micro_Expression" / row[6].replace("others", "repression")
        images(folder / row[1], range(row[2], row[4] + 1), "{}.jpg")
    return root


def flow_tree(root: Path) -> Path:
    """The flow images of three databases."""
    tree = FlowTree(root / "three_norm_u_v_os")
    for subject, label, clip in CLIPS:
        tree.put(subject, label, clip)
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "4dme": more_trees.four_dme,
    "afew": more_trees.afew,
    "casme": casme,
    "casme2": casme2,
    "casme3": more_trees.casme3,
    "casme3_c": more_trees.casme3_c,
    "casme_sq": more_trees.casme_sq,
    "ckplus": more_trees.ckplus,
    "clips": more_trees.clips,
    "dfme": more_trees.dfme,
    "flow_tree": flow_tree,
    "mmew": mmew,
    "oulu_casia": more_trees.oulu_casia,
    "samm": samm,
    "samm_long": more_trees.samm_long,
    "smic": smic,
    "smic_long": smic_long,
    "smic_nir": smic_nir,
    "smic_nir_long": lambda root: smic_long(root, "NIR"),
    "smic_vis": smic_vis,
    "smic_vis_long": lambda root: smic_long(root, "VIS"),
}
