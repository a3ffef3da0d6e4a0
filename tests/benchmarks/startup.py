"""How soon is the first fold of a run done, in units of what ``import torch`` takes on the same machine?

A run from an empty results folder on drawn flow images (STSTNet, cde): from the command to the first outcome file, and
to its end. ``import torch`` is timed before and after each run, in a process of its own. Goal: 3.5 times.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmark_report import RUN_ALL, finished_at, machine_facts, print_table, run_plainly, timed
from drawn_flow import write_drawn_tree

IMPORT = [sys.executable, "-c", "import torch"]


def main() -> None:
    """Read the options, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    print("\n".join(machine_facts()))
    rows, ratios = [], []
    with tempfile.TemporaryDirectory(prefix="merbench-startup-") as folder:
        data, results = write_drawn_tree(Path(folder) / "drawn"), Path(folder) / "runs"
        options = ["--data", str(data), "--models", "ststnet", "--protocols", "cde", "--epochs", str(arguments.epochs)]
        options += ["--tracking-uri", "off", "--results", str(results)]
        for repeat in range(arguments.repeats):
            before = timed(IMPORT).seconds
            run = timed([*RUN_ALL, *options])
            first = finished_at(results)[0] - run.started
            imported = statistics.mean([before, timed(IMPORT).seconds])
            ratios.append(first / imported)
            cells = [f"{seconds:.1f} s" for seconds in (imported, first, run.seconds)]
            rows.append([str(repeat + 1), *cells, f"{ratios[-1]:.2f}"])
            shutil.rmtree(results)
    print_table("from the command on", ["run", "import torch", "first fold", "whole run", "first / import"], rows)
    print(f"median: {statistics.median(ratios):.2f} times import torch")


if __name__ == "__main__":
    run_plainly(main)
