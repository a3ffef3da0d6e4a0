"""The columns of printed leaderboards: one function and one decorator each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preprocess.base.registry import Registry
from results.scores.leaderboard import Row
from results.views.text import Justify

Text = Callable[[Row], str]


@dataclass(frozen=True)
class Column:
    """A column of a printed leaderboard.

    Attributes
    ----------
    header : printed above.
    text : row -> the cell.
    justify : the side that the cells are aligned to.
    multilabel_header : printed above a table of a multi-label task, where the number means something else.
    wanted : whether a row has anything to say in it; a table has the column where one of its rows has.
    """

    header: str
    text: Text
    justify: Justify
    multilabel_header: str = ""
    wanted: Callable[[Row], bool] = lambda row: True

    def title(self, multilabel: bool) -> str:
        """Return what is printed above the column in a table of one task."""
        return self.multilabel_header if multilabel and self.multilabel_header else self.header


COLUMNS: Registry[Column] = Registry("column")

# What a row says of itself, and what its section's heading says for it where there are headings.
ROW_COLUMNS = ("rank", "model", "selection", "seeds", "uf1", "uf1_interval", "uar", "accuracy", "folds")
FLAT_COLUMNS = (
    *("dataset", "part", "task", "protocol", "samples", "subjects", "classes"),
    *("rank", "model", "selection", "seeds", "uf1", "uf1_interval", "uar", "uar_interval"),
    *("accuracy", "weighted_f1", "folds"),
)
SPOT_COLUMNS = ("spot_precision", "spot_recall", "spot_f1", "strs", "strs_interval")

MISSING = "–"


def column(
    header: str,
    justify: Justify = "left",
    multilabel_header: str = "",
    wanted: Callable[[Row], bool] = lambda row: True,
) -> Callable[[Text], Text]:
    """Return a decorator that registers ``row -> str`` as a column under the function's name.

    Columns of other packages are printed behind the built-in ones, in the order of their names.

    Parameters
    ----------
    header : printed above.
    justify : the side that the cells are aligned to.
    multilabel_header : printed above a table of a multi-label task; empty for the same header.
    wanted : row -> whether it has anything to say in the column; where none has, a table does without.
    """

    def decorate(text: Text) -> Text:
        entry = Column(header, text, justify, multilabel_header, wanted)
        COLUMNS.add(text.__name__, entry, origin=f"{text.__module__}.{text.__qualname__}")
        return text

    return decorate


def row_columns(rows: Sequence[Row]) -> list[Column]:
    """Return the columns of a table of some rows whose headings name dataset, task, protocol, part and counts."""
    return [*(COLUMNS.get(name) for name in ROW_COLUMNS), *added_columns(rows)]


def flat_columns(rows: Sequence[Row]) -> list[Column]:
    """Return the columns of a table of some rows without headings: each line names all that its score depends on."""
    return [*(COLUMNS.get(name) for name in FLAT_COLUMNS), *added_columns(rows)]


def added_columns(rows: Sequence[Row]) -> list[Column]:
    """Return the columns beside those of every table: of spotting, then those that somebody added, by their names."""
    always = {*ROW_COLUMNS, *FLAT_COLUMNS, *SPOT_COLUMNS}
    names = [*SPOT_COLUMNS, *(name for name in COLUMNS.names() if name not in always)]
    return [one for one in map(COLUMNS.get, names) if any(map(one.wanted, rows))]


def number(value: float | None) -> str:
    """Return a score as the field prints it: ``.7353``, ``1.0000``, or a dash where there is none."""
    return MISSING if value is None else f"{value:.4f}".removeprefix("0")


def interval(low: float | None, high: float | None) -> str:
    """Return ``[.691, .781]``, or a dash where there is none."""
    if low is None or high is None:
        return MISSING
    return "[" + ", ".join(f"{value:.3f}".removeprefix("0") for value in (low, high)) + "]"


def number_ranges(numbers: list[int]) -> str:
    """Return whole numbers with runs of three or more shortened: ``0-4,7``."""
    runs: list[list[int]] = []
    for value in sorted(numbers):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def class_counts(row: Row) -> str:
    """Return the true samples per class: ``negative 250, positive 109, surprise 83``."""
    return ", ".join(f"{name} {count}" for name, count in row.class_counts.items())


@column("dataset")
def dataset(row: Row) -> str:
    """The dataset, stamped where it is synthetic."""
    return f"{row.dataset} (synthetic)" if row.synthetic else row.dataset


@column("part")
def part(row: Row) -> str:
    """``full``, a dataset of a composite, or ``average``."""
    return row.part


@column("task")
def task(row: Row) -> str:
    """The label scheme."""
    return row.task


@column("protocol")
def protocol(row: Row) -> str:
    """The rule that made the folds."""
    return row.protocol


@column("n", "right")
def samples(row: Row) -> str:
    """Number of samples."""
    return str(row.n_samples)


@column("subjects", "right")
def subjects(row: Row) -> str:
    """Number of subjects."""
    return str(row.n_subjects)


@column("classes")
def classes(row: Row) -> str:
    """True samples per class."""
    return class_counts(row)


@column("#", "right")
def rank(row: Row) -> str:
    """Place among the honest rows of the same benchmark; ``1 =`` where it cannot be told from the best one."""
    return MISSING if row.rank is None else f"{row.rank}{' =' if row.tied else ''}"


@column("model")
def model(row: Row) -> str:
    """The model with the hyper-parameters that were changed."""
    return f"{row.label} (superseded)" if row.superseded else row.label


@column("selection")
def selection(row: Row) -> str:
    """Which epoch was scored; a star marks one that may have seen the test subject."""
    return f"{row.selection}*" if row.stamp else row.selection


@column("seeds")
def seeds(row: Row) -> str:
    """The seeds that the scores are averaged over."""
    return number_ranges(row.seeds)


@column("UF1", "right", "F1")
def uf1(row: Row) -> str:
    """Unweighted F1; of a multi-label task, the mean F1 of its classes."""
    return number(row.uf1)


@column("95% CI")
def uf1_interval(row: Row) -> str:
    """Subject-bootstrap interval of UF1."""
    return interval(row.uf1_low, row.uf1_high)


@column("UAR", "right", "recall")
def uar(row: Row) -> str:
    """Unweighted average recall; of a multi-label task, the mean recall of its classes."""
    return number(row.uar)


@column("95% CI")
def uar_interval(row: Row) -> str:
    """Subject-bootstrap interval of UAR."""
    return interval(row.uar_low, row.uar_high)


@column("acc", "right")
def accuracy(row: Row) -> str:
    """Accuracy."""
    return number(row.accuracy)


@column("wF1", "right")
def weighted_f1(row: Row) -> str:
    """F1 weighted by class size."""
    return number(row.weighted_f1)


@column("folds", "right")
def folds(row: Row) -> str:
    """Folds done of folds needed, over all seeds."""
    return f"{row.folds_done}/{row.folds_total}"


def _spotted(row: Row) -> bool:
    return row.spotting is not None


@column("spot P", "right", wanted=_spotted)
def spot_precision(row: Row) -> str:
    """Share of the spotted expressions that are annotated ones."""
    return number(row.spotting.precision if row.spotting else None)


@column("spot R", "right", wanted=_spotted)
def spot_recall(row: Row) -> str:
    """Share of the annotated expressions that were spotted."""
    return number(row.spotting.recall if row.spotting else None)


@column("spot F1", "right", wanted=_spotted)
def spot_f1(row: Row) -> str:
    """F1 of spotting."""
    return number(row.spotting.f1 if row.spotting else None)


@column("STRS", "right", wanted=_spotted)
def strs(row: Row) -> str:
    """F1 of spotting times UF1 of what was found."""
    return number(row.spotting.strs if row.spotting else None)


@column("95% CI", wanted=_spotted)
def strs_interval(row: Row) -> str:
    """Subject-bootstrap interval of STRS."""
    return interval(row.spotting.strs_low, row.spotting.strs_high) if row.spotting else MISSING
