"""Nodes keep a block from the first pack that is trained on it to the end of the last training that needs it."""

from __future__ import annotations

from small_runs import plan_of

from bench.workers.needed_blocks import NeededBlocks
from preprocess.shards.prepared import PreparedDataset

FEATURE = "flow_uvs_28"


def test_a_block_is_kept_while_trainings_that_began_need_it(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic, None, models=["flow_svm", "majority"], protocols=["loso", "cde"])
    needed = NeededBlocks(plan)
    number = {(one.training.model, one.training.cards[0].dataset): place for place, one in enumerate(plan.trainings)}
    a, b = (dataset.block(FEATURE).key for dataset in synthetic)

    assert needed.by(number["majority", "synth_a"]) == (), "a model without features needs none"
    assert needed.by(number["flow_svm", "synth_a"]) == (a,)
    assert needed.by(number["flow_svm", "synth_b"]) == tuple(sorted((a, b)))
    needed.training_over(number["flow_svm", "synth_a"])
    assert needed.by(number["flow_svm", "synth_b"]) == (b,)
    assert needed.by(number["flow_svm", "synth_a+synth_b"]) == tuple(sorted((a, b)))
    needed.training_over(number["flow_svm", "synth_b"])
    assert needed.by(number["flow_svm", "synth_a+synth_b"]) == tuple(sorted((a, b)))
    needed.training_over(number["flow_svm", "synth_a+synth_b"])
    assert needed.by(number["majority", "synth_b"]) == ()
