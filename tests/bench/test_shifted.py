"""The key-frame error: what is tested on shifted clips, what stays as annotated, and what is never ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from local_runs import LocalRuns
from small_runs import (
    FEATURE,
    assert_equal_results,
    digests,
    folds_of,
    resolved,
    run_here,
    study_data,
    trained,
)

from bench.config import RunConfig, load_config
from bench.engine.train import score_shifted
from bench.plan.plan import Plan, make_plan
from bench.plan.request import resolve
from bench.study.shifted import Shifted, described_shifts, shifted_datasets
from bench.study.sources import prepare_datasets
from bench.workers.needed_blocks import NeededBlocks
from mer_models.contracts import Resources
from mer_models.registry import MODELS, register_model
from preprocess.base.errors import UsageError
from preprocess.datasets import RawDataset
from preprocess.recipes import FEATURES, add_recipe
from preprocess.samples.clip import Clip, ClipError, Frames
from preprocess.samples.shift import moved, parse_shift
from preprocess.samples.table import samples_table
from preprocess.shards.prepared import PreparedDataset
from preprocess.steps import STEPS, Work, register_step
from results.scores.leaderboard import build_leaderboard
from results.store.outcome_store import OutcomeStore, fold_file

KEY_FRAMES = "test_key_frames"
ONSET, APEX, OFFSET, LAST = 6, 12, 16, 18
REFUSED = "p0/c1"


class Reader:
    """An estimator that knows nothing but the grey levels of onset and apex; it keeps what it was trained on."""

    trained_on: ClassVar[list[np.ndarray]] = []

    def __init__(self, n_classes: int) -> None:
        pass

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        Reader.trained_on.append(features[0].copy())

    def scores(self, *features: np.ndarray) -> np.ndarray:
        seen = features[0].reshape(len(features[0]), 2, -1).mean(axis=2)
        return np.concatenate([seen, np.zeros((len(seen), 1))], axis=1).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        pass


@pytest.fixture
def reader(registries: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the estimator; its feature is onset and apex as they are, by the ordinary steps."""
    for registry in (STEPS, FEATURES):
        registry.names()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_origins", dict(registry._origins))

    @register_step("test_refuse", version=1, pictures=lambda before, options: before)
    def refuse(work: Work) -> Work:
        """Refuse one clip where its apex is not the annotated one."""
        if work.clip.sample_id.endswith(REFUSED) and work.clip.apex != APEX:
            raise ClipError(f"{work.clip.sample_id}: no face.")
        return work

    recipe = {
        "version": 1,
        "summary": "onset and apex, 2x2 pixels",
        "shape": [2, 1, 2, 2],
        "axes": "tchw",
        "dtype": "uint8",
        "steps": ["test_refuse", {"select": {"frames": "onset_apex"}}, "load", "frames_tensor"],
    }
    add_recipe(KEY_FRAMES, recipe, origin=__name__)
    Reader.trained_on = []
    register_model("reader", features=(KEY_FRAMES,), paper="none", resources=Resources(gpu=0.0, pack=2))(Reader)
    return "reader"


def grey(sample_id: str, number: int) -> int:
    """Return the grey level of a frame: no two frames of a clip are alike."""
    return 10 * number + sum(sample_id.encode()) % 7


@pytest.fixture
def recorded(tmp_path: Path) -> RawDataset:
    """Return a dataset of three people with three clips each, whose frames are of one grey each."""
    rows, clips = [], {}
    for person in range(3):
        for place, emotion in enumerate(("negative", "positive", "surprise")):
            subject, name = f"synth_a/p{person}", f"c{place}"
            sample_id = f"{subject}/{name}"
            folder = tmp_path / "frames" / f"p{person}" / name
            folder.mkdir(parents=True)
            for number in range(1, LAST + 1):
                cv2.imwrite(str(folder / f"{number}.png"), np.full((2, 2), grey(sample_id, number), np.uint8))
            frames = Frames(folder, {number: f"{number}.png" for number in range(1, LAST + 1)})
            clips[sample_id] = Clip(sample_id, frames, onset=ONSET, apex=APEX, offset=OFFSET)
            key = {"onset": ONSET, "apex": APEX, "offset": OFFSET}
            rows.append({"sample_id": sample_id, "dataset": "synth_a", "subject": subject, "clip": name, **key})
            rows[-1]["emotion"] = emotion
    return RawDataset("synth_a", samples_table(rows), synthetic=True, clips=clips)


