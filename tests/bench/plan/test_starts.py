"""Where folds start: nobody whom a fold holds out was met before, and the weights are in every key."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import config, digests, plan_of, run_here
from throwaway_models import register_network

from bench.plan.cards import waits_for_pretraining
from bench.plan.plan import Plan
from bench.workers.pack import run_pack
from bench.workers.pretraining_task import assignment_of, carry_out
from preprocess.base.errors import DataError, HonestyError, StoreError, UsageError
from preprocess.samples.copies import Copies
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_store import OutcomeStore
from results.store.pretrained import Pretrained, PretrainedStore
from results.views.board_study import curves_of, facts_of

AUTO = {"pretrain": ["auto"], "protocols": ["loso"]}


@pytest.fixture
def data(synthetic: list[PreparedDataset]) -> list[PreparedDataset]:
    """Return ``synth_a``, micro-expressions, and ``synth_b``, which is taken for macro-expressions."""
    first, second = synthetic
    return [first, dataclasses.replace(second, macro=True)]


def renamed(dataset: PreparedDataset, people: dict[str, str]) -> PreparedDataset:
    """Return a dataset some of whose subjects are called otherwise."""
    samples = dataset.samples.copy()
    samples["subject"] = samples["subject"].replace(people)
    return dataclasses.replace(dataset, samples=samples)


def pretrain(plan: Plan, store: OutcomeStore) -> None:
    """Carry out the pretrainings of a plan in this process."""
    for wanted in plan.pretrainings.values():
        carry_out(assignment_of(wanted), wanted.data.read(), PretrainedStore(store.root))


def plan_for(data: list[PreparedDataset], store: OutcomeStore, **changes: Any) -> Plan:
    return plan_of(data, store, results=store.root, **{**AUTO, **changes})


def planned(data: list[PreparedDataset], store: OutcomeStore, **changes: Any) -> Plan:
    """Return the plan with all its pretrainings done."""
    pretrain(plan_for(data, store, **changes), store)
    return plan_for(data, store, **changes)


def starts(plan: Plan) -> tuple[Pretrained, ...]:
    (found,) = (one.training.starts for one in plan.trainings)
    return found


def keys(plan: Plan) -> set[str]:
    return {fold.key for card in plan.cards for fold in card.folds}


# Honesty.


def test_auto_pretrains_once_where_nobody_is_in_both(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_for(data, store, models=[tiny, "majority"])
    (wanted,) = plan.pretrainings.values()
    assert wanted.people == sorted(set(data[1].samples["subject"]))
    assert wanted.left_out == ()
    # The macro-expressions are pretrained on, and not studied; an estimator stays as it is.
    assert {(card.model, card.dataset) for card in plan.cards} == {(tiny, "synth_a"), ("majority", "synth_a")}
    assert [waits_for_pretraining(card) for card in plan.cards] == [True, False]


def test_auto_leaves_out_whom_a_fold_holds_out(tiny: str, data: list[PreparedDataset], store: OutcomeStore) -> None:
    """Two of the macro people are people of the micro dataset: their folds start without them, the others share one."""
    both = {"synth_b/p01": "synth_a/p01", "synth_b/p02": "synth_a/p02"}
    data = [data[0], renamed(data[1], both)]
    plan = planned(data, store, models=[tiny])
    folds = [fold.name for fold in plan.cards[0].folds]
    assert folds == [f"synth_a/p0{number}" for number in (1, 2, 3, 4, 5)]
    first, second, *others = starts(plan)
    assert {one.key for one in others} == {others[0].key}
    assert len({first.key, second.key, others[0].key}) == 3
    everybody = set(data[1].samples["subject"])
    assert set(first.people) == everybody - {"synth_a/p01"}
    assert set(second.people) == everybody - {"synth_a/p02"}
    assert set(others[0].people) == everybody
    assert plan.pretrainings == {}
    assert run_here(plan, store) == (5, 0)


def test_a_picture_that_is_tested_is_not_pretrained_on_under_another_name(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    tested, trained = (one.samples["sample_id"].iloc[0] for one in data)
    copies = (Copies((tested, trained), (Path("a.png"), Path("b.png"))),)
    plan = planned([data[0], dataclasses.replace(data[1], copies=copies)], store, models=[tiny])
    people = {fold.name: set(start.people) for fold, start in zip(plan.cards[0].folds, starts(plan), strict=True)}
    assert "synth_b/p01" not in people["synth_a/p01"]
    assert all("synth_b/p01" in those for fold, those in people.items() if fold != "synth_a/p01")


def test_what_was_left_out_has_no_part_in_the_weights(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    """The clips of a held-out person may show anything: the network that the fold starts from has the same bits."""
    both = {"synth_b/p01": "synth_a/p01"}
    data = [data[0], renamed(data[1], both)]

    def weights(turned: bool) -> dict[str, bytes]:
        plan = plan_for(data, store, models=[tiny])
        (wanted,) = (one for one in plan.pretrainings.values() if one.left_out)
        samples = wanted.data.read()
        theirs = samples.subjects == "synth_a/p01"
        assert theirs.any()
        flow = {name: np.array(values[:]) for name, values in samples.features.items()}
        labels = samples.labels.copy()
        if turned:
            flow = {name: np.where(theirs[:, None, None, None], 255 - values, values) for name, values in flow.items()}
            labels[theirs] = 2 - labels[theirs]
        networks = PretrainedStore(f"{store.root}/{turned}")
        carry_out(assignment_of(wanted), dataclasses.replace(samples, features=flow, labels=labels), networks)
        return {name: value.tobytes() for name, value in networks.read(wanted.key).weights.items()}

    assert weights(turned=False) == weights(turned=True)


def test_a_held_out_person_who_was_pretrained_on_is_refused(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    (key,) = (one.key for one in starts(planned(data, store, models=[tiny]))[:1])
    met = [renamed(data[0], {"synth_a/p03": "synth_b/p01"})]
    reason = r"Fold 'synth_b/p01': synth_b/p01 is held out, but .* may have met this person: synth_b/p01 is one of them"
    with pytest.raises(HonestyError, match=reason):
        plan_for(met, store, models=[tiny], pretrain=[key])


def test_people_of_one_laboratory_are_refused(tiny: str, data: list[PreparedDataset], store: OutcomeStore) -> None:
    """CAS(ME)^2 may show people of CASME II, under other ids."""
    macro = renamed(data[1], {name: name.replace("synth_b/p0", "casme_sq/s1") for name in set(data[1].samples.subject)})
    (key, *_) = (one.key for one in starts(planned([data[0], macro], store, models=[tiny])))
    micro = renamed(data[0], {"synth_a/p02": "casme2/sub02"})
    with pytest.raises(HonestyError, match=r"casme2/sub02 is held out.*casme_sq/s1. may be the same person: the I"):
        plan_for([micro], store, models=[tiny], pretrain=[key])
    # With auto nobody of CAS(ME)^2 may serve that fold, and nobody is left.
    with pytest.raises(DataError, match=r"Pretraining tiny on synth_b without casme_sq/s11.* 0 clips are left"):
        plan_for([micro, macro], store, models=[tiny])


def test_a_worker_refuses_a_start_that_has_met_the_person_it_tests(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    """Whatever a plan says: it is asserted beside the weights, in every fold."""
    plan = planned(data, store, models=[tiny])
    training = plan.trainings[0].training
    leaky = tuple(dataclasses.replace(one, people=(*one.people, "synth_a/p04")) for one in training.starts)
    pack = run_pack(dataclasses.replace(training, starts=leaky), plan.data[training.data].read(), range(5), store)
    with pytest.raises(HonestyError, match="Fold 'synth_a/p04'"):
        list(pack)
    assert not store.state(plan.cards[0]).done


# Keys, names and curves.


def test_the_key_of_every_fold_changes_with_the_pretraining(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    scratch = plan_of(data[:1], store, models=[tiny])
    plans = [scratch, planned(data, store, models=[tiny])]
    # Other people to pretrain on; another task is another head alone, but other weights all the same.
    fewer = dataclasses.replace(data[1], samples=data[1].samples[data[1].samples.subject != "synth_b/p05"])
    plans.append(planned([data[0], fewer], store, models=[tiny]))
    plans.append(planned(data, store, models=[tiny], seeds=[1]))
    for number, one in enumerate(plans):
        for other in plans[number + 1 :]:
            assert not keys(one) & keys(other)
    again = planned(data, store, models=[tiny])
    assert keys(again) == keys(plans[1])


def test_a_key_and_auto_that_give_the_same_weights_give_the_same_folds(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    auto = planned(data, store, models=[tiny])
    key = starts(auto)[0].key
    named = plan_for(data[:1], store, models=[tiny], pretrain=[key[:8]])
    assert named.cards == auto.cards
    folder = Path(store.root) / "pretrained" / key
    elsewhere = OutcomeStore(Path(store.root).parent / "other", create=True)
    given = plan_for(data[:1], elsewhere, models=[tiny], pretrain=[str(folder)])
    assert keys(given) == keys(auto)


def test_the_name_says_what_it_started_from_and_the_curve_is_kept(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = planned(data, store, models=[tiny])
    (card,), start = plan.cards, starts(plan)[0]
    assert card.label == f"tiny[epochs=2,pretrain=synth_b:{start.sha256[:8]}]"
    assert any(note.startswith("every fold starts from a network pretrained on") for note in card.notes)
    assert run_here(plan, store) == (5, 0)
    outcomes, damaged = store.read_outcomes(card)
    assert damaged == []
    assert len(start.loss) == 2
    assert {tuple(one.curves["pretraining_loss"]) for one in outcomes} == {start.loss}
    assert curves_of([one.curves for one in outcomes])["pretraining_loss"]["epochs"] == [1, 2]
    assert dict(facts_of([card], [one.provenance for one in outcomes]))["pretraining"] == f"weights {start.sha256[:12]}"


def test_folds_do_start_there_and_another_order_of_packs_gives_the_same_bits(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(data, store, models=[tiny])
    run_here(plan, store)
    other = OutcomeStore(tmp_path / "other", create=True)
    (Path(other.root) / "pretrained").symlink_to(Path(store.root) / "pretrained")
    again = plan_for(data, other, models=[tiny])
    run_here(again, other, slots=3, order=lambda packs: packs[::-1])
    assert digests(store, plan.cards) == digests(other, again.cards)
    scratch = plan_of(data[:1], store, models=[tiny])
    run_here(scratch, store)
    scores = [
        {one.fold: one.scores.tobytes() for one in store.read_outcomes(made.cards[0])[0]} for made in (plan, scratch)
    ]
    assert all(scores[0][fold] != scores[1][fold] for fold in scores[0])


def test_a_frozen_body_is_that_of_the_pretraining(tiny: str, data: list[PreparedDataset], store: OutcomeStore) -> None:
    changes: dict[str, Any] = {"models": [tiny], "set": {"tiny.freeze": "norm"}, "keep_weights": True}
    plan = planned(data, store, **changes)
    run_here(plan, store)
    (card,), start = plan.cards, starts(plan)[0]
    given = PretrainedStore(store.root).read(start.key).weights
    for fold in card.folds:
        own = store.read_weights(card, fold.key)
        assert all(np.array_equal(own[name], given[name]) for name in own if name.startswith("norm"))
        assert not np.array_equal(own["classifier.weight"], given["classifier.weight"])
    # Freezing is about folds: the same pretraining serves those without it.
    assert starts(plan_for(data, store, models=[tiny]))[0].key == start.key


# Bad input.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pretrain": ["abcdef"]}, "no pretrained network of this key"),
        ({"pretrain": ["/nowhere/at/all"]}, "/nowhere/at/all does not exist; expected a folder"),
        ({"pretrain": ["auto", "abcdef"]}, "auto stands alone"),
        ({"pretrain": ["auto:nothing"]}, "Unknown task 'nothing'"),
        ({"models": ["majority"]}, "majority are estimators"),
        ({"selection": ["tuned"], "configs": 2}, "--pretrain with --selection tuned: a tuned study tries several"),
    ],
)
def test_what_cannot_be_obeyed_is_told(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises((UsageError, StoreError), match=reason):
        plan_for(data, store, **{"models": [tiny], **changes})


def test_no_macro_expressions_are_told(tiny: str, data: list[PreparedDataset], store: OutcomeStore) -> None:
    with pytest.raises(UsageError, match=r"no macro-expressions to pretrain on: the data holds synth_a \(micro"):
        plan_for(data[:1], store, models=[tiny])


def test_a_task_without_labels_is_told_with_those_that_have_some(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    with pytest.raises(DataError, match=r"no macro-expression of synth_b has a label in task emotion7.*Tasks that"):
        plan_for(data, store, models=[tiny], pretrain=["auto:emotion7"])


def test_a_network_of_another_model_or_shape_is_told(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    key = starts(planned(data, store, models=[tiny]))[0].key
    register_network(name="other")
    with pytest.raises(UsageError, match=r"is a pretrained tiny .*, and the networks of this run are other"):
        plan_for(data[:1], store, models=["other"], pretrain=[key])
    with pytest.raises(UsageError, match=r"no pretrained network is given for other\. Leave that out"):
        plan_for(data[:1], store, models=[tiny, "other"], pretrain=[key])
    with pytest.raises(UsageError, match="two are of tiny"):
        plan_for(data[:1], store, models=[tiny], pretrain=[key, key])


@pytest.mark.slow
def test_other_settings_of_the_network_are_told(
    registries: None, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    key = starts(planned(data, store, models=["htnet"], preset="smoke", epochs=1, set={"htnet.dim": 12}))[0].key
    reason = r"these weights do not fit htnet as this run sets it: .*dim is 24 here and 12 there"
    with pytest.raises(UsageError, match=reason):
        plan_for(data[:1], store, models=["htnet"], preset="smoke", set={"htnet.dim": 24}, pretrain=[key])


def test_an_edited_network_is_told_by_plan_and_worker(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = planned(data, store, models=[tiny])
    start = starts(plan)[0]
    file = Path(store.root) / "pretrained" / start.key / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(StoreError, match=r"weights\.safetensors was edited"):
        plan_for(data[:1], store, models=[tiny], pretrain=[start.key])
    training = plan.trainings[0].training
    with pytest.raises(StoreError, match=r"weights\.safetensors was edited"):
        list(run_pack(training, plan.data[training.data].read(), range(5), store))


def test_other_weights_than_planned_are_not_started_from(
    tiny: str, data: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = planned(data, store, models=[tiny])
    training = plan.trainings[0].training
    other = tuple(dataclasses.replace(one, sha256="0" * 64) for one in training.starts)
    with pytest.raises(StoreError, match="holds other weights than when this run was planned"):
        list(run_pack(dataclasses.replace(training, starts=other), plan.data[training.data].read(), range(5), store))


def test_pretrain_is_left_aside_where_nothing_is_trained_from_it(tiny: str) -> None:
    assert config(pretrain="auto").pretrain == ["auto"]
    assert config(pretrain="a,b").pretrain == ["a", "b"]
