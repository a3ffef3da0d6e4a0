"""What a complete study's scores are made of: the counts of each person, part by part.

Counts are worked out from predictions once, and kept beside the study's one file. They are used again where that file
and the code that counts are the same, byte for byte; metrics, intervals and ranks are taken from them each time.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preprocess.base.code import code_fingerprint
from preprocess.base.hashing import canonical_json, digest_bytes
from results.scores.counting import MULTI_LABEL, SINGLE_LABEL, Counting
from results.scores.pooling import Pooled, averaged_datasets, part_names, pool_complete
from results.store.outcome import Outcome
from results.store.outcome_file import result_digest
from results.store.study_card import StudyCard


@dataclass(frozen=True)
class CountedPart:
    """The counts of one part.

    Attributes
    ----------
    samples : the hash of the tested samples, their subjects and classes.
    n_samples : number of samples.
    subjects : the subjects, sorted.
    counts : (n_subjects, n_datasets, ...) int64 counts of each subject; n_datasets is 1, except for an average.
    """

    samples: str
    n_samples: int
    subjects: tuple[str, ...]
    counts: np.ndarray


@dataclass(frozen=True)
class CountedStudy:
    """What boards and MLflow need of a complete study, without its predictions.

    Attributes
    ----------
    parts : part -> its counts, ``full`` first.
    results : the ``result_digest`` of each fold, in the card's order.
    finished : when the newest outcome was made (ISO time); empty where none tells.
    """

    parts: dict[str, CountedPart]
    results: list[str]
    finished: str


def counting_of(card: StudyCard) -> Counting:
    """Return how the predictions of a study are counted and scored."""
    return MULTI_LABEL if card.multilabel else SINGLE_LABEL


def count_part(pooled: Pooled, datasets: Sequence[str] = ()) -> CountedPart:
    """Count the predictions of one part.

    Parameters
    ----------
    pooled : its predictions.
    datasets : count each of these by itself; where none is given, all samples together.
    """
    subjects, counts = pooled.counts_by_subject(datasets)
    return CountedPart(pooled.samples, len(pooled.sample_ids), tuple(subjects), counts)


def count_study(card: StudyCard, outcomes: Sequence[Outcome]) -> CountedStudy:
    """Count the predictions of a complete study.

    Raises
    ------
    HonestyError : as ``pool_complete``.
    """
    pooled = pool_complete(card, outcomes)
    parts = {name: count_part(pooled.part(name), averaged_datasets(card, name)) for name in part_names(card)}
    return CountedStudy(parts, [result_digest(outcome) for outcome in outcomes], newest(outcomes))


def newest(outcomes: Sequence[Outcome]) -> str:
    """Return when the newest of some outcomes was made (ISO time); empty where none tells."""
    return max((str(outcome.provenance.get("finished_at", "")) for outcome in outcomes), default="")


def counts_to_bytes(counted: CountedStudy, card: StudyCard, seal: str) -> bytes:
    """Write counts, and what they were made from.

    Parameters
    ----------
    counted : the study's counts.
    card : the study's.
    seal : of the study file that holds the predictions.
    """
    parts = {
        name: {
            "samples": part.samples,
            "n_samples": part.n_samples,
            "subjects": part.subjects,
            "shape": part.counts.shape,
            "counts": part.counts.ravel().tolist(),
        }
        for name, part in counted.parts.items()
    }
    content = {"made_from": _made_from(card, seal), "results": counted.results, "finished": counted.finished}
    # Parts in their order, which JSON with sorted keys would lose.
    text = canonical_json({**content, "parts": list(parts.items())}).encode()
    return digest_bytes(text).encode() + b"\n" + text


def counts_from_bytes(data: bytes | None, card: StudyCard, seal: str) -> CountedStudy | None:
    """Read what ``counts_to_bytes`` wrote.

    Parameters
    ----------
    data : the file's bytes; None where there is no file.
    card : the study's.
    seal : of the study file that lies there now.

    Returns
    -------
    The counts; None where they are to be made anew: there are none, a byte of them changed, or they were made from
    another study file or by other code.
    """
    if data is None:
        return None
    told, _, text = data.partition(b"\n")
    if told.decode(errors="replace") != digest_bytes(text):
        return None
    content = json.loads(text)
    if content["made_from"] != _made_from(card, seal):
        return None
    parts = {
        name: CountedPart(
            part["samples"],
            part["n_samples"],
            tuple(part["subjects"]),
            np.array(part["counts"], dtype=np.int64).reshape(part["shape"]),
        )
        for name, part in content["parts"]
    }
    return CountedStudy(parts, content["results"], content["finished"])


def _made_from(card: StudyCard, seal: str) -> list[Any]:
    """Return what counts depend on; a card's parts and classes say what is counted, and its notes do not."""
    unions = {name: list(datasets) for name, datasets in card.unions.items()}
    return [card.key, seal, _code(), list(part_names(card)), unions, list(card.classes), card.multilabel, card.averaged]


@functools.cache
def _code() -> str:
    return code_fingerprint(__file__)
