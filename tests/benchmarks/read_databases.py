"""Seconds to recognise and read databases of the real sizes: empty frame files, real sheets, a folder on this disk.

    python tests/benchmarks/read_databases.py [--folder DIR] [--repeats 3]

CASME II has 255 clips of 67 frames. CAS(ME)^3 has 860 expressions in 463 recordings, here of 500 frames each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
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


def write(path: Path, rows: Iterable[list[Any]]) -> None:
    """Write a workbook of one tab."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    tab = book.create_sheet("Sheet1")
    for row in rows:
        tab.append(row)
    book.save(path)


def frames(folder: Path, numbers: range, name: str) -> None:
    """Make empty frame files: reading a database opens none."""
    folder.mkdir(parents=True)
    for number in numbers:
        (folder / name.format(number)).touch()


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
    """860 expressions in 463 recordings of 94 people."""
    rows: list[list[Any]] = [["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]]
    for number in range(463):
        subject, clip = f"spNO.{1 + number % 94}", "abcdefghijklm"[number // 94]
        frames(root / "part_A" / subject / clip / "color", range(8, 508), "{}.jpg")
        for onset in (20, 200) if number < 860 - 463 else (20,):
            rows.append([subject, clip, onset, onset + 5, onset + 12, "4", "VII", "disgust"])
    write(root / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", rows)


def main() -> None:
    """Make the trees and measure each in processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to make the trees; a temporary folder by default")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for make in (casme2, casme3):
            root = Path(folder) / make.__name__
            root.mkdir()
            make(root)
            command = [sys.executable, "-c", MEASURE, str(root)]
            runs = [json.loads(subprocess.check_output(command)) for _ in range(given.repeats)]
            rows.append([make.__name__, *(median_of(values, 2) for values in zip(*runs, strict=True))])
    for fact in machine_facts():
        print(fact)
    names = ["database", "import, s", "detect, s", "detect and read, s", "peak memory, MiB"]
    print_table(f"Recognising and reading, medians of {given.repeats}", names, rows)


if __name__ == "__main__":
    run_plainly(main)
