"""The honesty rules that concern training, one property test or more a rule, over every registered model.

Numbers are those of the rules: 1 disjoint subjects, 2 nothing fitted on test samples, 5 oracle is set apart,
7 outcomes depend on the fold alone, 8 published defects are switches. The results room tests 3, 4 and 6.
"""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_runs import (
    WHOLE_TREE,
    assert_equal_results,
    assert_equal_weights,
    digests,
    folds_of,
    plan_of,
    relabelled,
    repainted,
    run_here,
    study_data,
    trained,
    with_features_of,
    write_flow_tree,
)
from throwaway_models import register_scripted

from bench.config import DEFAULT_MODELS
from bench.engine.train import FoldResult
from bench.study.data import StudyData
from bench.study.folds import Fold
from bench.study.protocols import PROTOCOLS, Split, register_protocol
from bench.workers.pack import run_pack
from mer_models.registry import MODELS
from preprocess.base.errors import HonestyError
from preprocess.datasets import read_source
from preprocess.recipes import FEATURES
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from results.store.outcome_store import OutcomeStore

ROOT = Path(__file__).resolve().parents[2]
# The engine treats all models alike; those of full-size images and of flow clips would take minutes a test.
LARGEST_INPUT = 9 * 128 * 128
NETWORKS = [
    name
    for name, info in MODELS.items()
    if info.kind == "network"
    and sum(math.prod(FEATURES.get(feature).shape) for feature in info.features) <= LARGEST_INPUT
    and "/" not in name
]
ESTIMATORS = [name for name, info in MODELS.items() if info.kind == "estimator"]
DATA = study_data(subjects=4, clips=3)
FOLD = folds_of(DATA, validate=True)[1]
OWN_RECIPE: dict[str, Any] = {"epochs": 2}
# Every recipe that fits something on data, besides the models' own.
FITTED: dict[str, Any] = {"epochs": 2, "input_range": "standard", "class_weights": True}


Results = dict[tuple[str, str], FoldResult]


