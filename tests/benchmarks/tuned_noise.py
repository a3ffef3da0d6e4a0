"""Do tuned scores stay at chance where there is nothing to learn?

    python tests/benchmarks/tuned_noise.py [--studies 200] [--people 6 12 24 68] [--configs 20] [--inner 3]

Labels are drawn, and every configuration answers by chance (tests/simulated_tuning.py); the real inner folds choose
among them, one person left out at a time. Tuned less default should be 0 within a few standard errors. Beside it stands
what a choice that looks at the held-out person would gain.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from benchmark_report import machine_facts, print_table, run_plainly
from simulated_tuning import chance_scores, mean_gain


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="simulated studies a row (default 200)")
    parser.add_argument("--people", type=int, nargs="+", default=[6, 12, 24, 68], help="people of a study, a row each")
    parser.add_argument("--configs", type=int, default=20, help="configurations, the default among them (default 20)")
    parser.add_argument("--inner", type=int, default=3, help="inner folds (default 3)")
    arguments = parser.parse_args()
    facts, start = machine_facts(), time.perf_counter()
    rows = []
    for people in arguments.people:
        rng = np.random.default_rng(people)
        scores = [chance_scores(people, 6, arguments.configs, arguments.inner, rng) for _ in range(arguments.studies)]
        for metric in ("uar", "uf1"):
            gains = [mean_gain(scores, rule, metric) for rule in ("tuned", "leaky")]
            default = float(np.mean([one[metric]["default"] for one in scores]))
            told = [f"{gain:+.4f} ({error:.4f})" for gain, error in gains]
            rows.append([str(people), metric.upper(), f"{default:.4f}", *told])
    print_table(
        f"{arguments.studies} studies of noise, {arguments.configs} configurations (standard errors)",
        ["people", "score", "default", "tuned less default", "chosen on the test person less default"],
        rows,
    )
    print(f"{time.perf_counter() - start:.0f} s in all")
    for fact in facts:
        print(fact)


if __name__ == "__main__":
    run_plainly(main)
