"""The plan: keys that name the work and nothing else, what is left to train, and why."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small_runs import WHOLE_TREE, config, plan_of, run_here, write_flow_tree
from throwaway_models import register_network, register_scripted

import bench.plan.plan
from bench.plan.cards import ENGINE
from bench.plan.plan import Plan
from bench.plan.request import resolve
from mer_models.registry import MODELS
from preprocess.base.errors import DataError, UsageError
from preprocess.base.hashing import digest
from preprocess.datasets import RawDataset, RawFeature, read_source
from preprocess.labels.tasks import TASKS
from preprocess.shards.prepare import prepare
from preprocess.shards.prepared import PreparedDataset
from results.scores.keeping import seal_studies
from results.scores.leaderboard import build_leaderboard
from results.scores.stored_study import read_study
from results.store.outcome import Failure
from results.store.outcome_store import OutcomeStore, fold_file
from results.store.study_card import StudyCard
from results.views.study_report import study_report

FEATURE = "flow_uvs_28"


def keys(plan: Plan) -> set[str]:
    """Return the keys of all studies and all folds."""
    return {key for card in plan.cards for key in (card.key, *(fold.key for fold in card.folds))}


def only(plan: Plan) -> StudyCard:
    (card,) = plan.cards
    return card


def todo(plan: Plan) -> list[list[int]]:
    return [planned.todo for planned in plan.trainings]


def from_tree(tree: Path, shards: Path) -> list[PreparedDataset]:
    return [prepare(raw, shards, [FEATURE]) for raw in read_source(tree)]


# Which studies there are.


def test_a_study_for_each_combination(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(
        synthetic,
        models=["majority", "ststnet"],
        protocols=["loso", "cde"],
        selection=["last", "validation", "oracle"],
        seeds=[0, 1],
    )
    found = {(c.model, c.dataset, c.protocol, c.selection, c.seed) for c in plan.cards}
    groups = [("synth_a", "loso"), ("synth_b", "loso"), ("synth_a+synth_b", "cde")]
    expected = itertools.product(["majority", "ststnet"], groups, ["last", "validation", "oracle"], [0, 1])
    assert found == {(model, *group, selection, seed) for model, group, selection, seed in expected}
    assert len(plan.cards) == len(found)
    assert plan.notes == []


def test_models_may_be_named_by_patterns(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic[:1], models=["?t*net", "majority"])
    assert [card.model for card in plan.cards] == ["htnet", "ststnet", "majority"]


def test_a_card_tells_its_samples_subjects_and_classes_by_part(synthetic: list[PreparedDataset]) -> None:
    card = only(plan_of(synthetic, protocols=["cde"]))
    assert card.parts == ("synth_a", "synth_b")
    assert card.synthetic
    tables = {"synth_a": synthetic[0].samples, "synth_b": synthetic[1].samples}
    for part, table in tables.items():
        assert card.n_samples[part] == len(table)
        assert card.n_subjects[part] == 5
        assert card.class_counts[part] == [int((table["emotion"] == name).sum()) for name in card.classes]
    assert card.n_samples["full"] == sum(len(table) for table in tables.values())
    assert card.n_subjects["full"] == len(card.folds) == 10
    assert sum(fold.n_test for fold in card.folds) == card.n_samples["full"]


def test_last_and_oracle_share_a_training_and_validation_has_its_own(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic[:1], models=["ststnet"], selection=["oracle", "validation", "last"])
    shared = [[study.card.selection for study in planned.studies] for planned in plan.trainings]
    assert shared == [["oracle", "last"], ["validation"]]


def test_cde_is_left_out_of_the_defaults_where_there_is_one_dataset(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic[:1], protocols=["loso", "cde"])
    assert [card.protocol for card in plan.cards] == ["loso"]
    assert plan.notes == [
        "Protocol cde left out for synth_a, task megc3: it takes several datasets, and only synth_a is given. "
        "Add --data for another one, or use --protocols loso."
    ]


def test_cde_asked_for_alone_over_one_dataset_is_an_error(synthetic: list[PreparedDataset]) -> None:
    with pytest.raises(DataError, match=r"cde left out for synth_a.* only synth_a is given"):
        plan_of(synthetic[:1], protocols=["cde"])


def test_a_task_is_left_out_for_databases_that_it_is_not_made_for(tmp_path: Path, registries: None) -> None:
    own = {name: name for name in ("negative", "positive", "surprise")}
    task = dataclasses.replace(TASKS.get("megc3"), name="samm3", mapping=lambda name: own if name == "samm" else {})
    TASKS.add("samm3", task, origin=__name__)
    prepared = from_tree(write_flow_tree(tmp_path / "tree", WHOLE_TREE), tmp_path / "shards")
    plan = plan_of(prepared, tasks=["samm3"])
    assert only(plan).dataset == "samm"
    assert (
        "Dataset casme2 left out of task samm3: the task is made for other databases. Tasks that label it: "
        in " ".join(plan.notes)
    )


def renamed(dataset: PreparedDataset, name: str, split: list[str] | None = None) -> PreparedDataset:
    """Return a dataset under another name, with other people; split : given to its subjects in turn, over and over."""
    samples = dataset.samples.copy()
    for column in ("dataset", "subject", "sample_id"):
        samples[column] = samples[column].str.replace(dataset.name, name, regex=False)
    if split:
        people = sorted(samples["subject"].unique())
        parts = {person: split[place % len(split)] for place, person in enumerate(people)}
        samples["split"] = samples["subject"].map(parts).astype("string")
    info = dataset.features[FEATURE]
    tensors = dict(zip(samples["sample_id"], dataset.load(FEATURE), strict=True))
    how = (info.layout.axes, info.layout.content)
    feature = RawFeature(dict(info.recipe), info.shape, info.dtype, digest, tensors.__getitem__, *how)
    raw = RawDataset(name, samples, synthetic=True, features={FEATURE: feature})
    return prepare(raw, Path(dataset.root) / "renamed", [FEATURE])


def studies(plan: Plan) -> list[tuple[str, str, tuple[str, ...], dict[str, int], list[str]]]:
    """Return protocol, dataset, parts, samples and names of the folds of each study."""
    return [(c.protocol, c.dataset, c.parts, c.n_samples, [fold.name for fold in c.folds]) for c in plan.cards]


def test_hde_is_a_study_of_each_pair_and_lodo_one_of_all(synthetic: list[PreparedDataset]) -> None:
    three = [*synthetic, renamed(synthetic[0], "synth_c")]
    size = {dataset.name: len(dataset.samples) for dataset in three}
    plan = plan_of(three, protocols=["hde", "lodo"])
    pairs = list(itertools.combinations(sorted(size), 2))
    assert studies(plan) == [
        *(
            ("hde", "+".join(pair), pair, {"full": sum(size[n] for n in pair), **{n: size[n] for n in pair}}, [*pair])
            for pair in pairs
        ),
        ("lodo", "+".join(size), tuple(size), {"full": sum(size.values()), **size}, list(size)),
    ]
    assert all(card.averaged for card in plan.cards)
    assert not any(card.averaged for card in plan_of(three, protocols=["loso", "cde"]).cards)
    assert len({card.key for card in plan.cards}) == 4


def test_the_card_of_a_transfer_counts_what_is_tested(synthetic: list[PreparedDataset]) -> None:
    names = ["transfer:synth_a:synth_b", "transfer:synth_b:synth_a"]
    plan = plan_of(synthetic, protocols=names)
    sizes = [len(dataset.samples) for dataset in synthetic]
    assert studies(plan) == [
        (names[0], "synth_a+synth_b", (), {"full": sizes[1]}, ["synth_b"]),
        (names[1], "synth_a+synth_b", (), {"full": sizes[0]}, ["synth_a"]),
    ]
    for card, dataset in zip(plan.cards, synthetic[::-1], strict=True):
        assert card.n_subjects == {"full": 5}
        assert card.class_counts["full"] == [int((dataset.samples["emotion"] == name).sum()) for name in card.classes]
    assert plan.cards[0].key != plan.cards[1].key


def test_transfer_of_an_unknown_dataset_names_near_ones(synthetic: list[PreparedDataset]) -> None:
    with pytest.raises(UsageError, match=r"transfer:synth_a:synt_b: no dataset 'synt_b'. Did you mean: synth_b"):
        plan_of(synthetic, protocols=["transfer:synth_a:synt_b"])
    with pytest.raises(UsageError, match="expected transfer:TRAIN:TEST"):
        resolve(config(protocols=["transfer:synth_a"]))


def test_the_other_dataset_of_a_pair_only_trains(synthetic: list[PreparedDataset]) -> None:
    """What a study trains on alone is in no count of its card, but in its key."""
    more = [synthetic[0], renamed(synthetic[1], "synth_b"), renamed(synthetic[1], "synth_c")]
    first = only(plan_of(more, protocols=["transfer:synth_b:synth_a"]))
    other = only(plan_of(more, protocols=["transfer:synth_b+synth_c:synth_a"]))
    assert (first.n_samples, first.class_counts) == (other.n_samples, other.class_counts)
    assert first.folds[0].key != other.folds[0].key


def test_an_official_division_is_followed_where_there_is_one(synthetic: list[PreparedDataset]) -> None:
    divided = renamed(synthetic[0], "synth_c", ["train", "train", "test"])
    plan = plan_of([synthetic[0], divided], protocols=["official"])
    tested = int((divided.samples["split"] == "test").sum())
    assert studies(plan) == [("official", "synth_c", (), {"full": tested}, ["test"])]
    assert only(plan).n_subjects == {"full": 1}
    assert plan.notes == [
        "Protocol official left out for synth_a, task megc3: synth_a has no division of its own. "
        "Use --protocols loso or kfold-subject."
    ]


def test_an_official_division_asked_for_alone_where_there_is_none_is_an_error(synthetic: list[PreparedDataset]) -> None:
    with pytest.raises(DataError, match=r"official left out for synth_a, .*: synth_a has no division of its own"):
        plan_of(synthetic[:1], protocols=["official"])
    assert [card.protocol for card in plan_of(synthetic[:1], protocols=["official", "loso"]).cards] == ["loso"]


def test_pairs_that_show_the_same_people_are_left_out(synthetic: list[PreparedDataset]) -> None:
    """As the views of SMIC do."""
    view = renamed(synthetic[0], "synth_a_vis")
    view.samples["subject"] = view.samples["subject"].str.replace("synth_a_vis/", "synth_a/")
    plan = plan_of([synthetic[0], view, synthetic[1]], protocols=["hde"])
    assert [card.dataset for card in plan.cards] == ["synth_a+synth_b", "synth_a_vis+synth_b"]
    (note,) = plan.notes
    assert note.startswith("Protocol hde left out for synth_a+synth_a_vis, task megc3: nobody is left to train on")
    assert set(plan.data) == {planned.training.data for planned in plan.trainings}, "what is left out takes no memory"


def test_kfold_of_too_few_people_is_an_error(synthetic: list[PreparedDataset]) -> None:
    with pytest.raises(DataError, match=r"synth_a has 5 subjects .*; protocol kfold-subject takes at least 10"):
        plan_of(synthetic, protocols=["kfold-subject"])


def test_progress_is_told(synthetic: list[PreparedDataset]) -> None:
    told: list[int] = []
    bench.plan.plan.make_plan(resolve(config(models=["majority", "flow_svm"])), synthetic, None, told.append)
    assert told == [1, 2, 3, 4]


# Keys: the same for the same work.


def test_the_order_of_what_is_asked_for_does_not_count(synthetic: list[PreparedDataset]) -> None:
    options: dict[str, Any] = {
        "models": ["majority", "ststnet", "flow_svm"],
        "protocols": ["loso", "cde"],
        "selection": ["last", "validation", "oracle"],
        "seeds": [0, 1, 7],
    }
    plain = plan_of(synthetic, **options)
    turned = plan_of(synthetic[::-1], **{name: values[::-1] for name, values in options.items()})
    assert keys(turned) == keys(plain)
    assert {card.key: card for card in turned.cards} == {card.key: card for card in plain.cards}


def test_where_data_shards_and_results_lie_does_not_count(tmp_path: Path) -> None:
    here = from_tree(write_flow_tree(tmp_path / "here", WHOLE_TREE), tmp_path / "shards")
    there = from_tree(write_flow_tree(tmp_path / "a" / "b" / "there", WHOLE_TREE[::-1]), tmp_path / "a" / "shards")
    store = OutcomeStore(tmp_path / "elsewhere", create=True)
    options: dict[str, Any] = {
        "models": ["majority", "ststnet"],
        "protocols": ["loso", "cde"],
        "selection": ["last", "oracle"],
    }
    first = plan_of(here, **options, data=["here"])
    assert keys(plan_of(there, store, **options, data=["flow_tree=there"], results="x", workers=7)) == keys(first)


def test_what_does_not_change_the_outcomes_does_not_count(synthetic: list[PreparedDataset]) -> None:
    plain = keys(plan_of(synthetic, models=["ststnet"]))
    for changes in ({"keep_weights": True}, {"overwrite": "all"}, {"device": "cpu"}, {"preset": "smoke"}):
        assert keys(plan_of(synthetic, models=["ststnet"], **changes)) == plain
    full: dict[str, Any] = {"models": ["ststnet"], "preset": "full"}
    stated = plan_of(synthetic, **full, epochs=None, set={"ststnet.epochs": 2, "ststnet.lr": 5e-5})
    assert keys(stated) == keys(plan_of(synthetic, **full)), "a default that is written out is still the default"


# Keys: different for different work.


def test_settings_seeds_and_selections_make_other_studies(synthetic: list[PreparedDataset]) -> None:
    plain = keys(plan_of(synthetic[:1], models=["ststnet"]))
    cases: list[dict[str, Any]] = [
        {"epochs": 3},
        {"set": {"ststnet.lr": 1e-4}},
        {"set": {"ststnet.dropout": 0.1}},
        {"seeds": [1]},
        {"selection": ["oracle"]},
        {"selection": ["validation"]},
        {"models": ["off_apexnet"]},
    ]
    for changes in cases:
        other = keys(plan_of(synthetic[:1], **{"models": ["ststnet"], **changes}))
        assert other.isdisjoint(plain), changes


def test_other_images_make_another_study(tmp_path: Path, synthetic: list[PreparedDataset]) -> None:
    tree = write_flow_tree(tmp_path / "tree", WHOLE_TREE)
    before = plan_of(from_tree(tree, tmp_path / "shards"), models=["flow_svm"], protocols=["loso", "cde"])
    images = sorted((tree / "sub01").rglob("*.png"))
    images[0].write_bytes(images[1].read_bytes())
    after = plan_of(from_tree(tree, tmp_path / "shards"), models=["flow_svm"], protocols=["loso", "cde"])
    casme2, samm, both = (0, 1, 2)
    for place in (casme2, both):
        assert before.cards[place].key != after.cards[place].key
    assert before.cards[samm].key == after.cards[samm].key, "the other dataset is not touched"


def test_other_labels_make_another_study(synthetic: list[PreparedDataset], registries: None) -> None:
    before = only(plan_of(synthetic[:1]))
    task = TASKS.get("megc3")
    mapping = {"negative": "positive", "positive": "negative", "surprise": "surprise"}
    TASKS.add("megc3", dataclasses.replace(task, mapping=lambda dataset: mapping), origin="preprocess.labels.tasks")
    after = only(plan_of(synthetic[:1]))
    assert before.key != after.key
    assert [fold.key for fold in before.folds] != [fold.key for fold in after.folds]


def test_other_samples_make_another_study(tmp_path: Path) -> None:
    whole, fewer = (
        only(plan_of(from_tree(write_flow_tree(tmp_path / name, clips), tmp_path / f"{name} shards")[:1]))
        for name, clips in (("whole", WHOLE_TREE), ("fewer", WHOLE_TREE[1:]))
    )
    assert whole.key != fewer.key
    assert {fold.key for fold in whole.folds}.isdisjoint(fold.key for fold in fewer.folds)


MODEL_FILE = '''
"""A model of a plug-in."""
from mer_models.registry import TrainingRecipe, register_model
from throwaway_models import TinyNet

RECIPE = TrainingRecipe(epochs=1, batch_size=8, lr=0.1)


@register_model("plugged", features=("flow_uvs_28",), paper="None.", recipe=RECIPE)
class Plugged(TinyNet):
    """{words}"""
    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes, dropout={dropout})
'''


@pytest.fixture
def plug_in(registries: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that registers the model ``plugged`` from source code, as another file of the same name."""
    versions = itertools.count()

    def load(source: str) -> None:
        path = tmp_path / str(next(versions)) / "plugged.py"
        path.parent.mkdir()
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("plugged", path)
        assert spec is not None
        assert spec.loader is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "plugged", module)
        spec.loader.exec_module(module)

    return load


