"""What MLflow shows of a study and of a leaderboard: names, tags, parameters, metrics and pictures."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from preprocess.base.hashing import canonical_json, digest
from results.scores.leaderboard import Leaderboard, Row
from results.scores.pooling import AVERAGE, FULL, Pooled, pool_complete
from results.store.outcome import PRETRAINING_CURVE, Failure, Outcome
from results.store.outcome_store import fold_file
from results.store.study_card import PRETRAINING, SHIFT, StudyCard
from results.tracking.client import SOURCE_NAME, KeptModel, Point, RunContent, UsedDataset
from results.tracking.points import series
from results.views.board_page import FILE
from results.views.columns import class_counts, interval, number
from results.views.leaderboard_text import render
from results.views.pictures import classes_picture, confusion_picture, curves_picture
from results.views.study_files import study_tables

# MLflow's own tag for the text at the top of a run's page, and how much of it a server must take.
NOTE_TAG = "mlflow.note.content"
_NOTE_CHARACTERS = 8000

EXPERIMENT_PREFIX = "merbench: "
RANKED_TAG = "ranked"
# What people sort a list of runs by: of the whole, and of a part. Every score stands in scores.json.
_SORTED_BY = ("uf1", "uf1_low", "uf1_high", "uar", "uar_low", "uar_high", "accuracy", "weighted_f1")
_PART_SORTED_BY = ("uf1", "uar")
# Epochs of a curve that are metrics of a study's run, beside a fold's accuracy each: MLflow takes 1000 values at once.
POINTS = 60


def experiment_name(card: StudyCard) -> str:
    """Return the experiment of a study: one a benchmark, so that it holds what can be compared."""
    stamp = " (synthetic data)" if card.synthetic else ""
    return f"{EXPERIMENT_PREFIX}{card.dataset} · {card.task} · {card.protocol}{stamp}"


def scored_run(card: StudyCard, outcomes: Sequence[Outcome], rows: Sequence[Row], weights: str = "") -> RunContent:
    """Return the run of a complete study.

    Parameters
    ----------
    card : the study's.
    outcomes : of all folds, in the card's order.
    rows : the study's own leaderboard rows, ``full`` first.
    weights : the results that keep the weights of all folds; "" where some are not kept.

    Raises
    ------
    HonestyError : outcomes contradict the card.
    """
    pooled = pool_complete(card, outcomes)
    started, ended = _span([outcome.provenance for outcome in outcomes])
    scores = _score_points(rows, ended)
    return RunContent(
        name=_run_name(card),
        status="FINISHED",
        started=started,
        ended=ended,
        tags={
            **_study_tags(card, outcomes[0].provenance),
            **_score_tags(card, rows),
            NOTE_TAG: _score_note(card, rows),
        },
        params=_params(card),
        metrics=(*scores, *_fold_points(outcomes, ended), *_pretraining_points(outcomes, ended)),
        files={
            "study.json": _study_json(card),
            "scores.json": _scores_json(rows),
            **study_tables(pooled, outcomes, rows),
            **_pictures(card, pooled, outcomes, rows),
        },
        datasets=_datasets(card),
        model=_model(card, weights, frozenset(point.name for point in scores)) if weights else None,
    )


def failed_run(card: StudyCard, outcomes: Sequence[Outcome], failures: Sequence[Failure]) -> RunContent:
    """Return the run of a study with failed folds and nothing left to run: what failed and why, and no score."""
    started, ended = _span([one.provenance for one in outcomes] + [one.provenance for one in failures])
    folds = f"{len(outcomes)}/{len(card.folds)} folds done, {len(failures)} failed: no score."
    errors = "\n".join(f"- {failure.fold}: `{failure.error}`" for failure in failures)
    tracebacks = "\n".join(f"fold {failure.fold}\n\n{failure.traceback.rstrip()}\n\n" for failure in failures)
    note = f"{folds}\n\n{errors}\n\nMend the cause, then run again with `--overwrite failed`."
    return RunContent(
        name=_run_name(card),
        status="FAILED",
        started=started,
        ended=ended,
        tags={**_study_tags(card, failures[0].provenance), "error": failures[0].error, NOTE_TAG: _cut(note)},
        params=_params(card),
        metrics=(Point("folds_done", len(outcomes), 0, ended), Point("folds_failed", len(failures), 0, ended)),
        files={"tracebacks.txt": tracebacks.encode(), "study.json": _study_json(card)},
    )


def leaderboard_run(leaderboard: Leaderboard, board: bytes) -> RunContent:
    """Return the run that holds the ranked table of one experiment. board : the same as a page, which MLflow shows."""
    now = time.time_ns() // 1_000_000
    first = leaderboard.rows[0]
    leaders = [row for row in leaderboard.rows if row.rank == 1 and row.uf1 is not None]
    best: dict[str, float] = {}
    for row in leaders:
        name = metric_name(row.part, "best_uf1")
        best[name] = max(best.get(name, 0.0), row.uf1 or 0.0)
    table = render(leaderboard, "md")
    tags = {
        "kind": "leaderboard",
        "dataset": first.dataset,
        "task": first.task,
        "protocol": first.protocol,
        "synthetic": str(first.synthetic).lower(),
        "leader": _cut(", ".join(row.label for row in leaders if row.part == FULL)),
        NOTE_TAG: table if len(table) <= _NOTE_CHARACTERS else "The table is among the artifacts: leaderboard.md.",
        **_version_tag(),
    }
    return RunContent(
        name="leaderboard",
        status="FINISHED",
        started=now,
        ended=now,
        tags={**tags, **_source_tags(None)},
        metrics=tuple(Point(name, value, 0, now) for name, value in best.items()),
        files={
            FILE: board,
            **{f"leaderboard.{kind}": render(leaderboard, kind).encode() for kind in ("json", "csv", "md")},
        },
    )


def _model(card: StudyCard, root: str, scored: frozenset[str]) -> KeptModel:
    """Return where the weights of a study's folds lie; they stay there, for the store is the truth."""
    files = {fold.name: fold_file(card, fold.key, "weights") for fold in card.folds}
    told = {"results": root, "study": card.key, "weights": files}
    # MLflow takes no point in such a name, nor signs of addresses.
    name = re.sub(r"[^\w,=\[\] -]", "_", f"{card.label} {card.selection} seed {card.seed}")
    return KeptModel(
        name[:250], scored, {"weights.json": (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()}
    )


def _run_name(card: StudyCard) -> str:
    # A selection that is no honest one is told loudly.
    name = card.selection if card.shift else card.selection.upper()
    selection = f"{name} ({card.stamp})" if card.stamp else card.selection
    return f"{card.label} · {selection} · seed {card.seed}"


def _study_tags(card: StudyCard, provenance: Mapping[str, Any]) -> dict[str, str]:
    tags = {
        "kind": "study",
        "model": card.model,
        "label": card.label,
        "dataset": card.dataset,
        "task": card.task,
        "protocol": card.protocol,
        "selection": card.selection,
        "watches": card.watches or "nothing",
        "seed": str(card.seed),
        "synthetic": str(card.synthetic).lower(),
        **_version_tag(),
        **_fingerprints(card.ingredients),
    }
    tags |= {name: str(provenance[name]) for name in ("git", "device") if provenance.get(name)}
    tags |= _source_tags(provenance.get("git"))
    if card.weights:
        tags["weights"] = card.weights
    if card.shift:
        tags[SHIFT] = card.shift
    if PRETRAINING in card.ingredients:
        tags[PRETRAINING] = card.params["pretrain"]
    if card.stamp:
        tags["stamp"] = card.stamp
    return tags


def _source_tags(git: str | None) -> dict[str, str]:
    """Return MLflow's own tags for what made a run. git : the commit, with ``+dirty`` where files differ."""
    tags = {"mlflow.source.name": SOURCE_NAME, "mlflow.source.type": "LOCAL"}
    if git:
        commit, _, changed = git.partition("+")
        tags |= {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(bool(changed)).lower()}
    return tags


def _fingerprints(ingredients: Mapping[str, Any]) -> dict[str, str]:
    """Return the fingerprints of code, datasets and features as ``fingerprint.*`` tags."""
    known = {name: ingredients[name] for name in ("model_code", "engine_code") if name in ingredients}
    known |= {f"dataset.{name}": value for name, value in dict(ingredients.get("datasets", {})).items()}
    known |= {f"feature.{name}": value for name, value in dict(ingredients.get("features", {})).items()}
    return {
        _safe_name(f"fingerprint.{name}"): value if isinstance(value, str) else canonical_json(value)
        for name, value in known.items()
    }


def _version_tag() -> dict[str, str]:
    try:
        return {"merbench.version": version("merbench")}
    except PackageNotFoundError:
        # A checkout that is not installed has no version; the git tag tells what ran.
        return {}


def _params(card: StudyCard) -> dict[str, str]:
    """Return the resolved hyper-parameters; one too long for MLflow is cut there, and whole in ``study.json``."""
    return {
        _safe_name(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in card.hyperparameters.items()
    }


def _score_note(card: StudyCard, rows: Sequence[Row]) -> str:
    lines = [f"**{_run_name(card)}**", ""]
    if card.synthetic:
        lines += ["SYNTHETIC DATA: these scores say nothing about real faces.", ""]
    f1, recall = _score_names(card)
    lines += [f"| part | n | subjects | classes | {f1} | 95 % | {recall} | 95 % | accuracy | weighted F1 |"]
    lines += ["|---|---:|---:|---|---:|---|---:|---|---:|---:|"]
    for row in rows:
        cells = [row.part, str(row.n_samples), str(row.n_subjects), class_counts(row)]
        cells += [number(row.uf1), interval(row.uf1_low, row.uf1_high)]
        cells += [number(row.uar), interval(row.uar_low, row.uar_high), number(row.accuracy), number(row.weighted_f1)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", f"{len(card.folds)} folds, scored on their pooled predictions; intervals resample subjects."]
    lines += [f"- {row.part}: {note}" for row in rows for note in row.notes]
    return _cut("\n".join(lines))


def _score_names(card: StudyCard) -> tuple[str, str]:
    """Return what the two headline scores are called: a multi-label task's are means over its classes."""
    return ("mean F1", "mean recall") if card.multilabel else ("UF1", "UAR")


def _score_tags(card: StudyCard, rows: Sequence[Row]) -> dict[str, str]:
    """Return what a list of runs shows beside the scores."""
    full = rows[0]
    return {
        "uf1_interval": interval(full.uf1_low, full.uf1_high),
        "uar_interval": interval(full.uar_low, full.uar_high),
        "folds": f"{full.folds_done}/{full.folds_total}",
        # A sync that looks at the other studies, too, knows better: a later run may have replaced this one.
        RANKED_TAG: str(not card.stamp).lower(),
    }


def _score_points(rows: Sequence[Row], now: int) -> list[Point]:
    """Return what people sort runs by, and every metric that somebody registered."""
    points = []
    for row in rows:
        scores = _scores(row)
        names = (*_SORTED_BY, *row.other_metrics, *_spotting(row)) if row.part == FULL else _PART_SORTED_BY
        points += [Point(metric_name(row.part, name), scores[name], 0, now) for name in names if name in scores]
    return points


def _scores(row: Row) -> dict[str, float]:
    """Return everything that is measured of a part, by name."""
    values: dict[str, float | None] = {name: getattr(row, name) for name in _SORTED_BY}
    values |= row.other_metrics
    values |= _spotting(row)
    values |= {f"f1/{name}": value for name, value in (row.f1_per_class or {}).items()}
    values |= {f"recall/{name}": value for name, value in (row.recall_per_class or {}).items()}
    values |= {"n_samples": row.n_samples, "n_subjects": row.n_subjects}
    return {name: value for name, value in values.items() if value is not None}


def _spotting(row: Row) -> dict[str, float | None]:
    """Return the scores of a study whose tested clips were spotted; none of another."""
    if row.spotting is None:
        return {}
    alone = {f"spotting_{name}": getattr(row.spotting, name) for name in ("precision", "recall", "f1")}
    return {**alone, **{name: getattr(row.spotting, name) for name in ("strs", "strs_low", "strs_high")}}


def _scores_json(rows: Sequence[Row]) -> bytes:
    scores = {row.part: _scores(row) for row in rows}
    return (json.dumps(scores, indent=1, ensure_ascii=False) + "\n").encode()


def _fold_points(outcomes: Sequence[Outcome], ended: int) -> list[Point]:
    """Return the accuracy of each fold (step = place in the card): raw material, never averaged into a score.

    What else is known of a fold stands in folds.csv.
    """
    points = []
    for step, outcome in enumerate(outcomes):
        if len(outcome.y_true):
            right = float(np.mean(outcome.y_true == outcome.y_pred))
            points.append(Point("fold/accuracy", right, step, _milliseconds(outcome.provenance) or ended))
    return points


def _pretraining_points(outcomes: Sequence[Outcome], ended: int) -> list[Point]:
    """Return the learning curve of the pretraining, the mean over the networks that folds start from."""
    curves = [curve for outcome in outcomes if (curve := outcome.curves.get(PRETRAINING_CURVE))]
    if not curves:
        return []
    return series(PRETRAINING_CURVE, np.mean(curves, axis=0).tolist(), ended, POINTS)


def _datasets(card: StudyCard) -> tuple[UsedDataset, ...]:
    """Return the datasets of a study, those left out whose fingerprint the card does not hold."""
    known = dict(card.ingredients.get("datasets", {}))
    return tuple(
        UsedDataset(
            name,
            known[name] if isinstance(known[name], str) else digest(known[name]),
            card.n_samples.get(name, card.n_samples[FULL]),
        )
        for name in card.dataset.split("+")
        if name in known
    )


def _pictures(card: StudyCard, pooled: Pooled, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> dict[str, bytes]:
    setting = f"task {card.task} · protocol {card.protocol} · selection {card.selection} · seed {card.seed}"
    if card.stamp:
        setting += f"\n{card.selection}: {card.stamp}"
    stamp = " (synthetic data)" if card.synthetic else ""
    f1, recall = _score_names(card)
    folder, draw = ("classes", classes_picture) if card.multilabel else ("confusion", confusion_picture)
    files = {}
    for row in rows:
        if row.part == AVERAGE:
            continue
        scores = f"{f1} {number(row.uf1)} {interval(row.uf1_low, row.uf1_high)} · "
        scores += f"{recall} {number(row.uar)} {interval(row.uar_low, row.uar_high)} · accuracy {number(row.accuracy)}"
        where = card.dataset if row.part == FULL else f"{row.part} (part of {card.dataset})"
        files[f"{folder}/{row.part}.png"] = draw(
            pooled.part(row.part).counts(),
            card.classes,
            f"{card.label} on {where}{stamp}",
            f"{setting}\n{row.n_samples} samples, {row.n_subjects} subjects\n{scores}",
        )
    curves = [outcome.curves for outcome in outcomes]
    if any(np.isfinite(values).any() for fold in curves for values in fold.values()):
        title = f"{card.label} on {card.dataset}{stamp}"
        files["curves.png"] = curves_picture(curves, title, f"{setting}\n{rows[0].n_samples} samples")
    return files


def _study_json(card: StudyCard) -> bytes:
    return (json.dumps({"key": card.key, **card.to_json()}, indent=1, ensure_ascii=False) + "\n").encode()


def _span(provenances: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return when the first fold began and the last one ended, in milliseconds since 1970; now where none tells."""
    ends = [(_milliseconds(facts), float(facts.get("seconds") or 0.0)) for facts in provenances]
    known = [(end, seconds) for end, seconds in ends if end is not None]
    if not known:
        now = time.time_ns() // 1_000_000
        return now, now
    return min(int(end - 1000 * seconds) for end, seconds in known), max(end for end, _ in known)


def _milliseconds(provenance: Mapping[str, Any]) -> int | None:
    text = provenance.get("finished_at")
    return int(datetime.fromisoformat(text).timestamp() * 1000) if text else None


def metric_name(part: str, name: str) -> str:
    """Return the name of a score of a part; of the whole, the score's own."""
    return _safe_name(name if part == FULL else f"{part}/{name}")


def _safe_name(name: str) -> str:
    """Return a name that MLflow takes: it knows letters, digits, and ``_-./`` and blanks."""
    return re.sub(r"[^\w./ -]", "_", name)[:250]


def _cut(text: str) -> str:
    return text if len(text) <= _NOTE_CHARACTERS else text[: _NOTE_CHARACTERS - 4] + " ..."
