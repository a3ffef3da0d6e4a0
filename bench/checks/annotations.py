"""What tasks rely on of the words that a dataset declares."""

from __future__ import annotations

from dataclasses import dataclass

from bench.checks.check import expect
from preprocess.labels.emotions import Annotation
from preprocess.labels.tasks import TASKS


@dataclass(frozen=True)
class AnnotationCase:
    """How a dataset is annotated.

    Attributes
    ----------
    dataset : its name.
    annotation : what is checked.
    """

    dataset: str
    annotation: Annotation


def check_words(case: AnnotationCase) -> None:
    """Its words are in lower case, as tasks look for them."""
    wrong = [word for word in case.annotation.words() if word != word.lower()]
    expect(not wrong, f"The words {', '.join(wrong)} are not in lower case and could never be met.")


def check_tasks(case: AnnotationCase) -> None:
    """The published tasks that it names exist, and it has a word for each of their classes."""
    unknown = sorted(set(case.annotation.tasks) - set(TASKS.names()))
    expect(not unknown, f"There is no task {', '.join(unknown)}. `merbench list tasks` shows what there is.")
    for task in map(TASKS.get, case.annotation.tasks):
        missing = [name for name in task.classes if name not in task.mapping(case.dataset).values()]
        expect(not missing, f"No word means {', '.join(missing)}, of task {task.name}.")