def test_other_model_code_makes_another_study_and_other_words_do_not(
    synthetic: list[PreparedDataset], plug_in: Callable[[str], None]
) -> None:
    found = []
    for words, dropout in (("First.", 0.5), ("Other words.", 0.5), ("First.", 0.25)):
        plug_in(MODEL_FILE.format(words=words, dropout=dropout))
        found.append(keys(plan_of(synthetic[:1], models=["plugged"])))
    assert found[0] == found[1]
    assert found[0].isdisjoint(found[2])


def test_other_engine_code_makes_other_studies(
    synthetic: list[PreparedDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(plan_of(synthetic[:1], models=["majority"]))
    copy = tmp_path / "train.py"
    monkeypatch.setattr("bench.plan.cards.ENGINE", copy)
    copy.write_text(f"# A remark.\n{ENGINE.read_text()}")
    assert keys(plan_of(synthetic[:1], models=["majority"])) == before
    copy.write_text(f"{ENGINE.read_text()}\nANOTHER_RULE = 1\n")
    assert keys(plan_of(synthetic[:1], models=["majority"])).isdisjoint(before)


# What is left to train.


def test_without_a_store_everything_is_to_do(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic, None)
    assert todo(plan) == [[0, 1, 2, 3, 4]] * 2
    assert all(not study.reason and not study.done and not study.failed for study in plan.studies)


def failure(card: StudyCard, number: int) -> Failure:
    fold = card.folds[number]
    return Failure(fold.key, card.key, fold.name, "ValueError: x", "Traceback ...\nValueError: x", {})


@pytest.fixture
def mixed(synthetic: list[PreparedDataset], store: OutcomeStore) -> OutcomeStore:
    """Return a store of one study whose folds 0, 1, 2 are done, 3 has failed and 4 is missing."""
    plan = plan_of(synthetic[:1], store)
    plan.trainings[0].todo[:] = [0, 1, 2]
    run_here(plan, store)
    store.write_failure(only(plan), failure(only(plan), 3))
    return store


@pytest.mark.parametrize(("overwrite", "expected"), [("missing", [4]), ("failed", [3, 4]), ("all", [0, 1, 2, 3, 4])])
def test_overwrite_says_what_is_trained_again(
    mixed: OutcomeStore, synthetic: list[PreparedDataset], overwrite: str, expected: list[int]
) -> None:
    plan = plan_of(synthetic[:1], mixed, overwrite=overwrite)
    assert todo(plan) == [expected]
    assert plan.studies[0].reason == ("--overwrite all" if overwrite == "all" else "")
    assert run_here(plan, mixed) == (len(expected), 0)
    state = mixed.state(only(plan))
    assert len(state.done) == (4 if overwrite == "missing" else 5)


def test_done_and_failed_folds_are_counted(mixed: OutcomeStore, synthetic: list[PreparedDataset]) -> None:
    (study,) = plan_of(synthetic[:1], mixed).studies
    folds = [fold.key for fold in study.card.folds]
    assert (study.done, study.failed) == (frozenset(folds[:3]), frozenset(folds[3:4]))


def test_overwrite_all_of_a_new_study_needs_no_reason(synthetic: list[PreparedDataset], store: OutcomeStore) -> None:
    (study,) = plan_of(synthetic[:1], store, overwrite="all").studies
    assert study.reason == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"set": {"tiny.lr": 0.5}}, "differs from the stored one in lr (0.01 -> 0.5)"),
        (
            {"set": {"tiny.lr": 0.5, "tiny.dropout": 0.0}},
            "differs from the stored one in dropout (0.5 -> 0.0), lr (0.01 -> 0.5)",
        ),
        ({"epochs": 4}, "differs from the stored one in epochs (2 -> 4)"),
        ({"seeds": [1]}, ""),
        ({"selection": ["oracle"]}, ""),
        ({"models": ["majority"]}, ""),
    ],
)
def test_why_a_like_study_is_computed_anew_is_told(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore, changes: dict[str, Any], reason: str
) -> None:
    run_here(plan_of(synthetic[:1], store, models=[tiny]), store)
    plan = plan_of(synthetic[:1], store, **{"models": [tiny], **changes})
    assert todo(plan) == [[0, 1, 2, 3, 4]]
    assert [study.reason for study in plan.studies] == [reason]


