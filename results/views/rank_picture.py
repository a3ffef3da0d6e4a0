"""The critical-difference diagram of models over several benchmarks (Demsar, 2006), as PNG or SVG."""

from __future__ import annotations

import io
from pathlib import PurePath

from preprocess.base.drawing import default_look
from preprocess.base.errors import UsageError
from results.scores.over_benchmarks import FEW_BENCHMARKS, OverBenchmarks
from results.scores.pairs import LEVEL
from results.views.pictures import DPI

ENDINGS = (".png", ".svg")

# Inches: a line of labels, what stands above and below them, and the picture's width.
_LINE, _ABOVE, _BELOW, _WIDTH = 0.5, 1.2, 0.7, 9.0


def check_ending(file: str) -> str:
    """Return how a picture's file name ends; UsageError where no picture is made of that name."""
    ending = PurePath(file).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"--diagram {file}: expected a file that ends in {' or '.join(ENDINGS)}.")
    return ending


@default_look()
def rank_diagram(ranked: OverBenchmarks, ending: str) -> bytes:
    """Draw mean ranks on a line; a bar joins models that cannot be told apart.

    Parameters
    ----------
    ranked : the models.
    ending : one of ``ENDINGS``.

    Raises
    ------
    UsageError : there was nothing to test.
    """
    if ranked.p is None:
        raise UsageError(f"There is no diagram to draw: {' '.join(ranked.notes)}")
    import pandas as pd
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from scikit_posthocs import critical_difference_diagram

    names = [one.model for one in ranked.models]
    p = pd.DataFrame(1.0, index=names, columns=names)
    if ranked.p < LEVEL:
        for one, others in ranked.p_pairs.items():
            for other, value in others.items():
                p.loc[one, other] = value
    figure = Figure(figsize=(_WIDTH, _ABOVE + _BELOW + _LINE * (len(names) + 1) / 2), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.3, 0.1, 0.4, 0.65))
    critical_difference_diagram(
        {one.model: one.mean_rank for one in ranked.models},
        p,
        alpha=LEVEL,
        ax=axes,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
    )
    n = len(ranked.benchmarks)
    few = f": fewer than {FEW_BENCHMARKS} say little" if n < FEW_BENCHMARKS else ""
    figure.suptitle(
        f"Mean ranks by UF1 over {n} benchmarks{few}\nFriedman p {ranked.p:.2g}; bars join models that cannot be told "
        f"apart (Nemenyi, 5 %: ranks less than {ranked.critical_difference:.2f} apart)",
        fontsize=10,
    )
    sink = io.BytesIO()
    figure.savefig(sink, format=ending.removeprefix("."), bbox_inches="tight")
    return sink.getvalue()
