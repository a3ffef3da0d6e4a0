"""The words with which a dataset's coders named emotions; each dataset's own file declares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from preprocess.base.registry import Registry

_SPELLING = {"angry": "anger", "happy": "happiness", "sad": "sadness", "other": "others"}


@dataclass(frozen=True)
class Annotation:
    """How the clips of a dataset are annotated.

    Attributes
    ----------
    emotions : the words in its sheet or folders, in lower case. Where a word is no English name of an emotion, a
        mapping of each word to one: ``{"froh": "happiness"}``. A word that is not here is a mistake in the copy, or
        comes from another database: a task refuses it instead of guessing.
    tasks : the published tasks that the dataset belongs to. Such a task was made for certain databases, so that
        nobody's results change, and no composite grows, because a new dataset happens to use its words. Tasks that are
        made for all databases need not be named.
    by_words : published schemes of emotions take the dataset as well, where it has a word for each of their classes:
        that of somebody's own recordings, which are part of no published list of clips.
    """

    emotions: tuple[str, ...] | Mapping[str, str]
    tasks: tuple[str, ...] = ()
    by_words: bool = False

    def words(self) -> dict[str, str]:
        """Return word -> the emotion that it means, in its one spelling."""
        emotions = self.emotions if isinstance(self.emotions, Mapping) else {word: word for word in self.emotions}
        return {word: spelling(emotion) for word, emotion in emotions.items()}


ANNOTATIONS: Registry[Annotation] = Registry("annotation", package="preprocess.datasets")
"""Dataset -> how it is annotated, as the file of its adapter declares it."""

_read: dict[str, Annotation] = {}


def annotate(dataset: str, annotation: Annotation) -> None:
    """Say how a dataset is annotated that no file declares, since its name and its words are in the data themselves.

    It holds for this process, until the dataset is read again.
    """
    _read[dataset.removeprefix("synth_")] = annotation


def annotation_of(dataset: str) -> Annotation | None:
    """Return how a dataset is annotated; None where nothing is declared. ``synth_casme2`` is annotated as CASME II."""
    name = dataset.removeprefix("synth_")
    return ANNOTATIONS.get(name) if name in ANNOTATIONS.names() else _read.get(name)


def spelling(word: str) -> str:
    """Return the one spelling of an annotated emotion: ``Happy`` and ``happiness`` are the same class."""
    name = word.strip().lower()
    return _SPELLING.get(name, name)


def table(annotation: Annotation, classes: Mapping[str, str]) -> dict[str, str | None]:
    """Return annotated word -> class name for one dataset.

    Parameters
    ----------
    annotation : how the dataset is annotated.
    classes : emotion in its one spelling -> class name. An emotion that is not here has no class in the task: None.
    """
    return {word: classes.get(emotion) for word, emotion in annotation.words().items()}
