"""Protocol ``spot``: who is trained on, what is tested, what counts as found, and what stands on the board."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from local_runs import LocalRuns
from small_runs import config, digests, run_here

from bench.commands.rescore import retest
from bench.config import RunConfig
from bench.plan.plan import Plan, make_plan
from bench.plan.request import resolve
from bench.study.protocols import SPOTTED
from bench.study.sources import prepare_datasets
from bench.study.spotted import FOLDER, MARK, Spotted, described_spotting, spotted_datasets
from mer_models.contracts import Resources
from mer_models.registry import register_model
from preprocess.base.errors import DataError, Unfit
from preprocess.datasets import LongRecording, RawDataset
from preprocess.recipes import FEATURES, add_recipe
from preprocess.samples.clip import Clip, ClipError, Frames
from preprocess.samples.table import samples_table
from preprocess.shards.making import Result, SubjectJob, in_this_process, make
from preprocess.shards.spotted import SpottedInDataset, spot_recordings
from preprocess.spotting.recordings import Recording, Span
from preprocess.spotting.spotter import Spotting
from results.scores.leaderboard import build_leaderboard
from results.scores.row import Row
from results.store.outcome_store import OutcomeStore

ENDS = "test_first_and_last_frame"
LAST = 60
TRUE = ((10, 16, "negative"), (30, 36, "positive"), (50, 56, "surprise"))
SPANS = {
    "p0": [(11, 17), (30, 36), (49, 55)],
    "p1": [(10, 16), (40, 46)],
    "p2": [],
    "p3": [(20, 25)],
}
"""What is spotted in each person's recording: everything, a third beside one false, nothing; p3 shows nothing."""
COUNTS = {"synth_a/p0": [3, 0, 0], "synth_a/p1": [1, 1, 2], "synth_a/p2": [0, 0, 3], "synth_a/p3": [0, 1, 0]}


class Reader:
    """An estimator that knows nothing but the grey levels of the first and last frame; it keeps what it learns from."""

    trained_on: ClassVar[list[np.ndarray]] = []

    def __init__(self, n_classes: int) -> None:
        pass

    def fit(self, *features: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
        Reader.trained_on.append(_seen(features[0]))

    def scores(self, *features: np.ndarray) -> np.ndarray:
        seen = _seen(features[0])
        return np.concatenate([seen, np.zeros((len(seen), 1))], axis=1).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {"nothing": np.zeros(1, np.float32)}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        pass


def _seen(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), 2, -1).mean(axis=2)


def grey(person: str, number: int) -> int:
    """Return the grey level of a frame: no two frames of all recordings are alike."""
    return 4 * number - 3 + int(person[1:])


@pytest.fixture
def reader(registries: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the estimator; its feature is onset and offset as they are, by the ordinary steps."""
    FEATURES.names()
    monkeypatch.setattr(FEATURES, "_entries", dict(FEATURES._entries))
    monkeypatch.setattr(FEATURES, "_origins", dict(FEATURES._origins))
    recipe = {
        "version": 1,
        "summary": "onset and offset, 2x2 pixels",
        "shape": [2, 1, 2, 2],
        "axes": "tchw",
        "dtype": "uint8",
        "steps": [{"select": {"frames": "uniform", "count": 2}}, "load", "frames_tensor"],
    }
    add_recipe(ENDS, recipe, origin=__name__)
    Reader.trained_on = []
    register_model("reader", features=(ENDS,), paper="none", resources=Resources(gpu=0.0, pack=2))(Reader)
    return "reader"


@pytest.fixture
def spotter(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let ``SPANS`` be what is spotted, and return the recordings that were looked at."""
    looked: list[str] = []

    def spot(recording: Recording, longest: float = 0.8) -> Spotting:
        looked.append(recording.name)
        spans = [Span(onset, onset + 2, offset, 5.0) for onset, offset in SPANS[recording.name.split("/")[1]]]
        return Spotting(frames=LAST, spans=spans, seen=1.0, threshold=4.0, reason="" if spans else "nothing moves")

    monkeypatch.setattr("preprocess.spotting.spotter.spot", spot)
    return looked


def film(folder: Path, person: str) -> Frames:
    folder.mkdir(parents=True)
    for number in range(1, LAST + 1):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((2, 2), grey(person, number), np.uint8))
    return Frames(folder, {number: f"{number}.png" for number in range(1, LAST + 1)})


