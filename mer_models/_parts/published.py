"""Published scores in the forms in which the field prints them: one row a method, a pair of numbers a benchmark."""

from __future__ import annotations

from typing import Literal

from mer_models.contracts import PublishedScore

Pair = tuple[float, float]
UF1AndUAR = tuple[float, float | None]


def megc2019_cde(
    *,
    full: UF1AndUAR,
    casme2: UF1AndUAR,
    samm: UF1AndUAR,
    smic: UF1AndUAR,
    selection: Literal["last", "validation", "oracle", "unknown"],
    reference: str,
) -> tuple[PublishedScore, ...]:
    """Return one row of a table of the MEGC2019 composite as four scores, the whole composite first.

    Parameters
    ----------
    full, casme2, samm, smic : (UF1, UAR), each in 0..1; no UAR where the table prints none.
    selection, reference : as in ``PublishedScore``.
    """
    parts = {"full": full, "casme2": casme2, "samm": samm, "smic": smic}
    return tuple(
        PublishedScore(f"MEGC2019 cde {part}", uf1=uf1, uar=uar, selection=selection, reference=reference)
        for part, (uf1, uar) in parts.items()
    )


def accuracy_and_f1(
    pairs: dict[str, Pair], *, selection: Literal["last", "validation", "oracle", "unknown"], reference: str
) -> tuple[PublishedScore, ...]:
    """Return scores of single databases that are printed as accuracy and as an F1 whose averaging is not said.

    Parameters
    ----------
    pairs : benchmark -> (accuracy, F1), each in 0..1.
    selection, reference : as in ``PublishedScore``.
    """
    return tuple(
        PublishedScore(
            benchmark, uf1=None, uar=None, accuracy=accuracy, f1=f1, selection=selection, reference=reference
        )
        for benchmark, (accuracy, f1) in pairs.items()
    )