class Tried:
    """A model on the data of these tests. What honest training gives is worked out once for all tests that compare.

    model : its name.
    own : ``DATA`` with the features that the model takes.
    settings : the hyper-parameters under which it is tried: its own recipe, and the one that fits most.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.own = with_features_of(model, DATA)
        self.settings = [OWN_RECIPE, FITTED] if MODELS.get(model).kind == "network" else [{}]
        self._known: list[tuple[dict[str, Any], Results]] = []

    def train(self, data: StudyData, fold: Fold = FOLD, **changes: Any) -> Results:
        """Return what training gives on ``data`` under the selections that an honest run may use."""
        return trained(self.model, data, [fold], ("last", "validation"), **changes)

    def honest(self, **changes: Any) -> Results:
        """Return what training gives on the data as they are."""
        for settings, results in self._known:
            if settings == changes:
                return results
        results = self.train(self.own, **changes)
        self._known.append((changes, results))
        return results


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest) -> Tried:
    """Return the model that a test names. All tests of one follow each other, so that its results are not kept long."""
    return Tried(request.param)


# The quick run tries the default models.
NETWORKS_TRIED = [name if name in DEFAULT_MODELS else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
every_model = pytest.mark.parametrize("tried", [*NETWORKS_TRIED, *ESTIMATORS], indirect=True, scope="module")
every_network = pytest.mark.parametrize("tried", NETWORKS_TRIED, indirect=True, scope="module")


# Rule 1: train, validation and test subjects are disjoint.


@pytest.fixture
def leaky(registries: None) -> str:
    """Return a protocol that leaves out every second clip instead of a person."""

    @register_protocol("by_clip", over="each", reference="this test")
    def by_clip(data: StudyData) -> list[Split]:
        """Odd and even clips."""
        rows = np.arange(len(data))
        return [Split("even clips", rows[::2]), Split("odd clips", rows[1::2])]

    return "by_clip"


@pytest.mark.parametrize("selection", ["last", "validation"])
def test_1_a_protocol_that_leaks_a_subject_trains_nothing(
    leaky: str, synthetic: list[PreparedDataset], store: OutcomeStore, selection: str
) -> None:
    fitted: list[int] = []
    register_scripted(lambda x, y: fitted.append(len(y)))
    with pytest.raises(HonestyError, match=r"Fold 'even clips': subject 'synth_a/p0\d' is in (train|validation)"):
        run_here(plan_of(synthetic[:1], store, models=["scripted"], protocols=[leaky], selection=[selection]), store)
    assert fitted == []
    assert not list(Path(store.root).rglob("*.outcome.parquet"))
    assert not list(Path(store.root).rglob("*.failure.json")), "a dishonest fold is no bug of the model"


def test_1_a_validation_split_that_shares_a_subject_with_training_trains_nothing(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_clip(train: np.ndarray, *_: Any) -> tuple[np.ndarray, np.ndarray]:
        return train[1:], train[:1]

    fitted: list[int] = []
    register_scripted(lambda x, y: fitted.append(len(y)))
    monkeypatch.setattr("bench.study.splitting.split_validation", by_clip)
    with pytest.raises(HonestyError, match="is in train and in validation"):
        run_here(plan_of(synthetic[:1], store, models=["scripted"], selection=["validation"]), store)
    assert fitted == []


EVERY_PROTOCOL = [
    f"{name}:synth_b:synth_a" if protocol.over == "named" else name
    for name, protocol in PROTOCOLS.items()
    # What is spotted is no part of these datasets (test_spot.py).
    if not protocol.spots
]


@pytest.mark.parametrize("name", EVERY_PROTOCOL)
def test_1_every_protocol_is_honest_on_its_plans(synthetic: list[PreparedDataset], name: str) -> None:
    """Also where two datasets show the same people, and where an official division tears a person apart."""
    prepared = [with_hard_people(dataset) for dataset in synthetic]
    # For the protocol that asks for both strengths; the others take no notice of it.
    prepared[-1] = dataclasses.replace(prepared[-1], macro=True)
    plan = plan_of(prepared, models=["majority"], protocols=[name], selection=["last", "validation"])
    assert plan.trainings
    for planned in plan.trainings:
        data = plan.data[planned.training.data].read()
        folds = planned.training.folds(data)
        for fold in folds:
            fold.check(data.subjects)
        tested = np.concatenate([fold.test for fold in folds])
        assert len(set(tested.tolist())) == len(tested) == planned.training.cards[0].n_samples["full"]


def with_hard_people(dataset: PreparedDataset) -> PreparedDataset:
    """Return the dataset with two people made of each, the first of whom synth_a and synth_b share, and a division
    that has this person on both sides."""
    samples = dataset.samples.copy()
    people = [f"{subject}_{row % 2}" for row, subject in enumerate(samples["subject"])]
    first = people[0]
    samples["subject"] = [f"synth_a/{first.partition('/')[2]}" if person == first else person for person in people]
    held_out = sorted(set(people))[1::3]
    sides = ["test" if person in held_out or row == 0 else "train" for row, person in enumerate(people)]
    for column, values in (("subject", samples["subject"]), ("split", sides)):
        samples[column] = pd.array(values, dtype="string")
    return dataclasses.replace(dataset, samples=samples)


# Rule 2: nothing is fitted on test samples.


@every_model
def test_2_test_images_change_no_weight_and_no_curve(tried: Tried) -> None:
    for changes in tried.settings:
        honest = tried.honest(**changes)
        other = tried.train(repainted(tried.own, FOLD.test), **changes)
        for name, result in honest.items():
            assert_equal_weights(result.weights, other[name].weights)
            assert (result.curves, result.selected_epoch) == (other[name].curves, other[name].selected_epoch)


@every_model
def test_2_test_labels_change_nothing_at_all(tried: Tried) -> None:
    for changes in tried.settings:
        honest = tried.honest(**changes)
        other = tried.train(relabelled(tried.own, FOLD.test), **changes)
        for name, result in honest.items():
            assert_equal_results(result, other[name])


@every_model
def test_2_training_samples_do_change_the_fit(tried: Tried) -> None:
    """The two tests above would hold for a model that learns nothing."""
    own = tried.own
    for changes in tried.settings:
        honest = tried.honest(**changes)[FOLD.name, "last"]
        label = int(own.labels[FOLD.train][0])
        data = relabelled(own, FOLD.train[own.labels[FOLD.train] == label][:1])
        other = tried.train(data, **changes)[FOLD.name, "last"]
        assert any(honest.weights[name].tobytes() != other.weights[name].tobytes() for name in honest.weights)


@every_network
def test_2_validation_samples_choose_an_epoch_and_train_nothing(tried: Tried) -> None:
    data = relabelled(repainted(tried.own, FOLD.validation), FOLD.validation)
    honest = tried.honest(**FITTED)
    other = tried.train(data, **FITTED)
    assert_equal_results(honest[FOLD.name, "last"], other[FOLD.name, "last"])
    losses = [results[FOLD.name, "validation"].curves["train_loss"] for results in (honest, other)]
    assert losses[0] == losses[1]


def test_2_an_estimator_is_shown_no_test_sample(registries: None) -> None:
    shown: list[bytes] = []
    register_scripted(lambda x, y: shown.extend(image.tobytes() for image in x))
    trained("scripted", DATA, [FOLD])
    images = DATA.features["flow_uvs_28"].astype(np.float32)
    assert shown == [images[row].tobytes() for row in FOLD.train]


@every_model
def test_2_a_test_samples_prediction_does_not_depend_on_its_neighbours(tried: Tried) -> None:
    """Nothing is fitted on the test batch either (batch statistics, ranks): half of the test subject scores alike."""
    few = Fold(FOLD.name, FOLD.train, FOLD.validation, FOLD.test[:1], FOLD.seed)
    for changes in tried.settings:
        whole = tried.honest(**changes)[FOLD.name, "last"]
        alone = tried.train(tried.own, few, **changes)[FOLD.name, "last"]
        np.testing.assert_allclose(alone.scores, whole.scores[:1], rtol=1e-4, atol=1e-4)


# Rule 5: oracle is set apart.


@every_network
def test_5_watching_the_test_subject_for_oracle_leaves_the_others_as_they_are(tried: Tried) -> None:
    watched = trained(tried.model, tried.own, [FOLD], ("last", "validation", "oracle"), **OWN_RECIPE)
    for name, result in tried.honest(**OWN_RECIPE).items():
        assert_equal_results(result, watched[name])


def test_5_an_oracle_study_is_another_study_by_key_and_title(synthetic: list[PreparedDataset]) -> None:
    last, oracle = plan_of(synthetic[:1], models=["ststnet"], selection=["last", "oracle"]).cards
    assert last.key != oracle.key
    assert "· oracle ·" in oracle.title
    assert {fold.key for fold in last.folds}.isdisjoint(fold.key for fold in oracle.folds)


# Rule 7: outcomes depend on the fold alone.

SELECTIONS = ["last", "validation", "oracle"]


@pytest.fixture(scope="module")
def known_digests() -> dict[str, str]:
    """Return where ``undisturbed`` keeps what it found: once is enough for all tests."""
    return {}


@pytest.fixture
def undisturbed(
    tiny: str, synthetic: list[PreparedDataset], tmp_path: Path, known_digests: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """Return a network's name and the digests of its outcomes in the plan's own packs and order."""
    if not known_digests:
        store = OutcomeStore(tmp_path / "undisturbed", create=True)
        plan = plan_of(synthetic, models=[tiny, "flow_svm"], selection=SELECTIONS, protocols=["cde"])
        run_here(plan, store)
        known_digests.update(digests(store, plan.cards))
        assert len(known_digests) == sum(len(card.folds) for card in plan.cards) == 2 * 3 * 10
    return tiny, known_digests


@pytest.mark.parametrize("slots", [2, 1000])
def test_7_packing_and_order_change_no_outcome(
    undisturbed: tuple[str, dict[str, str]], synthetic: list[PreparedDataset], store: OutcomeStore, slots: int
) -> None:
    tiny, expected = undisturbed
    plan = plan_of(synthetic[::-1], models=["flow_svm", tiny], selection=SELECTIONS[::-1], protocols=["cde"])

    def shuffled(packs: list[tuple[int, list[int]]]) -> list[tuple[int, list[int]]]:
        order = np.random.default_rng(slots).permutation(len(packs))
        return [(packs[place][0], packs[place][1][::-1]) for place in order]

    run_here(plan, store, slots=slots, order=shuffled)
    assert digests(store, plan.cards) == expected


def test_7_threads_and_generators_of_the_process_change_no_outcome(
    undisturbed: tuple[str, dict[str, str]], synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    tiny, expected = undisturbed
    plan = plan_of(synthetic, models=[tiny, "flow_svm"], selection=SELECTIONS, protocols=["cde"])
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        run_here(plan, store)
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    assert digests(store, plan.cards) == expected


def test_7_restarts_change_no_outcome(
    undisturbed: tuple[str, dict[str, str]], synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    """A run whose packs are cut after four folds, again and again, ends with the same bits."""
    tiny, expected = undisturbed
    options = {"models": [tiny, "flow_svm"], "selection": SELECTIONS, "protocols": ["cde"]}
    for _ in range(1000):
        plan = plan_of(synthetic, store, **options)
        left = [number for number, planned in enumerate(plan.trainings) if planned.todo]
        if not left:
            break
        for planned in plan.trainings:
            for card in planned.training.cards:
                store.write_card(card)
        for number in left:
            training, todo = plan.trainings[number].training, plan.trainings[number].todo
            pack = run_pack(training, plan.data[training.data].read(), todo, store)
            for _, _fold in zip(range(4), pack, strict=False):
                pass
    assert digests(store, plan.cards) == expected


OTHER_PROCESS = """
import sys, pathlib, torch
sys.path[:0] = [{root!r}, {here!r}]
torch.manual_seed(77)
from preprocess.datasets import read_source
from preprocess.shards.prepare import prepare
from results.store.outcome_store import OutcomeStore
from small_runs import plan_of, run_here
store = OutcomeStore({store!r}, create=True)
prepared = [prepare(raw, {shards!r}, ["flow_uvs_28"]) for raw in read_source({tree!r})]
run_here(plan_of(prepared, store, **{options!r}), store)
"""


@pytest.mark.slow
def test_7_another_process_with_other_threads_gives_the_same_outcomes(tmp_path: Path, store: OutcomeStore) -> None:
    tree = write_flow_tree(tmp_path / "tree", WHOLE_TREE)
    options = {"models": ["ststnet", "flow_svm"], "protocols": ["cde"], "selection": ["last", "oracle"]}
    prepared = [prepare(raw, tmp_path / "here", ["flow_uvs_28"]) for raw in read_source(tree)]
    plan = plan_of(prepared, store, **options)
    run_here(plan, store)
    other = OutcomeStore(tmp_path / "other", create=True)
    code = OTHER_PROCESS.format(
        root=str(ROOT),
        here=str(Path(__file__).parent),
        store=other.root,
        shards=str(tmp_path / "there"),
        tree=str(tree),
        options=options,
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={"OMP_NUM_THREADS": "2", "PATH": ""})
    assert len(digests(store, plan.cards)) == 20
    assert digests(other, plan.cards) == digests(store, plan.cards)


@every_network
def test_7_every_network_draws_from_the_folds_own_seed(tried: Tried) -> None:
    """Trained after another fold, or alone after other draws, a fold gives the same bits."""
    model, own = tried.model, tried.own
    folds = folds_of(own, model)[:2]
    together = trained(model, own, folds, **OWN_RECIPE)
    state = torch.get_rng_state()
    torch.manual_seed(123)
    alone = trained(model, own, folds[1:], **OWN_RECIPE)
    torch.set_rng_state(state)
    assert_equal_results(together[folds[1].name, "last"], alone[folds[1].name, "last"])


# Rule 8: published defects are switches, off by default, and ranked under a name of their own.


def test_8_the_corrected_form_is_the_default() -> None:
    switches = {name: info.params["as_published"] for name, info in MODELS.items() if "as_published" in info.params}
    assert switches, "htnet has one"
    assert not any(switches.values())


def test_8_the_published_form_is_another_study_under_another_name(synthetic: list[PreparedDataset]) -> None:
    for name, info in MODELS.items():
        if "as_published" not in info.params or not set(info.features) <= set(synthetic[0].features):
            continue
        (corrected,) = plan_of(synthetic[:1], models=[name]).cards
        (published,) = plan_of(synthetic[:1], models=[name], set={f"{name}.as_published": True}).cards
        assert corrected.key != published.key
        assert "as_published=True" in published.label
        assert "as_published" not in corrected.label


@pytest.mark.parametrize("model", [name for name in NETWORKS if "as_published" in MODELS.get(name).params])
def test_8_the_published_form_does_something_else(model: str) -> None:
    own = with_features_of(model, DATA)
    corrected, published = (
        trained(model, own, [FOLD], epochs=2, as_published=switch)[FOLD.name, "last"].scores for switch in (False, True)
    )
    assert not np.array_equal(corrected, published)


# What the tests above stand on.


def test_the_data_of_these_tests_can_show_a_leak() -> None:
    assert set(DATA.labels[FOLD.test].tolist()) == {0, 1, 2}
    assert all(len(rows) for rows in (FOLD.train, FOLD.validation, FOLD.test))
    other = relabelled(DATA, FOLD.test)
    assert (other.labels[FOLD.test] != DATA.labels[FOLD.test]).all()
    assert np.array_equal(np.delete(other.labels, FOLD.test), np.delete(DATA.labels, FOLD.test))
    painted = repainted(DATA, FOLD.test).features["flow_uvs_28"]
    changed = (painted != DATA.features["flow_uvs_28"]).any(axis=(1, 2, 3))
    assert np.flatnonzero(changed).tolist() == FOLD.test.tolist()


def test_the_folds_of_these_tests_overlap_in_training() -> None:
    """Neighbouring folds share training samples, so that something carried from one to the next would show."""
    for first, second in pairwise(folds_of(DATA)):
        assert set(first.train) & set(second.train)