@pytest.fixture
def filmed(tmp_path: Path) -> RawDataset:
    """Return a dataset of four people in a recording each, three of whom show an expression of each class."""
    rows, clips, recordings = [], {}, []
    for person in SPANS:
        frames = film(tmp_path / "films" / person, person)
        ids = []
        for onset, offset, emotion in TRUE if person != "p3" else ():
            sample_id = f"synth_a/{person}/film@{onset}"
            clips[sample_id] = Clip(sample_id, frames, None, onset, None, offset, 10.0)
            rows.append({"sample_id": sample_id, "dataset": "synth_a", "subject": f"synth_a/{person}", "clip": "film"})
            rows[-1] |= {"onset": onset, "apex": None, "offset": offset, "fps": 10.0, "emotion": emotion}
            ids.append(sample_id)
        name = f"synth_a/{person}/film"
        recordings.append(LongRecording(name, f"synth_a/{person}", Clip(name, frames, fps=10.0), tuple(ids)))
    return RawDataset("synth_a", samples_table(rows), synthetic=True, clips=clips, recordings=lambda: tuple(recordings))


def spot_config(**changes: object) -> RunConfig:
    return config(**{"models": ["reader"], "protocols": ["spot"], "epochs": None, **changes})


def spotted_in(raw: Sequence[RawDataset], chosen: RunConfig, shards: Path) -> Spotted:
    features = resolve(chosen).features
    found = spot_recordings(raw, shards / FOLDER)
    return spotted_datasets(raw, found, str(shards), lambda of, at: prepare_datasets(of, features, at))


def planned(raw: RawDataset, store: OutcomeStore, shards: Path, **changes: object) -> Plan:
    chosen = spot_config(**changes)
    prepared = prepare_datasets([raw], resolve(chosen).features, str(shards))
    return make_plan(resolve(chosen), prepared, store, spotted=spotted_in([raw], chosen, shards))


def row_of(store: OutcomeStore) -> Row:
    (row,) = build_leaderboard(store, rng=np.random.default_rng(0)).rows
    return row


