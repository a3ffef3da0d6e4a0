"""A model that takes no feature: nothing is made for it, and its study holds clips that other models cannot use."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from local_runs import LocalRuns
from small_runs import FEATURE, folds_of, plan_of, run_here, study_data, trained

from preprocess.shards.prepared import PreparedDataset, Remarks
from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore
from results.views.leaderboard_text import render


def test_a_run_of_majority_alone_makes_no_feature(merbench: LocalRuns, tree: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    said = merbench(
        *("run", "--data", str(tree), "--datasets", "casme2", "--protocols", "loso", "--tracking-uri", "off"),
        *("--results", str(results), "--models", "majority"),
    )
    assert said.status == 0, said.err
    (card,) = OutcomeStore(results).cards()
    assert card.ingredients["features"] == {}
    assert list((results / "shards").rglob("part.parquet")) == []
    assert [path.name for path in (results / "shards" / "casme2").iterdir()] == ["samples.parquet"]


def test_each_test_sample_gets_the_shares_of_the_training_samples() -> None:
    data = study_data(subjects=3, clips=6)
    uneven = dataclasses.replace(data, labels=np.where(np.arange(len(data)) % 4 == 0, 2, 1), features={})
    fold = folds_of(uneven)[0]
    (result,) = trained("majority", uneven, [fold]).values()
    counts = np.bincount(uneven.labels[fold.train], minlength=3)
    expected = (counts / counts.sum()).astype(np.float32)
    assert result.scores.tobytes() == np.tile(expected, (len(fold.test), 1)).tobytes()


def test_samples_that_only_it_can_use_are_counted_and_ranked_apart(
    synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    """Scores on other samples are no comparison: each board says its own counts, and ranks its own rows."""
    whole = synthetic[0]
    lost = whole.samples["sample_id"].tolist()[:4]
    info = dataclasses.replace(whole.features[FEATURE], remarks=Remarks(skipped=dict.fromkeys(lost, "no face")))
    dataset = dataclasses.replace(whole, features={FEATURE: info})
    plan = plan_of([dataset], store, models=["majority", "flow_svm"])
    assert run_here(plan, store)[1] == 0
    counts = {card.model: card.n_samples["full"] for card in plan.cards}
    assert counts["majority"] == counts["flow_svm"] + len(lost)
    board = build_leaderboard(store, rng=np.random.default_rng(0))
    assert {row.model: (row.rank, row.n_samples) for row in board.rows} == {
        model: (1, count) for model, count in counts.items()
    }
    text = render(board, "table", 140)
    assert all(f"{count} samples" in text for count in counts.values())
