"""What studies rely on of a task: its classes, and a class for each annotated word of the datasets that it takes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.checks.check import NotTried, expect
from preprocess.base.errors import DataError
from preprocess.labels.emotions import ANNOTATIONS
from preprocess.labels.tasks import Task, labels
from preprocess.samples.table import samples_table


@dataclass(frozen=True)
class TaskCase:
    """A task.

    Attributes
    ----------
    name : under which it is registered.
    task : what is checked.
    """

    name: str
    task: Task

    @functools.cached_property
    def mappings(self) -> dict[str, Mapping[str, str | None]]:
        """Dataset -> its words and their classes, of the registered datasets that the task takes."""
        found = {dataset: self.task.mapping(dataset) for dataset in ANNOTATIONS.names()}
        return {dataset: mapping for dataset, mapping in found.items() if mapping}

    def table(self, dataset: str, words: list[str]) -> pd.DataFrame:
        """Return a samples table with a clip for each word."""
        return samples_table(
            [
                {
                    "sample_id": f"{dataset}/p/c{number:03d}",
                    "dataset": dataset,
                    "subject": f"{dataset}/p",
                    "clip": f"c{number:03d}",
                    self.task.column: word,
                }
                for number, word in enumerate(words)
            ]
        )


def check_classes(case: TaskCase) -> None:
    """It has two classes or more, each with a name of its own."""
    classes = case.task.classes
    expect(case.task.name == case.name, f"It is called {case.task.name!r} and registered as {case.name!r}.")
    expect(len(classes) >= 2, f"Its classes are {classes}; expected two or more.")
    expect(len(set(classes)) == len(classes), f"Two of its classes have the same name: {', '.join(classes)}.")
    expect(all(name.strip() for name in classes), "A class has no name.")


def check_datasets(case: TaskCase) -> None:
    """It takes a registered dataset that has all of its classes, and gives no other class."""
    expect(case.mappings, "It takes no registered dataset: its mapping is empty for all of them.")
    found = {dataset: set(mapping.values()) - {None} for dataset, mapping in case.mappings.items()}
    for dataset, classes in found.items():
        unknown = sorted(map(str, classes - set(case.task.classes)))
        expect(not unknown, f"Of {dataset} it gives {', '.join(unknown)}, which is none of its classes.")
    whole = any(classes == set(case.task.classes) for classes in found.values())
    expect(whole, f"No dataset has all of its classes ({', '.join(case.task.classes)}): one could never be told.")


def check_words(case: TaskCase) -> None:
    """Each annotated word has its class, in any case and beside spaces; a word that nobody knows is refused."""
    for dataset, mapping in case.mappings.items():
        upper = sorted(word for word in mapping if word != word.lower())
        expect(not upper, f"Of {dataset}, the words {', '.join(upper)} are not in lower case and could never be met.")
        if case.task.multilabel:
            continue
        words = sorted(mapping)
        index = labels(case.task, case.table(dataset, [f" {word.upper()} " for word in words])).tolist()
        for word, found in zip(words, index, strict=True):
            wanted = mapping[word]
            place = -1 if wanted is None else case.task.classes.index(wanted)
            expect(found == place, f"Of {dataset}, {word!r} becomes label {found}; its class {wanted} is {place}.")
        try:
            labels(case.task, case.table(dataset, ["no such word"]))
        except DataError:
            continue
        expect(False, f"Of {dataset} it takes the word 'no such word'. Leave out unknown words: they are mistakes.")


def check_several(case: TaskCase) -> None:
    """Labels of several classes a sample are 1 for each class that a clip shows, else 0."""
    if not case.task.multilabel:
        raise NotTried("its samples show one class each")
    for dataset, mapping in case.mappings.items():
        words = [word for word, name in mapping.items() if name is not None]
        index = labels(case.task, case.table(dataset, [*words, "+".join(words)]))
        *shown, all_of_them = [[case.task.classes[place] for place in row.nonzero()[0]] for row in index]
        wanted = [[mapping[word]] for word in words]
        expect(shown == wanted, f"Of {dataset}, clips of one class each become {shown}.")
        both = set(all_of_them) == {name for names in wanted for name in names}
        expect(both, f"Of {dataset}, a clip that shows all of {', '.join(words)} becomes {all_of_them}.")


def check_rendered(case: TaskCase) -> None:
    """A rendered dataset (synth_NAME) is labelled as the one whose layout it has."""
    for dataset, mapping in case.mappings.items():
        same = case.task.mapping(f"synth_{dataset}") == mapping
        expect(same, f"synth_{dataset} has another mapping than {dataset}; take the prefix off.")


def check_documented(case: TaskCase) -> None:
    """It says where it is defined."""
    expect(case.task.reference.strip(), "Its reference is empty. Say which paper or list defines it.")