def test_others_are_trained_on_as_annotated_and_what_was_spotted_is_tested(
    reader: str, spotter: list[str], filmed: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(filmed, store, tmp_path / "shards")
    assert run_here(plan, store) == (2, 0)
    (card,) = plan.cards
    assert [fold.name for fold in card.folds] == ["synth_a/p0", "synth_a/p1"]
    others = [("p1", "p2"), ("p0", "p2")]
    for seen, people in zip(Reader.trained_on, others, strict=True):
        wanted = [[grey(one, onset), grey(one, offset)] for one in people for onset, offset, _ in TRUE]
        assert sorted(seen.tolist()) == sorted(wanted), "annotated clips of the other people, and nothing else"
    tested = {}
    for outcome in store.read_outcomes(card)[0]:
        tested |= dict(zip(outcome.sample_ids, outcome.scores[:, :2].tolist(), strict=True))
    found = [("p0", 10, 11, 17), ("p0", 30, 30, 36), ("p0", 50, 49, 55), ("p1", 10, 10, 16)]
    assert tested == {
        f"synth_a/{one}/film@{true}{MARK}": [grey(one, onset), grey(one, offset)] for one, true, onset, offset in found
    }


def test_a_fold_of_every_selection_holds_out_the_person_with_both_kinds_of_clips(
    reader: str, spotter: list[str], filmed: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(filmed, store, tmp_path / "shards", selection=["last", "oracle", "validation"])
    for one in plan.trainings:
        data = plan.data[one.training.data]
        for fold in one.training.folds(data):
            fold.check(data.subjects, data.copies)
            assert set(data.subjects[fold.test]) == {fold.name}
            assert fold.name not in data.subjects[np.concatenate([fold.train, fold.validation])]
            assert (data.splits[fold.test] == SPOTTED).all()
            assert not (data.splits[fold.train] == SPOTTED).any()


def test_the_board_counts_everybody_and_scores_what_was_found(
    reader: str, spotter: list[str], filmed: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    plan = planned(filmed, store, tmp_path / "shards")
    run_here(plan, store)
    assert plan.cards[0].spotting == COUNTS
    row = row_of(store)
    assert (row.n_samples, row.n_subjects, row.protocol, row.rank) == (4, 2, "spot", 1)
    told = row.spotting
    assert told is not None
    assert (told.found, told.false, told.missed) == (4, 2, 5)
    assert (told.precision, told.recall, told.f1) == pytest.approx((4 / 6, 4 / 9, 8 / 15))
    # The later frame is the brighter one, so that all four are called positive: F1 2/5, 0, 0.
    assert row.uf1 == pytest.approx(2 / 15)
    assert told.strs == pytest.approx(8 / 15 * 2 / 15)
    assert told.strs_low is not None
    assert told.strs_high is not None
    assert told.strs_low < told.strs < told.strs_high
    assert "spotted in 4 recordings of 0.4 minutes: 4 of 9 expressions found, 2 false" in row.notes[0]


@pytest.mark.slow
def test_nothing_is_spotted_or_trained_twice_and_other_findings_are_another_study(
    reader: str,
    spotter: list[str],
    filmed: RawDataset,
    store: OutcomeStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shards, second = tmp_path / "shards", OutcomeStore(tmp_path / "second", create=True)
    plan = planned(filmed, store, shards)
    run_here(plan, store)
    assert sorted(spotter) == [f"synth_a/{person}/film" for person in SPANS]
    again = planned(filmed, store, shards)
    assert [one.todo for one in again.trainings] == [[]]
    assert len(spotter) == 4
    elsewhere = planned(filmed, second, tmp_path / "other_shards")
    run_here(elsewhere, second)
    assert digests(second, elsewhere.cards) == digests(store, plan.cards), "equal to the bit, wherever it was made"
    monkeypatch.setitem(SPANS, "p3", [])
    monkeypatch.setattr("preprocess.spotting.spotter.VERSION", 1000)
    fewer = planned(filmed, store, shards)
    assert len(spotter) == 12, "another version of the spotter looks again"
    assert fewer.cards[0].key != plan.cards[0].key
    assert fewer.trainings[0].todo == [0, 1]
    assert "spotting" in fewer.trainings[0].studies[0].reason


def test_recordings_travel_to_workers_and_the_findings_are_the_same(
    spotter: list[str], filmed: RawDataset, tmp_path: Path
) -> None:
    def far_away(jobs: Sequence[SubjectJob]) -> Iterator[Result]:
        return map(make, pickle.loads(pickle.dumps(list(jobs))))

    found = {}
    for name, how in (("here", in_this_process), ("there", far_away)):
        recordings = spot_recordings([filmed], tmp_path / name, execute=how)["synth_a"].recordings
        content = sorted(path.read_bytes() for path in (tmp_path / name).rglob("part.parquet"))
        found[name] = [one.spans for one in recordings], content
    assert found["here"] == found["there"]
    assert len(found["here"][1]) == 4


def test_an_annotated_study_of_the_same_run_knows_nothing_of_what_was_spotted(
    reader: str, spotter: list[str], filmed: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    alone = planned(filmed, store, tmp_path / "shards", protocols=["loso"]).cards[0]
    spot, loso = sorted(
        planned(filmed, store, tmp_path / "shards", protocols=["loso", "spot"]).cards,
        key=lambda card: card.spotting == {},
    )
    assert (loso.key, loso.spotting, loso.n_samples) == (alone.key, {}, {"full": 9})
    assert spot.n_samples == {"full": 4}


def test_a_found_expression_without_a_class_counts_for_spotting_alone(
    reader: str, spotter: list[str], filmed: RawDataset, store: OutcomeStore, tmp_path: Path
) -> None:
    samples = filmed.samples.copy()
    samples.loc[samples["sample_id"] == "synth_a/p0/film@10", "emotion"] = None
    card = planned(dataclasses.replace(filmed, samples=samples), store, tmp_path / "shards").cards[0]
    assert card.spotting == COUNTS
    assert card.n_samples == {"full": 3}
    assert "1 found expressions have no class in the task" in card.notes[0]


def test_a_recording_that_cannot_be_read_is_told_and_in_no_count(
    reader: str, spotter: list[str], filmed: RawDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(recording: Recording, longest: float) -> Spotting:
        raise ClipError(f"{recording.name}: frame 7 is damaged.")

    monkeypatch.setattr("preprocess.spotting.spotter.spot", torn)
    one = spotted_in([filmed], spot_config(), tmp_path / "shards")["synth_a"]
    assert (one.people, one.recordings, len(one.skipped)) == ({}, 0, 4)
    assert "  synth_a/p0/film cannot be used: frame 7 is damaged." in described_spotting({"synth_a": one})


def test_an_expression_ends_with_the_recording_at_the_latest(
    reader: str, spotter: list[str], filmed: RawDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SAMM's sheet has offsets beyond the last frame: half of what can be seen must be found, not of what is said."""
    clips = dict(filmed.clips)
    clips["synth_a/p2/film@50"] = dataclasses.replace(clips["synth_a/p2/film@50"], offset=100)
    monkeypatch.setitem(SPANS, "p2", [(52, 60)])
    late = dataclasses.replace(filmed, clips=clips)
    one = spotted_in([late], spot_config(), tmp_path / "shards")["synth_a"]
    assert one.people["synth_a/p2"].found == 1


def test_overlap_is_counted_in_frames_the_last_one_too(
    reader: str, spotter: list[str], filmed: RawDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annotated are frames 10 to 16: 10 to 13 are more than half of them; 13 to 16 half of 10 to 17; 14 to 16 less."""
    for person, span in (("p0", (10, 13)), ("p1", (13, 17)), ("p2", (14, 17))):
        monkeypatch.setitem(SPANS, person, [span])
    people = spotted_in([filmed], spot_config(), tmp_path / "shards")["synth_a"].people
    assert [people[f"synth_a/{person}"].found for person in ("p0", "p1", "p2")] == [1, 1, 0]


def test_without_offsets_frame_rates_recordings_or_findings_it_says_so(
    reader: str,
    spotter: list[str],
    filmed: RawDataset,
    store: OutcomeStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def changed(**changes: object) -> RawDataset:
        first, *others = filmed.recordings()
        return dataclasses.replace(filmed, recordings=lambda: (dataclasses.replace(first, **changes), *others))  # type: ignore[arg-type]

    unclear = changed(unclear=("clips.csv, row 3, column offset: is empty",))
    with pytest.raises(DataError, match=r"row 3, column offset: is empty\nFill them in"):
        spot_recordings([unclear], tmp_path / "spotted")
    with pytest.raises(DataError, match=r"does not say how many frames there are a second .*column fps"):
        spot_recordings([changed(clip=Clip("synth_a/p0/film", film(tmp_path / "x", "p0")))], tmp_path / "spotted")
    with pytest.raises(
        Unfit, match=r"takes long recordings.*synth_a is not read from any\. Raw copies of .*casme_sq.*smic"
    ):
        planned(dataclasses.replace(filmed, recordings=tuple), store, tmp_path / "shards")
    for person in SPANS:
        monkeypatch.setitem(SPANS, person, [])
    with pytest.raises(Unfit, match=r"none of the 9 expressions was found \(0 false ones were\): F1 and STRS are 0"):
        planned(filmed, store, tmp_path / "shards")


def test_what_is_still_to_be_spotted_is_no_error_of_a_plan(
    reader: str, spotter: list[str], filmed: RawDataset, tmp_path: Path
) -> None:
    found = spot_recordings([filmed], tmp_path / "spotted", make=False)
    assert found == {"synth_a": SpottedInDataset(waiting=4)}
    spotted = spotted_datasets([filmed], found, str(tmp_path), lambda of, at: [])
    assert described_spotting(spotted) == ["synth_a: expressions are still to be spotted in 4 recordings"]
    assert not spotter


LIST = "path,subject,onset,offset,fps,emotion\n" + "".join(
    f"{person},{person},{onset},{offset},10,{emotion}\n"
    for person in ("p0", "p1", "p2")
    for onset, offset, emotion in TRUE
)


@pytest.fixture
def own_clips(tmp_path: Path) -> Path:
    """Return a folder of three people's own recordings with a list of their expressions."""
    for person in ("p0", "p1", "p2"):
        film(tmp_path / "own" / person, person)
    (tmp_path / "own" / "clips.csv").write_text(LIST)
    return tmp_path / "own"


@pytest.mark.slow
def test_the_command_from_a_list_of_clips_to_the_board(
    merbench: LocalRuns, reader: str, spotter: list[str], own_clips: Path, tmp_path: Path
) -> None:
    options = ["--data", str(own_clips), "--tasks", "emotion3", "--models", "reader", "--tracking-uri", "off"]
    options += ["--results", str(tmp_path / "runs"), "--protocols"]
    for protocols in ("loso,spot", "spot"):
        said = merbench("plan", *options, protocols)
        assert said.status == 0, said.err
        assert "own: expressions are still to be spotted in 3 recordings" in said.out
        assert "3 recordings are still to be looked at" in " ".join(said.out.split())
    assert not spotter
    said = merbench("run", *options, "loso,spot", "--keep-weights")
    assert said.status == 0, said.err
    assert "own: spotted in 3 recordings of 0.3 minutes: 4 of 9 expressions found, 1 false" in said.out
    text = merbench("leaderboard", "--results", str(tmp_path / "runs"), "--format", "md").out
    loso, spot = text.split("### ")[1:]
    assert "STRS" not in loso
    assert "| spot P | spot R | spot F1 | STRS | 95% CI |" in spot
    assert "| .8000 | .4444 | .5714 |" in spot
    assert "2/2" in merbench("leaderboard", "--results", str(tmp_path / "runs"), "--shape", "long").out
    assert "spot F1" in (tmp_path / "runs" / "board.html").read_text()
    lines: list[str] = []
    assert retest(RunConfig(data=[str(own_clips)], results=str(tmp_path / "runs")), "", lines.append) == 0
    assert "own · emotion3 · spot · last · seed 0: 2 of 2 folds give the stored predictions again" in "\n".join(lines)


def test_bad_requests_are_told_before_anything_is_spotted(
    merbench: LocalRuns, reader: str, spotter: list[str], own_clips: Path, tmp_path: Path
) -> None:
    options = ["--data", str(own_clips), "--tasks", "emotion3", "--models", "reader", "--protocols", "spot"]
    options += ["--results", str(tmp_path / "runs"), "--tracking-uri", "off"]
    (own_clips / "clips.csv").write_text(LIST.replace("p1,p1,30,36", "p1,p1,30,"))
    said = merbench("run", *options)
    assert said.status == 2
    assert f"{own_clips / 'clips.csv'}, row 6, column offset: is empty" in said.err
    assert not (tmp_path / "runs" / "shards").exists(), "no feature was made before"
    (tmp_path / "predictions.csv").write_text("sample_id,predicted\n")
    imported = ["import", str(tmp_path / "predictions.csv"), "--model", "gpt", *options[:4], *options[6:8]]
    said = merbench(*imported)
    assert said.status == 2
    assert "Protocol spot: predictions of others are read of annotated clips" in said.err
    (own_clips / "clips.csv").write_text(
        "path,subject,fps,emotion\n"
        + "".join(
            f"{person},{person},10,{emotion}\n" for person, (*_, emotion) in zip(("p0", "p1", "p2"), TRUE, strict=True)
        )
    )
    said = merbench("run", *options)
    assert said.status == 2
    assert "Protocol spot: it takes long recordings, in which expressions are spotted, and own is not" in said.err
    assert not spotter