def test_the_most_alike_stored_study_is_compared_with(
    tiny: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    for settings in ({"tiny.lr": 0.5, "tiny.batch_size": 3}, {"tiny.lr": 0.25}):
        run_here(plan_of(synthetic[:1], store, models=[tiny], set=settings), store)
    plan = plan_of(synthetic[:1], store, models=[tiny], set={"tiny.lr": 0.25, "tiny.momentum": 0.5})
    assert plan.studies[0].reason == "differs from the stored one in momentum (0.0 -> 0.5)"


def test_new_code_or_data_is_the_reason(
    synthetic: list[PreparedDataset], store: OutcomeStore, plug_in: Callable[[str], None], tmp_path: Path
) -> None:
    plug_in(MODEL_FILE.format(words="First.", dropout=0.5))
    run_here(plan_of(synthetic[:1], store, models=["plugged"]), store)
    plug_in(MODEL_FILE.format(words="First.", dropout=0.25))
    assert plan_of(synthetic[:1], store, models=["plugged"]).studies[0].reason == (
        "differs from the stored one in model code"
    )
    tree = write_flow_tree(tmp_path / "tree", WHOLE_TREE)
    run_here(plan_of(from_tree(tree, tmp_path / "shards")[:1], store, models=["flow_svm"]), store)
    images = sorted((tree / "sub01").rglob("*.png"))
    images[0].write_bytes(images[1].read_bytes())
    changed = plan_of(from_tree(tree, tmp_path / "shards")[:1], store, models=["flow_svm"])
    assert changed.studies[0].reason == "differs from the stored one in features"


def test_a_study_that_is_merely_incomplete_needs_no_reason(
    mixed: OutcomeStore, synthetic: list[PreparedDataset]
) -> None:
    assert plan_of(synthetic[:1], mixed).studies[0].reason == ""


def test_a_damaged_outcome_is_named_and_to_do(mixed: OutcomeStore, synthetic: list[PreparedDataset]) -> None:
    card = only(plan_of(synthetic[:1]))
    path = Path(mixed.root) / fold_file(card, card.folds[1].key, "outcome")
    path.write_bytes(path.read_bytes()[:-40])
    plan = plan_of(synthetic[:1], mixed)
    (study,) = plan.studies
    assert todo(plan) == [[1, 4]]
    assert card.folds[1].key not in study.done
    assert [str(path) in message for message in study.damaged] == [True]
    assert study.reason == "1 outcome files are damaged"


def test_a_plan_that_trains_nothing_hands_on_what_it_has_read(
    synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(synthetic, store)
    assert plan.found == {}
    run_here(plan, store)
    seal_studies(store, plan.cards, print)
    again = plan_of(synthetic, store)
    assert again.found.keys() == {card.key for card in plan.cards}
    for card in plan.cards:
        assert again.found[card.key] == read_study(store, card)
    assert plan_of(synthetic, store, seeds=[0, 1]).found == {}, "all of them in memory for as long as others train"


def test_folds_without_weights_are_missing_where_weights_are_to_be_kept(
    mixed: OutcomeStore, synthetic: list[PreparedDataset]
) -> None:
    card = only(plan_of(synthetic[:1]))
    mixed.write_weights(card, card.folds[0].key, {"frequencies": np.zeros(3, np.float32)})
    plan = plan_of(synthetic[:1], mixed, keep_weights=True)
    assert todo(plan) == [[1, 2, 4]]
    assert plan.studies[0].reason == "2 folds have no stored weights (--keep-weights)"
    assert todo(plan_of(synthetic[:1], mixed)) == [[4]]


# What cannot be run honestly.


# Surprise is shown by sub01 alone, so a model tested on sub01 can never have seen it.
LONELY_CLASS = [clip for clip in WHOLE_TREE if clip[0].startswith("sub") and (clip[1] != 2 or clip[0] == "sub01")]
LONELY_NOTE = (
    "no training sample shows surprise in 1 of 3 folds (casme2/sub01); the test samples that do so there (2) count all "
    "the same"
)


def test_a_class_that_a_fold_never_trains_on_is_noted_once_and_kept_on_the_card(tmp_path: Path) -> None:
    prepared = from_tree(write_flow_tree(tmp_path / "tree", LONELY_CLASS), tmp_path / "shards")
    plan = plan_of(prepared, models=["majority", "ststnet"], selection=["last", "validation"], seeds=[0, 1])
    assert plan.notes == [f"casme2, task megc3, protocol loso: {LONELY_NOTE}."]
    assert all(card.notes == [LONELY_NOTE] for card in plan.cards)
    whole = from_tree(write_flow_tree(tmp_path / "whole", WHOLE_TREE), tmp_path / "shards")
    assert all(card.notes == [] for card in plan_of(whole).cards)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"set": {"ststnet.class_weights": True}}, {"set": {"ststnet.balance": True}}], ids=str
)
def test_a_class_that_a_fold_never_trains_on_is_never_predicted_there(
    tmp_path: Path, store: OutcomeStore, changes: dict[str, Any]
) -> None:
    """Neither weights nor balance divide by its count; who was tested on it is scored, and wrong."""
    prepared = from_tree(write_flow_tree(tmp_path / "tree", LONELY_CLASS), tmp_path / "shards")
    settings: dict[str, Any] = {"ststnet.lr": 0.01, "ststnet.dropout": 0.0, **changes.get("set", {})}
    plan = plan_of(prepared, store, models=["ststnet", "flow_svm", "majority"], epochs=20, set=settings)
    assert run_here(plan, store) == (9, 0)
    for card in plan.cards:
        outcomes = {outcome.fold: outcome for outcome in store.read_outcomes(card)[0]}
        alone = outcomes["casme2/sub01"]
        assert alone.y_true.tolist().count(2) == 2
        assert 2 not in alone.y_pred.tolist()
        assert all(np.isfinite(outcome.scores).all() for outcome in outcomes.values())
    board = build_leaderboard(store, rng=np.random.default_rng(0))
    assert all(row.notes == [LONELY_NOTE] and row.f1_per_class["surprise"] == 0 for row in board.rows)
    assert LONELY_NOTE in " ".join(
        study_report(plan.cards[0], store.read_outcomes(plan.cards[0])[0], [], np.random.default_rng(0)).split()
    )


