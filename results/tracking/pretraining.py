"""Pretrained networks in MLflow: a run each, with its learning curve, in an experiment of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from preprocess.base.hashing import digest
from results.store.pretrained import SHORT, Pretrained, PretrainedStore
from results.tracking.client import RunContent, Tracker, TrackingLost, shown_uri
from results.tracking.points import series
from results.tracking.sync import open_tracking

EXPERIMENT = "merbench: pretraining"
PRETRAINED_TAG = "merbench.pretrained"

_VERSION = 1
_POINTS = 400
"""How many epochs of a curve are metrics: MLflow takes 1000 values at once. The file has all of them."""


def track_pretrained(tracking_uri: str, results: str, say: Callable[[str], None]) -> None:
    """Bring MLflow up to date with the pretrained networks of a store. Doing it again changes nothing.

    Parameters
    ----------
    tracking_uri : of the server or database.
    results : root of the results.
    say : takes each line that is meant for the user.
    """
    store = PretrainedStore(results)
    keys = store.stored_keys()
    if not keys:
        return
    made = 0
    try:
        tracker = Tracker(open_tracking(tracking_uri, results) or tracking_uri)
        with tracker.alone():
            known = tracker.find_all(EXPERIMENT, PRETRAINED_TAG)
            for key in keys:
                facts = store.facts(key)
                assert facts is not None
                content = digest([_VERSION, key, facts.sha256])
                found = known.get(key, [])
                if [one.content for one in found] == [content]:
                    continue
                for one in found:
                    tracker.remove(one.run_id)
                run = pretraining_run(facts, store.configuration(key))
                tracker.write(EXPERIMENT, (PRETRAINED_TAG, key), run, content)
                made += 1
    except TrackingLost as lost:
        say(f"MLflow at {shown_uri(tracking_uri)} does not show the pretraining: {lost}. `merbench sync` brings it up.")
        return
    if made:
        say(f"MLflow at {shown_uri(tracking_uri)}: {made} of {len(keys)} pretrained networks logged in {EXPERIMENT!r}.")


def pretraining_run(facts: Pretrained, told: dict[str, Any]) -> RunContent:
    """Return the run of a pretrained network.

    Parameters
    ----------
    facts : what must be known of it.
    told : all that its folder tells.
    """
    origin = told.get("provenance", {})
    ended = int(datetime.fromisoformat(origin["finished_at"]).timestamp() * 1000) if "finished_at" in origin else 0
    started = ended - int(1000 * float(origin.get("seconds") or 0.0))
    tags = {
        "kind": "pretraining",
        "model": facts.model,
        "label": told["label"],
        "dataset": "+".join(facts.datasets),
        "task": facts.task,
        "synthetic": str(facts.synthetic).lower(),
        "people": str(len(facts.people)),
        "samples": str(facts.samples),
    }
    return RunContent(
        name=f"{told['label']} · {'+'.join(facts.datasets)} · {facts.key[:SHORT]}",
        status="FINISHED",
        started=started,
        ended=ended,
        tags=tags | {name: str(origin[name]) for name in ("git", "device") if origin.get(name)},
        params={
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in told["hyperparameters"].items()
        },
        metrics=tuple(series("train_loss", facts.loss, ended, _POINTS)),
        files={"curve.csv": _csv(facts.loss), "people.txt": ("\n".join(facts.people) + "\n").encode()},
    )


def _csv(loss: Sequence[float]) -> bytes:
    lines = ["epoch,train_loss", *(f"{epoch},{value!r}" for epoch, value in enumerate(loss, start=1))]
    return ("\n".join(lines) + "\n").encode()
