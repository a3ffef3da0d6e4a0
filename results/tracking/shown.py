"""What MLflow shows of a study and of a benchmark's leaderboard, as digests: equal ones need no run made anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from preprocess.base.hashing import digest
from results.scores.stored_study import StoredStudy
from results.store.outcome import Failure
from results.store.outcome_file import result_digest
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.tracking.client import shown_uri
from results.tracking.runs import experiment_name

STUDY_TAG = "merbench.study"
LEADERBOARD_TAG = "merbench.leaderboard"

# Counts in every run's content digest: raised when runs show something else, so that the next sync makes them anew.
VIEW_VERSION = 6

# The same of the leaderboards' runs alone.
BOARD_VERSION = 2


@dataclass(frozen=True)
class ShownStudy:
    """A study and what its run shows.

    Attributes
    ----------
    study : what the store holds of it.
    failures : the records of its failed folds.
    content : the digest of what its run shows; None where folds are left to run, and there is no run.
    """

    study: StoredStudy
    failures: list[Failure]
    content: str | None

    def told(self) -> list[Any]:
        """Return all that a leaderboard shows of the study."""
        standing = (self.study.done, self.study.failed, self.study.finished)
        return [self.study.card.key, self.content, standing]


@dataclass(frozen=True)
class ShownBoard:
    """What the leaderboard of one experiment shows.

    Attributes
    ----------
    identity : the tag that its run is known by, and that tag's value.
    content : the digest of what the run shows.
    page_content : the digest of what the experiment's page shows.
    complete : whether there is a complete study to rank; else there is no such run.
    """

    identity: tuple[str, str]
    content: str
    page_content: str
    complete: bool


def by_experiment(cards: Iterable[StudyCard]) -> dict[str, list[StudyCard]]:
    """Return name of an experiment -> its studies, in their order."""
    found: dict[str, list[StudyCard]] = defaultdict(list)
    for card in cards:
        found[experiment_name(card)].append(card)
    return found


def shown_study(store: OutcomeStore, study: StoredStudy) -> ShownStudy:
    """Return a study with what its run shows; failures are read, where there are some."""
    if not study.settled:
        return ShownStudy(study, [], None)
    failures = store.failures(study.card) if study.failed else []
    results = study.counted.results if study.sealed else [result_digest(outcome) for outcome in study.read]
    shown = [VIEW_VERSION, _told(study.card), results]
    errors = [[failure.key, failure.error, failure.traceback] for failure in failures]
    kept = ["weights"] if study.kept else []
    return ShownStudy(study, failures, digest([*shown, errors, *kept]))


def _told(card: StudyCard) -> dict[str, Any]:
    """Return what a card says beyond its defaults: a field that cards get one day makes no old run anew."""
    defaults = {
        one.name: one.default if one.default_factory is MISSING else one.default_factory() for one in fields(card)
    }
    return {name: value for name, value in card.to_json().items() if value != defaults[name]}


def shown_board(store: OutcomeStore, experiment: str, shown: Sequence[ShownStudy]) -> ShownBoard:
    """Return what the leaderboard of an experiment shows. shown : all studies of it, in the store's order."""
    # Two stores may share a server: each keeps a leaderboard of its own studies. The page is the last one's.
    identity = (LEADERBOARD_TAG, digest([experiment, shown_uri(store.root)]))
    content = digest([VIEW_VERSION, BOARD_VERSION, [one.told() for one in shown]])
    complete = any(one.study.complete and not one.study.card.shift for one in shown)
    return ShownBoard(identity, content, digest([content, identity[1]]), complete)