def test_a_fold_that_trains_on_one_class_alone_is_an_error(tmp_path: Path) -> None:
    clips = [clip for clip in WHOLE_TREE if clip[0].startswith("sub") and (clip[1] == 0 or clip[0] == "sub01")]
    prepared = from_tree(write_flow_tree(tmp_path / "tree", clips), tmp_path / "shards")
    with pytest.raises(DataError) as caught:
        plan_of(prepared)
    message = str(caught.value)
    assert "casme2, protocol loso: without 'casme2/sub01', all 4 training samples show class 'negative'" in message
    assert "--datasets" in message


def test_the_inner_split_of_validation_is_checked_for_classes_too(tmp_path: Path) -> None:
    """Two people show surprise: with one held out for testing, the other one must not be set aside."""
    clips = [clip for clip in WHOLE_TREE if clip[1] != 2 or clip[0] in ("sub01", "006")]
    prepared = from_tree(write_flow_tree(tmp_path / "tree", clips), tmp_path / "shards")
    plan = plan_of(prepared, protocols=["cde"], selection=["validation"])
    training = plan.trainings[0].training
    data = plan.data[training.data]
    for fold in training.folds(data):
        assert set(data.labels[fold.train].tolist()) == {0, 1, 2}


def test_a_dataset_of_one_subject_is_refused(tmp_path: Path) -> None:
    clips = [clip for clip in WHOLE_TREE if clip[0] == "sub01"]
    prepared = from_tree(write_flow_tree(tmp_path / "tree", clips), tmp_path / "shards")
    with pytest.raises(DataError, match=r"casme2 has 1 subject\(s\)"):
        plan_of(prepared)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["ststent"]}, r"Unknown model 'ststent'. Did you mean: ststnet"),
        ({"tasks": ["megc4"]}, r"Unknown task 'megc4'. Did you mean: megc3\?"),
        ({"protocols": ["losso"]}, r"Unknown protocol 'losso'. Did you mean: loso"),
        ({"selection": ["latest"]}, r"Unknown selection 'latest'. Did you mean: last\?"),
        ({"set": {"majority.lr": 1}}, r"majority has no hyper-parameter 'lr'"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(
    synthetic: list[PreparedDataset], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan_of(synthetic, **changes)
    with pytest.raises(UsageError, match=message):
        resolve(config(**changes))


@pytest.mark.parametrize(
    ("setting", "value"), [("ststnet.dropout", 1.5), ("flow_svm.C", 0), ("flow_svm.gamma", "wide"), ("htnet.dim", 0)]
)
def test_a_value_that_the_model_refuses_is_told_before_any_data_is_touched(setting: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{setting} is .*, but must be .*--set {setting}=VALUE"):
        resolve(config(models=[setting.partition(".")[0]], set={setting: value}))


def test_a_bug_in_building_a_model_is_left_to_its_folds(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    class Broken:
        def __init__(self, n_classes: int, width: int = 1) -> None:
            raise ZeroDivisionError("a bug")

    register_scripted(lambda x, y: None)
    info = dataclasses.replace(MODELS.get("scripted"), name="broken", build=Broken, params={"width": 1})
    MODELS.add("broken", info, origin="this test")
    options: dict[str, Any] = {"models": ["broken", "majority"], "set": {"broken.width": 2}}
    resolve(config(**options))
    plan = plan_of(synthetic[:1], store, **options)
    assert run_here(plan, store) == (5, 5)


# Packs.


@pytest.mark.parametrize("slots", [1, 2, 3, 64])
def test_packs_are_bounded_and_cover_every_fold_once(
    registries: None, synthetic: list[PreparedDataset], slots: int
) -> None:
    register_network()  # packs of 3 at most
    plan = plan_of(synthetic, models=["tiny", "majority"], protocols=["loso", "cde"])
    plan.trainings[0].todo[:] = [1, 4]
    plan.trainings[1].todo.clear()
    seen: dict[int, list[int]] = {}
    left = sum(len(planned.todo) for planned in plan.trainings)
    for number, folds in plan.packs(slots):
        most = MODELS.get(plan.trainings[number].training.model).resources.pack
        assert 1 <= len(folds) <= most
        assert len(folds) == 1 or len(folds) <= left / (2 * slots), "one worker must not be left with a long last pack"
        left -= len(folds)
        seen.setdefault(number, []).extend(folds)
    assert seen == {number: planned.todo for number, planned in enumerate(plan.trainings) if planned.todo}


def test_packs_are_made_when_they_are_asked_for(synthetic: list[PreparedDataset]) -> None:
    plan = plan_of(synthetic)
    packs = plan.packs(1)
    assert next(packs) == (0, [0, 1, 2, 3, 4])
    plan.trainings[1].todo[:] = [2]
    assert list(packs) == [(1, [2])]
