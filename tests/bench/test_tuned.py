"""Tuned studies from plan to leaderboard: chosen by training people alone, kept, resumed, told; equal to the bit."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_runs import LocalRuns
from small_runs import digests, plan_of, run_here
from throwaway_models import FEATURE, PAPER, TinyNet, register_network

from bench.commands.results import status
from bench.plan.planned import Plan
from bench.study.data import StudyData
from bench.workers.pack import run_pack
from bench.workers.settling import Settling
from mer_models.contracts import Resources, TrainingRecipe
from mer_models.registry import MODELS, register_model
from preprocess.base.errors import HonestyError
from preprocess.shards.prepared import PreparedDataset
from results.scores.leaderboard import build_leaderboard
from results.scores.tuned import chosen_for, tried, tuning_note
from results.store.audit import TUNED, fold_hyperparameters
from results.store.outcome import Failure, Outcome
from results.store.outcome_store import OutcomeStore
from results.store.study_card import StudyCard
from results.views.study_report import study_report

PEOPLE = 5
INNER = 2
ASKED: dict[str, Any] = {"selection": ["tuned"], "configs": 3, "inner": INNER}


@pytest.fixture(scope="module")
def tunable() -> Iterator[str]:
    """Return the name of a small network whose learning rate and dropout are tuned; forgotten when the module ends."""
    recipe = TrainingRecipe(epochs=3, batch_size=8, lr=1e-2, input_range="unit")
    assert "majority" in MODELS.names()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_entries", "_origins"):
            patch.setattr(MODELS, name, dict(getattr(MODELS, name)))
        register_model(
            "tunable",
            features=(FEATURE,),
            paper=PAPER,
            recipe=recipe,
            resources=Resources(cpus=1, pack=30),
            search={"lr": (1e-2, 1e-3, 1e-1), "dropout": (0.0, 0.5)},
        )(TinyNet)
        yield "tunable"


@pytest.fixture(scope="module")
def whole(
    tunable: str, synthetic: list[PreparedDataset], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Plan, OutcomeStore]:
    """Return a plan that was carried out at once, and its store, which no test writes to."""
    store = OutcomeStore(tmp_path_factory.mktemp("whole"), create=True)
    plan = plan_of(synthetic[:1], store, models=[tunable], **ASKED)
    inner, final = plan.waves()
    assert [len(planned.todo) for planned in inner.trainings] == [PEOPLE * INNER] * 3
    assert [len(planned.todo) for planned in final.trainings] == [PEOPLE]
    assert plan.left() == PEOPLE * (3 * INNER + 1)
    assert run_here(plan, store) == (35, 0)
    return plan, store


def only(plan: Plan) -> StudyCard:
    (card,) = plan.cards
    return card


def audits(store: OutcomeStore, plan: Plan) -> list[dict[str, Any]]:
    outcomes, damaged = store.read_outcomes(only(plan))
    assert not damaged
    return [outcome.provenance[TUNED] for outcome in outcomes]


def inner_files(store: OutcomeStore) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(Path(store.root, "inner").rglob("*.parquet"))}


# Nothing of the held-out person is in the choice.


class Reader:
    """An estimator that answers what stands in one column of the picture, whatever it was trained on."""

    def __init__(self, n_classes: int, column: int = 0) -> None:
        self.n_classes, self.column = n_classes, column

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        """Learn nothing."""

    def scores(self, *features: np.ndarray) -> np.ndarray:
        """Return 1 for the class that the column names."""
        return np.eye(self.n_classes, dtype=np.float32)[features[0][:, 0, 0, self.column].astype(np.int64)]

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Nothing was learned."""


@pytest.fixture
def reader(registries: None) -> str:
    register_model(
        "reader", features=(FEATURE,), paper=PAPER, resources=Resources(gpu=0.0), search={"column": tuple(range(6))}
    )(Reader)
    return "reader"


def planted(data: StudyData) -> StudyData:
    """Return the data with a column for each person, which is right for that person and wrong for everybody else."""
    data = data.read()
    pictures = np.array(data.features[FEATURE][:])
    pictures[:, 0, 0, :] = 0
    for column, person in enumerate(sorted(set(data.subjects.tolist())), start=1):
        own = data.subjects == person
        pictures[~own, 0, 0, column] = (data.labels[~own] + 1) % 3
        pictures[own, 0, 0, column] = data.labels[own]
    return dataclasses.replace(data, features={FEATURE: pictures})


