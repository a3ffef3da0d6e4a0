"""A complete study in one file: nothing of it changes, gets lost or comes twice, wherever a driver stops."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from example_studies import ExampleStudy, example_study

from preprocess.base.errors import StoreError
from results.store.outcome import Outcome
from results.store.outcome_file import DamagedOutcome, outcome_digest, outcome_from_bytes
from results.store.outcome_store import OutcomeStore, fold_file, study_folder
from results.store.study_file import study_to_bytes


@pytest.fixture
def store(tmp_path: Path) -> OutcomeStore:
    return OutcomeStore(tmp_path / "runs", create=True)


@pytest.fixture
def study() -> ExampleStudy:
    return example_study()


def written(store: OutcomeStore, study: ExampleStudy) -> ExampleStudy:
    store.write_card(study.card)
    for number, outcome in enumerate(study.outcomes()):
        facts = {"host": f"machine {number}", "seconds": 0.5 + number, "packages": {"torch": None}}
        store.write_outcome(study.card, dataclasses.replace(outcome, provenance={**outcome.provenance, **facts}))
    return study


def names(store: OutcomeStore, study: ExampleStudy) -> list[str]:
    return sorted(path.name for path in Path(store.root, study_folder(study.card)).iterdir())


def singles(store: OutcomeStore, study: ExampleStudy) -> list[str]:
    return [name for name in names(store, study) if name.endswith(".outcome.parquet")]


def study_file(store: OutcomeStore, study: ExampleStudy) -> Path:
    (found,) = Path(store.root, study_folder(study.card)).glob("*.study.parquet")
    return found


def told(store: OutcomeStore, study: ExampleStudy) -> list[str]:
    """Return the digest of everything that is read of each fold."""
    outcomes, damaged = OutcomeStore(store.root).read_outcomes(study.card)
    assert damaged == []
    return [outcome_digest(outcome) for outcome in outcomes]


STUDIES = {
    "one dataset": lambda: example_study(),
    "a composite": lambda: example_study(datasets={"casme2": 3, "samm": 2}),
    "several classes a sample": lambda: example_study(multilabel=True),
    "a dataset a fold": lambda: example_study(datasets={"casme2": 2, "samm": 3}, averaged=True),
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_sealed_study_is_read_as_before_to_the_last_field(store: OutcomeStore, name: str) -> None:
    study = written(store, STUDIES[name]())
    before, state = told(store, study), store.state(study.card)
    store.seal(study.card)
    assert names(store, study) == [study_file(store, study).name, "study.json"]
    assert told(store, study) == before
    assert store.state(study.card) == state
    again = [outcome_digest(store.read_outcome(study.card, fold.key)) for fold in study.card.folds]
    assert again == before


def test_any_parquet_reader_finds_the_folds(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    store.seal(study.card)
    rows = pq.read_table(study_file(store, study)).to_pylist()
    assert [row["key"] for row in rows] == [fold.key for fold in study.card.folds]
    assert rows[1]["sample_ids"] == [sample.sample_id for sample in study.folds[1]]
    assert json.loads(rows[1]["provenance"])["host"] == "machine 1"


def test_a_study_is_sealed_once(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    store.seal(study.card)
    before = names(store, study)
    store.seal(study.card)
    assert names(store, study) == before


def test_sealing_reads_the_predictions_of_each_fold_once(
    store: OutcomeStore, study: ExampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, study)
    read: list[str] = []

    def reading(data: bytes, where: str) -> Outcome:
        read.append(where)
        return outcome_from_bytes(data, where)

    monkeypatch.setattr("results.store.outcome_reader.outcome_from_bytes", reading)
    store.seal(study.card)
    assert len(read) == len(set(read)) == len(study.card.folds)
    assert singles(store, study) == []


def test_only_complete_and_whole_studies_are_sealed(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    store.discard(study.card, study.card.folds[1].key)
    before = names(store, study)
    store.seal(study.card)
    assert names(store, study) == before
    written(store, study)
    path = Path(store.root, fold_file(study.card, study.card.folds[2].key, "outcome"))
    path.write_bytes(path.read_bytes()[:-3])
    store.seal(study.card)
    assert len(singles(store, study)) == len(study.card.folds)
    assert store.read_sealed(study.card) is None


class Stopped(BaseException):
    """As a kill: no handler of errors sees it."""


def stopping(store: OutcomeStore, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Have the store stop after so many writes and removals."""
    left = [after]

    def counting(call: Callable[..., None]) -> Callable[..., None]:
        def counted(*args: object, **kwargs: object) -> None:
            if not left[0]:
                raise Stopped
            left[0] -= 1
            call(*args, **kwargs)

        return counted

    for name in ("write", "delete"):
        monkeypatch.setattr(store._storage, name, counting(getattr(store._storage, name)))


