"""The words with which each database's coders named emotions, and one spelling for each."""

from __future__ import annotations

from collections.abc import Mapping

# What the sheets and folders of a database hold, in lower case. A word that is not here is a mistake in the copy, or
# comes from another database: a task refuses it instead of guessing.
_BASIC = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
_VALENCE = ("negative", "positive", "surprise")
_CASME3 = ("anger", "disgust", "fear", "happy", "sad", "surprise", "others")
WORDS: dict[str, tuple[str, ...]] = {
    "casme": ("contempt", "disgust", "fear", "happiness", "repression", "sadness", "surprise", "tense"),
    "casme2": ("disgust", "fear", "happiness", "others", "repression", "sadness", "surprise"),
    "samm": (*_BASIC, "contempt", "other", "others"),
    "smic": _VALENCE,
    "smic_vis": _VALENCE,
    "smic_nir": _VALENCE,
    "smic_long": _VALENCE,
    "smic_vis_long": _VALENCE,
    "smic_nir_long": _VALENCE,
    # The sheet names "others" what the folders name "repression".
    "mmew": (*_BASIC, "others", "repression"),
    "casme_sq": (*_VALENCE, "others"),
    "casme_sq_macro": (*_VALENCE, "others"),
    "casme3": _CASME3,
    "casme3_macro": _CASME3,
    "casme3_c": (*_VALENCE, "others"),
    "4dme": (*_VALENCE, "repression", "others"),
    "dfme": (*_BASIC, "contempt"),
    "afew": ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
    "oulu_casia": _BASIC,
    "ckplus": (*_BASIC, "contempt", "neutral"),
}
_SPELLING = {"angry": "anger", "happy": "happiness", "sad": "sadness", "other": "others"}


def spelling(word: str) -> str:
    """Return the one spelling of an annotated emotion: ``Happy`` and ``happiness`` are the same class."""
    name = word.strip().lower()
    return _SPELLING.get(name, name)


def words_of(dataset: str) -> tuple[str, ...]:
    """Return the emotions that a dataset annotates, () for one that is not known; ``synth_casme2`` is CASME II's."""
    return WORDS.get(dataset.removeprefix("synth_"), ())


def table(dataset: str, classes: Mapping[str, str]) -> dict[str, str | None]:
    """Return annotated emotion (lower case) -> class name for one dataset.

    classes : emotion in its one spelling -> class name. An emotion that the dataset annotates and ``classes`` does not
        hold is None: left out on purpose.
    """
    return {word: classes.get(spelling(word)) for word in words_of(dataset)}
