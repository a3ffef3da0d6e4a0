"""How large a board of 500 rows is, how long it takes to make, and how long chromium takes to open it.

    python -m tests.benchmarks.board_load [ROWS]

Two boards of as many lines: many small benchmarks, and one where all models stand (68 people, as in MEGC2019's
composite, of which each study has four parts).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "results"))

from board_pages import NO_BROWSER, opened
from example_studies import example_study

from results.store.outcome_store import OutcomeStore
from results.views.board_page import board_page

MEGC = {"casme2": 24, "samm": 28, "smic": 16}


def store_of(root: Path, rows: int, composite: bool) -> OutcomeStore:
    """Return a store whose leaderboard has so many lines."""
    store = OutcomeStore(root, create=True)
    for number in range(rows // 4 if composite else rows):
        datasets = MEGC if composite else {f"data{number // 10}": 6}
        study = example_study(f"model{number if composite else number % 10}", datasets, clips=6)
        store.write_card(study.card)
        for outcome in study.outcomes(0.3 + 0.6 * number / rows):
            store.write_outcome(study.card, outcome)
    return store


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print("board                     rows     MB   made in s   opened in s, of three times the least")
    with tempfile.TemporaryDirectory() as folder:
        for name, composite in (("50 benchmarks", False), ("one composite", True)):
            store = store_of(Path(folder) / name, rows, composite)
            begin = time.perf_counter()
            page = board_page(store, rng=np.random.default_rng(0))
            made = time.perf_counter() - begin
            file = Path(folder) / f"{name}.html"
            file.write_bytes(page)
            times = [_opened_in(file) for _ in range(3)] if not NO_BROWSER else []
            shown = f"{min(times):.2f}" if times else NO_BROWSER
            print(f"{name:<22} {rows:>7} {len(page) / 1e6:>6.2f} {made:>11.1f}   {shown}")


def _opened_in(file: Path) -> float:
    """Return the seconds from the call of the page until everything on it is drawn."""
    with opened(file) as (page, wrong):
        assert not wrong, wrong
        ready = page.evaluate("performance.getEntriesByName('board ready')[0].startTime")
        return float(ready) / 1000


if __name__ == "__main__":
    main()