# The version of the store, the study file, and a removal a fold.
@pytest.mark.parametrize("after", range(2 + 4))
def test_sealing_may_stop_anywhere(
    store: OutcomeStore, study: ExampleStudy, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, study)
    before = told(store, study)
    with monkeypatch.context() as stop:
        stopping(store, stop, after)
        with pytest.raises(Stopped):
            store.seal(study.card)
    assert told(store, study) == before
    assert len(OutcomeStore(store.root).state(study.card).done) == len(study.card.folds)
    other = OutcomeStore(store.root)
    other.seal(study.card)
    assert names(store, study) == [study_file(store, study).name, "study.json"]
    assert told(store, study) == before


# A file for each of the three other folds, then the study file, the counts, and what is left of the fold.
@pytest.mark.parametrize("after", range(3 + 2 + 3))
def test_discarding_a_fold_of_a_sealed_study_may_stop_anywhere(
    store: OutcomeStore, study: ExampleStudy, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, study)
    before = told(store, study)
    store.seal(study.card)
    key = study.card.folds[1].key
    with monkeypatch.context() as stop:
        stopping(store, stop, after)
        with pytest.raises(Stopped):
            store.discard(study.card, key)
    kept = told(store, study)
    assert kept == before or kept == [before[0], *before[2:]]
    OutcomeStore(store.root).discard(study.card, key)
    assert told(store, study) == [before[0], *before[2:]]
    assert OutcomeStore(store.root).state(study.card).done == {fold.key for fold in study.card.folds} - {key}


