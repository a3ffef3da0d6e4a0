"""The printed scores of the registered models, in the words of our benchmarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from mer_models.contracts import PublishedScore
from mer_models.registry import MODELS, ModelInfo
from preprocess.datasets import DATASETS
from results.scores.claims import Printed
from results.scores.row import Row

AS_PUBLISHED = "as_published"
COMPOSITE = ("casme2", "samm", "smic")
"""The databases of MEGC2019's composite."""

_BENCHMARK = re.compile(r"(?P<data>.+?)(?: (?P<protocol>loso|cde|hde|lodo))? (?P<rest>\w+|\S+ classes)")


def printed_scores(names: Iterable[str]) -> list[Printed]:
    """Return every score that is printed of some models: UF1 and UAR, and accuracy where no UF1 is printed.

    An F1 of which its source does not say how it averages is none of them.

    Parameters
    ----------
    names : of the models.
    """
    found = []
    for name in names:
        info = MODELS.get(name)
        for score in info.published:
            found += _printed(info, score)
    return found


def _printed(info: ModelInfo, score: PublishedScore) -> list[Printed]:
    metrics = {"uf1": score.uf1, "uar": score.uar}
    if score.uf1 is None:
        metrics["accuracy"] = score.accuracy
    part, fits = _fitting(score.benchmark)
    form = {AS_PUBLISHED: True} if AS_PUBLISHED in info.params else {}
    return [
        Printed(info.name, score.benchmark, part, metric, value, score.selection, score.reference, fits, form)
        for metric, value in metrics.items()
        if value is not None
    ]


def _fitting(benchmark: str) -> tuple[str, Callable[[Row], bool]]:
    """Return the part that a benchmark's name means, and what tells whether a row of ours is of that benchmark.

    Names are those of ``PublishedScore.benchmark``: ``MEGC2019 cde samm``, ``SAMM loso 3 classes``. A name without a
    protocol fits no row.
    """
    match = _BENCHMARK.fullmatch(benchmark)
    if match is None or match["protocol"] is None:
        return "full", lambda row: False
    protocol, rest = match["protocol"], match["rest"]
    if match["data"] == "MEGC2019":
        return rest, lambda row: (row.dataset, row.task, row.protocol) == ("+".join(COMPOSITE), "megc3", protocol)
    datasets = "+".join(sorted(_adapter(name) for name in re.split(r", | and ", match["data"])))
    count = rest.split()[0]

    def fits(row: Row) -> bool:
        objective = row.task.startswith("objective")
        same_classes = objective if count == "objective" else not objective and str(len(row.class_counts)) == count
        return (row.dataset, row.protocol) == (datasets, protocol) and not row.multilabel and same_classes

    return "full", fits


def _adapter(name: str) -> str:
    """Return the adapter of a database by the name that its description begins with; of several, the shortest."""
    found = [key for key in DATASETS.names() if re.match(rf"{re.escape(name)}(?!\S| II)", _database(key))]
    return min(found, key=len, default=name)


def _database(key: str) -> str:
    return re.split(r", | \(", DATASETS.get(key).description)[0]