def test_a_leak_that_holds_the_label_of_the_test_person_alone_is_not_found(
    reader: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    """Column k is right for person k and wrong for everybody else: only the held-out person would choose it."""
    plan = plan_of(synthetic[:1], store, models=[reader], **{**ASKED, "configs": 6})
    plan.data = {key: planted(data) for key, data in plan.data.items()}
    run_here(plan, store)
    data = next(iter(plan.data.values()))
    for place, (outcome, audit) in enumerate(zip(store.read_outcomes(only(plan))[0], audits(store, plan), strict=True)):
        leak = next(n for n, one in enumerate(audit["tried"]) if one["changed"].get("column") == place + 1)
        tested = data.subjects == outcome.fold
        read = data.features[FEATURE][tested, 0, 0, place + 1]
        assert np.array_equal(read, data.labels[tested]), "the leak is there for whoever looks at the test person"
        assert audit["chosen"] != leak
        assert audit["tried"][leak]["rounds"][0]["uf1"] == [0.0] * INNER
        assert not np.array_equal(outcome.y_pred, outcome.y_true)


def test_what_the_training_people_show_is_found(
    reader: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    """The same columns, where the first one is right for everybody."""

    plan = plan_of(synthetic[:1], store, models=[reader], **{**ASKED, "configs": 6})

    def right_for_all(data: StudyData) -> StudyData:
        data = planted(data)
        pictures = np.array(data.features[FEATURE])
        pictures[:, 0, 0, 1] = data.labels
        return dataclasses.replace(data, features={FEATURE: pictures})

    plan.data = {key: right_for_all(data) for key, data in plan.data.items()}
    run_here(plan, store)
    assert [audit["changed"] for audit in audits(store, plan)] == [{"column": 1}] * PEOPLE
    assert all(np.array_equal(one.y_pred, one.y_true) for one in store.read_outcomes(only(plan))[0])


def test_an_inner_fold_that_holds_the_test_person_trains_nothing(
    tunable: str, synthetic: list[PreparedDataset], store: OutcomeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose code puts the held-out person into an inner fold trains nothing of it."""
    plan = plan_of(synthetic[:1], store, models=[tunable], **ASKED)
    training = plan.waves()[0].trainings[0].training
    data = plan.data[training.data].read()
    honest = training.folds(data)

    def leaky(self: Any, data: StudyData) -> list[Any]:
        first = honest[0]
        test = np.sort(np.concatenate([first.test, first.held_out]))
        return [dataclasses.replace(first, test=test), *honest[1:]]

    monkeypatch.setattr(type(training), "folds", leaky)
    monkeypatch.setattr("bench.workers.pack.verify_fold", lambda *given: None)
    with pytest.raises(HonestyError, match="'synth_a/p01' is in test and in what the outer fold holds out"):
        list(run_pack(training, data, [0, 1], store))
    assert not list(Path(store.root).rglob("*.outcome.parquet"))


# What is planned, stored and told.


@pytest.mark.slow
def test_every_configuration_is_tried_on_the_inner_folds_of_every_fold(whole: tuple[Plan, OutcomeStore]) -> None:
    plan, store = whole
    assert [card.label for card in plan.cards] == ["tunable[configs=3,epochs=2,inner=2]"]
    assert only(plan).stamp == "", "nobody who is tested had a say, so that the study is ranked"
    for outcome, audit in zip(store.read_outcomes(only(plan))[0], audits(store, plan), strict=True):
        means = [sum(one["rounds"][0]["uf1"]) / INNER for one in audit["tried"]]
        assert audit["chosen"] == max(range(3), key=lambda number: (means[number], -number))
        assert audit["changed"] == audit["tried"][audit["chosen"]]["changed"]
        chosen = fold_hyperparameters(only(plan), outcome)
        assert chosen == {**only(plan).hyperparameters, **audit["changed"]}
    studies = {card.key[:16]: card for card in store.cards(inner=True)}
    assert {one["rounds"][0]["study"] for audit in audits(store, plan) for one in audit["tried"]} == studies.keys()


def test_the_chosen_configuration_is_what_the_fold_is_trained_with(
    whole: tuple[Plan, OutcomeStore], tunable: str, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    plan, store = whole
    for place, audit in enumerate(audits(store, plan)):
        settings = {f"{tunable}.{key}": value for key, value in audit["changed"].items()}
        plain = plan_of(synthetic[:1], models=[tunable], set=settings)
        training = plain.trainings[0].training
        own = OutcomeStore(tmp_path / f"plain{place}", create=True)
        own.write_card(training.cards[0])
        list(run_pack(training, plain.data[training.data].read(), [place], own))
        (expected,) = own.read_outcomes(training.cards[0])[0]
        assert store.read_outcomes(only(plan))[0][place].scores.tobytes() == expected.scores.tobytes()


def test_inner_studies_stand_on_no_board(whole: tuple[Plan, OutcomeStore]) -> None:
    plan, store = whole
    assert [card.key for card in store.cards()] == [only(plan).key]
    assert len(store.cards(inner=True)) == 3
    (row,) = build_leaderboard(store, rng=np.random.default_rng(0)).rows
    assert (row.selection, row.watches, row.rank) == ("tuned", "inner", 1)
    assert any(note.startswith("3 configurations tried; chosen of 5 folds: ") for note in row.notes)


def test_the_same_again_trains_nothing_and_more_configurations_only_add(
    whole: tuple[Plan, OutcomeStore], tunable: str, synthetic: list[PreparedDataset], tmp_path: Path
) -> None:
    shutil.copytree(whole[1].root, tmp_path / "copy")
    store = OutcomeStore(tmp_path / "copy")
    before = inner_files(store)
    assert plan_of(synthetic[:1], store, models=[tunable], **ASKED).left() == 0
    assert plan_of(synthetic[:1], store, models=[tunable], **ASKED, overwrite="all").left() == 35
    weights = plan_of(synthetic[:1], store, models=[tunable], **ASKED, keep_weights=True)
    assert weights.left() == PEOPLE, "weights of inner folds are not kept, and not missed"
    more = plan_of(synthetic[:1], store, models=[tunable], **{**ASKED, "configs": 4})
    assert more.left() == PEOPLE * INNER + PEOPLE, "one configuration, and the choice anew"
    run_here(more, store)
    after = inner_files(store)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 1


@pytest.mark.slow
def test_7_a_run_that_was_stopped_and_packed_otherwise_ends_with_the_same_bits(
    whole: tuple[Plan, OutcomeStore], tunable: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    first = plan_of(synthetic[:1], store, models=[tunable], **ASKED)
    with pytest.raises(HonestyError, match="was reported done, but its outcome is not in the store"):
        run_here(first, store, order=lambda packs: [(number, folds[:6]) for number, folds in packs])
    again = plan_of(synthetic[:1], store, models=[tunable], **ASKED)
    done = sum(len(store.state(card).done) for card in store.cards(inner=True))
    assert 0 < done < 30
    assert again.left() == 35 - done
    run_here(again, store, slots=4, order=lambda packs: packs[::-1])
    plan, at_once = whole
    assert digests(store, again.cards) == digests(at_once, plan.cards)
    assert audits(store, again) == audits(at_once, plan)


@pytest.mark.slow
def test_with_halving_a_third_goes_on_for_three_times_as_many_epochs(
    tunable: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(synthetic[:1], store, models=[tunable], epochs=3, **{**ASKED, "configs": 4, "halving": True})
    assert plan.left() == PEOPLE * (4 * INNER + 2 * INNER + 1)
    assert run_here(plan, store) == (65, 0)
    for outcome, audit in zip(store.read_outcomes(only(plan))[0], audits(store, plan), strict=True):
        first = {number: sum(one["rounds"][0]["uf1"]) for number, one in enumerate(audit["tried"])}
        leading = sorted(first, key=lambda number: (-first[number], number))[:2]
        assert [number for number, one in enumerate(audit["tried"]) if len(one["rounds"]) == 2] == sorted(leading)
        assert [one["epochs"] for one in audit["tried"][leading[0]]["rounds"]] == [1, 3]
        assert audit["chosen"] in leading
        assert outcome.selected_epoch == 3


# What fails.


class Fragile(TinyNet):
    """A network that one value of its option keeps from being trained."""

    def __init__(self, n_classes: int, breaks: str = "never") -> None:
        super().__init__(n_classes)
        self.breaks = breaks

    def forward(self, flow: Any) -> Any:
        if self.training and self.breaks in ("always", "default"):
            raise ZeroDivisionError("told to break")
        return super().forward(flow)


def fragile(search: dict[str, Any]) -> str:
    recipe = TrainingRecipe(epochs=1, batch_size=8, lr=1e-2)
    register_model("fragile", features=(FEATURE,), paper=PAPER, recipe=recipe, search=search)(Fragile)
    return "fragile"


@pytest.mark.slow
def test_a_configuration_that_cannot_be_trained_is_not_chosen(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    model = fragile({"breaks": ("never", "always")})
    plan = plan_of(synthetic[:1], store, models=[model], **{**ASKED, "configs": 2})
    assert run_here(plan, store) == (PEOPLE * (INNER + 1), PEOPLE * INNER)
    for audit in audits(store, plan):
        assert audit["chosen"] == 0
        assert audit["tried"][1]["rounds"][0]["uf1"] is None
        assert audit["tried"][1]["failed"] == "ZeroDivisionError: told to break"
    assert "1 of 2 configurations failed on inner folds" in capsys.readouterr().out
    assert plan_of(synthetic[:1], store, models=[model], **{**ASKED, "configs": 2}).left() == 0


@pytest.mark.slow
def test_where_none_can_be_trained_the_fold_fails_and_says_why(
    registries: None, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    model = fragile({"breaks": ("default", "always")})
    asked = {**ASKED, "configs": 2, "set": {f"{model}.breaks": "default"}, "search": f"{model}.breaks=default,always"}
    plan = plan_of(synthetic[:1], store, models=[model], **asked)
    run_here(plan, store)
    failures = store.failures(only(plan))
    assert len(failures) == PEOPLE
    assert {one.error for one in failures} == {"No configuration could be trained: ZeroDivisionError: told to break"}
    assert plan_of(synthetic[:1], store, models=[model], **asked).left() == 0
    retry = plan_of(synthetic[:1], store, models=[model], **asked, overwrite="failed")
    assert retry.left() == PEOPLE * (2 * INNER + 1)


@pytest.mark.slow
def test_lost_workers_make_no_choice(tunable: str, synthetic: list[PreparedDataset], store: OutcomeStore) -> None:
    """An inner fold that failed for want of workers says nothing of its configuration: its fold fails, others go on."""
    plan = plan_of(synthetic[:1], store, models=[tunable], **ASKED)
    inner, final = plan.waves()
    lost = inner.trainings[1].training.cards[0]
    for planned in inner.trainings:
        card = planned.training.cards[0]
        store.write_card(card)
        folds = [number for number in planned.todo if (card.key, number) != (lost.key, 3)]
        list(run_pack(planned.training, plan.data[planned.training.data].read(), folds, store))
    where = lost.folds[3]
    store.write_failure(lost, Failure(where.key, lost.key, where.name, "3 workers died", "3 workers died", {}))
    Settling(plan, store, print).settle(1)
    (planned,) = final.trainings
    assert planned.todo == [0, 2, 3, 4]
    (failure,) = store.failures(only(plan))
    assert "cannot be compared: " in failure.error
    assert "3 workers died" in failure.error


def test_a_tuned_fold_is_not_trained_before_anything_was_chosen(
    tunable: str, synthetic: list[PreparedDataset], store: OutcomeStore
) -> None:
    plan = plan_of(synthetic[:1], store, models=[tunable], **ASKED)
    training = plan.waves()[1].trainings[0].training
    with pytest.raises(HonestyError, match="is trained before anything was chosen"):
        list(run_pack(training, plan.data[training.data].read(), [0], store))


# What a person sees.


def audit(number: int, *scores: list[float] | None) -> dict[str, Any]:
    changes: list[dict[str, Any]] = [{}, {"lr": 0.001}, {"lr": 0.1}]
    told = [{"changed": changes[n], "rounds": [{"uf1": own}]} for n, own in enumerate(scores)]
    return {TUNED: {"chosen": number, "changed": changes[number], "inner_folds": 2, "tried": told}}


def outcomes_of(*provenances: dict[str, Any]) -> list[Outcome]:
    same: dict[str, Any] = {"y_true": np.zeros(1), "y_pred": np.zeros(1), "scores": np.zeros((1, 3))}
    same |= {"study_key": "s", "sample_ids": ("a",), "subjects": ("b",), "datasets": ("c",)}
    return [
        Outcome(key=str(n), fold=f"p{n}", selected_epoch=1, curves={}, provenance=one, **same)
        for n, one in enumerate(provenances)
    ]


def test_status_counts_inner_folds_while_a_tuned_study_waits_for_them(
    whole: tuple[Plan, OutcomeStore], tmp_path: Path
) -> None:
    shutil.copytree(whole[1].root, tmp_path / "copy")
    assert "inner folds" not in status(str(tmp_path / "copy"))
    store = OutcomeStore(tmp_path / "copy")
    store.discard(only(whole[0]), only(whole[0]).folds[0].key)
    assert "inner folds, on which tuned studies try configurations: 30 done, 0 failed" in status(store.root)


def test_what_was_tried_is_put_together() -> None:
    outcomes = outcomes_of(audit(1, [0.5, 0.3], [0.6, 0.4], None), audit(0, [0.2, 0.2], [0.0, 0.2], [0.1, 0.1]))
    default, slow, fast = tried(one.provenance for one in outcomes)
    assert (default.words, default.chosen, default.failed) == ("default", 1, 0)
    assert default.inner_uf1 == pytest.approx(0.3)
    assert (slow.words, slow.inner_uf1, slow.chosen) == ("lr=0.001", pytest.approx(0.3), 1)
    assert (fast.inner_uf1, fast.chosen, fast.failed) == (pytest.approx(0.1), 0, 1)
    assert tuning_note(outcomes) == "3 configurations tried; chosen of 2 folds: default in 1; lr=0.001 in 1"
    first, second = chosen_for(outcomes)
    assert (first.fold, first.words, first.inner_uf1) == ("p0", "lr=0.001", 0.5)
    assert first.default_uf1 == pytest.approx(0.4)
    assert second.words == "default"
    assert (tried([{}]), tuning_note(outcomes_of({}))) == ([], "")


def test_a_report_shows_what_was_tried_and_who_chose_what(whole: tuple[Plan, OutcomeStore]) -> None:
    plan, store = whole
    outcomes = store.read_outcomes(only(plan))[0]
    report = study_report(only(plan), outcomes, [], np.random.default_rng(0))
    section = report.partition("tuned: what was tried")[2]
    for one in chosen_for(outcomes):
        assert f"{one.fold}" in section
        assert one.words in section
    assert section.count("synth_a/p0") == PEOPLE


@pytest.mark.slow
def test_from_the_command_line(merbench: LocalRuns, registries: None, tree: Path, tmp_path: Path) -> None:
    register_network(epochs=1)
    results = str(tmp_path / "runs")
    options = ["--data", str(tree), "--results", results, "--models", "tiny", "--datasets", "casme2", "--tracking-uri"]
    options += ["off", "--protocols", "loso", "--selection", "last,tuned", "--configs", "2", "--inner", "2"]
    planned = merbench("plan", *options)
    assert planned.status == 0, planned.err
    assert "tuned tiny: 2 configurations on 2 inner folds: 12 trainings, then 3 of what is chosen" in planned.out
    assert "how long is not known, for no fold was trained before on casme2" in planned.out
    assert not Path(results).exists()
    said = merbench("run", *options)
    assert said.status == 0, said.err
    assert "2 studies of 6 folds (preset full): 0 done, 0 failed before, 18 trainings to do" in said.out
    assert "folds 18/18 done" in said.out
    page = Path(results, "board.html").read_text()
    assert "tiny[configs=2,inner=2]" in page
    assert "inner UF1" in page
    more = merbench("plan", *options, "--configs", "3")
    assert "tuned tiny: 3 configurations on 2 inner folds: 6 trainings, then 3 of what is chosen; about" in more.out
    report = merbench("report", "tiny", "tuned", "--results", results)
    assert "tuned: what was tried" in report.out
    kept = merbench("run", *options, "--configs", "3", "--keep-weights")
    assert kept.status == 0, kept.err
    tested = merbench("test", "tiny", "tuned", "configs=3", "--data", str(tree), "--results", results)
    assert "3 of 3 folds give the stored predictions again" in tested.out, tested.err
