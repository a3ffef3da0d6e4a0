"""SMILES: a dataset as a user adds it, one file. It exists for the tests only."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import openpyxl

from preprocess.datasets import Annotation, Count, Database, Sheet, Tree, register

CLIPS = {"p1_joy": "froh", "p1_gloom": "traurig", "p2_shock": "verblüfft", "p2_rage": "wütend"}


def example(root: Path) -> None:
    """Write a small copy: a sheet and four clips of three frames."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"])
    for clip, word in CLIPS.items():
        sheet.append([clip[1], clip, 1, 2, 3, word])
        folder = root / "smiles_frames" / clip[:2] / clip
        folder.mkdir(parents=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(folder / f"frame{number}.png"), np.full((12, 16, 3), 40 * number, dtype=np.uint8))
    book.save(root / "smiles.xlsx")


register(
    Database(
        name="smiles",
        title="SMILES (frames)",
        layout="smiles_frames/p1/<clip>/frame1.png, smiles.xlsx beside it",
        trees=(Tree("raw", (r"p(?P<subject>\d)", r"p\d_\w+"), r"frame(?P<n>\d+)\.png", root="smiles_frames"),),
        sheets=(Sheet("v1", r"smiles"),),
        subject="p{subject}",
        fps=100.0,
        counts=(Count(100, 20, "nobody"),),
        annotations={
            "smiles": Annotation(
                {"froh": "happiness", "traurig": "sadness", "verblüfft": "surprise", "wütend": "anger"},
                tasks=("binary",),
            )
        },
        example=example,
    ),
    __name__,
)
