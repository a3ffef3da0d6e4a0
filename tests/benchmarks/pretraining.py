"""What pretraining on macro-expressions is worth on rendered micro-expressions, against training from scratch.

    python tests/benchmarks/pretraining.py [--models ststnet,off_apexnet] [--people 8] [--macro-people 12]

Micro-expressions as CASME II's camera would film them are recognised with one person left out after the other. The
networks start at random, or from what `merbench pretrain` made of macro-expressions of other people, as SAMM's and
SMIC's cameras would film them. Beside UF1 and UAR stand the differences of UF1 with their intervals over people and the
p of swapped people (`merbench compare`); `epochs` shows what is left of the gain when folds train longer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from benchmark_report import RUN_ALL, machine_facts, print_table, run_plainly, timed

from results.scores.comparison import compare
from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.store.pretrained import PretrainedStore
from results.store.study_card import StudyCard


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="ststnet,off_apexnet")
    parser.add_argument("--people", type=int, default=8, help="who show micro-expressions")
    parser.add_argument("--macro-people", type=int, default=12, help="who show macro-expressions, of each camera")
    parser.add_argument("--micro", type=Path, help="a folder of micro-expressions that were rendered before")
    parser.add_argument("--macro", type=Path, help="a folder of macro-expressions that were rendered before")
    parser.add_argument("--results", type=Path, help="where to keep results; the features that are there serve again")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", default="quick", help="of the folds: quick, or numbers such as 5,20")
    parser.add_argument("--workers", default="2", help="folds trained at a time")
    arguments = parser.parse_args()
    facts, rows = machine_facts(), []
    with tempfile.TemporaryDirectory(prefix="pretraining-") as name:
        folder = Path(name)
        micro = arguments.micro or rendered(folder / "micro", "micro", ("casme2",), arguments.people)
        macro = arguments.macro or rendered(folder / "macro", "macro", ("samm", "smic"), arguments.macro_people)
        results = arguments.results or folder / "runs"
        for model in arguments.models.split(","):
            rows += measured(model, micro, macro, results, arguments)
    names = ["model", "epochs of a fold", "UF1 scratch", "pretrained", "difference (95 %)", "p"]
    title = f"{micro.name} as CASME II, loso, megc3; seeds {arguments.seeds}"
    print_table(title, [*names, "UAR scratch", "pretrained"], rows)
    print(*facts, sep="\n")


def rendered(folder: Path, strength: str, cameras: Sequence[str], people: int) -> Path:
    """Render databases into a folder, and return it."""
    for like in cameras:
        words = ["synth", "--like", like, "--strength", strength, "--subjects", str(people)]
        merbench(*words, "--out", str(folder / like))
    return folder


def measured(model: str, micro: Path, macro: Path, results: Path, arguments: argparse.Namespace) -> list[list[str]]:
    """Return the rows of one model."""
    rows = []
    common = ["--preset", "quick", "--results", str(results), "--tracking-uri", "off"]
    start = time.perf_counter()
    merbench("pretrain", model, "--data", str(macro), *common)
    seconds = time.perf_counter() - start
    networks = PretrainedStore(str(results))
    (key,) = (one for one in networks.stored_keys() if networks.configuration(one)["model"] == model)
    facts = networks.facts(key)
    assert facts is not None
    losses = f"{facts.loss[0]:.2f} -> {facts.loss[-1]:.2f}"
    print(f"{model}: pretrained on {facts.described} in {seconds:.0f} s, loss {losses}")
    run = ["run", "--data", str(micro), "--models", model, "--protocols", "loso", "--seeds", arguments.seeds]
    for epochs in arguments.epochs.split(","):
        options = [*run, *common, "--workers", arguments.workers]
        options += ["--epochs", epochs] if epochs != "quick" else []
        before = {card.key for card in OutcomeStore(results).cards()}
        merbench(*options)
        merbench(*options, "--pretrain", key)
        store = OutcomeStore(results)
        rows.append([model, epochs, *compared(store, [card for card in store.cards() if card.key not in before])])
    return rows


def compared(store: OutcomeStore, cards: Sequence[StudyCard]) -> list[str]:
    """Return the scores of some studies, from scratch and pretrained, and how they differ."""
    board = build_leaderboard(store, cards, rng=np.random.default_rng(0))
    whole = [row for row in board.rows if row.part == "full"]
    scratch, pretrained = sorted(whole, key=lambda row: "pretrain" in row.params)
    (pair,) = compare(store, cards, rng=np.random.default_rng(0)).pairs
    sign = 1 if pair.first == pretrained.label else -1
    uf1 = pair.metrics["uf1"]
    ends = sorted(sign * end for end in (uf1.low, uf1.high) if end is not None)
    difference = f"{sign * uf1.difference:+.3f} [{', '.join(f'{end:+.3f}' for end in ends)}]"
    return [
        *(f"{row.uf1:.3f}" for row in (scratch, pretrained)),
        difference,
        f"{uf1.p:.3f}",
        *(f"{row.uar:.3f}" for row in (scratch, pretrained)),
    ]


def merbench(*words: str) -> None:
    """Run one command; the benchmark ends where it fails."""
    command: Sequence[str] = [*RUN_ALL[:-1], str(Path(RUN_ALL[-1]).parents[1] / "merbench.py"), *words]
    timed(command)


if __name__ == "__main__":
    run_plainly(main)
