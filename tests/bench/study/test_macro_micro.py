"""A study of macro- and micro-expressions from the data to the leaderboard: who is in which fold and in which part."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from small_runs import FEATURE, config, plan_of, run_here

from bench.plan.plan import make_plan
from bench.plan.request import resolve
from preprocess.base.errors import DataError, Unfit
from preprocess.base.hashing import digest
from preprocess.datasets import RawDataset, RawFeature
from preprocess.datasets._build import rendered_macro
from preprocess.labels.emotions import ANNOTATIONS
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from results.scores.leaderboard import build_leaderboard
from results.scores.metrics import uf1
from results.scores.pooling import pool_complete
from results.store.outcome_store import OutcomeStore


@pytest.fixture(scope="module")
def mixed(synthetic: list[PreparedDataset], tmp_path_factory: pytest.TempPathFactory) -> list[PreparedDataset]:
    """Return two datasets of micro-expressions, and one of macro-expressions of the people of the first."""
    first = synthetic[0]
    samples = first.samples.copy()
    name = f"{first.name}_macro"
    samples["dataset"] = name
    samples["sample_id"] = samples["sample_id"].str.replace(first.name, name, regex=False)
    info = first.features[FEATURE]
    tensors = dict(zip(samples["sample_id"], first.load(FEATURE), strict=True))
    how = (info.layout.axes, info.layout.content)
    feature = RawFeature(dict(info.recipe), info.shape, info.dtype, digest, tensors.__getitem__, *how)
    raw = RawDataset(name, samples, synthetic=True, features={FEATURE: feature}, macro=True)
    return [*synthetic, prepare(raw, tmp_path_factory.mktemp("shards"), [FEATURE])]


def test_a_mixed_study_is_scored_on_macro_micro_and_each_dataset(
    mixed: Sequence[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(mixed, store, models=["flow_svm"], protocols=["macro-micro"])
    (card,) = plan.cards
    sizes = {dataset.name: len(dataset.samples) for dataset in mixed}
    assert card.n_samples == {
        "full": sum(sizes.values()),
        "macro": sizes["synth_a_macro"],
        "micro": sizes["synth_a"] + sizes["synth_b"],
        **sizes,
    }
    assert card.n_subjects == {"full": 10, "macro": 5, "micro": 10, "synth_a": 5, "synth_a_macro": 5, "synth_b": 5}
    (data,) = plan.data.values()
    for fold in plan.trainings[0].training.folds(data):
        people = [set(data.subjects[rows].tolist()) for rows in (fold.train, fold.test)]
        assert people[0].isdisjoint(people[1])
    assert run_here(plan, store) == (10, 0)

    board = build_leaderboard(store, rng=np.random.default_rng(0))
    rows = {row.part: row for row in board.rows}
    assert list(rows) == ["full", "macro", "micro", "synth_a", "synth_a_macro", "synth_b"]
    assert {part: row.n_samples for part, row in rows.items()} == card.n_samples
    pooled = pool_complete(card, store.read_outcomes(card)[0])
    micro = np.isin(pooled.datasets, ["synth_a", "synth_b"])
    counts = np.zeros((3, 3), dtype=np.int64)
    np.add.at(counts, (pooled.y_true[micro], pooled.y_pred[micro]), 1)
    assert rows["micro"].uf1 == pytest.approx(float(uf1(counts)))
    assert rows["macro"].uf1 == rows["synth_a_macro"].uf1 != rows["full"].uf1


def test_only_a_protocol_of_both_strengths_has_their_parts(mixed: Sequence[PreparedDataset]) -> None:
    (card,) = plan_of(mixed, protocols=["cde"]).cards
    assert card.parts == ("synth_a", "synth_a_macro", "synth_b")


def test_what_a_dataset_is_declared_to_be_is_in_the_study_s_key(mixed: Sequence[PreparedDataset]) -> None:
    keys = set()
    for changed in ("synth_a", "synth_b"):
        declared = [dataclasses.replace(one, macro=one.macro or one.name == changed) for one in mixed]
        keys.add(plan_of(declared, protocols=["macro-micro"]).cards[0].key)
    assert len(keys) == 2


def test_data_of_one_strength_is_refused(synthetic: list[PreparedDataset]) -> None:
    with pytest.raises(
        Unfit, match=r"macro-micro left out for synth_a\+synth_b, task megc3: it takes macro- and micro-"
    ):
        make_plan(resolve(config(protocols=["macro-micro"])), synthetic, None)


def test_a_rendered_database_tells_its_strength(tmp_path: Path) -> None:
    mark = tmp_path / "synthetic.json"
    for text, macro in (("{}", False), ('{"options": {"strength": "macro"}}', True)):
        mark.write_text(text)
        assert rendered_macro(mark) == macro
    for text in ("[]", "{"):
        mark.write_text(text)
        with pytest.raises(DataError, match=r"synthetic\.json cannot be read .*merbench synth"):
            rendered_macro(mark)


@pytest.mark.parametrize("dataset", ANNOTATIONS.names())
def test_all_databases_share_three_classes(dataset: str) -> None:
    task = TASKS.get("emotion3")
    assert set(task.mapping(dataset).values()) - {None} == set(task.classes)
