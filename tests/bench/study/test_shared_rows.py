"""Studies on the same people have one table of rows between them."""

from __future__ import annotations

import pickle

import numpy as np
from small_runs import plan_of

from preprocess.shards.prepared import PreparedDataset


def test_models_on_the_same_people_share_their_rows_here_and_when_they_travel(synthetic: list[PreparedDataset]) -> None:
    models = ["majority", "flow_svm", "ststnet"]
    plan = plan_of(synthetic, None, models=models, protocols=["cde"])
    assert len(plan.data) == 2, "with the feature, and without"
    received = pickle.loads(pickle.dumps(plan.data))
    for data in (plan.data, received):
        first, second = data.values()
        assert first.sample_ids is second.sample_ids
        assert first.labels is second.labels
    for key, data in plan.data.items():
        assert np.array_equal(data.sample_ids, received[key].sample_ids)
        assert received[key].features.keys() == data.features.keys()


def test_other_people_share_nothing(synthetic: list[PreparedDataset]) -> None:
    first, second = plan_of(synthetic, None, models=["majority"], protocols=["loso"]).data.values()
    assert set(first.sample_ids.tolist()).isdisjoint(second.sample_ids.tolist())
