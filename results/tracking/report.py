"""What a sync did, and how a user is told."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from results.store.outcome_store import OutcomeStore
from results.tracking.client import SQLITE, Experiment, shown_uri
from results.tracking.pages import view_path

# Where `mlflow ui` serves a database unless told otherwise.
UI_ADDRESS = "http://127.0.0.1:5000"
_MOST_ADDRESSES = 8

Done = Literal["logged", "updated", "unchanged", "incomplete"]


@dataclass
class SyncReport:
    """What a sync did with the studies that it was given.

    Attributes
    ----------
    done : a study's key -> ``logged`` (its run was made), ``updated`` (made again, because the study changed or its run
        was half-written), ``unchanged``, or ``incomplete`` (folds are left to run; it has no run).
    unreachable : why MLflow could not be brought up to date, in one line; None where all went well.
    """

    done: dict[str, Done] = field(default_factory=dict)
    unreachable: str | None = None

    def count(self, done: Done) -> int:
        """Return with how many studies this was done."""
        return list(self.done.values()).count(done)


def tell(
    report: SyncReport,
    pages: Sequence[tuple[str, Experiment]],
    store: OutcomeStore,
    tracking_uri: str,
    say: Callable[[str], None],
    before: Mapping[str, Done] | None = None,
) -> None:
    """Say what a sync did, and where to see it.

    Parameters
    ----------
    report : of the sync; a run that an earlier one of the same command made is told, and noted, as made.
    pages : the experiments, by name.
    store : the results.
    tracking_uri : of MLflow.
    say : takes each line.
    before : what earlier syncs of the same command did, by study key.
    """
    report.done = {key: _told(done, (before or {}).get(key)) for key, done in report.done.items()}
    say(_summary(report, store, tracking_uri))
    for line in _addresses(pages, tracking_uri) if report.unreachable is None else ():
        say(line)


def _summary(report: SyncReport, store: OutcomeStore, tracking_uri: str) -> str:
    shown = shown_uri(tracking_uri)
    if report.unreachable:
        again = f"merbench sync --results {shlex.quote(shown_uri(store.root))} --tracking-uri {shlex.quote(shown)}"
        return (
            f"MLflow at {shown} is not up to date: {report.unreachable}. No result is lost; once it works again, "
            f"bring it up to date with: {again}"
        )
    counts = {done: report.count(done) for done in get_args(Done)}
    told = [f"{number} {done}" for done, number in counts.items() if number]
    if told:
        number, done = told[0].split()
        told[0] = f"{number} {'run' if number == '1' else 'runs'} {done}"
    return f"MLflow at {shown}: {', '.join(told) or 'nothing to show'}."


def _told(done: Done, before: Done | None) -> Done:
    """Return what a command did with a study: its last sync did ``done``, and one before that ``before``."""
    return before if before in ("logged", "updated") and done != "incomplete" else done


def _addresses(pages: Sequence[tuple[str, Experiment]], tracking_uri: str) -> list[str]:
    """Return where to see each experiment's runs, the best first: a few lines, since there may be many experiments."""
    server = shown_uri(tracking_uri)
    if tracking_uri.startswith(SQLITE):
        server = UI_ADDRESS
    lines = [f"  {server}/{view_path(page)}    {experiment}" for experiment, page in pages[:_MOST_ADDRESSES]]
    if len(pages) > _MOST_ADDRESSES:
        lines.append(f"  and {len(pages) - _MOST_ADDRESSES} more experiments, at {server}")
    started = f", after: mlflow ui --backend-store-uri {shlex.quote(tracking_uri)}" if server == UI_ADDRESS else ""
    return [f"Runs in MLflow, the best first{started}", *lines] if lines else []
