"""The front door: ``python bench/run_all.py`` runs the benchmark, installed or straight from a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    # Python puts this folder first on the path; the rooms lie one level up, and none of bench's modules is top-level.
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if Path(entry or ".").resolve() != ROOT / "bench")]
    from bench.rooms import start

    start(["run", *sys.argv[1:]])
