"""Which people of two databases may be one: those of one name, and those of one laboratory's databases.

A subject is named after the database that shows them, so that two datasets of it (the cameras of SMIC, the micro- and
macro-expressions of CAS(ME)^2) share the name. Databases of one laboratory may have recorded one person twice, under
ids that nobody has matched in print.
"""

from __future__ import annotations

from collections.abc import Iterable

from preprocess.datasets._adapter import DATASETS

CAS_PSYCHOLOGY = (
    "the Institute of Psychology of the Chinese Academy of Sciences recorded CASME, CASME II, CAS(ME)^2 and CAS(ME)^3 "
    "with participants of its own surroundings, and no list says who took part in several"
)
"""Named as the laboratory of its databases, each in its own adapter."""


def met_before(held_out: Iterable[str], trained_on: Iterable[str]) -> dict[str, str]:
    """Return the held-out subjects who may have been trained on -> why.

    Parameters
    ----------
    held_out : subjects, such as ``casme2/sub01``.
    trained_on : the same.
    """
    known = _Known(trained_on)
    reasons = {subject: known.why(subject) for subject in sorted(set(held_out))}
    return {subject: why for subject, why in reasons.items() if why}


class _Known:
    """Some people, and who else may be one of them."""

    def __init__(self, people: Iterable[str]) -> None:
        self._people = set(people)
        first = {_database(subject): subject for subject in sorted(self._people, reverse=True)}
        self._of: dict[str, dict[str, str]] = {}
        for database, subject in first.items():
            if laboratory := _laboratory(database):
                self._of.setdefault(laboratory, {})[database] = subject

    def why(self, subject: str) -> str:
        """Return why a subject may be one of them; "" where that cannot be."""
        if subject in self._people:
            return f"{subject} is one of them"
        database = _database(subject)
        laboratory = _laboratory(database)
        others = [other for name, other in self._of.get(laboratory, {}).items() if name != database]
        return f"{min(others)} may be the same person: {laboratory}" if others else ""


def _database(subject: str) -> str:
    return subject.partition("/")[0]


def _laboratory(database: str) -> str:
    # Rendered people are drawn by their names: two names are two people.
    if database not in DATASETS.names():
        return ""
    declared = DATASETS.get(database).database
    return declared.laboratory if declared else ""
