"""The outcome file keeps every bit, and no changed byte goes unnoticed."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from example_studies import example_study

from preprocess.base import sealed_parquet
from preprocess.base.errors import StoreError
from results.store import outcome_file
from results.store.outcome import Outcome
from results.store.outcome_file import DamagedOutcome, outcome_from_bytes, outcome_to_bytes, result_digest


@pytest.fixture
def outcome() -> Outcome:
    return example_study().outcomes()[0]


def test_everything_survives_the_round_trip(outcome: Outcome) -> None:
    copy = outcome_from_bytes(outcome_to_bytes(outcome), "a.parquet")
    for field in dataclasses.fields(Outcome):
        before, after = getattr(outcome, field.name), getattr(copy, field.name)
        if isinstance(before, np.ndarray):
            assert after.dtype == before.dtype
            assert after.tobytes() == before.tobytes(), field.name
        elif field.name == "curves":
            # NaN and infinity are among them.
            assert {name: np.array(curve).tobytes() for name, curve in before.items()} == {
                name: np.array(curve).tobytes() for name, curve in after.items()
            }
        else:
            assert before == after, field.name


def test_any_parquet_reader_sees_the_predictions(outcome: Outcome) -> None:
    table = pq.read_table(io.BytesIO(outcome_to_bytes(outcome)), page_checksum_verification=True)
    assert table["sample_id"].to_pylist() == list(outcome.sample_ids)
    assert table["y_pred"].to_pylist() == outcome.y_pred.tolist()
    assert table["scores"].to_pylist() == outcome.scores.tolist()


def test_a_fold_without_test_samples_keeps_its_shapes() -> None:
    empty = dataclasses.replace(
        example_study().outcomes()[0],
        sample_ids=(),
        subjects=(),
        datasets=(),
        y_true=np.empty(0, np.int64),
        y_pred=np.empty(0, np.int64),
        scores=np.empty((0, 3), np.float32),
    )
    copy = outcome_from_bytes(outcome_to_bytes(empty), "a.parquet")
    assert copy.scores.shape == (0, 3)
    assert copy.sample_ids == ()


def test_every_flipped_bit_is_found(outcome: Outcome) -> None:
    data = outcome_to_bytes(outcome)
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        with pytest.raises(DamagedOutcome, match=r"a\.parquet"):
            outcome_from_bytes(bytes(flipped), "a.parquet")


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_file_cut_short_is_found(outcome: Outcome, keep: int) -> None:
    with pytest.raises(DamagedOutcome):
        outcome_from_bytes(outcome_to_bytes(outcome)[:keep], "a.parquet")


def test_bytes_appended_are_found(outcome: Outcome) -> None:
    with pytest.raises(DamagedOutcome):
        outcome_from_bytes(outcome_to_bytes(outcome) + b"\n", "a.parquet")


def test_text_that_looks_like_a_seal_does_no_harm(outcome: Outcome) -> None:
    fake = (sealed_parquet._SEAL_MARK + sealed_parquet._OPEN).decode()
    tricky = dataclasses.replace(outcome, fold=fake, provenance={"note": fake})
    copy = outcome_from_bytes(outcome_to_bytes(tricky), "a.parquet")
    assert (copy.fold, copy.provenance) == (fake, {"note": fake})


def test_another_schema_version_is_told_as_such(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_file, "SCHEMA_VERSION", 3)
    data = outcome_to_bytes(outcome)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="version 3, this program reads versions 1 and 2") as caught:
        outcome_from_bytes(data, "a.parquet")
    assert not isinstance(caught.value, DamagedOutcome)


def test_columns_of_unequal_length_are_refused(outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="y_pred"):
        outcome_to_bytes(dataclasses.replace(outcome, y_pred=outcome.y_pred[:-1]))


def test_the_digest_ignores_provenance_and_nothing_else(outcome: Outcome) -> None:
    elsewhere = dataclasses.replace(outcome, provenance={"host": "b"})
    assert result_digest(elsewhere) == result_digest(outcome)
    last_bit = outcome.scores.copy()
    last_bit[0, 0] = np.nextafter(last_bit[0, 0], np.float32(9))
    changed = {
        "key": "0" * 64,
        "study_key": "0" * 64,
        "fold": "casme2/sub99",
        "sample_ids": (*outcome.sample_ids[:-1], "casme2/sub00/other"),
        "subjects": ("casme2/sub99", *outcome.subjects[1:]),
        "datasets": ("samm", *outcome.datasets[1:]),
        "y_true": (outcome.y_true + 1) % 3,
        "y_pred": (outcome.y_pred + 1) % 3,
        "scores": last_bit,
        "selected_epoch": 4,
        "curves": {**outcome.curves, "train_loss": [1.5, 0.0, 0.1]},
    }
    assert set(changed) == {field.name for field in dataclasses.fields(Outcome)} - {"provenance"}
    for name, value in changed.items():
        assert result_digest(dataclasses.replace(outcome, **{name: value})) != result_digest(outcome), name


def test_strings_that_run_together_differ() -> None:
    outcome = example_study().outcomes()[0]
    left = dataclasses.replace(outcome, sample_ids=("ab", "c", "d", "e"))
    right = dataclasses.replace(outcome, sample_ids=("a", "bc", "d", "e"))
    assert result_digest(left) != result_digest(right)