def config(**changes: object) -> RunConfig:
    return load_config(None, {"models": "reader", "protocols": "loso", "tracking_uri": "off", **changes})


def shifted_of(raw: Sequence[RawDataset], chosen: RunConfig, shards: Path) -> Shifted:
    features = resolve(chosen).features

    def prepare(datasets: Sequence[RawDataset], at: str) -> list[PreparedDataset]:
        return prepare_datasets(datasets, features, at)

    return shifted_datasets(raw, chosen.shift_keyframes, str(shards), prepare)


def planned(raw: RawDataset, store: OutcomeStore, shards: Path, **changes: object) -> Plan:
    chosen = config(**changes)
    prepared = prepare_datasets([raw], resolve(chosen).features, str(shards))
    return make_plan(resolve(chosen), prepared, store, shifted=shifted_of([raw], chosen, shards))


@pytest.mark.slow
def test_the_shifted_frames_are_what_is_seen_and_training_is_as_annotated(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(recorded, store, tmp_path / "shards", shift_keyframes="2,10%")
    assert run_here(plan, store) == (3, 0)
    assert [card.label for card in plan.cards] == [
        "reader",
        "reader[shift_keyframes=2]",
        "reader[shift_keyframes=10%]",
    ]
    assert len(Reader.trained_on) == 3, "one training a fold serves all shifts"
    assert {int(value) // 10 for seen in Reader.trained_on for value in np.unique(seen)} == {ONSET, APEX}
    for card in plan.cards:
        outcomes, _ = store.read_outcomes(card)
        for outcome in outcomes:
            for sample_id, scores in zip(outcome.sample_ids, outcome.scores, strict=True):
                clip = recorded.clips[sample_id]
                if card.shift and not sample_id.endswith(REFUSED):
                    clip = moved(clip, parse_shift(card.shift)).clip
                    assert clip.apex != APEX
                frames = [clip.onset, clip.apex]
                assert scores[:2].tolist() == [grey(sample_id, number) for number in frames if number is not None]


@pytest.mark.slow
def test_the_notes_say_how_many_clips_could_not_be_moved_as_far_or_at_all(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(recorded, store, tmp_path / "shards", shift_keyframes=["5"])
    clamped = sum(moved(clip, parse_shift("5")).clamped for clip in recorded.clips.values())
    assert 0 < clamped < 9
    plain, shifted = plan.cards
    assert plain.notes == []
    assert shifted.notes == [
        f"onset and apex moved by 5 frames in 9 tested clips; {clamped} had less room and moved as far as it went; "
        "1 could not be used so, and were scored as annotated"
    ]
    lines = described_shifts(shifted_of([recorded], config(shift_keyframes="5"), tmp_path / "shards"))
    assert lines == [
        f"synth_a, key frames moved by 5 frames: {clamped} of 9 clips have less room; 0 shards made, 3 kept"
    ]


@pytest.mark.slow
def test_the_keys_of_what_is_not_shifted_stay_and_its_outcomes_are_not_made_again(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    before = planned(recorded, store, shards)
    run_here(before, store)
    (card,) = before.cards
    times = {path: path.stat().st_mtime_ns for path in Path(store.root).rglob("*.parquet")}
    plan = planned(recorded, store, shards, shift_keyframes="1")
    assert plan.cards[0].key == card.key == plan.cards[1].unshifted_key
    assert plan.cards[1].key != card.key
    assert run_here(plan, store) == (3, 0)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert run_here(planned(recorded, store, shards, shift_keyframes="1"), store) == (0, 0)
    assert [one.todo for one in planned(recorded, store, shards).trainings] == [[]]


@pytest.mark.slow
def test_with_kept_weights_nothing_is_trained_again(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    shards, both = tmp_path / "shards", OutcomeStore(tmp_path / "both", create=True)
    at_once = planned(recorded, both, shards, shift_keyframes="2")
    run_here(at_once, both)
    run_here(planned(recorded, store, shards, keep_weights=True), store)
    Reader.trained_on.clear()
    plan = planned(recorded, store, shards, shift_keyframes="2")
    store.read_weights(plan.cards[0], plan.cards[0].folds[0].key)
    Path(store.root, fold_file(plan.cards[0], plan.cards[0].folds[1].key, "weights")).unlink()
    assert run_here(plan, store) == (3, 0)
    assert len(Reader.trained_on) == 1, "that fold has none"
    assert digests(store, plan.cards) == digests(both, at_once.cards)


def test_weights_give_a_network_the_shifted_scores_that_it_had(tiny: str) -> None:
    data, (fold, *_) = study_data(), folds_of(study_data())
    shifted = dataclasses.replace(data, shifted={"1": {FEATURE: 255 - data.features[FEATURE][:]}})
    result = trained(tiny, shifted, [fold], input_range="standard")[fold.name, "last"]
    again = score_shifted(MODELS.get(tiny), resolved(tiny, input_range="standard"), shifted, fold, result.weights)
    assert again["1"].tobytes() == result.shifted["1"].tobytes()


@pytest.mark.slow
def test_shards_of_shifted_clips_are_their_own(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    planned(recorded, store, shards, shift_keyframes="1,5%")
    true = {path.relative_to(shards): path.read_bytes() for path in (shards / "synth_a").rglob("*") if path.is_file()}
    assert {path.name for path in (shards / "_shifted").iterdir()} == {"1", "5pct"}
    planned(recorded, store, shards)
    assert all((shards / path).read_bytes() == content for path, content in true.items())


@pytest.mark.slow
def test_neither_packing_nor_order_changes_a_shifted_score(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(recorded, store, tmp_path / "shards", shift_keyframes="1,3")
    run_here(plan, store)
    other = OutcomeStore(tmp_path / "other", create=True)
    back = dataclasses.replace(recorded, clips=dict(reversed(recorded.clips.items())))
    again = planned(back, other, tmp_path / "elsewhere", shift_keyframes="1,3")
    run_here(again, other, slots=4, order=lambda packs: packs[::-1])
    assert digests(store, plan.cards) == digests(other, again.cards)


def test_a_network_is_shown_shifted_values_in_the_range_of_its_training_samples(tiny: str) -> None:
    data = study_data()
    plain = trained(tiny, data, folds_of(data)[:2], ("last", "oracle"), input_range="standard", augment="flip")
    flow = data.features[FEATURE]
    fold = folds_of(data)[0]
    moved_flow = flow[:].copy()
    moved_flow[fold.train] = 255 - moved_flow[fold.train]
    shifted = dataclasses.replace(data, shifted={"1": {FEATURE: moved_flow}, "2": {FEATURE: 255 - flow[:]}})
    found = trained(tiny, shifted, folds_of(data)[:2], ("last", "oracle"), input_range="standard", augment="flip")
    for key, result in found.items():
        assert_equal_results(result, plain[key])
    for selection in ("last", "oracle"):
        first = found[fold.name, selection]
        assert first.shifted["1"].tobytes() == first.scores.tobytes(), "its training samples are not looked at"
        assert not np.array_equal(first.shifted["2"], first.scores)


def test_a_node_keeps_the_blocks_of_shifted_clips_while_folds_need_them(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(recorded, store, tmp_path / "shards", shift_keyframes="1")
    (data,) = plan.data.values()
    keys = {block.key for values in data.shifted["1"].values() for block in values.blocks}  # type: ignore[attr-defined]
    assert len(keys) == 2, "the shifted clips, and the true ones in the place of what cannot be used"
    assert keys <= set(NeededBlocks(plan).by(0))


@pytest.mark.slow
def test_shifted_studies_have_no_row_and_no_rank_but_a_loss(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(recorded, store, tmp_path / "shards", shift_keyframes="4,1")
    run_here(plan, store)
    board = build_leaderboard(store, rng=np.random.default_rng(0))
    assert [(row.label, row.rank) for row in board.rows] == [("reader", 1)]
    assert [(one.label, one.shift, one.folds_done) for one in board.shifts] == [("reader", "1", 3), ("reader", "4", 3)]
    alone = build_leaderboard(store, plan.cards[1:], rng=np.random.default_rng(0))
    assert (alone.rows, alone.shifts) == ([], [])


@pytest.mark.parametrize("value", ["0", "-2", "2.5", "60%", "far", "1,x"])
def test_what_is_no_shift_is_refused_before_anything_is_read(merbench: LocalRuns, tmp_path: Path, value: str) -> None:
    said = merbench("run", "--data", "nowhere", "--results", str(tmp_path / "runs"), f"--shift-keyframes={value}")
    assert said.status == 2
    assert "--shift-keyframes: given" in said.err
    assert "expected a number of frames from 1" in said.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", ["", [""], True, [True], 1.5, [1.5], {"frames": 1}, None])
def test_a_yaml_file_cannot_say_anything_else(value: object) -> None:
    with pytest.raises(UsageError, match="shift-keyframes"):
        load_config(None, {"shift_keyframes": value if value is not None else [None]})


def test_a_yaml_file_may_say_it_in_any_form() -> None:
    for value in (2, [1, "5%"], "1, 2,1"):
        found = load_config(None, {"shift_keyframes": value}).shift_keyframes
        assert found == {2: ["2"], "1, 2,1": ["1", "2"]}.get(value if not isinstance(value, list) else 0, ["1", "5%"])


def test_flow_images_have_no_frames_to_move_key_frames_among(merbench: LocalRuns, tree: Path, tmp_path: Path) -> None:
    said = merbench(
        *("run", "--data", str(tree), "--models", "flow_svm", "--results", str(tmp_path / "runs")),
        *("--tracking-uri", "off", "--shift-keyframes", "1"),
    )
    assert said.status == 2
    assert "--shift-keyframes: casme2, samm bring no frames" in said.err


def test_a_model_that_looks_at_nothing_and_a_dataset_without_frames_are_told(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(recorded, store, tmp_path / "shards", shift_keyframes="1", models="reader,majority")
    assert [card.label for card in plan.cards] == ["reader", "reader[shift_keyframes=1]", "majority"]
    assert plan.notes == ["Model majority is not tested with shifted key frames: it looks at no clip."]
    with pytest.raises(UsageError, match="bring no frames"):
        shifted_of([dataclasses.replace(recorded, clips={})], config(shift_keyframes="1"), tmp_path)


class Biased(Reader):
    """A Reader that says of every clip how sure it is of the third class."""

    def __init__(self, n_classes: int, sure: float = 0.0) -> None:
        super().__init__(n_classes)
        self.sure = sure

    def scores(self, *features: np.ndarray) -> np.ndarray:
        found = super().scores(*features)
        found[:, 2] = self.sure
        return found


@pytest.mark.slow
def test_a_tuned_fold_is_shifted_with_what_its_people_chose(
    reader: str, recorded: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    facts: dict[str, Any] = {"features": (KEY_FRAMES,), "paper": "none", "resources": Resources(gpu=0.0, pack=9)}
    register_model("biased", **facts, search={"sure": (0.0, 300.0)})(Biased)
    asked: dict[str, Any] = {"models": "biased", "selection": "tuned", "configs": 2, "inner": 2, "keep_weights": True}
    # Who is taken for the second class by all configurations but one, which is better for being wrong less often.
    recorded.samples.loc[recorded.samples["clip"] != "c0", "emotion"] = "surprise"
    assert run_here(planned(recorded, store, tmp_path / "shards", **asked), store) == (3 * (2 * 2 + 1), 0)
    Reader.trained_on.clear()
    plan = planned(recorded, store, tmp_path / "shards", shift_keyframes="2", **asked)
    assert run_here(plan, store) == (3, 0)
    assert Reader.trained_on == [], "what was kept serves the shift"
    plain, moved_card = plan.cards
    for before, after in zip(store.read_outcomes(plain)[0], store.read_outcomes(moved_card)[0], strict=True):
        assert after.provenance["tuned"] == before.provenance["tuned"]
        assert before.provenance["tuned"]["changed"] == {"sure": 300.0}
        assert after.scores[:, 2].tolist() == [300.0] * 3
        assert not np.array_equal(after.scores, before.scores)
