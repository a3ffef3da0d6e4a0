"""Seconds to recognise, read and report databases of the real sizes: sheets, and frame files of a few bytes.

    python tests/benchmarks/read_databases.py [--folder DIR] [--repeats 3]

CASME II has 255 clips of 67 frames. CAS(ME)^3 has 860 micro- and 3346 macro-expressions in 463 recordings, here of 500
frames each. DFME has 2629 clips, here of 60 frames each. ``merbench datasets report`` of each is to take at most 3 s.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark_report import machine_facts, median_of, print_table, run_plainly

MEASURE = """
import json, resource, sys, time
from pathlib import Path
start = time.perf_counter()
from preprocess.datasets import detect, read_source
import pandas, openpyxl
imported = time.perf_counter()
detect(Path(sys.argv[1]))
detected = time.perf_counter()
read_source(sys.argv[1])
read = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([imported - start, detected - imported, read - detected, peak]))
"""


def write(path: Path, rows: Iterable[list[Any]], name: str = "Sheet1") -> None:
    """Write a workbook of one tab."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    tab = book.create_sheet(name)
    for row in rows:
        tab.append(row)
    book.save(path)


def frames(folder: Path, numbers: range, name: str) -> None:
    """Make frame files of a few bytes, no two alike: reading a database decodes none."""
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / name.format(number)).write_bytes(f"{folder} {number}".encode())


def casme2(root: Path) -> None:
    """255 clips of 26 people."""
    rows: list[list[Any]] = [
        ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Emotion"]
    ]
    for number in range(255):
        subject, clip = 1 + number % 26, f"EP{1 + number // 26:02d}_01f"
        frames(root / "CASME2_RAW_selected" / f"sub{subject:02d}" / clip, range(40, 107), "img{}.jpg")
        rows.append([f"{subject:02d}", clip, None, 40, 70, 106, None, "4+7", "others"])
    write(root / "CASME2-coding-20140508.xlsx", rows)


def casme3(root: Path) -> None:
    """860 micro- and 3346 macro-expressions in 463 recordings of 94 people."""
    names = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
    rows: list[list[Any]] = [names]
    macro: list[list[Any]] = [[*names, "Expression type"]]
    for number in range(463):
        subject, clip = f"spNO.{1 + number % 94}", "abcdefghijklm"[number // 94]
        frames(root / "part_A" / subject / clip / "color", range(8, 508), "{}.jpg")
        for onset in (20, 200) if number < 860 - 463 else (20,):
            rows.append([subject, clip, onset, onset + 5, onset + 12, "4", "VII", "disgust"])
        for onset in range(30, 30 + 10 * (8 if number < 3346 - 463 * 7 else 7), 10):
            macro.append([subject, clip, onset, onset + 5, onset + 40, "6+12", "I", "", "Macro-expression"])
    write(root / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", rows)
    write(root / "CAS(ME)3_part_A_v2.xlsx", macro, "AU+Emotion")


def dfme(root: Path) -> None:
    """1856 clips for training, 474 and 299 of the test sets."""
    names = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "EmotionId", "Fps", "AU"]
    sets = (("DFME_train", "training", 1856), ("test_data_A", "testA", 474), ("test_data_B", "testB", 299))
    for number, (folder, sheet, count) in enumerate(sets):
        rows: list[list[Any]] = [names]
        for clip in range(count):
            subject = f"sub{1000 * number + clip % (176, 42, 41)[number]:04d}"
            frames(root / folder / f"{subject}_{clip:04d}", range(100, 160), "{:05d}.png")
            emotion = ["disgust", 2] if not number else [None, None]
            rows.append([subject, f"{subject}_{clip:04d}", 100, 120, 159, *emotion, 500, "4+L10"])
        write(root / f"{sheet}_full_with_AU.xlsx", rows)


def reported(root: Path) -> float:
    """Return the seconds that the report takes, start of the program included."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "merbench", "datasets", "report", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Make the trees and measure each in processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to make the trees; a temporary folder by default")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for make in (casme2, casme3, dfme):
            root = Path(folder) / make.__name__
            root.mkdir()
            make(root)
            command = [sys.executable, "-c", MEASURE, str(root)]
            runs = [[*json.loads(subprocess.check_output(command)), reported(root)] for _ in range(given.repeats)]
            rows.append([make.__name__, *(median_of(values, 2) for values in zip(*runs, strict=True))])
    for fact in machine_facts():
        print(fact)
    names = ["database", "import, s", "detect, s", "detect and read, s", "peak memory, MiB", "report, s"]
    print_table(f"Recognising and reading, medians of {given.repeats}", names, rows)


if __name__ == "__main__":
    run_plainly(main)