def test_a_fold_that_is_computed_anew_counts_instead(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    store.seal(study.card)
    second = study.outcomes()[1]
    newer = dataclasses.replace(second, selected_epoch=1, provenance={"host": "b"})
    store.write_outcome(study.card, newer)
    assert outcome_digest(store.read_outcome(study.card, second.key)) == outcome_digest(newer)
    before = told(store, study)
    assert before[1] == outcome_digest(newer)
    assert store.read_sealed(study.card) is None
    store.seal(study.card)
    assert told(store, study) == before
    assert names(store, study) == [study_file(store, study).name, "study.json"]


def test_what_another_driver_writes_meanwhile_stays(
    store: OutcomeStore, study: ExampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, study)
    newer = dataclasses.replace(study.outcomes()[1], selected_epoch=1)
    write = store._storage.write

    def writing(name: str, content: bytes, lasting: bool = False) -> None:
        write(name, content, lasting)
        if name.endswith(".study.parquet"):
            OutcomeStore(store.root).write_outcome(study.card, newer)

    monkeypatch.setattr(store._storage, "write", writing)
    store.seal(study.card)
    assert told(store, study)[1] == outcome_digest(newer)


def test_two_drivers_seal_at_once(store: OutcomeStore, study: ExampleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    written(store, study)
    before = told(store, study)
    write = store._storage.write

    def writing(name: str, content: bytes, lasting: bool = False) -> None:
        if name.endswith(".study.parquet"):
            OutcomeStore(store.root).seal(study.card)
        write(name, content, lasting)

    monkeypatch.setattr(store._storage, "write", writing)
    store.seal(study.card)
    monkeypatch.undo()
    assert told(store, study) == before
    assert len(list(Path(store.root).rglob("*.study.parquet"))) == 2
    store.seal(study.card)
    assert told(store, study) == before
    assert study_file(store, study).name in names(store, study)


def test_a_study_that_is_taken_apart_while_it_is_sealed_is_kept(
    store: OutcomeStore, study: ExampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one removes only the file that it has read, and not the one that the other has written since."""
    written(store, study)
    before = told(store, study)
    store.seal(study.card)
    other, delete = OutcomeStore(store.root), store._storage.delete

    def deleting(name: str) -> None:
        if name.endswith(".study.parquet"):
            other.seal(study.card)
        delete(name)

    # The other fold's file is there, too, as if it had been trained meanwhile: the study is complete again.
    store.write_outcome(study.card, study.outcomes()[0])
    monkeypatch.setattr(store._storage, "delete", deleting)
    store.discard(study.card, study.card.folds[1].key)
    assert told(store, study)[2:] == before[2:]


def test_a_reader_who_finds_files_gone_looks_again(
    store: OutcomeStore, study: ExampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, study)
    before, read = told(store, study), store._storage.read
    other = OutcomeStore(store.root)

    def reading(name: str) -> bytes:
        other.seal(study.card)
        return read(name)

    monkeypatch.setattr(store._storage, "read", reading)
    outcomes, damaged = store.read_outcomes(study.card)
    assert [outcome_digest(outcome) for outcome in outcomes] == before
    assert damaged == []


def test_a_listing_made_while_files_go_is_made_again(
    store: OutcomeStore, study: ExampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, study)
    half = [name for name in names(store, study) if name not in singles(store, study)[:2]]
    store.seal(study.card)
    listing = store._storage.names
    answers = iter([half])
    monkeypatch.setattr(store._storage, "names", lambda folder: next(answers, None) or listing(folder))
    assert len(store.state(study.card).done) == len(study.card.folds)


def test_files_that_are_listed_and_never_there_end_in_an_error(
    store: OutcomeStore, study: ExampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store, study)
    path = Path(store.root, fold_file(study.card, study.card.folds[1].key, "outcome"))
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(StoreError, match="lists files that are not there"):
        store.read_outcomes(study.card)


def test_many_sealed_studies_do_not_stay_in_memory(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    store.seal(study.card)
    tracemalloc.start()
    try:
        sealed = [store.read_sealed(study.card) for _ in range(50)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 0.3 * 50 * study_file(store, study).stat().st_size
    assert sealed[7]
    assert [outcome_digest(one) for one in sealed[7].outcomes] == told(store, study)


def test_a_sealed_study_is_found_again_under_another_drivers_name_and_nothing_else_is_taken_for_it(
    store: OutcomeStore, study: ExampleStudy
) -> None:
    written(store, study)
    store.seal(study.card)
    expected, sealed, file = told(store, study), store.read_sealed(study.card), study_file(store, study)
    assert sealed
    moved = file.with_name("000002-00000000.study.parquet")
    file.rename(moved)
    assert [outcome_digest(one) for one in sealed.outcomes] == expected

    newer = [dataclasses.replace(one, selected_epoch=1) for one in study.outcomes()]
    moved.write_bytes(study_to_bytes(study.card.key, newer))
    with pytest.raises(StoreError, match="were changed after they had been read"):
        _ = sealed.outcomes
    moved.unlink()
    with pytest.raises(StoreError, match="run the same command again"):
        _ = sealed.outcomes


def changed(path: Path, what: bytes) -> None:
    """Change a byte of a piece of the file that occurs once."""
    data = path.read_bytes()
    assert data.count(what) == 1
    path.write_bytes(data.replace(what, bytes([what[0] ^ 1]) + what[1:]))


def test_a_changed_byte_costs_the_fold_that_it_is_in(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    before = told(store, study)
    store.seal(study.card)
    path = study_file(store, study)
    changed(path, b"machine 2")
    outcomes, (message,) = store.read_outcomes(study.card)
    assert [outcome_digest(outcome) for outcome in outcomes] == [*before[:2], before[3]]
    assert message.startswith(f"{path} is damaged or no study file: its bytes are not the ones that were written")
    assert "Of its 4 folds 1 are damaged (lost: casme2/sub02). Run the same command again" in message
    assert store.read_sealed(study.card) is None
    key = study.card.folds[2].key
    with pytest.raises(DamagedOutcome, match=path.name):
        store.read_outcome(study.card, key)
    assert outcome_digest(store.read_outcome(study.card, study.card.folds[3].key)) == before[3]
    store.seal(study.card)
    assert path.exists()
    # What a run does.
    store.discard(study.card, key)
    assert not path.exists()
    assert told(store, study) == [*before[:2], before[3]]
    store.write_outcome(study.card, study.outcomes()[2])
    store.seal(study.card)
    assert [*told(store, study)[:2], told(store, study)[3]] == [*before[:2], before[3]]


def test_a_changed_byte_beside_the_folds_costs_none_and_is_told(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    before = told(store, study)
    store.seal(study.card)
    path = study_file(store, study)
    changed(path, b"sha256-of-this-file-with-zeros-here")
    outcomes, (message,) = store.read_outcomes(study.card)
    assert [outcome_digest(outcome) for outcome in outcomes] == before
    assert f"{path} is damaged" in message
    assert "Of its 4 folds 0 are damaged (none is lost)" in message
    store.discard(study.card)
    assert told(store, study) == before


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_study_file_that_was_cut_short_is_named(store: OutcomeStore, study: ExampleStudy, keep: int) -> None:
    written(store, study)
    store.seal(study.card)
    path = study_file(store, study)
    path.write_bytes(path.read_bytes()[:keep])
    outcomes, (message,) = store.read_outcomes(study.card)
    assert outcomes == []
    assert str(path) in message
    assert "Of its 4 folds 4 are damaged" in message
    store.discard(study.card, *(fold.key for fold in study.card.folds))
    assert store.state(study.card).done == frozenset()


@pytest.mark.slow
def test_whatever_byte_changes_no_outcome_is_read_that_was_not_written(
    store: OutcomeStore, study: ExampleStudy
) -> None:
    written(store, study)
    before = set(told(store, study))
    store.seal(study.card)
    path = study_file(store, study)
    data = path.read_bytes()
    for place in range(0, len(data), len(data) // 150):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        outcomes, (message,) = store.read_outcomes(study.card)
        assert {outcome_digest(outcome) for outcome in outcomes} <= before
        assert str(path) in message


def test_a_study_file_of_another_study_is_found(store: OutcomeStore, study: ExampleStudy) -> None:
    other = written(store, example_study(seed=1))
    written(store, study)
    for one in (study, other):
        store.seal(one.card)
    study_file(store, study).write_bytes(study_file(store, other).read_bytes())
    outcomes, (message,) = store.read_outcomes(study.card)
    assert outcomes == []
    assert f"holds study {other.card.key[:16]}, not {study.card.key[:16]}" in message


def test_a_program_that_knows_no_study_files_is_told_so(store: OutcomeStore, study: ExampleStudy) -> None:
    """It would take the folds for missing."""
    version = Path(store.root, "store.json")
    assert json.loads(version.read_text()) == {"schema_version": 1}
    written(store, study)
    store.seal(study.card)
    assert json.loads(version.read_text()) == {"schema_version": 2}
    OutcomeStore(store.root, create=True)
    assert json.loads(version.read_text()) == {"schema_version": 2}


def test_outcomes_of_two_kinds_are_not_put_into_one_file(store: OutcomeStore, study: ExampleStudy) -> None:
    written(store, study)
    multilabel = dataclasses.replace(
        example_study(multilabel=True).outcomes()[0], key=study.card.folds[0].key, study_key=study.card.key
    )
    store.write_outcome(study.card, multilabel)
    with pytest.raises(StoreError, match="are not those of one study"):
        store.seal(study.card)
    assert len(singles(store, study)) == 4
